// SPDX-License-Identifier: Apache-2.0
#include "rondo/core/broadcast.hpp"

#include "sync_fixture.hpp"

namespace rondo::testing {
namespace {

struct Heard {
  std::vector<int> items;
  std::uint64_t missed = 0;
};

Task<> listen(Broadcast<int>& from, Heard& heard, Duration pause) {
  auto mine = from.subscribe();
  while (auto got = co_await mine.receive()) {
    heard.items.push_back(*got);
    heard.missed += got.lagged;
    co_await sleep_for(pause);
  }
}

TEST(Broadcast, everybody_hears_everything_in_order) {
  run_sync([]() -> Task<> {
    Broadcast<int> news(4, OnLag::report);
    Heard a;
    Heard b;
    co_await with_scope([&](Scope& scope) -> Task<> {
      scope.start(listen, std::ref(news), std::ref(a), Duration(0));
      scope.start(listen, std::ref(news), std::ref(b), Duration(0));
      co_await turns(2);
      EXPECT_EQ(news.statistics().subscribers, 2u);
      EXPECT_EQ(news.statistics().receivers_waiting, 2u);
      for (int i = 0; i < 10; ++i) {
        EXPECT_TRUE((co_await news.send(i)).has_value());
        co_await sleep_for(1us);
      }
      news.close();
    });
    EXPECT_EQ(a.items, (std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
    EXPECT_EQ(b.items, a.items);
    EXPECT_EQ(a.missed + b.missed, 0u);
    EXPECT_EQ((co_await news.send(1)).error().code(), Errc::closed);
    EXPECT_EQ(news.statistics().subscribers, 0u);
  });
}

TEST(Broadcast, a_slow_subscriber_is_told_how_much_it_missed) {
  run_sync([]() -> Task<> {
    Broadcast<int> news(3, OnLag::report);
    auto slow = news.subscribe();
    for (int i = 0; i < 10; ++i) (co_await news.send(i)).or_throw();
    EXPECT_EQ(slow.size(), 3u) << "what is kept";
    auto got = co_await slow.receive();
    EXPECT_EQ(*got, 7);
    EXPECT_EQ(got.lagged, 7u);
    EXPECT_EQ(*co_await slow.receive(), 8);
    EXPECT_EQ(slow.try_receive().lagged, 0u);
    EXPECT_FALSE(static_cast<bool>(slow.try_receive()));
    EXPECT_EQ(news.statistics().lagged, 7u);
  });
}

TEST(Broadcast, a_subscriber_hears_only_what_comes_after_it) {
  run_sync([]() -> Task<> {
    Broadcast<int> news(8, OnLag::report);
    (co_await news.send(1)).or_throw();  // To nobody.
    auto mine = news.subscribe();
    (co_await news.send(2)).or_throw();
    EXPECT_EQ(*co_await mine.receive(), 2);
    auto moved = std::move(mine);
    (co_await news.send(3)).or_throw();
    EXPECT_EQ(*co_await moved.receive(), 3);
    EXPECT_EQ(news.statistics().subscribers, 1u);
  });
}

TEST(Broadcast, with_wait_senders_wait_for_the_slowest_and_nothing_is_missed) {
  run_sync([]() -> Task<> {
    Broadcast<int> news(2, OnLag::wait);
    Heard fast;
    Heard slow;
    co_await with_scope([&](Scope& scope) -> Task<> {
      scope.start(listen, std::ref(news), std::ref(fast), Duration(0));
      scope.start(listen, std::ref(news), std::ref(slow), Duration(10ms));
      co_await turns(2);
      for (int i = 0; i < 10; ++i) (co_await news.send(i)).or_throw();
      news.close();
    });
    EXPECT_EQ(slow.items.size(), 10u);
    EXPECT_EQ(fast.items, slow.items);
    EXPECT_EQ(slow.missed, 0u);
  });
}

TEST(Broadcast, a_subscriber_that_leaves_frees_the_senders_that_waited_for_it) {
  run_sync([]() -> Task<> {
    Broadcast<int> news(1, OnLag::wait);
    std::optional<Broadcast<int>::Subscription> stuck(news.subscribe());
    (co_await news.send(1)).or_throw();
    EXPECT_FALSE(news.try_send(2));
    EXPECT_FALSE((co_await with_timeout(1s, news.send(2))).has_value()) << "it waits";
    EXPECT_EQ(news.statistics().sent, 1u) << "a cancelled send has sent nothing";
    co_await with_scope([&](Scope& scope) -> Task<> {
      scope.start([](Broadcast<int>& to) -> Task<> { (co_await to.send(3)).or_throw(); },
                  std::ref(news));
      co_await turns(2);
      EXPECT_EQ(news.statistics().senders_waiting, 1u);
      stuck.reset();
    });
    EXPECT_EQ(news.statistics().sent, 2u);
  });
}

TEST(Broadcast, heard_and_missed_add_up_in_any_order) {
  run_seeds(60, [](std::uint64_t seed) -> Task<> {
    Dice dice(seed);
    Broadcast<int> news(1 + dice.below(5), seed % 2 ? OnLag::report : OnLag::wait);
    std::vector<Heard> heard(3);
    co_await with_scope([&](Scope& scope) -> Task<> {
      for (auto& each : heard) {
        scope.start(listen, std::ref(news), std::ref(each), Duration(dice.below(3) * 1ms));
      }
      co_await sleep_for(1us);
      for (int i = 0; i < 40; ++i) {
        (co_await news.send(i)).or_throw();
        if (dice.below(2) == 0) co_await sleep_for(Duration(dice.below(3) * 1ms));
      }
      news.close();
    });
    for (const Heard& each : heard) {
      EXPECT_EQ(each.items.size() + each.missed, 40u);
      for (std::size_t i = 1; i < each.items.size(); ++i) {
        EXPECT_LT(each.items[i - 1], each.items[i]);
      }
    }
  });
}

}  // namespace
}  // namespace rondo::testing
