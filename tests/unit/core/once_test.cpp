// SPDX-License-Identifier: Apache-2.0
#include "rondo/core/once.hpp"

#include <memory>
#include <stdexcept>

#include "rondo/core/oneshot.hpp"
#include "rondo/core/when.hpp"
#include "sync_fixture.hpp"

namespace rondo::testing {
namespace {

TEST(OnceCell, is_made_by_the_first_while_the_others_wait) {
  run_sync([]() -> Task<> {
    OnceCell<int> cell;
    EXPECT_EQ(cell.get(), nullptr);
    int calls = 0;
    auto make = [&]() -> Task<int> {
      ++calls;
      co_await sleep_for(10ms);
      co_return 42;
    };
    auto [a, b] = co_await when_all(cell.get_or_init(make), cell.get_or_init(make));
    EXPECT_EQ(*a, 42);
    EXPECT_EQ(a, b);
    EXPECT_EQ(calls, 1);
    EXPECT_EQ(cell.get(), a);
    EXPECT_TRUE(cell.statistics().done);
  });
}

TEST(OnceCell, a_failure_a_throw_and_a_cancel_let_the_next_one_try) {
  run_sync([]() -> Task<> {
    OnceCell<int> cell;
    auto fails = []() -> Task<Result<int>> {
      co_await sleep_for(1ms);
      co_return Error(Errc::broken, "make");
    };
    auto throws = []() -> Task<Result<int>> {
      co_await sleep_for(1ms);
      throw std::runtime_error("no");
    };
    auto hangs = []() -> Task<Result<int>> {
      co_await sleep_for(1h);
      co_return 1;
    };
    auto works = []() -> Task<Result<int>> { co_return 7; };
    auto later = [&]() -> Task<Result<int*>> {
      co_await turns(3);
      co_return co_await cell.get_or_init(works);
    };
    EXPECT_EQ((co_await cell.get_or_init(fails)).error().code(), Errc::broken);
    bool thrown = false;
    try {
      (void)co_await cell.get_or_init(throws);
    } catch (const std::runtime_error&) {
      thrown = true;
    }
    EXPECT_TRUE(thrown);
    auto [cancelled, made] = co_await when_all(with_timeout(1ms, cell.get_or_init(hangs)), later());
    EXPECT_FALSE(cancelled.has_value());
    EXPECT_EQ(**made, 7);
    EXPECT_EQ(cell.statistics().attempts, 4u);
  });
}

TEST(Once, runs_once) {
  run_sync([]() -> Task<> {
    Once once;
    int runs = 0;
    auto job = [&]() -> Task<> {
      ++runs;
      co_await sleep_for(1ms);
    };
    EXPECT_FALSE(once.done());
    co_await when_all(once.call(job), once.call(job));
    EXPECT_TRUE(once.done());
    EXPECT_EQ(runs, 1);
    Once failing;
    auto bad = []() -> Task<Result<>> { co_return Error(Errc::broken, "job"); };
    EXPECT_FALSE((co_await failing.call(bad)).has_value());
    EXPECT_FALSE(failing.done());
  });
}

TEST(OnceCell, is_made_once_in_any_order_whoever_is_cancelled) {
  run_seeds(60, [](std::uint64_t seed) -> Task<> {
    OnceCell<int> cell;
    Dice dice(seed);
    int running = 0;
    int made = 0;
    std::vector<int*> got;
    co_await with_scope([&](Scope& scope) -> Task<> {
      for (int i = 0; i < 12; ++i) {
        const Duration limit = i == 0 ? Duration(1h) : Duration(dice.below(6) * 1ms);
        scope.start([&, limit]() -> Task<> {
          auto make = [&]() -> Task<int> {
            EXPECT_EQ(++running, 1);
            struct Leave {
              int& n;
              ~Leave() { --n; }
            } leave{running};
            co_await sleep_for(Duration(dice.below(4) * 1ms));
            ++made;
            co_return 5;
          };
          auto value = co_await with_timeout(limit, cell.get_or_init(make));
          if (value) got.push_back(*value);
        });
      }
      co_return;
    });
    EXPECT_EQ(made, 1);
    for (int* each : got) EXPECT_EQ(each, cell.get());
    EXPECT_EQ(cell.statistics().waiting, 0u);
  });
}

TEST(Oneshot, hands_one_value_over_before_or_after_it_is_awaited) {
  run_sync([]() -> Task<> {
    auto [early, there] = make_oneshot<int>();
    early.set(1);
    EXPECT_TRUE(there.is_set());
    EXPECT_EQ(*co_await there, 1);
    auto [late, waits] = make_oneshot<std::string>();
    co_await with_scope([&](Scope& scope) -> Task<> {
      scope.start(
          [](OneshotSender<std::string> to) -> Task<> {
            co_await sleep_for(1ms);
            to.set("hello");
          },
          std::move(late));
      EXPECT_EQ(*co_await waits, "hello");
    });
    auto [nothing, done] = make_oneshot<void>();
    nothing.set();
    EXPECT_TRUE((co_await done).has_value());
  });
}

TEST(Oneshot, a_sender_that_dies_unset_breaks_it_and_one_that_fails_says_why) {
  run_sync([]() -> Task<> {
    auto [sender, receiver] = make_oneshot<int>();
    {
      auto gone = std::move(sender);
    }
    EXPECT_EQ((co_await receiver).error().code(), Errc::abandoned);
    auto [fails, hears] = make_oneshot<int>();
    fails.set(Error(Errc::timed_out, "ask"));
    EXPECT_EQ((co_await hears).error().code(), Errc::timed_out);
  });
}

TEST(Oneshot, a_cancelled_wait_keeps_the_value_and_the_sender_sees_who_has_gone) {
  run_sync([]() -> Task<> {
    auto [sender, receiver] = make_oneshot<int>();
    EXPECT_FALSE((co_await with_timeout(
                      1ms, [](OneshotReceiver<int>& r) -> Task<> { (void)co_await r; }(receiver)))
                     .has_value());
    sender.set(5);
    EXPECT_EQ(*co_await receiver, 5);
    auto [to, from] = make_oneshot<int>();
    EXPECT_FALSE(to.abandoned());
    {
      auto gone = std::move(from);
    }
    EXPECT_TRUE(to.abandoned());
    EXPECT_TRUE(to.statistics().abandoned);
    EXPECT_FALSE(to.set(1)) << "nobody receives it";
  });
}

TEST(Oneshot, a_value_set_in_the_instant_of_a_cancel_is_delivered) {
  run_sync([]() -> Task<> {
    auto pair = make_oneshot<int>();
    int got = 0;
    co_await with_scope([&](Scope& scope) -> Task<> {
      auto waiter = scope.start(
          [](OneshotReceiver<int>& from, int& into) -> Task<> { into = *co_await from; },
          std::ref(pair.receiver), std::ref(got));
      co_await turns(2);
      EXPECT_TRUE(pair.receiver.statistics().waiting);
      EXPECT_TRUE(pair.sender.set(7));
      waiter.cancel();
    });
    EXPECT_EQ(got, 7);
  });
}

TEST(Oneshot, every_value_arrives_or_is_refused_in_any_order) {
  run_seeds(60, [](std::uint64_t seed) -> Task<> {
    Dice dice(seed);
    int set = 0;
    int got = 0;
    int abandoned = 0;
    int died = 0;
    co_await with_scope([&](Scope& scope) -> Task<> {
      for (int i = 0; i < 20; ++i) {
        auto pair = make_oneshot<int>();
        scope.start(
            [&, sender = std::make_shared<OneshotSender<int>>(std::move(pair.sender))]() -> Task<> {
              OneshotSender<int> mine = std::move(*sender);
              co_await sleep_for(Duration(dice.below(4) * 1ms));
              if (dice.below(3) > 0)
                set += mine.set(1);
              else
                died += !mine.abandoned();
            });
        scope.start([&, receiver = std::make_shared<OneshotReceiver<int>>(
                            std::move(pair.receiver))]() -> Task<> {
          OneshotReceiver<int> mine = std::move(*receiver);
          auto value = co_await with_timeout(Duration((1 + dice.below(4)) * 1ms),
                                             [](OneshotReceiver<int>& from) -> Task<Result<int>> {
                                               co_return co_await from;
                                             }(mine));
          if (value)
            ++got;
          else if (value.error() == Errc::abandoned)
            ++abandoned;
          else if (mine.is_set())
            co_await mine ? ++got : ++abandoned;
        });
      }
      co_return;
    });
    EXPECT_EQ(got, set);
    EXPECT_EQ(abandoned, died);
  });
}

}  // namespace
}  // namespace rondo::testing
