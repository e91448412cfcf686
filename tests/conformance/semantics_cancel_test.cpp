// SPDX-License-Identifier: Apache-2.0
// Rules 18 to 20 of the semantics: where cancellation strikes, what it may free, and who wins.
#include <array>
#include <string>
#include <vector>

#include "every_driver.hpp"
#include "rondo/core/channel.hpp"
#include "rondo/core/event.hpp"
#include "rondo/core/future.hpp"
#include "rondo/core/mutex.hpp"
#include "rondo/core/when.hpp"

namespace rondo::testing {
namespace {

using SemanticsCancel = EveryDriver;

/// Cancels itself by its own scope and returns whether `op` let it go on.
template <class Make>
Task<bool> survives(Make make) {
  bool passed = false;
  const ScopeEnd end = co_await with_scope([&](Scope& scope) -> Task<> {
    scope.cancel();
    static_cast<void>(co_await make());
    passed = true;
  });
  EXPECT_TRUE(end.cancelled);
  co_return passed;
}

TEST_P(SemanticsCancel, rule_18_every_checkpoint_strikes_even_when_it_is_ready) {
  run([]() -> Task<> {
    Event set;
    set.set();
    Channel<int> full{4};
    EXPECT_TRUE(full.try_send(1));
    Channel<int> closed{1};
    closed.close();
    Semaphore free(1);
    Mutex unlocked;
    EXPECT_FALSE(co_await survives([&] { return set.wait(); }));
    EXPECT_FALSE(co_await survives([&] { return full.receive(); }));
    EXPECT_FALSE(co_await survives([&] { return full.send(2); }));
    EXPECT_FALSE(co_await survives([&] { return closed.receive(); }));
    EXPECT_FALSE(co_await survives([&] { return free.acquire(); }));
    EXPECT_FALSE(co_await survives([&] { return unlocked.lock(); }));
    EXPECT_FALSE(co_await survives([] { return checkpoint(); }));
    EXPECT_FALSE(co_await survives([] { return sleep_for(0ns); }));
    EXPECT_FALSE(co_await survives([] { return sleep_until(TimePoint{}); }));
    EXPECT_EQ(full.size(), 1u) << "a struck send or receive took effect";
    EXPECT_EQ(free.statistics().available, 1u);
    EXPECT_FALSE(unlocked.statistics().locked);
  });
}

TEST_P(SemanticsCancel, rule_18_handles_futures_and_brackets_are_checkpoints_too) {
  run([]() -> Task<> {
    co_await with_scope([&](Scope& outer) -> Task<> {
      JoinHandle<int> done = outer.start([]() -> Task<int> { co_return 1; });
      co_await turns(2);
      EXPECT_TRUE(done.done());
      EXPECT_FALSE(co_await survives([&] {
        return [](JoinHandle<int>& h) -> Task<> { static_cast<void>(co_await h); }(done);
      }));
      EXPECT_EQ(*co_await done, 1) << "the result was still there";
    });
    auto [promise, future] = make_promise<int>();
    promise.set(3);
    while (!future.ready()) co_await sleep_for(10us);
    EXPECT_FALSE(co_await survives(
        [&] { return [](Future<int>& f) -> Task<> { static_cast<void>(co_await f); }(future); }));
    EXPECT_EQ(*co_await future, 3);
    bool ran = false;
    auto body = [&]() -> Task<> {
      ran = true;
      co_return;
    };
    EXPECT_FALSE(co_await survives([&] { return with_timeout(1h, body()); }));
    EXPECT_FALSE(co_await survives([&] { return shield(body()); }));
    EXPECT_FALSE(co_await survives([&] { return when_all(body(), body()); }));
    EXPECT_FALSE(co_await survives([&] { return when_any(body(), body()); }));
    EXPECT_FALSE(co_await survives([&] { return with_scope([&](Scope&) { return body(); }); }));
    EXPECT_FALSE(ran) << "a bracket started something inside of a cancelled scope";
  });
}

TEST_P(SemanticsCancel, rule_18_awaiting_a_task_is_no_checkpoint) {
  run([]() -> Task<> {
    EXPECT_TRUE(co_await survives([]() -> Task<> { co_return; }));
    EXPECT_TRUE(co_await survives([]() -> Task<> { co_await []() -> Task<> { co_return; }(); }));
  });
}

TEST_P(SemanticsCancel, rule_18_the_request_is_a_state_and_strikes_again_in_clean_up_code) {
  run([]() -> Task<> {
    int reached = 0;
    co_await with_scope([&](Scope& scope) -> Task<> {
      auto child = scope.start(
          [](int* at) -> Task<> {
            co_await finally(sleep_for(1h), [at]() -> Task<> {
              co_await sleep_for(1us);  // Shielded.
              *at = 1;
            });
            *at = 2;
          },
          &reached);
      co_await turns(3);
      child.cancel();
      EXPECT_EQ((co_await child).error().code(), Errc::cancelled);
    });
    EXPECT_EQ(reached, 1);
  });
}

TEST_P(SemanticsCancel, rule_18_a_task_cancelled_before_its_start_never_runs) {
  run([]() -> Task<> {
    long alive = 0;
    bool ran = false;
    co_await with_scope([&](Scope& scope) -> Task<> {
      auto direct = scope.start(
          [](Guard, bool* flag) -> Task<> {
            *flag = true;
            co_return;
          },
          Guard(alive), &ran);
      auto kept = scope.start([g = Guard(alive), &ran]() -> Task<> {
        ran = true;
        co_return;
      });
      EXPECT_GE(alive, 2);
      direct.cancel();
      kept.cancel();
      EXPECT_EQ((co_await direct).error().code(), Errc::cancelled);
      EXPECT_EQ((co_await kept).error().code(), Errc::cancelled);
      EXPECT_EQ(alive, 0) << "frame and arguments die with a task that never ran";
    });
    EXPECT_FALSE(ran);
  });
}

TEST_P(SemanticsCancel, rule_18_a_child_started_in_a_cancelled_scope_starts_cancelled) {
  run([]() -> Task<> {
    bool ran = false;
    co_await with_scope([&](Scope& scope) -> Task<> {
      scope.cancel();
      scope.start(
          [](bool* flag) -> Task<> {
            *flag = true;
            co_return;
          },
          &ran);
      co_return;
    });
    EXPECT_FALSE(ran);
  });
}

TEST_P(SemanticsCancel, rule_19_frames_die_from_the_leaf_upward_and_never_inline) {
  run([]() -> Task<> {
    std::vector<std::string> died;
    auto leaf = [&]() -> Task<> {
      AtExit last([&] { died.push_back("leaf's first local"); });
      AtExit first([&] { died.push_back("leaf's last local"); });
      co_await sleep_for(1h);
    };
    auto middle = [&]() -> Task<> {
      AtExit local([&] { died.push_back("middle"); });
      co_await leaf();
    };
    auto root = [&]() -> Task<> {
      AtExit local([&] { died.push_back("root"); });
      co_await middle();
    };
    co_await with_scope([&](Scope& scope) -> Task<> {
      auto child = scope.start(root);
      co_await turns(3);
      child.cancel();
      EXPECT_TRUE(died.empty()) << "destroyed inside of cancel()";
      static_cast<void>(co_await child);
    });
    const std::vector<std::string> expected{"leaf's last local", "leaf's first local", "middle",
                                            "root"};
    EXPECT_EQ(died, expected);
  });
}

TEST_P(SemanticsCancel, rule_19_destructors_may_queue_but_nothing_resumes_inside_of_them) {
  run([]() -> Task<> {
    Event told;
    std::vector<int> order;
    co_await with_scope([&](Scope& scope) -> Task<> {
      scope.start(
          [](Event* e, std::vector<int>* o) -> Task<> {
            co_await e->wait();
            o->push_back(2);
          },
          &told, &order);
      auto dying = scope.start(
          [](Event* e, std::vector<int>* o) -> Task<> {
            AtExit after([o] { o->push_back(1); });
            AtExit before([e] { e->set(); });
            co_await sleep_for(1h);
          },
          &told, &order);
      co_await turns(3);
      dying.cancel();
      static_cast<void>(co_await dying);
    });
    EXPECT_EQ(order, (std::vector<int>{1, 2})) << "set() in a destructor ran the waiter at once";
  });
}

TEST_P(SemanticsCancel, rule_19_no_frame_is_destroyed_while_an_operation_of_it_is_in_flight) {
  run([this]() -> Task<> {
    const Pipe pipe = make_pipe();
    for (int round = 0; round < 20; ++round) {
      // Its buffer lives in the frame: freed too early, ASan or the operation's destructor says so.
      const Result<std::string> got = co_await with_timeout(100us, read_text(pipe.in));
      EXPECT_EQ(got.error().code(), Errc::timed_out);
    }
    // A cancel request that outlived its operation would strike this one at the same address.
    co_await write_text(pipe.out, "whole");
    EXPECT_EQ(*co_await with_timeout(10s, read_text(pipe.in)), "whole");
    co_await close_pipe(pipe);
  });
}

TEST_P(SemanticsCancel, rule_20_data_that_arrived_before_the_request_is_delivered) {
  run([]() -> Task<> {
    Channel<int> channel{0};
    int got = 0;
    bool went_on = false;
    co_await with_scope([&](Scope& scope) -> Task<> {
      auto reader = scope.start(
          [](Channel<int>* from, int* into, bool* on) -> Task<> {
            *into = (co_await from->receive()).value_or(-1);
            co_await checkpoint();
            *on = true;
          },
          &channel, &got, &went_on);
      co_await turns(3);
      EXPECT_TRUE(channel.try_send(5));
      reader.cancel();  // The item has been handed over already.
      EXPECT_EQ((co_await reader).error().code(), Errc::cancelled);
    });
    EXPECT_EQ(got, 5) << "the item was lost between sender and receiver";
    EXPECT_FALSE(went_on) << "the request strikes at the next checkpoint";
  });
}

TEST_P(SemanticsCancel, rule_20_a_completion_in_hand_beats_a_request_of_the_same_iteration) {
  run([this]() -> Task<> {
    const Pipe pipe = make_pipe();
    std::string got;
    bool went_on = false;
    co_await with_scope([&](Scope& scope) -> Task<> {
      auto reader = scope.start(
          [](int fd, std::string* into, bool* on) -> Task<> {
            *into = co_await read_text(fd);
            co_await checkpoint();
            *on = true;
          },
          pipe.in, &got, &went_on);
      co_await turns(3);
      co_await write_text(pipe.out, "data");
      // The completion is delivered here; the reader's resume stands behind this task.
      io::Driver& driver = loop().driver();
      const std::uint64_t before = driver.statistics().completions;
      for (int i = 0; i < 10'000 && got.empty() && driver.statistics().completions == before; ++i)
        driver.wait(io::Wait::poll, {});
      reader.cancel();
      EXPECT_EQ((co_await reader).error().code(), Errc::cancelled);
    });
    EXPECT_EQ(got, "data");
    EXPECT_FALSE(went_on);
    co_await close_pipe(pipe);
  });
}

TEST_P(SemanticsCancel, rule_20_an_operation_whose_data_is_present_cancelled_at_once_loses_none) {
  run([this]() -> Task<> {
    const Pipe pipe = make_pipe();
    int delivered = 0;
    for (int round = 0; round < 50; ++round) {
      const std::string text = "round " + std::to_string(round);
      co_await write_text(pipe.out, text);
      std::string got;
      co_await with_scope([&](Scope& scope) -> Task<> {
        auto reader =
            scope.start([](int fd, std::string* into) -> Task<> { *into = co_await read_text(fd); },
                        pipe.in, &got);
        co_await checkpoint();  // Now it is queued, its data present, the driver not yet asked.
        reader.cancel();
        static_cast<void>(co_await reader);
      });
      if (got.empty())
        got = co_await read_text(pipe.in);
      else
        ++delivered;
      EXPECT_EQ(got, text) << "the kernel read it and the task never saw it";
    }
    if (GetParam() == "uring") EXPECT_GT(delivered, 0) << "the race this test is for never ran";
    co_await close_pipe(pipe);
  });
}

TEST_P(SemanticsCancel, rule_20_a_permit_handed_over_is_kept_or_given_back_never_lost) {
  run([]() -> Task<> {
    Semaphore one(1);
    int ran = 0;
    co_await with_scope([&](Scope& scope) -> Task<> {
      auto permit = co_await one.acquire();
      auto next = scope.start(
          [](Semaphore* s, int* n) -> Task<> {
            auto own = co_await s->acquire();
            ++*n;
            co_await checkpoint();
            *n += 100;
          },
          &one, &ran);
      co_await turns(3);
      permit.release();  // Handed to `next`, which has not run yet.
      next.cancel();
      static_cast<void>(co_await next);
    });
    EXPECT_EQ(ran, 1);
    EXPECT_EQ(one.statistics().available, 1u);
  });
}

ON_EVERY_DRIVER(SemanticsCancel);

}  // namespace
}  // namespace rondo::testing
