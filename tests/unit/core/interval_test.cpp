// SPDX-License-Identifier: Apache-2.0
// Interval in virtual time: every policy against stalls of every length, reset, cancellation.
#include "rondo/core/interval.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

#include "rondo/core/cancel.hpp"
#include "rondo/core/event.hpp"
#include "rondo/core/scope.hpp"
#include "rondo/core/sleep.hpp"
#include "rondo/testing/sim_loop.hpp"

namespace rondo {
namespace {

using namespace std::chrono_literals;
using testing::SimLoop;

TEST(Interval, ticks_at_exact_multiples_of_its_period) {
  SimLoop sim;
  sim.run([&]() -> Task<> {
    const TimePoint begin = now();
    Interval tick(100ms);
    for (int i = 1; i <= 50; ++i) {
      const Tick got = co_await tick.next();
      EXPECT_EQ(got.scheduled - begin, i * 100ms);
      EXPECT_EQ(now() - begin, i * 100ms);
      EXPECT_EQ(got.missed, 0u);
    }
    EXPECT_EQ(tick.statistics().ticks, 50u);
    EXPECT_EQ(tick.statistics().late, 0u);
  });
}

TEST(Interval, holds_its_schedule_when_the_work_takes_part_of_a_period) {
  for (const MissedTick missed : {MissedTick::burst, MissedTick::skip}) {
    SimLoop sim;
    sim.run([&]() -> Task<> {
      const TimePoint begin = now();
      Interval tick(100ms, {.missed = missed});
      for (int i = 1; i <= 10; ++i) {
        EXPECT_EQ((co_await tick.next()).scheduled - begin, i * 100ms);
        co_await sleep_for(99ms);
      }
    });
  }
}

TEST(Interval, begins_at_once_or_at_a_given_time) {
  SimLoop sim;
  sim.run([&]() -> Task<> {
    const TimePoint begin = now();
    Interval at_once(1s, {.start = begin});
    EXPECT_EQ((co_await at_once.next()).scheduled, begin);
    EXPECT_EQ(now(), begin);
    EXPECT_EQ((co_await at_once.next()).scheduled, begin + 1s);
    Interval later(1s, {.start = begin + 5s});
    EXPECT_EQ((co_await later.next()).scheduled, begin + 5s);
    EXPECT_EQ((co_await later.next()).scheduled, begin + 6s);
    EXPECT_EQ(now(), begin + 6s);
  });
}

// --- stalls ---------------------------------------------------------------------------------

struct Stall {
  MissedTick missed;
  Duration stall;  ///< after the first tick, at 100 ms
  /// Of the four ticks after it, in ms since the start: when due, when taken, periods missed.
  std::vector<std::vector<int>> ticks;
  std::uint64_t skipped;
  std::string name;
};

class IntervalStall : public ::testing::TestWithParam<Stall> {};

TEST_P(IntervalStall, is_followed_by_what_the_policy_says) {
  const Stall& row = GetParam();
  SimLoop sim;
  sim.run([&]() -> Task<> {
    const TimePoint begin = now();
    auto ms = [&](TimePoint at) { return static_cast<int>((at - begin) / 1ms); };
    Interval tick(100ms, {.missed = row.missed});
    EXPECT_EQ(ms((co_await tick.next()).scheduled), 100);
    co_await sleep_for(row.stall);
    std::vector<std::vector<int>> ticks;
    for (int i = 0; i < 4; ++i) {
      const Tick got = co_await tick.next();
      ticks.push_back({ms(got.scheduled), ms(now()), static_cast<int>(got.missed)});
    }
    EXPECT_EQ(ticks, row.ticks);
    EXPECT_EQ(tick.statistics().skipped, row.skipped);
  });
}

INSTANTIATE_TEST_SUITE_P(
    every_policy, IntervalStall,
    ::testing::Values(
        // Shorter than a period: nobody notices.
        Stall{MissedTick::burst,
              99ms,
              {{200, 200, 0}, {300, 300, 0}, {400, 400, 0}, {500, 500, 0}},
              0,
              "burst_99"},
        Stall{MissedTick::delay,
              99ms,
              {{200, 200, 0}, {300, 300, 0}, {400, 400, 0}, {500, 500, 0}},
              0,
              "delay_99"},
        Stall{MissedTick::skip,
              99ms,
              {{200, 200, 0}, {300, 300, 0}, {400, 400, 0}, {500, 500, 0}},
              0,
              "skip_99"},
        // The next tick is late by half a period: none is missed, delay moves the schedule.
        Stall{MissedTick::burst,
              150ms,
              {{200, 250, 0}, {300, 300, 0}, {400, 400, 0}, {500, 500, 0}},
              0,
              "burst_150"},
        Stall{MissedTick::delay,
              150ms,
              {{200, 250, 0}, {350, 350, 0}, {450, 450, 0}, {550, 550, 0}},
              0,
              "delay_150"},
        Stall{MissedTick::skip,
              150ms,
              {{200, 250, 0}, {300, 300, 0}, {400, 400, 0}, {500, 500, 0}},
              0,
              "skip_150"},
        // Exactly on a later tick of the schedule: that one is missed, and skip goes beyond it.
        Stall{MissedTick::burst,
              200ms,
              {{200, 300, 1}, {300, 300, 0}, {400, 400, 0}, {500, 500, 0}},
              0,
              "burst_200"},
        Stall{MissedTick::delay,
              200ms,
              {{200, 300, 1}, {400, 400, 0}, {500, 500, 0}, {600, 600, 0}},
              1,
              "delay_200"},
        Stall{MissedTick::skip,
              200ms,
              {{200, 300, 1}, {400, 400, 0}, {500, 500, 0}, {600, 600, 0}},
              1,
              "skip_200"},
        // Several periods and a half.
        Stall{MissedTick::burst,
              350ms,
              {{200, 450, 2}, {300, 450, 1}, {400, 450, 0}, {500, 500, 0}},
              0,
              "burst_350"},
        Stall{MissedTick::delay,
              350ms,
              {{200, 450, 2}, {550, 550, 0}, {650, 650, 0}, {750, 750, 0}},
              2,
              "delay_350"},
        Stall{MissedTick::skip,
              350ms,
              {{200, 450, 2}, {500, 500, 0}, {600, 600, 0}, {700, 700, 0}},
              2,
              "skip_350"},
        // A machine that was stopped for an hour.
        Stall{MissedTick::burst,
              1h,
              {{200, 3'600'100, 35'999},
               {300, 3'600'100, 35'998},
               {400, 3'600'100, 35'997},
               {500, 3'600'100, 35'996}},
              0,
              "burst_1h"},
        Stall{MissedTick::delay,
              1h,
              {{200, 3'600'100, 35'999},
               {3'600'200, 3'600'200, 0},
               {3'600'300, 3'600'300, 0},
               {3'600'400, 3'600'400, 0}},
              35'999,
              "delay_1h"},
        Stall{MissedTick::skip,
              1h,
              {{200, 3'600'100, 35'999},
               {3'600'200, 3'600'200, 0},
               {3'600'300, 3'600'300, 0},
               {3'600'400, 3'600'400, 0}},
              35'999,
              "skip_1h"}),
    [](const auto& about) { return about.param.name; });

TEST(Interval, a_burst_lets_others_run_between_its_ticks) {
  SimLoop sim;
  sim.run([&]() -> Task<> {
    Interval tick(1ms, {.missed = MissedTick::burst});
    co_await sleep_for(1s);
    int others = 0;
    int seen = -1;
    auto soon = loop().call_soon([&] { ++others; });
    for (int i = 0; i < 1'000; ++i) {
      co_await tick.next();
      if (others == 1 && seen < 0) seen = i;
    }
    EXPECT_GT(seen, 0) << "a ready tick gave its turn up at once";
    EXPECT_LE(seen, 128) << "a thousand ticks in a row starve the others";
    EXPECT_EQ(tick.statistics().late, 999u);  // The last of them is due now.
  });
}

// --- reset ----------------------------------------------------------------------------------

TEST(Interval, reset_begins_a_period_from_now) {
  SimLoop sim;
  sim.run([&]() -> Task<> {
    const TimePoint begin = now();
    Interval tick(100ms);
    co_await sleep_for(70ms);
    tick.reset();
    EXPECT_EQ((co_await tick.next()).scheduled - begin, 170ms);
    EXPECT_EQ((co_await tick.next()).scheduled - begin, 270ms);
    tick.reset(begin + 1s);
    EXPECT_EQ(tick.due_at() - begin, 1s);
    EXPECT_EQ((co_await tick.next()).scheduled - begin, 1s);
    tick.reset(now());
    EXPECT_EQ((co_await tick.next()).scheduled - begin, 1s) << "at once";
  });
}

Task<> note_ticks(Interval& tick, std::vector<int>& at, int n) {
  for (int i = 0; i < n; ++i) {
    co_await tick.next();
    at.push_back(static_cast<int>(now().time_since_epoch() / 1ms));
  }
}

TEST(Interval, reset_moves_a_waiter_both_ways) {
  SimLoop sim;
  std::vector<int> at;
  sim.run([&]() -> Task<> {
    Interval tick(100ms);
    co_await with_scope([&](Scope& scope) -> Task<> {
      scope.start(note_ticks, std::ref(tick), std::ref(at), 3);
      co_await sleep_for(60ms);
      tick.reset();  // Later: 160.
      co_await sleep_for(120ms);
      tick.reset(now() + 5ms);  // Sooner: 185, then 285.
    });
  });
  EXPECT_EQ(at, (std::vector<int>{160, 185, 285}));
}

TEST(Interval, reset_between_the_timer_and_the_waiters_turn_keeps_the_tick) {
  SimLoop sim;
  std::vector<int> at;
  sim.run([&]() -> Task<> {
    Interval tick(100ms);
    co_await with_scope([&](Scope& scope) -> Task<> {
      // Due at the same instant and armed before: it runs between the timer and the waiter.
      auto meddler = loop().call_at(now() + 100ms, [&] { tick.reset(); });
      scope.start(note_ticks, std::ref(tick), std::ref(at), 2);
      co_return;
    });
  });
  EXPECT_EQ(at, (std::vector<int>{100, 200}));
}

// --- cancellation ---------------------------------------------------------------------------

TEST(Interval, a_cancelled_wait_loses_no_tick) {
  SimLoop sim;
  sim.run([&]() -> Task<> {
    const TimePoint begin = now();
    Interval tick(100ms);
    for (int i = 0; i < 5; ++i) {
      auto none = co_await with_timeout(10ms, tick.next());
      EXPECT_EQ(none.error().code(), Errc::timed_out);
    }
    EXPECT_EQ((co_await tick.next()).scheduled - begin, 100ms);
    EXPECT_EQ(loop().statistics().armed_timers, 0u);
  });
}

TEST(Interval, a_wait_cancelled_before_its_start_takes_no_tick) {
  SimLoop sim;
  sim.run([&]() -> Task<> {
    const TimePoint begin = now();
    Interval tick(100ms, {.start = begin});
    co_await with_scope([&](Scope& scope) -> Task<> {
      scope.cancel();
      co_await tick.next();  // Due, and not taken.
      ADD_FAILURE() << "a cancelled task went on";
    });
    EXPECT_EQ((co_await tick.next()).scheduled, begin);
  });
}

TEST(Interval, data_wins_over_a_cancel_that_comes_after_the_tick) {
  SimLoop sim;
  sim.run([&]() -> Task<> {
    Interval tick(100ms);
    int got = 0;
    const ScopeEnd end = co_await with_scope([&](Scope& scope) -> Task<> {
      auto late = loop().call_at(now() + 100ms, [&] { scope.cancel(); });
      co_await tick.next();
      ++got;
      co_await checkpoint();
      ++got;
    });
    // The timer has fired before the callback runs: the tick is delivered, then the request.
    EXPECT_EQ(got, 1);
    EXPECT_TRUE(end.cancelled);
  });
}

TEST(Interval, far_ends_of_time_do_not_overflow) {
  SimLoop sim;
  sim.run([&]() -> Task<> {
    Interval never(Duration::max());
    EXPECT_EQ(never.due_at(), k_no_deadline);
    auto none = co_await with_timeout(1h, never.next());
    EXPECT_EQ(none.error().code(), Errc::timed_out);
    Interval once(Duration::max(), {.start = now()});
    co_await once.next();
    EXPECT_EQ(once.due_at(), k_no_deadline);
    Interval fine(1ns);
    for (int i = 0; i < 3; ++i) EXPECT_EQ((co_await fine.next()).missed, 0u);
  });
}

TEST(IntervalDeathTest, misuse_says_what_to_do) {
  EXPECT_DEATH(
      {
        SimLoop sim;
        sim.run([&]() -> Task<> {
          Interval zero(0s);
          co_return;
        });
      },
      "period is positive");
  EXPECT_DEATH(
      {
        SimLoop sim;
        sim.run([&]() -> Task<> {
          Interval tick(1s);
          std::vector<int> at;
          co_await with_scope([&](Scope& scope) -> Task<> {
            scope.start(note_ticks, std::ref(tick), std::ref(at), 1);
            scope.start(note_ticks, std::ref(tick), std::ref(at), 1);
            co_return;
          });
        });
      },
      "one task at a time waits");
}

}  // namespace
}  // namespace rondo
