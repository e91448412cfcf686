// SPDX-License-Identifier: Apache-2.0
// Interval: ticks at a fixed period, and what becomes of those that nobody took in time.
//
//   Interval tick(100ms, {.missed = MissedTick::skip});
//   while (!stop_requested()) {
//     Tick now = co_await tick.next();      // now.scheduled, now.missed
//     ...
//   }
//
// It is made in a task and starts then: the first tick comes one period later, or at `start`.
// Nothing runs between two calls of next(): an Interval costs a timer only while it is awaited.
// For a pause between two pieces of work use sleep_for; for a callback, call_later.
// Lifetime: outlives its waiter (checked). Thread rule: the loop's thread.
#pragma once

#include <coroutine>
#include <cstdint>
#include <optional>

#include "rondo/core/detail/timer_wheel.hpp"
#include "rondo/core/loop.hpp"
#include "rondo/core/task.hpp"

namespace rondo {

/// What follows a tick that was taken late: the task was busy, the loop or the machine stood still.
enum class MissedTick : std::uint8_t {
  burst,  ///< every tick, one after the other without a wait, until the schedule is caught up with
  delay,  ///< the next tick comes one period after the late one was taken: the schedule moves
  skip,   ///< the next tick of the old schedule that lies ahead: what was missed is left out
};

struct IntervalOptions {
  MissedTick missed = MissedTick::skip;
  /// The first tick; without it, one period after the Interval was made. now(): at once.
  std::optional<TimePoint> start = {};
};

struct Tick {
  TimePoint scheduled;       ///< when it was due
  std::uint64_t missed = 0;  ///< whole periods from then until it was taken; with burst they follow
};

struct IntervalStatistics {
  std::uint64_t ticks = 0;    ///< taken
  std::uint64_t late = 0;     ///< of them, taken a whole period or more after they were due
  std::uint64_t skipped = 0;  ///< left out by delay or skip
};

class Interval {
  struct Awaiter : detail::Waiter, detail::Timer {
    Interval& interval;
    bool parked = false;
    Awaiter(Interval& i, detail::PromiseBase& parent) noexcept : interval(i) { frame = &parent; }
    Awaiter(const Awaiter&) = delete;
    Awaiter& operator=(const Awaiter&) = delete;
    ~Awaiter() {
      if (interval.waiter_ == this) interval.waiter_ = nullptr;
    }
    bool await_ready() const noexcept {
      return !detail::cancelled(*this) && interval.due() && detail::spend_await();
    }
    void await_suspend(std::coroutine_handle<>) noexcept;
    Tick await_resume() const noexcept { return interval.take(*this); }
  };
  struct [[nodiscard("co_await it")]] Next {
    Interval& interval;
    Awaiter awaiter(detail::PromiseBase& parent) && noexcept { return {interval, parent}; }
  };

 public:
  /// `period` is positive.
  explicit Interval(Duration period, IntervalOptions options = {});
  Interval(const Interval&) = delete;
  Interval& operator=(const Interval&) = delete;
  ~Interval();

  /// Waits for the next tick.
  /// - **Completes** when it is due, never before; at once when its time has passed.
  /// - **Returns** when it was due, and how many whole periods ago. **Errors** none.
  /// - **Cancel** stops waiting; the tick is not lost: the next call has it.
  /// - **Lifetime** the interval outlives the wait.
  /// - **Concurrency** one waiter. **Thread** the loop's.
  Next next() noexcept { return {*this}; }

  /// The next tick comes one period from now, the following ones by that; a waiter waits on. A tick
  /// that is on its way to the waiter already is still delivered.
  void reset() noexcept { reset(deadline_after(Loop::current().now(), period_)); }
  /// The next tick comes at `when`; now() or earlier: at once.
  void reset(TimePoint when) noexcept;

  Duration period() const noexcept { return period_; }
  /// When the next tick is due.
  TimePoint due_at() const noexcept { return next_; }
  IntervalStatistics statistics() const noexcept { return statistics_; }

 private:
  bool due() const noexcept { return next_ <= Loop::current().now(); }
  void arm(Awaiter& waiter) noexcept;
  Tick take(const Awaiter& waiter) noexcept;

  Duration period_;
  MissedTick missed_;
  TimePoint next_;
  Awaiter* waiter_ = nullptr;  ///< from its suspension to its end
  IntervalStatistics statistics_;
};

}  // namespace rondo
