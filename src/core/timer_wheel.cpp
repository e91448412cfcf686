// SPDX-License-Identifier: Apache-2.0
#include "rondo/core/detail/timer_wheel.hpp"

#include <algorithm>
#include <bit>
#include <limits>

namespace rondo::detail {
namespace {

/// Inserts into the due list by deadline, equal ones after: most come in order already.
void insert_due(TimerLink& due, Timer& timer) noexcept {
  TimerLink* at = due.prev;
  while (at != &due && static_cast<Timer*>(at)->deadline > timer.deadline) at = at->prev;
  timer.prev = at;
  timer.next = at->next;
  at->next->prev = &timer;
  at->next = &timer;
}

}  // namespace

TimerWheel::TimerWheel() noexcept {
  for (auto& level : slots_) {
    for (TimerLink& slot : level) slot.prev = slot.next = &slot;
  }
}

bool TimerWheel::first_slot(Slot& found) const noexcept {
  for (int level = 0; level < k_levels; ++level) {
    const unsigned shift = 6U * static_cast<unsigned>(level);
    const unsigned at = static_cast<unsigned>(hand_ >> shift) & 63U;
    const std::uint64_t ahead = bits_[level] & (~std::uint64_t{0} << at);
    if (ahead == 0) continue;
    found.level = level;
    found.index = static_cast<unsigned>(std::countr_zero(ahead));
    found.tick = (((hand_ >> shift) & ~std::uint64_t{63}) | found.index) << shift;
    return true;
  }
  return false;
}

std::int64_t TimerWheel::next_deadline() const noexcept {
  constexpr std::int64_t k_none = std::numeric_limits<std::int64_t>::max();
  Slot slot;
  if (count_ == 0 || !first_slot(slot)) return k_none;
  // The slot may cover many ticks: look at a few of its timers for the true one. With more of
  // them the slot's own start is a bound that wakes the loop at most once too early; within one
  // tick the earliest of a few is at most a microsecond late.
  std::int64_t earliest = k_none;
  int looked_at = 0;
  const TimerLink& head = slots_[slot.level][slot.index];
  for (const TimerLink* at = head.next; at != &head && looked_at < 16; at = at->next) {
    earliest = std::min(earliest, static_cast<const Timer*>(at)->deadline);
    if (++looked_at == 16 && slot.level > 0) {
      return static_cast<std::int64_t>(slot.tick << k_tick_shift);
    }
  }
  return earliest;
}

bool TimerWheel::expire(const Slot& slot, std::int64_t now) noexcept {
  TimerLink& head = slots_[slot.level][slot.index];
  TimerLink* at = head.next;
  head.prev->next = nullptr;
  head.prev = head.next = &head;
  bits_[slot.level] &= ~(std::uint64_t{1} << slot.index);
  TimerLink due;  // A list, so that fire() may disarm timers that are still in it.
  due.prev = due.next = &due;
  while (at) {
    auto& timer = *static_cast<Timer*>(at);
    at = at->next;
    if (timer.deadline <= now) insert_due(due, timer);
    else link(timer);
  }
  const bool any = due.next != &due;
  while (due.next != &due) {
    auto& timer = *static_cast<Timer*>(due.next);
    disarm(timer);
    timer.fire(timer);
  }
  return any;
}

void TimerWheel::advance(std::int64_t now) noexcept {
  const std::uint64_t to = tick_of(now);
  Slot slot;
  while (count_ > 0 && first_slot(slot) && slot.tick <= to) {
    if (slot.tick > hand_) hand_ = slot.tick;
    // What is left in the tick of now itself comes later in it.
    if (!expire(slot, now) && slot.level == 0 && slot.tick == to) break;
  }
  if (to > hand_) hand_ = to;
}

}  // namespace rondo::detail
