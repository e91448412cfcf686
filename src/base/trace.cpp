// SPDX-License-Identifier: Apache-2.0
#include "rondo/base/trace.hpp"

#include <time.h>

#include <algorithm>

#include "rondo/base/assert.hpp"
#if defined(__x86_64__)
#include <x86intrin.h>
#endif

namespace rondo {
namespace {

std::int64_t monotonic_ns() noexcept {
  timespec at;
  ::clock_gettime(CLOCK_MONOTONIC, &at);
  return std::int64_t{at.tv_sec} * 1'000'000'000 + at.tv_nsec;
}

/// A counter that costs less than a clock. Without one: the clock itself.
std::int64_t read_ticks() noexcept {
#if defined(__x86_64__)
  return static_cast<std::int64_t>(__rdtsc());
#elif defined(__aarch64__)
  std::uint64_t ticks;
  asm volatile("mrs %0, cntvct_el0" : "=r"(ticks));
  return static_cast<std::int64_t>(ticks);
#else
  return monotonic_ns();
#endif
}

}  // namespace

struct TraceRing::Scale {
  explicit Scale(const TraceRing& ring) noexcept : ring(ring) {
    if (ring.clock_) return;
    const std::int64_t ticks = read_ticks() - ring.first_ticks_;
    const std::int64_t ns = monotonic_ns() - ring.first_ns_;
    rate = ticks > 0 ? static_cast<double>(ns) / static_cast<double>(ticks) : 1.0;
  }
  std::int64_t operator()(std::int64_t stamp) const noexcept {
    if (ring.clock_) return stamp;
    const auto past = static_cast<double>(stamp - ring.first_ticks_);
    return ring.first_ns_ + static_cast<std::int64_t>(past * rate);
  }
  const TraceRing& ring;
  double rate = 1.0;
};

TraceRing::TraceRing(std::size_t capacity, Clock clock, void* context)
    : slots_(new Slot[capacity]), mask_(capacity - 1), clock_(clock), context_(context) {
  RONDO_ASSERT(capacity >= 2 && std::has_single_bit(capacity),
               "a trace holds a power of two of events, at least 2");
  first_ticks_ = read();
  first_ns_ = monotonic_ns();
  tick();
}

TraceRing::~TraceRing() { delete[] slots_; }

std::int64_t TraceRing::read() const noexcept { return clock_ ? clock_(context_) : read_ticks(); }

std::vector<TraceEvent> TraceRing::snapshot() const {
  std::vector<TraceEvent> events;
  const Scale in_ns(*this);
  const std::uint64_t end = written();
  const std::uint64_t begin = end > capacity() ? end - capacity() : 0;
  events.reserve(end - begin);
  for (std::uint64_t number = begin; number < end; ++number) {
    const Slot& slot = slots_[number & mask_];
    const std::uint64_t last = slot.words[3].load(std::memory_order_relaxed);
    events.push_back(
        {.ns = in_ns(static_cast<std::int64_t>(slot.words[0].load(std::memory_order_relaxed))),
         .subject = slot.words[1].load(std::memory_order_relaxed),
         .detail = slot.words[2].load(std::memory_order_relaxed),
         .value = static_cast<std::uint32_t>(last >> 32),
         .kind = static_cast<TraceKind>(last & 0xff)});
  }
  // What was written over while it was copied, and the one that may be under way.
  std::atomic_thread_fence(std::memory_order_acquire);
  const std::uint64_t now = written_.load(std::memory_order_relaxed) + 1;
  const std::uint64_t kept = now > capacity() ? now - capacity() : 0;
  const std::uint64_t torn =
      kept > begin ? std::min<std::uint64_t>(kept - begin, events.size()) : 0;
  events.erase(events.begin(), events.begin() + static_cast<std::ptrdiff_t>(torn));
  return events;
}

}  // namespace rondo
