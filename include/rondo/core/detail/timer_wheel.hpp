// SPDX-License-Identifier: Apache-2.0
// TimerWheel: a million deadlines, armed and disarmed in O(1).
//
// Source: Varghese and Lauck, "Hashed and hierarchical timing wheels" (SOSP 1987), hierarchical
// scheme: 9 levels of 64 slots over ticks of 1,024 ns, which is all of a deadline's 63 bits. A
// timer stands in the level of the highest six-bit group in which its tick differs from the
// wheel's; it moves down when the wheel reaches its slot. A bit map per level finds the next slot
// without a scan. Rejected: a binary heap (100-340 ns an arm among a million, performance.md), a
// hashed flat wheel (no next deadline).
// Invariants:
//  1. a timer's tick is its deadline rounded down, and in its tick it waits for the nanosecond:
//     no timer fires early, and in virtual time none is late;
//  2. timers of one tick fire in the order of their nanosecond deadlines, then of arming;
//  3. fire() may arm and disarm any timer, itself included.
#pragma once

#include <cstddef>
#include <cstdint>

#include "rondo/base/assert.hpp"
#include "rondo/base/time.hpp"

namespace rondo::detail {

struct TimerLink {
  TimerLink* prev = nullptr;
  TimerLink* next = nullptr;
};

struct Timer : TimerLink {
  Timer() = default;
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  ~Timer() { RONDO_ASSERT(!armed(), "a timer was destroyed while armed: disarm it first"); }
  bool armed() const noexcept { return next != nullptr; }

  std::int64_t deadline = 0;                 ///< ns of the loop's clock
  void (*fire)(Timer&) noexcept = nullptr;   ///< queues work; never resumes
};

class TimerWheel {
 public:
  TimerWheel() noexcept;
  TimerWheel(const TimerWheel&) = delete;
  TimerWheel& operator=(const TimerWheel&) = delete;

  /// Sets the wheel's hand; only while it is empty (at the start).
  void start_at(std::int64_t now) noexcept { hand_ = tick_of(now); }
  void arm(Timer& timer) noexcept {
    link(timer);
    ++count_;
  }
  void disarm(Timer& timer) noexcept {
    TimerLink* before = timer.prev;
    TimerLink* after = timer.next;
    before->next = after;
    after->prev = before;
    timer.prev = timer.next = nullptr;
    --count_;
    if (before == after) mark_empty(before);
  }
  /// Fires what is due at `now`.
  void advance(std::int64_t now) noexcept;
  /// The earliest deadline or a time shortly before it; max when empty.
  std::int64_t next_deadline() const noexcept;
  std::size_t count() const noexcept { return count_; }

 private:
  static constexpr int k_levels = 9;
  static constexpr int k_tick_shift = 10;

  static std::uint64_t tick_of(std::int64_t ns) noexcept {
    return ns <= 0 ? 0 : static_cast<std::uint64_t>(ns) >> k_tick_shift;
  }
  void link(Timer& timer) noexcept {
    std::uint64_t tick = tick_of(timer.deadline);
    if (tick < hand_) tick = hand_;
    const std::uint64_t differs = tick ^ hand_;
    place(timer, differs < 64 ? 0 : (63 - __builtin_clzll(differs)) / 6, tick);
  }
  void place(Timer& timer, int level, std::uint64_t tick) noexcept {
    const unsigned slot = static_cast<unsigned>(tick >> (6 * level)) & 63U;
    TimerLink& head = slots_[level][slot];
    timer.next = &head;
    timer.prev = head.prev;
    head.prev->next = &timer;
    head.prev = &timer;
    bits_[level] |= std::uint64_t{1} << slot;
  }
  void mark_empty(TimerLink* link) noexcept {
    // The due list's head lies outside of the slots: the difference is then out of range.
    const auto at = reinterpret_cast<std::uintptr_t>(link);
    const auto first = reinterpret_cast<std::uintptr_t>(&slots_[0][0]);
    const std::size_t index = (at - first) / sizeof(TimerLink);
    if (at >= first && index < k_levels * 64) {
      bits_[index / 64] &= ~(std::uint64_t{1} << (index % 64));
    }
  }
  struct Slot {
    int level;
    unsigned index;
    std::uint64_t tick;  ///< the first tick the slot covers
  };
  bool first_slot(Slot& found) const noexcept;
  bool expire(const Slot& slot, std::int64_t now) noexcept;

  TimerLink slots_[k_levels][64];
  std::uint64_t bits_[k_levels] = {};
  std::uint64_t hand_ = 0;  ///< every armed timer's tick is at or after it
  std::size_t count_ = 0;
};

}  // namespace rondo::detail
