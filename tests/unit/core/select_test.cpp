// SPDX-License-Identifier: Apache-2.0
// select, race, map_concurrent: exactly one, the first success, at most n at a time.
#include "rondo/core/select.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "rondo/core/cancel.hpp"
#include "rondo/core/channel.hpp"
#include "rondo/core/future.hpp"
#include "rondo/core/generator.hpp"
#include "rondo/core/map_concurrent.hpp"
#include "rondo/core/mutex.hpp"
#include "rondo/core/oneshot.hpp"
#include "rondo/core/race.hpp"
#include "rondo/core/scope.hpp"
#include "rondo/core/semaphore.hpp"
#include "rondo/core/sleep.hpp"
#include "rondo/testing/sim_loop.hpp"

namespace rondo {
namespace {

using namespace std::chrono_literals;
using testing::SimLoop;
using testing::SimOrder;

template <class F>
void run(F body) {
  SimLoop sim;
  sim.run(std::move(body));
}

TEST(Select, refers_to_handles_that_stand_elsewhere_so_that_they_are_selected_again) {
  run([]() -> Task<> {
    auto [promise, future] = make_promise<int>();
    auto pair = make_oneshot<int>();
    int ticks = 0;
    co_await with_scope([&](Scope& scope) -> Task<> {
      auto child = scope.start([]() -> Task<int> {
        co_await sleep_for(35ms);
        co_return 7;
      });
      while (true) {
        auto got = co_await select(future, child, pair.receiver, sleep_for(10ms));
        if (got.index == 1) {
          EXPECT_EQ(**std::get<1>(got.values), 7);
          break;
        }
        EXPECT_EQ(got.index, 3u);
        ++ticks;
      }
    });
    EXPECT_EQ(ticks, 3);
    promise.set(1);
    pair.sender.set(2);
    EXPECT_EQ(*co_await future, 1) << "not taken by a select that it did not win";
    EXPECT_EQ(*co_await pair.receiver, 2);
  });
}

TEST(Select, takes_the_first_that_is_ready_in_the_order_written) {
  run([]() -> Task<> {
    Channel<int> a{1};
    Channel<std::string> b{1};
    EXPECT_TRUE(b.try_send("b"));
    auto got = co_await select(a.receive(), b.receive());
    EXPECT_EQ(got.index, 1u);
    EXPECT_FALSE(std::get<0>(got.values).has_value());
    EXPECT_EQ(**std::get<1>(got.values), "b");
    EXPECT_TRUE(a.try_send(1));
    EXPECT_TRUE(b.try_send("c"));
    EXPECT_EQ((co_await select(a.receive(), b.receive())).index, 0u);
    EXPECT_EQ(a.size(), 0u);
    EXPECT_EQ(b.size(), 1u) << "the other keeps its item";
  });
}

TEST(Select, commits_to_one_although_both_become_ready_in_one_turn) {
  run([]() -> Task<> {
    Channel<int> a{4};
    Channel<int> b{4};
    std::vector<int> got;
    co_await with_scope([&](Scope& scope) -> Task<> {
      scope.start([&]() -> Task<> {
        for (int i = 0; i < 2; ++i) {
          auto one = co_await select(a.receive(), b.receive());
          got.push_back(one.index == 0 ? **std::get<0>(one.values) : **std::get<1>(one.values));
          EXPECT_NE(std::get<0>(one.values).has_value(), std::get<1>(one.values).has_value());
        }
      });
      co_await sleep_for(1ms);
      EXPECT_EQ(a.statistics().receivers_waiting, 1u);
      EXPECT_EQ(b.statistics().receivers_waiting, 1u);
      EXPECT_TRUE(b.try_send(2));
      EXPECT_EQ(a.statistics().receivers_waiting, 0u) << "withdrawn in the same step";
      EXPECT_TRUE(a.try_send(1));
      EXPECT_EQ(a.size(), 1u) << "nobody else took it";
    });
    EXPECT_EQ(got, (std::vector<int>{2, 1}));
  });
}

TEST(Select, sends_or_receives_whichever_can_go_ahead) {
  run([]() -> Task<> {
    Channel<int> full{1};
    Channel<int> empty{1};
    EXPECT_TRUE(full.try_send(1));
    co_await with_scope([&](Scope& scope) -> Task<> {
      scope.start([&]() -> Task<> {
        auto one = co_await select(full.send(2), empty.receive(), sleep_for(1h));
        EXPECT_EQ(one.index, 0u);
        EXPECT_TRUE(std::get<0>(one.values)->has_value());
      });
      co_await sleep_for(1ms);
      EXPECT_EQ(co_await full.receive(), 1);
    });
    EXPECT_EQ(full.size(), 1u);
    EXPECT_EQ(empty.statistics().receivers_waiting, 0u);
    auto late = co_await select(full.send(3), empty.receive(), sleep_for(5ms));
    EXPECT_EQ(late.index, 2u);
    EXPECT_EQ(full.statistics().senders_waiting, 0u);
    EXPECT_EQ(full.size(), 1u) << "the item of a send that lost is destroyed, not sent";
  });
}

TEST(Select, works_on_events_locks_semaphores_futures_and_handles) {
  run([]() -> Task<> {
    Event event;
    Semaphore none{1};
    const auto last = none.try_acquire();
    Mutex mutex;
    auto [promise, future] = make_promise<int>();
    auto held = co_await mutex.lock();
    co_await with_scope([&](Scope& scope) -> Task<> {
      auto child = scope.start([]() -> Task<int> {
        co_await sleep_for(3ms);
        co_return 7;
      });
      auto one = co_await select(event.wait(), none.acquire(), mutex.lock(), std::move(future),
                                 std::move(child), sleep_for(1s));
      EXPECT_EQ(one.index, 4u);
      EXPECT_EQ(**std::get<4>(one.values), 7);
      EXPECT_EQ(event.statistics().waiting, 0u);
      EXPECT_EQ(none.statistics().waiting, 0u);
    });
    promise.set(1);
    held.release();
    {
      auto again = co_await mutex.lock();
    }
  });
}

TEST(Select, with_a_task_waits_for_its_end_and_keeps_a_value_that_came_all_the_same) {
  SimLoop sim;
  sim.run([]() -> Task<> {
    Channel<int> channel{1};
    auto slow = []() -> Task<int> {
      co_await shield(sleep_for(20ms));
      co_return 5;
    };
    co_await with_scope([&](Scope& scope) -> Task<> {
      scope.start([&]() -> Task<> {
        co_await sleep_for(10ms);
        EXPECT_TRUE(channel.try_send(1));
      });
      auto one = co_await select(slow(), channel.receive());
      EXPECT_EQ(one.index, 1u);
      EXPECT_EQ(**std::get<1>(one.values), 1);
      EXPECT_EQ(std::get<0>(one.values), 5) << "data that arrived is not lost";
    });
  });
  EXPECT_EQ(sim.now(), 20ms);
}

TEST(Select, that_decides_at_once_forgoes_its_tasks_without_a_report) {
  run([]() -> Task<> {
    Channel<int> channel{1};
    EXPECT_TRUE(channel.try_send(1));
    bool ran = false;
    auto task = [&]() -> Task<> {
      ran = true;
      co_return;
    };
    auto one = co_await select(channel.receive(), task());
    EXPECT_EQ(one.index, 0u);
    EXPECT_FALSE(ran);
    EXPECT_EQ(loop().statistics().never_awaited, 0u);
  });
}

TEST(Select, rethrows_what_a_task_throws) {
  run([]() -> Task<> {
    Channel<int> never{1};
    auto fail = []() -> Task<int> {
      co_await sleep_for(1ms);
      throw std::runtime_error("x");
    };
    EXPECT_THROW(co_await select(fail(), never.receive()), std::runtime_error);
    EXPECT_EQ(never.statistics().receivers_waiting, 0u);
  });
}

TEST(Select, cancelled_has_taken_nothing) {
  run([]() -> Task<> {
    Channel<int> a{1};
    Channel<int> b{1};
    EXPECT_TRUE(b.try_send(0));
    auto wait = [&]() -> Task<> { co_await select(a.receive(), b.send(1), sleep_for(1h)); };
    EXPECT_FALSE((co_await with_timeout(1ms, wait())).has_value());
    EXPECT_EQ(a.statistics().receivers_waiting, 0u);
    EXPECT_EQ(b.statistics().senders_waiting, 0u);
    EXPECT_EQ(b.size(), 1u);
  });
}

TEST(Select, loses_no_item_and_no_turn_at_random_points) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SimLoop sim{{.seed = seed, .order = SimOrder::by_seed}};
    std::mt19937_64 random(seed);
    long sent = 0;
    long got = 0;
    sim.run([&]() -> Task<> {
      Channel<int> a{random() % 3};
      Channel<int> b{random() % 3};
      Semaphore permits{1};
      auto moment = [&] { return std::chrono::microseconds(random() % 50); };
      auto producer = [&](Channel<int>& to) -> Task<> {
        for (int i = 0; i < 20; ++i) {
          if (co_await to.send(i)) ++sent;
          co_await sleep_for(moment());
        }
      };
      auto consumer = [&]() -> Task<> {
        for (int i = 0; i < 15; ++i) {
          auto one =
              co_await select(a.receive(), permits.acquire(), b.receive(), sleep_for(moment()));
          got += std::get<0>(one.values).has_value() && std::get<0>(one.values)->has_value();
          got += std::get<2>(one.values).has_value() && std::get<2>(one.values)->has_value();
          if (one.index == 1) co_await sleep_for(moment());
        }
      };
      co_await move_on_after(moment() * 4, [&](Scope& scope) -> Task<> {
        scope.start(producer, std::ref(a));
        scope.start(producer, std::ref(b));
        for (int i = 0; i < 3; ++i) scope.start(consumer);
        co_return;
      });
      EXPECT_EQ(sent, got + static_cast<long>(a.size() + b.size())) << "seed " << seed;
      EXPECT_EQ(permits.statistics().available, 1u) << "seed " << seed;
      EXPECT_EQ(a.statistics().receivers_waiting + b.statistics().senders_waiting, 0u);
    });
  }
}

