// SPDX-License-Identifier: Apache-2.0
// TraceRing: what a loop has done lately, 32 bytes an event, in a ring that forgets the oldest.
//
// The loop's thread writes; nobody waits for anybody. A snapshot may be taken by any thread at any
// time and holds whole events only: what was written over meanwhile is left out. Off is a null
// pointer in the loop and its driver, one branch at each place (Loop::record()).
// Times are ticks of the processor's counter where it has a steady one, else nanoseconds; they are
// read at the begin of phases and resumes, and other events carry the last reading.
// Lifetime: owned by its loop. Thread rule: put() on the loop's thread; the others on any.
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <source_location>
#include <vector>

#include "rondo/base/time.hpp"

namespace rondo {

enum class TraceKind : std::uint8_t {
  phase,     ///< begins; value: its number, 1 to 7; 0: the iteration has ended
  resume,    ///< a task runs; subject: the task, detail: where it is defined
  suspend,   ///< it has left, or ended; subject: the task
  unwind,    ///< a cancelled task's frames are destroyed; as resume
  callback,  ///< a callback of call_later() or post() runs
  submit,    ///< subject: the operation, value: its kind; the task that runs has asked
  complete,  ///< subject: the operation, detail: its result as int32, value: its kind, with
             ///< k_trace_more when it goes on
  timer,     ///< one is due; subject: the timer
  posts,     ///< taken from other threads; value: how many
  offload,   ///< a function has come back; subject: the job, detail: ns it waited, ns it ran in
             ///< the upper half, both at most 4 s
};

inline constexpr std::uint32_t k_trace_more = 0x8000'0000;

struct TraceEvent {
  std::int64_t ns = 0;  ///< on the driver's monotonic clock
  std::uint64_t subject = 0;
  std::uint64_t detail = 0;
  std::uint32_t value = 0;
  TraceKind kind = TraceKind::phase;
};

/// A source location in an event's 8 bytes, and back.
inline std::uint64_t trace_place(const std::source_location& place) noexcept {
  static_assert(sizeof place == sizeof(std::uint64_t));
  return std::bit_cast<std::uint64_t>(place);
}
inline std::source_location trace_place(std::uint64_t detail) noexcept {
  return std::bit_cast<std::source_location>(detail);
}

class TraceRing {
 public:
  /// Reads a clock in nanoseconds; null: the processor's counter.
  using Clock = std::int64_t (*)(void* context) noexcept;

  /// Keeps the last `capacity` events, a power of two of at least 2.
  TraceRing(std::size_t capacity, Clock clock, void* context);
  TraceRing(const TraceRing&) = delete;
  TraceRing& operator=(const TraceRing&) = delete;
  ~TraceRing();

  /// Reads the clock, for this event and those behind it.
  void tick() noexcept { stamp_ = read(); }
  void put(TraceKind kind, std::uint64_t subject, std::uint64_t detail = 0,
           std::uint32_t value = 0) noexcept {
    const std::uint64_t number = written_.load(std::memory_order_relaxed);
    Slot& slot = slots_[number & mask_];
    const std::uint64_t last = std::uint64_t{value} << 32 | static_cast<std::uint64_t>(kind);
    slot.words[0].store(static_cast<std::uint64_t>(stamp_), std::memory_order_relaxed);
    slot.words[1].store(subject, std::memory_order_relaxed);
    slot.words[2].store(detail, std::memory_order_relaxed);
    slot.words[3].store(last, std::memory_order_relaxed);
    written_.store(number + 1, std::memory_order_release);
  }

  std::size_t capacity() const noexcept { return mask_ + 1; }
  /// Events since the begin, those that are forgotten too.
  std::uint64_t written() const noexcept { return written_.load(std::memory_order_acquire); }
  /// What it holds now, oldest first.
  std::vector<TraceEvent> snapshot() const;

 private:
  struct Slot {
    std::atomic<std::uint64_t> words[4];
  };

  std::int64_t read() const noexcept;
  /// A reading in nanoseconds, by the rate between the ring's begin and now.
  struct Scale;

  Slot* const slots_;
  std::size_t mask_;
  std::atomic<std::uint64_t> written_{0};
  std::int64_t stamp_ = 0;
  Clock clock_;
  void* context_;
  std::int64_t first_ticks_ = 0;
  std::int64_t first_ns_ = 0;
};

}  // namespace rondo
