// SPDX-License-Identifier: Apache-2.0
// The timer wheel: many timers against a model, extreme deadlines, and fire() that changes it.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <deque>
#include <functional>
#include <limits>
#include <map>
#include <random>
#include <vector>

#include "rondo/core/detail/timer_wheel.hpp"

namespace rondo::detail {
namespace {

constexpr std::int64_t k_max = std::numeric_limits<std::int64_t>::max();

struct Noted : Timer {
  std::function<void(Noted&)> act;
  Noted() {
    fire = [](Timer& due) noexcept {
      auto& self = static_cast<Noted&>(due);
      if (self.act) self.act(self);
    };
  }
};

/// Goes from one named time to the next until `stop` or nothing is armed.
void run_until(TimerWheel& wheel, std::int64_t stop) {
  for (int turn = 0; wheel.count() > 0 && wheel.next_deadline() <= stop; ++turn) {
    ASSERT_LT(turn, 100'000) << "the wheel names a time at which nothing comes nearer";
    wheel.advance(wheel.next_deadline());
  }
  wheel.advance(stop);
}

TEST(TimerWheelModel, a_hundred_thousand_timers_fire_as_a_sorted_map_says) {
  std::mt19937_64 random(11);
  TimerWheel wheel;
  std::int64_t now = 1'000'000'000'000;
  wheel.start_at(now);
  std::multimap<std::int64_t, Noted*> model;
  std::deque<Noted> timers(100'000);
  std::size_t fired = 0;
  auto erase = [&](Noted& timer) {
    auto [at, end] = model.equal_range(timer.deadline);
    while (at != end && at->second != &timer) ++at;
    ASSERT_NE(at, end);
    model.erase(at);
  };
  for (Noted& timer : timers) {
    const unsigned bits = static_cast<unsigned>(random() % 45);
    timer.deadline = now - 1'000 + static_cast<std::int64_t>(random() >> (63 - bits));
    timer.act = [&](Noted& due) {
      ++fired;
      ASSERT_EQ(model.begin()->first, due.deadline) << "out of order";
      erase(due);
    };
    wheel.arm(timer);
    model.emplace(timer.deadline, &timer);
  }
  for (std::size_t i = 0; i < timers.size(); i += 3) {  // A third is disarmed again.
    wheel.disarm(timers[i]);
    erase(timers[i]);
  }
  const std::size_t expected = model.size();
  while (!model.empty()) {
    const std::int64_t named = wheel.next_deadline();
    ASSERT_LE(named, model.begin()->first + 1'024) << "named too late";
    now = std::max(now, std::max(named, model.begin()->first));
    wheel.advance(now);
    ASSERT_TRUE(model.empty() || model.begin()->first > now) << "left behind";
  }
  EXPECT_EQ(fired, expected);
  EXPECT_EQ(wheel.count(), 0u);
  EXPECT_EQ(wheel.next_deadline(), k_max);
}

TEST(TimerWheelModel, zero_and_negative_deadlines_are_due_at_once) {
  TimerWheel wheel;
  wheel.start_at(5'000'000);
  int fired = 0;
  Noted timers[4];
  const std::int64_t deadlines[] = {0, -1, std::numeric_limits<std::int64_t>::min(), 4'999'999};
  for (int i = 0; i < 4; ++i) {
    timers[i].deadline = deadlines[i];
    timers[i].act = [&](Noted&) { ++fired; };
    wheel.arm(timers[i]);
  }
  EXPECT_LE(wheel.next_deadline(), 5'000'000);
  wheel.advance(5'000'000);
  EXPECT_EQ(fired, 4);
}

class TimerWheelFar : public ::testing::TestWithParam<std::int64_t> {};

TEST_P(TimerWheelFar, a_far_deadline_does_not_disturb_near_ones_and_fires_in_its_time) {
  const std::int64_t far = GetParam();
  TimerWheel wheel;
  wheel.start_at(3'600'000'000'000);
  int far_fired = 0;
  int near_fired = 0;
  Noted late;
  late.deadline = far;
  late.act = [&](Noted&) { ++far_fired; };
  wheel.arm(late);
  EXPECT_LE(wheel.next_deadline(), far);
  Noted soon;
  soon.deadline = 3'600'000'500'000;
  soon.act = [&](Noted&) { ++near_fired; };
  wheel.arm(soon);
  run_until(wheel, 3'700'000'000'000);
  EXPECT_EQ(near_fired, 1);
  EXPECT_EQ(far_fired, 0);
  run_until(wheel, far - 1);
  EXPECT_EQ(far_fired, 0) << "early";
  run_until(wheel, far);
  EXPECT_EQ(far_fired, 1);
}

constexpr std::int64_t power(int bits) { return std::int64_t{1} << bits; }
INSTANTIATE_TEST_SUITE_P(around_the_levels, TimerWheelFar,
                         ::testing::Values(power(42), power(46) - 1, power(52), power(52) + 1,
                                           power(57), power(58) - 1, power(58), power(58) + 5,
                                           power(58) + power(52) * 3, power(60), power(62) + 7,
                                           k_max - power(52), k_max - 1));

TEST(TimerWheelModel, a_fired_timer_may_disarm_one_that_is_due_with_it) {
  TimerWheel wheel;
  wheel.start_at(0);
  int second_fired = 0;
  Noted first;
  Noted second;
  first.deadline = second.deadline = 10'000;
  first.act = [&](Noted&) { wheel.disarm(second); };
  second.act = [&](Noted&) { ++second_fired; };
  wheel.arm(first);
  wheel.arm(second);
  wheel.advance(20'000);
  EXPECT_EQ(second_fired, 0);
  EXPECT_EQ(wheel.count(), 0u);
  wheel.arm(second);  // Its links are as good as new.
  wheel.advance(30'000);
  EXPECT_EQ(second_fired, 1);
}

TEST(TimerWheelModel, a_timer_may_arm_itself_and_others_while_it_fires) {
  TimerWheel wheel;
  wheel.start_at(0);
  std::vector<std::int64_t> seen;
  Noted periodic;
  Noted other;
  periodic.deadline = 1'000'000;
  periodic.act = [&](Noted& self) {
    EXPECT_FALSE(self.armed());
    seen.push_back(self.deadline);
    if (seen.size() < 5) {
      self.deadline += 1'000'000;
      wheel.arm(self);
    } else {
      other.deadline = 1;  // Long past: due within this advance.
      wheel.arm(other);
    }
  };
  other.act = [&](Noted& self) { seen.push_back(self.deadline); };
  wheel.arm(periodic);
  wheel.advance(10'000'000);
  EXPECT_EQ(seen,
            (std::vector<std::int64_t>{1'000'000, 2'000'000, 3'000'000, 4'000'000, 5'000'000, 1}));
}

TEST(TimerWheelModel, disarming_the_last_of_a_slot_forgets_the_slot) {
  TimerWheel wheel;
  wheel.start_at(0);
  Noted timers[8];
  for (int i = 0; i < 8; ++i) {
    timers[i].deadline = power(10 + 6 * i) + 3;
    wheel.arm(timers[i]);
  }
  for (int i = 0; i < 8; ++i) {
    EXPECT_EQ(wheel.next_deadline(), timers[i].deadline);
    wheel.disarm(timers[i]);
  }
  EXPECT_EQ(wheel.next_deadline(), k_max);
}

TEST(TimerWheelDeathTest, a_timer_destroyed_while_armed_says_so) {
  EXPECT_DEATH(
      {
        TimerWheel wheel;
        Noted timer;
        timer.deadline = 5;
        wheel.arm(timer);
      },
      "disarm it first");
}

}  // namespace
}  // namespace rondo::detail