// --- race ----------------------------------------------------------------------------------

Task<Result<int>> attempt(Duration after, Result<int> outcome, int* ended) {
  co_await sleep_for(after);
  ++*ended;
  co_return outcome;
}

TEST(Race, yields_the_first_success_and_cancels_the_others) {
  SimLoop sim;
  sim.run([]() -> Task<> {
    int ended = 0;
    auto won = co_await race(attempt(1ms, Errc::broken, &ended), attempt(5ms, 2, &ended),
                             attempt(9ms, 3, &ended));
    EXPECT_EQ(*won, 2);
    EXPECT_EQ(ended, 2);
  });
  EXPECT_EQ(sim.now(), 5ms);
}

TEST(Race, fails_only_when_all_have_failed) {
  run([]() -> Task<> {
    int ended = 0;
    auto lost =
        co_await race(attempt(2ms, Errc::broken, &ended), attempt(1ms, Errc::closed, &ended));
    EXPECT_EQ(lost.error(), Errc::broken) << "the last error";
    auto thrower = []() -> Task<int> {
      co_await sleep_for(1ms);
      throw std::runtime_error("x");
    };
    auto late = []() -> Task<int> {
      co_await sleep_for(2ms);
      co_return 1;
    };
    EXPECT_EQ(*co_await race(thrower(), late()), 1);
    EXPECT_THROW((void)co_await race(thrower(), thrower()), std::runtime_error);
    std::vector<Task<Result<int>>> many;
    for (int i = 0; i < 5; ++i)
      many.push_back(attempt(i * 1ms, i == 3 ? Result<int>(i) : Errc::closed, &ended));
    EXPECT_EQ(*co_await race(std::move(many)), 3);
    EXPECT_EQ((co_await with_timeout(1ms, race(attempt(1h, 1, &ended)))).error(), Errc::timed_out);
  });
}

