// SPDX-License-Identifier: Apache-2.0
// Rules 1 and 31 over several loops: on(), on_each(), start_on, and what a stop does to them.
#include "several_loops.hpp"

#include <array>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "rondo/core/event.hpp"
#include "rondo/core/future.hpp"
#include "rondo/core/when.hpp"
#include "rondo/net/tcp.hpp"

namespace rondo::testing {
namespace {

using Loops = SeveralLoops;

/// The index of the running loop in loops().
std::size_t here() {
  std::size_t index = 0;
  while (!loops()[index].is_current()) ++index;
  return index;
}

// --- on() ------------------------------------------------------------------------------------

TEST_P(Loops, rule_31_a_task_on_another_loop_is_born_run_and_freed_there) {
  run_on_loops(3, []() -> Task<> {
    EXPECT_EQ(here(), 0u);
    std::size_t born = 9;
    std::size_t ran = 9;
    std::size_t freed = 9;
    const Result<std::string> got = co_await on(
        loops()[2],
        [&](std::string text) -> Task<std::string> {
          born = here();
          AtExit note([&freed] { freed = here(); });
          co_await sleep_for(10us);
          ran = here();
          co_return text + " and back";
        },
        std::string(100, 'x'));
    EXPECT_EQ(*got, std::string(100, 'x') + " and back");
    EXPECT_EQ(born, 2u);
    EXPECT_EQ(ran, 2u);
    EXPECT_EQ(freed, 2u);
    EXPECT_EQ(here(), 0u) << "the one who awaits goes on at home";
  });
}

TEST_P(Loops, rule_31_values_results_exceptions_and_nothing_come_back) {
  run_on_loops(2, []() -> Task<> {
    const LoopRef there = loops()[1];
    EXPECT_TRUE((co_await on(there, []() -> Task<> { co_return; })).has_value());
    EXPECT_EQ(*co_await on(there, []() -> Task<Owned<int>> { co_return Owned<int>(new int(5)); })
                   .or_throw(),
              5);
    const Result<int> failed = co_await on(
        there, []() -> Task<Result<int>> { co_return Error(Errc::would_exceed, "there"); });
    EXPECT_EQ(failed.error().code(), Errc::would_exceed);
    std::string caught;
    try {
      static_cast<void>(co_await on(there, []() -> Task<> {
        co_await checkpoint();
        throw std::runtime_error("from afar");
      }));
    } catch (const std::runtime_error& error) {
      caught = error.what();
    }
    EXPECT_EQ(caught, "from afar");
    caught.clear();
    try {
      static_cast<void>(
          co_await on(there, []() -> Task<> { throw std::runtime_error("no task"); }));
    } catch (const std::runtime_error& error) {
      caught = error.what();
    }
    EXPECT_EQ(caught, "no task");
    EXPECT_EQ(*co_await on(loops()[0], []() -> Task<int> { co_return 1; }), 1) << "this one too";
  });
}

TEST_P(Loops, rule_21_a_cancel_reaches_the_other_loop_and_waits_for_the_end_there) {
  run_on_loops(2, []() -> Task<> {
    for (int i = 0; i < 20; ++i) {
      Count ended;
      Count began;
      const Result<> got =
          co_await with_timeout(Duration(i * 50us), on(loops()[1], [&]() -> Task<> {
                                  began.add();
                                  AtExit note([&ended] { ended.add(); });
                                  co_await sleep_for(1h);
                                }));
      EXPECT_EQ(got.error().code(), Errc::timed_out);
      EXPECT_EQ(int(ended), int(began)) << "left while its task was running there";
    }
  });
}

TEST_P(Loops, rule_20_a_value_returned_there_wins_over_a_cancel_from_here) {
  run_on_loops(2, []() -> Task<> {
    Count began;
    int got = 0;
    co_await with_scope([&](Scope& scope) -> Task<> {
      auto child = scope.start([&]() -> Task<> {
        got = (co_await on(loops()[1], [&]() -> Task<int> {
                began.add();
                co_await shield(sleep_for(1ms));
                co_return 7;
              })).value_or(-1);
        co_await checkpoint();
        got = -2;
      });
      while (began == 0) co_await sleep_for(10us);
      child.cancel();
      EXPECT_EQ((co_await child).error().code(), Errc::cancelled) << "at the next checkpoint";
    });
    EXPECT_EQ(got, 7);
  });
}

TEST_P(Loops, rule_25_an_exception_thrown_there_wins_over_a_cancel_from_here) {
  run_on_loops(2, []() -> Task<> {
    bool caught = false;
    try {
      co_await with_scope([&](Scope& scope) -> Task<> {
        Count began;
        auto child = scope.start([&]() -> Task<> {
          static_cast<void>(co_await on(loops()[1], [&]() -> Task<> {
            began.add();
            co_await finally(sleep_for(1h), []() -> Task<> {
              co_await checkpoint();
              throw std::runtime_error("the clean-up");
            });
          }));
        });
        while (began == 0) co_await sleep_for(10us);
        child.cancel();
        static_cast<void>(co_await child);
      });
    } catch (const std::runtime_error&) {
      caught = true;
    }
    EXPECT_TRUE(caught);
  });
}

TEST_P(Loops, rule_18_a_cancelled_task_sends_nothing_off) {
  run_on_loops(2, []() -> Task<> {
    Count began;
    const Result<> got = co_await with_timeout(0ns, [](Count* count) -> Task<> {
      co_await finally(sleep_for(1h), [count]() -> Task<> {
        // The clean-up is not cancelled: this one is sent.
        static_cast<void>(co_await on(loops()[1], [count]() -> Task<> {
          count->add();
          co_return;
        }));
      });
      static_cast<void>(co_await on(loops()[1], [count]() -> Task<> {
        count->add();
        co_return;
      }));
    }(&began));
    EXPECT_EQ(got.error().code(), Errc::timed_out);
    EXPECT_EQ(int(began), 1);
  });
}

TEST_P(Loops, a_task_that_its_own_loop_cancels_is_the_value_cancelled_here) {
  run_on_loops(2, []() -> Task<> {
    const Result<int> got = co_await on(loops()[1], []() -> Task<int> {
      loop().cancel_all();
      co_await checkpoint();
      co_return 1;
    });
    EXPECT_EQ(got.error().code(), Errc::cancelled);
  });
}

/// Notes its begin and, however it comes, its end.
struct Both {
  Count began;
  Count ended;
  AtExit begin() {
    began.add();
    return AtExit([this] { ended.add(); });
  }
};

TEST_P(Loops, on_nests_over_loops_and_a_cancel_walks_the_whole_way) {
  run_on_loops(3, []() -> Task<> {
    Both tasks;
    const auto deepest = [&tasks]() -> Task<int> {
      AtExit note = tasks.begin();
      co_await sleep_for(1h);
      co_return 1;
    };
    const auto middle = [&]() -> Task<int> {
      AtExit note = tasks.begin();
      co_return (co_await on(loops()[2], deepest)).value_or(-1);
    };
    co_await with_scope([&](Scope& scope) -> Task<> {
      auto child = scope.start(
          [&]() -> Task<int> { co_return (co_await on(loops()[1], middle)).value_or(-1); });
      while (tasks.began < 2) co_await sleep_for(10us);
      child.cancel();
      EXPECT_EQ((co_await child).error().code(), Errc::cancelled);
      EXPECT_EQ(int(tasks.ended), 2);
    });
  });
}

TEST_P(Loops, a_thousand_calls_between_all_loops_with_random_cancels_all_end) {
  run_on_loops(3, []() -> Task<> {
    Count running;
    Count values;
    Count timed_out;
    const auto work = [&](int n) -> Task<int> {
      running.add();
      AtExit note([&running] { --running.value; });
      if (n % 3 == 0) co_await sleep_for(Duration((n % 7) * 100us));
      if (n % 5 == 0) co_await checkpoint();
      co_return n;
    };
    const auto shard = [&]() -> Task<> {
      for (int round = 0; round < 12; ++round) {
        co_await with_scope([&](Scope& scope) -> Task<> {
          for (int i = 0; i < 30; ++i) {
            scope.start(
                [&](int n) -> Task<> {
                  const LoopRef& to = loops()[static_cast<std::size_t>(n) % loops().size()];
                  const auto got =
                      co_await with_timeout(Duration((n % 11) * 60us), on(to, work, n));
                  if (got)
                    EXPECT_EQ(*got, n);
                  else
                    EXPECT_EQ(got.error().code(), Errc::timed_out);
                  got ? values.add() : timed_out.add();
                },
                round * 30 + i);
          }
          co_return;
        });
      }
    };
    for (const Result<>& each : co_await on_each(shard)) EXPECT_TRUE(each.has_value());
    EXPECT_EQ(int(running), 0);
    EXPECT_EQ(values + timed_out, 3 * 12 * 30);
  });
}

// --- Loops that end ----------------------------------------------------------------------------

TEST_P(Loops, a_loop_that_has_ended_is_the_value_stopping) {
  run([this]() -> Task<> {
    LoopRef gone;
    EXPECT_TRUE(gone.ended()) << "an empty one refers to nothing";
    EXPECT_EQ((co_await on(gone, []() -> Task<> { co_return; })).error().code(), Errc::stopping);
    {
      Loop other(loop_options());
      gone = other.ref();
      EXPECT_FALSE(gone.ended());
    }
    EXPECT_TRUE(gone.ended());
    const auto got = co_await on(gone, []() -> Task<int> { co_return 1; });
    EXPECT_EQ(got.error().code(), Errc::stopping);
    EXPECT_FALSE(gone.post([] { ADD_FAILURE() << "ran on a loop that has ended"; }));
    gone.request_stop();
    EXPECT_FALSE(gone.is_current());
    EXPECT_TRUE(loop().ref().is_current());
  });
}

TEST_P(Loops, what_was_sent_to_a_loop_that_then_ends_is_refused_not_lost) {
  run([this]() -> Task<> {
    auto other = std::make_unique<Loop>(loop_options());
    const LoopRef there = other->ref();
    bool posted = false;
    EXPECT_TRUE(there.post([&] { posted = true; }));
    co_await with_scope([&](Scope& scope) -> Task<> {
      auto waits = scope.start_on(there, []() -> Task<int> { co_return 1; });
      auto asked = scope.start_on(there, []() -> Task<int> { co_return 2; });
      co_await turns(3);
      asked.cancel();
      co_await turns(3);
      other.reset();  // It never turned.
      EXPECT_TRUE(posted) << "what was taken runs before the loop has ended";
      EXPECT_EQ((co_await waits).error().code(), Errc::stopping);
      EXPECT_EQ((co_await asked).error().code(), Errc::cancelled);
    });
  });
}

TEST_P(Loops, a_stop_asked_of_one_loop_reaches_all) {
  run_on_loops(3, []() -> Task<> {
    for (const auto& each : co_await on_each([]() -> Task<bool> { co_return stop_requested(); })) {
      EXPECT_FALSE(*each);
    }
    co_await with_scope([&](Scope& scope) -> Task<> {
      for (const LoopRef& one : loops()) {
        scope.start_on(one, []() -> Task<> { co_await until_stop_requested(); });
      }
      co_await on(loops()[2], []() -> Task<> {
        loop().request_stop();
        co_return;
      }).or_throw();
    });
    EXPECT_TRUE(stop_requested());
    // Stopping is no end: what finishes may still need the others.
    EXPECT_EQ(*co_await on(loops()[1], []() -> Task<int> { co_return 3; }), 3);
  });
}

// --- Scopes over loops -------------------------------------------------------------------------

TEST_P(Loops, a_scope_is_not_left_before_its_children_on_other_loops_have_ended) {
  run_on_loops(3, []() -> Task<> {
    Count ended;
    co_await with_scope([&](Scope& scope) -> Task<> {
      for (const LoopRef& one : loops()) {
        scope.start_on(
            one,
            [](Count* count) -> Task<> {
              AtExit note([count] { count->add(); });
              co_await sleep_for(1ms);
            },
            &ended);
      }
      co_return;
    });
    EXPECT_EQ(int(ended), 3);
  });
}

TEST_P(Loops, an_exception_on_another_loop_cancels_the_siblings_on_all_loops) {
  run_on_loops(3, []() -> Task<> {
    Both tasks;
    std::string caught;
    try {
      co_await with_scope([&](Scope& scope) -> Task<> {
        for (const LoopRef& one : loops()) {
          scope.start_on(one, [&tasks]() -> Task<> {
            AtExit note = tasks.begin();
            co_await sleep_for(1h);
          });
        }
        while (tasks.began < 3) co_await sleep_for(10us);
        scope.start_on(loops()[1], []() -> Task<> {
          co_await checkpoint();
          throw std::runtime_error("one of them");
        });
      });
    } catch (const std::runtime_error& error) {
      caught = error.what();
    }
    EXPECT_EQ(caught, "one of them");
    EXPECT_EQ(int(tasks.ended), 3);
  });
}

TEST_P(Loops, a_deadline_is_inherited_by_children_on_other_loops) {
  run_on_loops(2, []() -> Task<> {
    Count ended;
    const ScopeEnd end = co_await move_on_after(2ms, [&](Scope& scope) -> Task<> {
      scope.start_on(loops()[1], [&ended]() -> Task<> {
        AtExit note([&ended] { ended.add(); });
        co_await sleep_for(1h);
      });
      co_return;
    });
    EXPECT_TRUE(end.cancelled);
    EXPECT_LE(int(ended), 1);
  });
}

TEST_P(Loops, on_each_yields_the_results_in_the_order_of_the_loops) {
  run_on_loops(3, []() -> Task<> {
    const auto got = co_await on_each(
        [](std::string text) -> Task<std::string> { co_return text + std::to_string(here()); },
        std::string("loop "));
    EXPECT_EQ(got.size(), 3u);
    for (std::size_t i = 0; i < got.size(); ++i) EXPECT_EQ(*got[i], "loop " + std::to_string(i));
    bool caught = false;
    try {
      static_cast<void>(co_await on_each([]() -> Task<> {
        if (here() == 1) throw std::runtime_error("one");
        co_await sleep_for(1h);
      }));
    } catch (const std::runtime_error&) {
      caught = true;
    }
    EXPECT_TRUE(caught);
  });
}

TEST_P(Loops, a_loop_that_was_made_alone_is_its_own_only_one) {
  run([]() -> Task<> {
    EXPECT_EQ(loops().size(), 1u);
    EXPECT_TRUE(loops()[0].is_current());
    const auto got = co_await on_each([]() -> Task<int> { co_return 4; });
    EXPECT_EQ(got.size(), 1u);
    EXPECT_EQ(*got[0], 4);
  });
}

// --- Promises, offloads and listeners over loops -----------------------------------------------

TEST_P(Loops, a_promise_is_set_from_another_loop) {
  run_on_loops(2, []() -> Task<> {
    auto [promise, future] = make_promise<int>();
    co_await with_scope([&](Scope& scope) -> Task<> {
      scope.start_on(
          loops()[1],
          [](Promise<int> own) -> Task<> {
            own.set(42);
            co_return;
          },
          std::move(promise));
      EXPECT_EQ(*co_await future, 42);
    });
  });
}

/// One shard of a server: says which loop it is on, until `sessions` clients were served in all.
Task<> serve_shard(net::Endpoint where, Count* served, std::array<Count, 3>* by_loop) {
  auto listener = tcp::listen({.address = where.to_string(), .reuse_port = true}).or_throw();
  while (auto peer = co_await listener.accept()) {
    auto line = co_await peer->read_line();
    if (!line) continue;
    static_cast<void>(co_await peer->write_all("loop " + std::to_string(here()) + "\n"));
    (*by_loop)[here()].add();
    served->add();
  }
}

TEST_P(Loops, sharded_listeners_serve_one_port_on_every_loop) {
  run_on_loops(3, []() -> Task<> {
    constexpr int k_clients = 60;
    Count served;
    std::array<Count, 3> by_loop;
    // Reserves the port: the first listener draws it, the shards share it.
    auto first =
        std::optional(tcp::listen({.address = "127.0.0.1:0", .reuse_port = true}).or_throw());
    const net::Endpoint where = first->local();
    co_await with_scope([&](Scope& scope) -> Task<> {
      std::vector<LoopRef> shards(loops().begin(), loops().end());
      for (const LoopRef& one : shards) {
        scope.start_on(one, serve_shard, where, &served, &by_loop);
      }
      // Listening has begun once a task that was sent later has run.
      static_cast<void>(co_await on_each([]() -> Task<> { co_await turns(3); }));
      first.reset();
      co_await turns(3);
      for (int i = 0; i < k_clients; ++i) {
        auto peer = co_await tcp::connect(where);
        if (!peer) continue;  // It met the listener that only held the port.
        static_cast<void>(co_await peer->write_all("hello\n"));
        auto answer = co_await peer->read_line();
        if (answer) EXPECT_TRUE(answer->text().starts_with("loop "));
      }
      scope.cancel();
    });
    EXPECT_GE(int(served), k_clients - 5);
    int used = 0;
    for (const Count& count : by_loop) used += count > 0;
    EXPECT_GE(used, 2) << "the kernel spreads by a hash, the simulation by a draw";
  });
}

ON_EVERY_DRIVER(Loops);

}  // namespace
}  // namespace rondo::testing
