// SPDX-License-Identifier: Apache-2.0
// Time as a loop sees it: many timers against a sorted model, clocks that jump, a machine that
// stood still, signals in the middle of waits.
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <limits>
#include <map>
#include <random>
#include <thread>
#include <vector>

#include "every_driver.hpp"
#include "rondo/core/event.hpp"
#include "rondo/core/interval.hpp"
#include "rondo/core/rate_limiter.hpp"
#include "rondo/testing/sim_loop.hpp"
#include "spy_driver.hpp"

namespace rondo::testing {
namespace {

// --- a hundred thousand timers --------------------------------------------------------------

/// Callbacks by (deadline, order of arming): what must fire next stands first.
class TimerModel {
 public:
  explicit TimerModel(Loop& loop, unsigned seed) : loop_(loop), random_(seed) {}

  void arm_all(std::size_t count) {
    handles_.resize(count);
    for (std::size_t i = 0; i < count; ++i) arm(i, draw());
    for (std::size_t i = 0; i < count; i += 7) cancel(i);
  }
  std::size_t left() const { return expected_.size(); }
  std::size_t fired = 0;

 private:
  using Key = std::pair<TimePoint, std::uint64_t>;

  TimePoint draw() {
    const TimePoint now = loop_.now();
    switch (random_() % 8) {
      case 0:
        return now;  // Zero.
      case 1:
        return now - Duration(1 + random_() % 5'000'000'000);  // Negative.
      case 2:
        return TimePoint::min() + Duration(random_() % 1'000);  // As far back as it goes.
      case 3:
        return now + std::chrono::hours(24) * static_cast<int>(random_() % 36'500);
      case 4:
        return now + 1ms;  // Many at one instant.
      default:
        return now + Duration(random_() >> (64 - 1 - random_() % 45));
    }
  }
  void arm(std::size_t i, TimePoint when) {
    const Key key(when, ++order_);
    expected_.emplace(key, i);
    handles_[i] = loop_.call_at(when, [this, i, key] { fire(i, key); });
    keys_[i] = key;
  }
  void cancel(std::size_t i) {
    if (!handles_[i].pending()) return;
    handles_[i].cancel();
    expected_.erase(keys_[i]);
  }
  void fire(std::size_t i, Key key) {
    ++fired;
    ASSERT_LE(key.first, loop_.now()) << "early";
    auto first = expected_.begin();
    ASSERT_NE(first, expected_.end());
    // Those of the past are all due at once, and fire in the order of their deadlines too.
    ASSERT_EQ(first->first, key) << "out of order";
    ASSERT_EQ(first->second, i);
    expected_.erase(first);
    handles_[i].cancel();  // In its own callback: nothing is left to cancel.
    ASSERT_FALSE(handles_[i].pending());
    if (fired % 5 == 0) cancel((i * 31 + fired) % handles_.size());
    if (fired % 11 == 0) arm(i, loop_.now() + Duration(1 + random_() % 1'000'000'000));
  }

  Loop& loop_;
  std::mt19937_64 random_;
  std::uint64_t order_ = 0;
  std::map<Key, std::size_t> expected_;
  std::map<std::size_t, Key> keys_;
  std::vector<CallbackHandle> handles_;
};

TEST(LoopTimers, a_hundred_thousand_fire_in_the_order_of_a_sorted_model_never_early_never_twice) {
  SimLoop sim;
  TimerModel model(sim.loop(), 5);
  model.arm_all(100'000);
  int turns = 0;
  while (model.left() > 0 && !::testing::Test::HasFatalFailure()) {
    sim.loop().run_once();
    ASSERT_LT(++turns, 2'000'000);
  }
  EXPECT_GT(model.fired, 60'000u);
  EXPECT_EQ(sim.loop().statistics().armed_timers, 0u);
  EXPECT_FALSE(sim.loop().has_work());
}

// --- clocks ---------------------------------------------------------------------------------

TEST(LoopTimers, a_wall_clock_that_jumps_a_day_either_way_moves_no_timer) {
  SimLoop sim;
  sim.run([&]() -> Task<> {
    const TimePoint begin = now();
    Interval tick(1s);
    for (int i = 1; i <= 10; ++i) {
      const WallTime before = loop().wall_time();
      sim.jump_wall_clock(i % 2 ? 24h : -24h);
      EXPECT_NE(loop().wall_time(), before);
      EXPECT_EQ((co_await tick.next()).scheduled - begin, i * 1s);
      EXPECT_EQ(now() - begin, i * 1s);
    }
  });
}

class LoopTime : public EveryDriver {
 protected:
  LoopOptions spied() {
    auto spy = std::make_unique<SpyDriver>(make_driver({.buffer_count = 64}));
    spy_ = spy.get();
    return {.own_driver = std::move(spy)};
  }
  SpyDriver& spy() { return *spy_; }

 private:
  SpyDriver* spy_ = nullptr;
};

TEST_P(LoopTime, a_rate_limiter_looked_at_before_its_late_timer_serves_who_comes_then) {
  Loop at(spied());
  at.run([](SpyDriver* driver) -> Task<> {
      RateLimiter limiter({.tokens = 1, .per = 1s, .burst = 5});
      co_await limiter.acquire(5);
      co_await with_scope([&](Scope& scope) -> Task<> {
        const auto acquire = [](RateLimiter& from) -> Task<> {
          EXPECT_TRUE(co_await with_timeout(10s, from.acquire()));
        };
        scope.start(acquire, std::ref(limiter));
        co_await turns(2);
        driver->stalled += 5s;
        EXPECT_EQ(limiter.statistics().available, 5u) << "more than who waits first asks for";
        scope.start(acquire, std::ref(limiter));
        co_await turns(2);
      });
      EXPECT_EQ(limiter.statistics().acquired, 7u);
    }(&spy())).or_throw();
}

TEST_P(LoopTime, after_the_machine_stood_still_each_timer_fires_once) {
  Loop at(spied());
  std::map<int, int> fired;
  std::vector<CallbackHandle> handles;
  // A callback that arms itself again, a second later each time, as time-outs and pings do.
  MoveFn<void()> again = [&] {
    ++fired[-1];
    handles.push_back(at.call_later(1s, [&] { again(); }));
  };
  handles.push_back(at.call_later(1s, [&] { again(); }));
  for (int i = 0; i < 100; ++i) {
    handles.push_back(at.call_later(i * 50ms + 1h / 100, [&fired, i] { ++fired[i]; }));
  }
  at.poll();
  spy().stalled += 10s;
  at.poll();
  at.poll();
  EXPECT_EQ(fired[-1], 1) << "ten seconds were caught up with, one by one";
  spy().stalled += 2h;
  at.poll();
  at.poll();
  EXPECT_EQ(fired[-1], 2);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(fired[i], 1);
  for (CallbackHandle& handle : handles) handle.cancel();
}

TEST_P(LoopTime, after_the_machine_stood_still_an_interval_ticks_as_its_policy_says) {
  for (const MissedTick missed : {MissedTick::skip, MissedTick::delay, MissedTick::burst}) {
    run_on(spied(), [&]() -> Task<> {
      Interval tick(1h, {.missed = missed, .start = now()});
      co_await tick.next();
      spy().stalled += 10h + 30min;
      const TimePoint back = now();
      std::vector<std::uint64_t> late;
      while (tick.due_at() <= now()) late.push_back((co_await tick.next()).missed);
      if (missed == MissedTick::burst) {
        EXPECT_EQ(late, (std::vector<std::uint64_t>{9, 8, 7, 6, 5, 4, 3, 2, 1, 0}));
        EXPECT_LT(tick.due_at() - back, 30min + 1s);
      } else {
        EXPECT_EQ(late, (std::vector<std::uint64_t>{9})) << "a burst of catching up";
        const Duration wait = tick.due_at() - back;
        EXPECT_GE(wait, missed == MissedTick::delay ? 1h : 29min);
        EXPECT_LE(wait, missed == MissedTick::delay ? 1h + 1min : 30min);
      }
    });
  }
}

TEST_P(LoopTime, sleeps_that_have_passed_meanwhile_end_in_the_order_of_their_deadlines) {
  run_on(spied(), [this]() -> Task<> {
    std::vector<int> order;
    co_await with_scope([&](Scope& scope) -> Task<> {
      for (int i = 0; i < 50; ++i) {
        scope.start(
            [](std::vector<int>* to, int n) -> Task<> {
              co_await sleep_for(1h + n * 1min);
              to->push_back(n);
            },
            &order, (i * 37) % 50);
      }
      co_await checkpoint();
      co_await checkpoint();
      spy().stalled += 24h;
    });
    EXPECT_EQ(order.size(), 50u);
    EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
  });
}

// --- signals --------------------------------------------------------------------------------

/// A loop that once awaited a signal leaves it blocked for its thread; the fixture puts the mask
/// back after each test.
void let_through(int signal) {
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, signal);
  ASSERT_EQ(::pthread_sigmask(SIG_UNBLOCK, &set, nullptr), 0);
}

TEST_P(LoopTime, a_thousand_signals_in_the_middle_of_waits_lose_no_wake_up) {
  if (is_sim()) return;  // Its waits cannot be interrupted: there is no kernel in them.
  constexpr int k_signals = 1'000;
  static std::atomic<int> handled;
  handled = 0;
  struct sigaction before{};
  struct sigaction action{};
  action.sa_handler = [](int) { handled.fetch_add(1, std::memory_order_relaxed); };
  ASSERT_EQ(::sigaction(SIGUSR2, &action, &before), 0);  // Without SA_RESTART: waits end.
  let_through(SIGUSR2);
  Loop at(loop_options());
  const pthread_t self = ::pthread_self();
  Event all;
  int posts = 0;
  std::atomic<int> seen{0};
  std::thread other([&] {
    for (int i = 1; i <= k_signals; ++i) {
      // In turn before and after the post, and in any state of the loop's wait.
      if (i % 2) ::pthread_kill(self, SIGUSR2);
      at.post([&] {
        seen.store(++posts);
        if (posts == k_signals) all.set();
      });
      if (i % 2 == 0) ::pthread_kill(self, SIGUSR2);
      // One lost wake-up would keep both of us here until the hang guard.
      while (i % 10 == 0 && seen.load() < i) std::this_thread::yield();
    }
  });
  // No timer but the hang guard: only wake-ups end the waits of the loop.
  const auto ended = at.run([](Event* last) -> Task<Result<>> {
    co_return co_await with_timeout(60s, last->wait());
  }(&all));
  other.join();
  EXPECT_TRUE(ended.has_value()) << "a wake-up was lost";
  EXPECT_EQ(posts, k_signals);
  EXPECT_GT(handled.load(), 0);
  ::sigaction(SIGUSR2, &before, nullptr);
}

TEST_P(LoopTime, signals_in_the_middle_of_sleeps_end_none_of_them_early) {
  if (is_sim()) return;
  struct sigaction before{};
  struct sigaction action{};
  action.sa_handler = [](int) {};
  let_through(SIGUSR2);
  ASSERT_EQ(::sigaction(SIGUSR2, &action, &before), 0);
  const pthread_t self = ::pthread_self();
  std::atomic<bool> over{false};
  std::thread other([&] {
    while (!over.load()) {
      ::pthread_kill(self, SIGUSR2);
      std::this_thread::sleep_for(50us);
    }
  });
  run([]() -> Task<> {
    for (int i = 0; i < 20; ++i) {
      const TimePoint deadline = now() + 1ms;
      co_await sleep_until(deadline);
      EXPECT_GE(now(), deadline);
    }
  });
  over.store(true);
  other.join();
  ::sigaction(SIGUSR2, &before, nullptr);
}

ON_EVERY_DRIVER(LoopTime);

}  // namespace
}  // namespace rondo::testing