// --- map_concurrent ------------------------------------------------------------------------

TEST(MapConcurrent, keeps_order_and_limit) {
  SimLoop sim;
  int running = 0;
  int most = 0;
  sim.run([&]() -> Task<> {
    std::vector<int> items{5, 4, 3, 2, 1, 9, 8};
    auto out = co_await map_concurrent(items, 3, [&](int n) -> Task<std::string> {
      most = std::max(most, ++running);
      co_await sleep_for(n * 1ms);
      --running;
      co_return std::to_string(n);
    });
    EXPECT_EQ(out, (std::vector<std::string>{"5", "4", "3", "2", "1", "9", "8"}));
  });
  EXPECT_EQ(most, 3);
  EXPECT_LE(sim.now(), 17ms);
}

TEST(MapConcurrent, ends_with_the_first_failure_and_cancels_the_rest) {
  SimLoop sim;
  sim.run([]() -> Task<> {
    int ended = 0;
    std::vector<int> items{1, 2, 3, 4, 5, 6};
    auto out = co_await map_concurrent(items, 2, [&](int n) -> Task<Result<int>> {
      co_await sleep_for(n * 1ms);
      ++ended;
      if (n == 3) co_return Error(Errc::closed, "three");
      co_return n;
    });
    EXPECT_EQ(out.error(), Errc::closed);
    EXPECT_EQ(ended, 3);
    auto all = co_await map_concurrent(items, 10, [](int n) -> Task<Result<int>> { co_return n; });
    EXPECT_EQ(*all, items);
    EXPECT_THROW(co_await for_each_concurrent(items, 2,
                                              [](int n) -> Task<> {
                                                co_await checkpoint();
                                                if (n == 2) throw std::runtime_error("two");
                                              }),
                 std::runtime_error);
    Result<> none = co_await for_each_concurrent(
        std::vector<int>{}, 4, [](int) -> Task<Result<>> { co_return Errc::closed; });
    EXPECT_TRUE(none.has_value());
  });
}

TEST(MapConcurrent, takes_ranges_that_can_be_read_once) {
  run([]() -> Task<> {
    auto numbers = []() -> Generator<int> {
      for (int i = 1; i <= 4; ++i) co_yield i;
    };
    auto out = co_await map_concurrent(numbers(), 2, [](int n) -> Task<int> {
      co_await checkpoint();
      co_return n* n;
    });
    EXPECT_EQ(out, (std::vector<int>{1, 4, 9, 16}));
  });
}

}  // namespace
}  // namespace rondo
