// SPDX-License-Identifier: Apache-2.0
#include "rondo/core/interval.hpp"

namespace rondo {

Interval::Interval(Duration period, IntervalOptions options)
    : period_(period), missed_(options.missed) {
  RONDO_ASSERT(period > Duration::zero(), "an Interval's period is positive");
  next_ = options.start ? *options.start : deadline_after(Loop::current().now(), period);
}

Interval::~Interval() {
  RONDO_ASSERT(!waiter_, "an Interval was destroyed while a task waits for its tick");
}

void Interval::arm(Awaiter& waiter) noexcept {
  if (waiter.armed()) Loop::current().disarm(waiter);
  waiter.deadline = next_.time_since_epoch().count();
  if (next_ != k_no_deadline) Loop::current().arm(waiter);
}

void Interval::reset(TimePoint when) noexcept {
  next_ = when;
  if (waiter_ && waiter_->parked) arm(*waiter_);
}

Tick Interval::take(const Awaiter& waiter) noexcept {
  const TimePoint now = Loop::current().now();
  if (next_ > now) {
    // reset() came between the timer and this turn: the new schedule begins after this tick.
    ++statistics_.ticks;
    return {.scheduled = TimePoint(Duration(waiter.deadline))};
  }
  Tick tick{.scheduled = next_};
  tick.missed = static_cast<std::uint64_t>((now - next_) / period_);
  ++statistics_.ticks;
  if (tick.missed > 0) ++statistics_.late;
  if (missed_ != MissedTick::burst) statistics_.skipped += tick.missed;
  switch (missed_) {
    case MissedTick::burst:
      next_ = deadline_after(next_, period_);
      break;
    case MissedTick::delay:
      next_ = deadline_after(now, period_);
      break;
    case MissedTick::skip:
      next_ = deadline_after(next_ + static_cast<std::int64_t>(tick.missed) * period_, period_);
      break;
  }
  return tick;
}

void Interval::Awaiter::await_suspend(std::coroutine_handle<>) noexcept {
  if (detail::cancelled(*this)) return detail::strike(*this);
  RONDO_ASSERT(!interval.waiter_, "one task at a time waits for an Interval's tick");
  interval.waiter_ = this;
  deadline = interval.next_.time_since_epoch().count();
  if (interval.due()) return detail::wake(*this);
  fire = [](detail::Timer& timer) noexcept {
    auto& self = static_cast<Awaiter&>(timer);
    self.parked = false;
    detail::wake(self);
  };
  parked = true;
  interval.arm(*this);
  detail::park(*this, [](detail::Waiter& waiter) noexcept {
    auto& self = static_cast<Awaiter&>(waiter);
    self.parked = false;
    if (self.armed()) Loop::current().disarm(self);
    detail::strike(self);
  });
}

}  // namespace rondo
