// SPDX-License-Identifier: Apache-2.0
#include "rondo/core/detail/timer_wheel.hpp"
#include <algorithm>
#include <bit>
#include <limits>
#include <utility>

#include "rondo/base/trace.hpp"
#include "rondo/core/detail/chain.hpp"

namespace rondo::detail {
namespace {

std::int64_t deadline_of(const TimerLink* link) noexcept {
  return static_cast<const Timer*>(link)->deadline;
}

/// Both in order, linked by next; of equal deadlines those of `first` stay before.
TimerLink* merge(TimerLink* first, TimerLink* second) noexcept {
  TimerLink* merged = nullptr;
  TimerLink** end = &merged;
  while (first && second) {
    TimerLink*& least = deadline_of(second) < deadline_of(first) ? second : first;
    *end = least;
    end = &least->next;
    least = *end;
  }
  *end = first ? first : second;
  return merged;
}

/// Sorts a list linked by next. By merging, as an insertion would take seconds for the hundred
/// thousand timers of one slot that are all due after the machine stood still.
TimerLink* sort(TimerLink* list) noexcept {
  constexpr int k_bins = 48;
  TimerLink* bins[k_bins] = {};  // Of 2^i timers each, the later bins being earlier in the list.
  while (list) {
    TimerLink* run = list;
    list = list->next;
    run->next = nullptr;
    int i = 0;
    for (; bins[i]; ++i) run = merge(std::exchange(bins[i], nullptr), run);
    bins[i] = run;
  }
  TimerLink* sorted = nullptr;
  for (TimerLink* run : bins) {
    if (run) sorted = merge(run, sorted);
  }
  return sorted;
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
  TimerLink* chain = nullptr;  // What is due, in the order of arming.
  TimerLink** end = &chain;
  bool in_order = true;
  std::int64_t last = std::numeric_limits<std::int64_t>::min();
  while (at) {
    auto& timer = *static_cast<Timer*>(at);
    at = at->next;
    if (timer.deadline > now) {
      link(timer);
      continue;
    }
    in_order &= last <= timer.deadline;
    last = timer.deadline;
    *end = &timer;
    end = &timer.next;
  }
  *end = nullptr;
  if (!in_order) chain = sort(chain);
  TimerLink due;  // A list, so that fire() may disarm timers that are still in it.
  due.prev = due.next = &due;
  for (; chain; chain = at) {
    at = chain->next;
    chain->prev = due.prev;
    chain->next = &due;
    due.prev->next = chain;
    due.prev = chain;
  }
  const bool any = due.next != &due;
  while (due.next != &due) {
    auto& timer = *static_cast<Timer*>(due.next);
    disarm(timer);
    if (t_core && t_core->trace) [[unlikely]] {
      t_core->trace->put(TraceKind::timer, reinterpret_cast<std::uintptr_t>(&timer));
    }
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
