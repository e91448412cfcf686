// SPDX-License-Identifier: Apache-2.0
// start_now, reasons, soft stop of a scope, TaskLocal, ErrorGroup, callbacks, stop tokens.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "rondo/core/cancel.hpp"
#include "rondo/core/error_group.hpp"
#include "rondo/core/from_callback.hpp"
#include "rondo/core/offload.hpp"
#include "rondo/core/scope.hpp"
#include "rondo/core/sleep.hpp"
#include "rondo/core/stop_token.hpp"
#include "rondo/core/task_local.hpp"
#include "rondo/core/when.hpp"
#include "rondo/testing/sim_loop.hpp"

namespace rondo {
namespace {

using namespace std::chrono_literals;
using testing::SimLoop;

// --- start_now -----------------------------------------------------------------------------

TEST(StartNow, runs_the_child_up_to_its_first_wait_before_it_returns) {
  SimLoop sim;
  sim.run([]() -> Task<> {
    std::string order;
    co_await with_scope([&](Scope& scope) -> Task<> {
      auto child = [&](char name) -> Task<> {
        order += name;
        co_await sleep_for(1ms);
        order += static_cast<char>(name + 32);
      };
      scope.start(child, 'A');
      auto handle = scope.start_now({"now"}, child, 'B');
      EXPECT_EQ(std::string(handle.name()), "now");
      EXPECT_FALSE(handle.done());
      order += '.';
      auto ended = scope.start_now([]() -> Task<int> { co_return 7; });
      EXPECT_TRUE(ended.done());
      EXPECT_EQ(*co_await ended, 7);
    });
    EXPECT_EQ(order, "B.Aba");
  });
}

Task<> nothing() { co_return; }

TEST(StartNow, lets_a_child_end_at_once_inside_of_a_body_that_is_a_plain_function) {
  SimLoop sim;
  sim.run([]() -> Task<> {
    int ended = 0;
    const ScopeEnd end = co_await with_scope([&](Scope& scope) {
      for (int i = 0; i < 2; ++i) {
        scope.start_now([](int* n) -> Task<> { co_return static_cast<void>(++*n); }, &ended);
        EXPECT_EQ(scope.live(), 1u) << "the body";
      }
      return nothing();
    });
    EXPECT_FALSE(end.cancelled);
    EXPECT_EQ(ended, 2);
  });
}

TEST(StartNow, a_plain_body_that_throws_cancels_the_children_it_has_started) {
  SimLoop sim;
  sim.run([]() -> Task<> {
    int reached = 0;
    const auto body = [&](Scope& scope) -> Task<> {
      scope.start_now(nothing);
      scope.start_now([](int* n) -> Task<> {
        ++*n;
        co_await sleep_for(1h);
        ++*n;
      }, &reached);
      throw std::runtime_error("no body");
    };
    std::string said;
    try {
      co_await with_scope(body);
    } catch (const std::runtime_error& error) {
      said = error.what();
    }
    EXPECT_EQ(said, "no body");
    EXPECT_EQ(reached, 1);
    EXPECT_THROW(co_await with_scope([](Scope&) -> Task<> { throw 1; }), int);
  });
}

TEST(TaskDeathTest, awaited_or_started_a_second_time_says_what_to_do) {
  SimLoop sim;
  sim.run([]() -> Task<> {
    Task<> once = nothing();
    co_await std::move(once);
    const char* advice = "a Task runs once; call the function again";
    const auto await = [](Task<> task) -> Task<> { co_await std::move(task); };
    co_await with_scope([&](Scope& scope) -> Task<> {
      EXPECT_DEATH(scope.start_now(await, std::move(once)), advice);
      co_return;
    });
  });
}

TEST(LoopDeathTest, a_loop_run_inside_of_a_task_says_what_to_do) {
  const char* advice = "run\\(\\) inside of a running task";
  SimLoop sim;
  sim.run([&]() -> Task<> {
    EXPECT_DEATH((void)Loop::current().run(nothing()), advice);
    EXPECT_DEATH((void)run(nothing()), advice) << "of a loop of its own, too";
    EXPECT_DEATH(Loop::current().poll(), advice);
    co_return;
  });
}

TEST(StartNow, gives_an_exception_to_the_scope_not_to_the_caller) {
  SimLoop sim;
  sim.run([]() -> Task<> {
    bool went_on = false;
    bool passed_checkpoint = false;
    try {
      co_await with_scope([&](Scope& scope) -> Task<> {
        scope.start_now([]() -> Task<> {
          throw std::runtime_error("at once");
          co_return;
        });
        went_on = true;
        co_await checkpoint();
        passed_checkpoint = true;
      });
      ADD_FAILURE() << "nothing was thrown";
    } catch (const std::runtime_error&) {
    }
    EXPECT_TRUE(went_on);
    EXPECT_FALSE(passed_checkpoint);
  });
}

TEST(StartNow, never_runs_in_a_cancelled_scope) {
  SimLoop sim;
  sim.run([]() -> Task<> {
    bool ran = false;
    co_await with_scope([&](Scope& scope) -> Task<> {
      scope.cancel();
      scope.start_now([&]() -> Task<> {
        ran = true;
        co_return;
      });
      co_return;
    });
    EXPECT_FALSE(ran);
  });
}

TEST(Names, stand_in_the_list_of_tasks_for_branches_too) {
  SimLoop sim;
  sim.run([]() -> Task<> {
    co_await with_scope([](Scope& scope) -> Task<> {
      scope.start(Named{"fetcher"},
                  []() -> Task<> { (void)co_await with_timeout(5ms, sleep_for(1h)); });
      co_await sleep_for(1ms);
      const std::string text = loop().describe_tasks();
      std::size_t lines = 0;
      for (std::size_t at = 0; (at = text.find("fetcher in ", at)) != std::string::npos; ++at)
        ++lines;
      EXPECT_EQ(lines, 2u) << text;
      EXPECT_NE(text.find("task_tools_test.cpp"), std::string::npos);
    });
  });
}

// --- reasons, soft stop --------------------------------------------------------------------

Task<> note_reason(std::string* to) {
  co_await finally(sleep_for(1h), [to]() -> Task<> {
    co_await checkpoint();
    *to = cancel_reason().text;
  });
}

TEST(Finally, a_clean_up_that_nobody_waits_to_see_the_end_of_takes_the_time_it_needs) {
  SimLoop sim;
  sim.run([]() -> Task<> {
    bool cleaned = false;
    const auto clean = [&]() -> Task<> {
      co_await sleep_for(1h);
      cleaned = true;
    };
    EXPECT_EQ(co_await finally([]() -> Task<int> { co_return 1; }(), clean), 1);
    EXPECT_TRUE(cleaned);
  });
  EXPECT_EQ(sim.now(), 1h);
}

TEST(Finally, once_asked_to_stop_a_clean_up_has_its_limit) {
  for (const Duration asked : {Duration(0ms), Duration(2ms)}) {  // In the body, in the clean-up.
    SimLoop sim;
    sim.run([&]() -> Task<> {
      co_await move_on_after(asked, [](Scope&) -> Task<> {
        co_await finally(sleep_for(1ms), []() -> Task<> { co_await sleep_for(1h); }, 10ms);
      });
    });
    EXPECT_EQ(sim.now(), asked + 10ms);
  }
}

TEST(CancelReason, is_read_in_a_clean_up) {
  SimLoop sim;
  sim.run([]() -> Task<> {
    std::string why = "x";
    co_await move_on_after(1ms, [&](Scope&) -> Task<> { co_await note_reason(&why); });
    EXPECT_EQ(why, "deadline");
    EXPECT_FALSE((co_await with_timeout(1ms, note_reason(&why))).has_value());
    EXPECT_EQ(why, "deadline");
    auto end = co_await with_scope([&](Scope& scope) -> Task<> {
      scope.start(note_reason, &why);
      co_await sleep_for(1ms);
      scope.cancel({"enough"});
    });
    EXPECT_EQ(why, "enough");
    EXPECT_EQ(std::string(end.reason.text), "enough");
    co_await with_scope([&](Scope& scope) -> Task<> {
      auto handle = scope.start(note_reason, &why);
      co_await sleep_for(1ms);
      handle.cancel();
      EXPECT_EQ((co_await handle).error(), Errc::cancelled);
    });
    EXPECT_EQ(why, "handle.cancel");
    co_await when_any(note_reason(&why), sleep_for(1ms));
    EXPECT_EQ(why, "another branch was first");
    EXPECT_EQ(std::string(cancel_reason().text), "");
  });
}

TEST(Scope, deadline_can_be_moved_and_taken_away) {
  SimLoop sim;
  sim.run([]() -> Task<> {
    auto end = co_await move_on_after(1ms, [](Scope& scope) -> Task<> {
      scope.cancel_after(10ms, {"later"});
      co_await sleep_for(1h);
    });
    EXPECT_EQ(std::string(end.reason.text), "later");
    end = co_await move_on_after(1ms, [](Scope& scope) -> Task<> {
      scope.cancel_at(k_no_deadline);
      co_await sleep_for(5ms);
    });
    EXPECT_FALSE(end.cancelled);
  });
  EXPECT_EQ(sim.now(), 15ms);
}

TEST(Scope, soft_stop_lets_children_finish_and_cancels_the_rest_after_the_grace) {
  SimLoop sim;
  sim.run([]() -> Task<> {
    bool finished = false;
    bool cut = true;
    auto end = co_await with_scope([&](Scope& scope) -> Task<> {
      scope.start(
          [&](Scope* in) -> Task<> {
            co_await in->until_stop_requested();
            co_await sleep_for(5ms);
            finished = true;
          },
          &scope);
      scope.start([&]() -> Task<> {
        co_await sleep_for(1h);
        cut = false;
      });
      co_await sleep_for(1ms);
      EXPECT_FALSE(scope.stop_requested());
      scope.request_stop(20ms);
      scope.request_stop(1h);
      EXPECT_TRUE(scope.stop_requested());
    });
    EXPECT_TRUE(finished);
    EXPECT_TRUE(cut);
    EXPECT_EQ(std::string(end.reason.text), "grace is over");
  });
  EXPECT_EQ(sim.now(), 21ms);
}

// --- TaskLocal -----------------------------------------------------------------------------

TaskLocal<std::string> t_id;
TaskLocal<int> t_depth;

Task<std::string> read_id(Duration after) {
  if (after > Duration::zero()) co_await sleep_for(after);
  co_return t_id.value_or("none");
}

TEST(TaskLocal, is_seen_below_and_nowhere_else) {
  SimLoop sim;
  sim.run([]() -> Task<> {
    EXPECT_EQ(t_id.get(), nullptr);
    EXPECT_EQ(co_await t_id.with("42", read_id(1ms)), "42");
    EXPECT_EQ(co_await read_id(0ms), "none");
    auto [a, b] = co_await when_all(t_id.with("a", read_id(2ms)), t_id.with("b", read_id(1ms)));
    EXPECT_EQ(a + b, "ab") << "tasks that take turns keep their own";
    auto nested = []() -> Task<std::string> {
      std::string all = co_await read_id(0ms);
      all += co_await t_id.with("in", read_id(1ms));
      all += co_await t_depth.with(3, read_id(0ms));
      co_return all + co_await read_id(0ms);
    };
    EXPECT_EQ(co_await t_id.with("out", nested()), "outinoutout");
  });
}

TEST(TaskLocal, is_inherited_by_children_branches_and_run_blocking) {
  SimLoop sim;
  sim.run([]() -> Task<> {
    auto body = []() -> Task<> {
      std::string child = "?";
      co_await with_scope([&](Scope& scope) -> Task<> {
        scope.start([&]() -> Task<> { child = co_await read_id(1ms); });
        EXPECT_EQ(t_id.value_or("none"), "7") << "the body";
        t_depth.set_for(scope, 5);
        scope.start_now([]() -> Task<> {
          EXPECT_EQ(t_depth.value_or(0), 5);
          EXPECT_EQ(t_id.value_or("none"), "7");
          co_return;
        });
        EXPECT_EQ(t_depth.get(), nullptr);
        co_return;
      });
      EXPECT_EQ(child, "7");
      EXPECT_EQ(*co_await with_timeout(1s, read_id(1ms)), "7");
      auto [x, y] = co_await when_all(read_id(1ms), read_id(0ms));
      EXPECT_EQ(x + y, "77");
      EXPECT_EQ((co_await run_blocking([] { return t_id.value_or("none"); })).or_throw(), "7");
    };
    co_await t_id.with("7", body());
    EXPECT_EQ(t_id.get(), nullptr);
    EXPECT_EQ((co_await run_blocking([] { return t_id.value_or("none"); })).or_throw(), "none");
  });
}

TEST(TaskLocal, is_gone_after_a_cancellation_inside_and_outlived_by_no_abandoned_function) {
  SimLoop sim;
  sim.run([]() -> Task<> {
    auto inside = []() -> Task<> {
      auto work = []() -> Task<> {
        (void)co_await run_blocking(
            [] { EXPECT_EQ(t_id.value_or("none"), "long lived, on the heap"); }, {.abandon = true});
      };
      (void)co_await with_timeout(Duration(1), t_id.with("long lived, on the heap", work()));
      EXPECT_EQ(t_id.get(), nullptr);
    };
    for (int i = 0; i < 20; ++i) co_await inside();
    EXPECT_FALSE((co_await with_timeout(1ms, t_id.with("x", sleep_for(1h)))).has_value());
    EXPECT_EQ(t_id.get(), nullptr);
  });
}

// --- ErrorGroup ----------------------------------------------------------------------------

TEST(ErrorGroup, keeps_every_exception) {
  SimLoop sim;
  sim.run([]() -> Task<> {
    auto fail = [](int n) -> Task<> {
      co_await sleep_for(n * 1ms);
      throw std::runtime_error("no " + std::to_string(n));
    };
    std::string what;
    try {
      co_await with_error_group(
          [&](Scope& scope) -> Task<> {
            for (int i = 1; i <= 3; ++i) scope.start(fail, i);
            co_return;
          },
          {.on_failure = OnFailure::go_on});
    } catch (const ErrorGroup& group) {
      what = group.what();
      EXPECT_EQ(group.errors().size(), 3u);
    }
    EXPECT_EQ(what, "3 tasks failed: no 1; no 2; no 3");
    std::size_t count = 0;
    try {
      co_await with_error_group([&](Scope& scope) -> Task<> {
        for (int i = 1; i <= 3; ++i) scope.start(fail, i);
        co_await fail(1);
      });
    } catch (const ErrorGroup& group) {
      count = group.errors().size();
    }
    EXPECT_EQ(count, 2u) << "two at the same instant, the others were cancelled";
    EXPECT_EQ(loop().statistics().lost_exceptions, 0u);
    auto end = co_await with_error_group([](Scope& scope) -> Task<> {
      scope.cancel();
      co_return;
    });
    EXPECT_TRUE(end.cancelled);
  });
}

// --- from_callback, start_callback ---------------------------------------------------------

TEST(FromCallback, takes_a_call_at_once_or_later) {
  SimLoop sim;
  sim.run([]() -> Task<> {
    EXPECT_EQ(*co_await from_callback<int>([](Resume<int> resume) { resume(1); }), 1);
    EXPECT_EQ(*co_await from_callback<int>(
                  [](Resume<int> resume) { loop().call_later(5ms, [resume] { resume(2); }); }),
              2);
    Result<> plain = co_await from_callback<void>([](Resume<void> resume) { resume(); });
    EXPECT_TRUE(plain.has_value());
    auto failed = co_await from_callback<int>([](Resume<int> resume) { resume(Errc::closed); });
    EXPECT_EQ(failed.error(), Errc::closed);
    EXPECT_THROW((void)co_await from_callback<int>([](Resume<int>) { throw 1; }), int);
  });
}

TEST(FromCallback, that_nobody_can_call_any_more_yields_abandoned) {
  SimLoop sim;
  sim.run([]() -> Task<> {
    auto dropped = co_await from_callback<int>([](Resume<int>) {});
    EXPECT_EQ(dropped.error(), Errc::abandoned);
    std::optional<Resume<int>> kept;
    auto wait = from_callback<int>([&](Resume<int> resume) { kept = std::move(resume); });
    EXPECT_EQ((co_await with_timeout(1ms, std::move(wait))).error(), Errc::timed_out);
    (*kept)(3);  // Too late: dropped.
    kept.reset();
    co_await sleep_for(1ms);
  });
}

void c_api(void (*call)(void*, int), void* context) { call(context, 9); }

TEST(FromCallback, travels_through_the_context_pointer_of_a_c_api) {
  SimLoop sim;
  sim.run([]() -> Task<> {
    auto n = co_await from_callback<int>([](Resume<int> resume) {
      c_api([](void* context, int value) { Resume<int>::from_pointer(context)(value); },
            std::move(resume).to_pointer());
    });
    EXPECT_EQ(*n, 9);
  });
}

TEST(FromCallbackDeathTest, asserts_that_it_is_called_once) {
  EXPECT_DEATH(
      {
        SimLoop sim;
        sim.run([]() -> Task<> {
          (void)co_await from_callback<int>([](Resume<int> resume) {
            resume(1);
            resume(2);
          });
        });
      },
      "a callback came twice");
}

TEST(FromCallback, may_be_called_after_the_loop_has_ended) {
  std::optional<Resume<int>> kept;
  {
    SimLoop sim;
    sim.run([&]() -> Task<> {
      auto wait = from_callback<int>([&](Resume<int> resume) { kept = std::move(resume); });
      (void)co_await with_timeout(1ms, std::move(wait));
    });
  }
  (*kept)(1);
}

TEST(FromCallback, is_called_from_another_thread) {
  Loop loop;
  auto body = []() -> Task<int> {
    std::optional<std::thread> thread;
    auto n = co_await from_callback<int>(
        [&](Resume<int> resume) { thread.emplace([resume = std::move(resume)] { resume(5); }); });
    thread->join();
    co_return *n;
  };
  EXPECT_EQ(*loop.run(body()), 5);
}

TEST(StartCallback, calls_with_the_result_or_never_when_cancelled) {
  SimLoop sim;
  std::vector<std::string> order;
  sim.run([&]() -> Task<> {
    auto value = []() -> Task<int> {
      co_await sleep_for(1ms);
      co_return 4;
    };
    auto thrower = []() -> Task<int> {
      co_await checkpoint();
      throw std::runtime_error("x");
    };
    auto a = start_callback(value(), [&](Result<int> n) { order.push_back(std::to_string(*n)); });
    auto b = start_callback(sleep_for(1h), [&](Result<>) { order.push_back("never"); });
    auto c = start_callback(thrower(), [&](Result<int> n) {
      order.push_back(n.error() == Errc::failed ? "failed" : "?");
    });
    EXPECT_TRUE(order.empty()) << "never inline";
    co_await sleep_for(2ms);
    EXPECT_TRUE(a.done());
    EXPECT_FALSE(b.done());
    b.cancel();
    a.cancel();
    co_await sleep_for(1ms);
    EXPECT_TRUE(b.done());
    EXPECT_EQ(loop().statistics().lost_exceptions, 1u);
    start_callback(sleep_for(1h), [&](Result<>) { order.push_back("at the end"); });
  });
  EXPECT_EQ(order, (std::vector<std::string>{"failed", "4"}));
}

// --- stop tokens ---------------------------------------------------------------------------

TEST(StopToken, inward_cancels_what_it_is_given_to) {
  SimLoop sim;
  sim.run([]() -> Task<> {
    std::stop_source source;
    loop().call_later(5ms, [&] { source.request_stop(); });
    auto ended = co_await with_stop_token(source.get_token(), sleep_for(1h));
    EXPECT_EQ(ended.error(), Errc::cancelled);
    bool ran = false;
    auto never = [&]() -> Task<> {
      ran = true;
      co_return;
    };
    EXPECT_FALSE((co_await with_stop_token(source.get_token(), never())).has_value());
    EXPECT_FALSE(ran) << "stopped already";
    std::stop_source quiet;
    EXPECT_TRUE((co_await with_stop_token(quiet.get_token(), sleep_for(1ms))).has_value());
    EXPECT_TRUE((co_await with_stop_token(std::stop_token(), sleep_for(1ms))).has_value());
    auto nested = with_stop_token(quiet.get_token(), sleep_for(1h));
    EXPECT_EQ((co_await with_timeout(1ms, std::move(nested))).error(), Errc::timed_out);
    quiet.request_stop();
  });
  EXPECT_EQ(sim.now(), 8ms);
}

TEST(StopToken, outward_is_stopped_with_the_task_and_with_the_scope) {
  SimLoop sim;
  sim.run([]() -> Task<> {
    std::stop_token of_task;
    std::stop_token of_scope;
    auto child = [&]() -> Task<> {
      of_task = co_await current_stop_token();
      EXPECT_EQ(of_task, co_await current_stop_token());
      co_await sleep_for(1h);
    };
    co_await with_scope([&](Scope& scope) -> Task<> {
      of_scope = scope.stop_token();
      auto handle = scope.start(child);
      co_await sleep_for(1ms);
      EXPECT_FALSE(of_task.stop_requested());
      handle.cancel();
      EXPECT_TRUE(of_task.stop_requested());
      EXPECT_FALSE(of_scope.stop_requested());
      scope.cancel();
      EXPECT_TRUE(of_scope.stop_requested());
      EXPECT_TRUE(scope.stop_token().stop_requested());
    });
    co_await with_scope([&](Scope& scope) -> Task<> {
      of_scope = scope.stop_token();
      co_return;
    });
    EXPECT_TRUE(of_scope.stop_requested()) << "its scope has ended";
  });
}

TEST(StopToken, is_stopped_from_other_threads_at_any_time) {
  Loop loop;
  for (int round = 0; round < 200; ++round) {
    auto body = [round]() -> Task<> {
      std::stop_source source;
      std::thread other([&source, round] {
        for (int i = 0; i < round * 10; ++i) std::this_thread::yield();
        source.request_stop();
      });
      auto work = []() -> Task<> {
        for (int i = 0; i < 50; ++i) co_await checkpoint();
      };
      (void)co_await with_stop_token(source.get_token(), work());
      other.join();
    };
    EXPECT_TRUE(loop.run(body()).has_value());
  }
}

}  // namespace
}  // namespace rondo
