// SPDX-License-Identifier: Apache-2.0
#include "rondo/core/watch.hpp"

#include "sync_fixture.hpp"

namespace rondo::testing {
namespace {

TEST(Watch, a_reader_sees_the_newest_value_and_skips_what_was_replaced) {
  run_sync([]() -> Task<> {
    Watch<int> watch(1);
    auto reader = watch.subscribe();
    EXPECT_FALSE(reader.has_changed());
    watch.set(2);
    watch.set(3);
    EXPECT_EQ(*co_await reader.changed(), 3);
    EXPECT_FALSE((co_await with_timeout(1s, reader.changed())).has_value()) << "seen already";
    watch.update([](int& value) { value += 10; });
    EXPECT_TRUE(reader.has_changed());
    EXPECT_EQ(reader.get(), 13);
    EXPECT_FALSE(reader.has_changed());
    EXPECT_EQ(watch.statistics().version, 3u);
  });
}

Task<> collect(Watch<int>& watch, std::vector<int>& seen) {
  auto reader = watch.subscribe();
  while (const int* value = co_await reader.changed()) seen.push_back(*value);
}

TEST(Watch, wakes_every_reader_and_tells_the_end_after_the_last_value) {
  run_sync([]() -> Task<> {
    Watch<int> watch;
    std::vector<int> a;
    std::vector<int> b;
    co_await with_scope([&](Scope& scope) -> Task<> {
      scope.start(collect, std::ref(watch), std::ref(a));
      scope.start(collect, std::ref(watch), std::ref(b));
      co_await sleep_for(1ms);
      EXPECT_EQ(watch.statistics().waiting, 2u);
      watch.set(1);
      co_await sleep_for(1ms);
      watch.set(2);
      watch.close();
    });
    EXPECT_EQ(a, (std::vector<int>{1, 2}));
    EXPECT_EQ(b, a);
  });
}

TEST(Watch, a_cancelled_wait_has_seen_nothing) {
  run_sync([]() -> Task<> {
    Watch<int> watch;
    auto reader = watch.subscribe();
    EXPECT_FALSE((co_await with_timeout(1ms, reader.changed())).has_value());
    watch.set(9);
    EXPECT_EQ(**co_await with_timeout(1ms, reader.changed()), 9);
    EXPECT_EQ(watch.statistics().waiting, 0u);
  });
}

TEST(Watch, every_reader_ends_at_the_last_value_in_any_order) {
  run_seeds(50, [](std::uint64_t seed) -> Task<> {
    Watch<int> watch;
    Dice dice(seed);
    std::vector<std::vector<int>> seen(4);
    co_await with_scope([&](Scope& scope) -> Task<> {
      for (auto& each : seen) scope.start(collect, std::ref(watch), std::ref(each));
      co_await sleep_for(1ms);
      for (int i = 1; i <= 20; ++i) {
        if (dice.below(2) == 0) co_await checkpoint();
        watch.set(i);
      }
      co_await sleep_for(1ms);
      watch.close();
    });
    for (const auto& each : seen) {
      EXPECT_EQ(each.back(), 20);
      for (std::size_t i = 1; i < each.size(); ++i) EXPECT_LT(each[i - 1], each[i]);
    }
  });
}

}  // namespace
}  // namespace rondo::testing
