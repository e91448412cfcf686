// SPDX-License-Identifier: Apache-2.0
// The timer wheel against a sorted list, on times that only a simulation sees exactly.
#include "rondo/core/detail/timer_wheel.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <random>
#include <vector>

namespace rondo::detail {
namespace {

struct Probe : Timer {
  std::vector<std::int64_t>* fired = nullptr;
};

TEST(TimerWheel, fires_in_deadline_order_never_early_and_at_the_exact_nanosecond) {
  std::mt19937_64 random(7);
  for (int round = 0; round < 200; ++round) {
    TimerWheel wheel;
    wheel.start_at(0);
    std::vector<std::int64_t> fired;
    std::vector<std::int64_t> expected;
    std::vector<std::unique_ptr<Probe>> timers;
    for (int i = 0; i < 300; ++i) {
      auto& timer = *timers.emplace_back(std::make_unique<Probe>());
      // Half within a few ticks, half far: up to 2^40 ns, some 18 minutes.
      const std::uint64_t range = std::uint64_t{1} << (random() % 2 ? 13 : random() % 40);
      timer.deadline = static_cast<std::int64_t>(random() % range);
      timer.fired = &fired;
      timer.fire = [](Timer& due) noexcept {
        static_cast<Probe&>(due).fired->push_back(due.deadline);
      };
      wheel.arm(timer);
      expected.push_back(timer.deadline);
    }
    std::sort(expected.begin(), expected.end());
    int turns = 0;
    while (wheel.count() > 0) {
      const std::int64_t now = wheel.next_deadline();
      ASSERT_LT(++turns, 2'000) << "the wheel names a time at which nothing comes nearer";
      wheel.advance(now);
      for (const std::int64_t deadline : fired) ASSERT_LE(deadline, now) << "fired early";
    }
    EXPECT_EQ(fired, expected);
  }
}

TEST(TimerWheel, a_lone_timer_is_named_exactly_and_waits_for_its_nanosecond) {
  TimerWheel wheel;
  wheel.start_at(5'000);
  std::vector<std::int64_t> fired;
  Probe timer;
  timer.deadline = 5'500;
  timer.fired = &fired;
  timer.fire = [](Timer& due) noexcept { static_cast<Probe&>(due).fired->push_back(due.deadline); };
  wheel.arm(timer);
  EXPECT_EQ(wheel.next_deadline(), 5'500);
  wheel.advance(5'499);
  EXPECT_TRUE(fired.empty());
  wheel.advance(5'500);
  EXPECT_EQ(fired.size(), 1u);
}

}  // namespace
}  // namespace rondo::detail
