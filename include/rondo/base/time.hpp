// SPDX-License-Identifier: Apache-2.0
// Time: durations and points of the loop's own monotonic clock.
//
//   TimePoint deadline = loop.now() + 5s;
//
// A *timeout* is a Duration, a *deadline* a TimePoint; no bare integer stands for time.
// Points come from a loop (`rondo::now()`), which takes them from its driver, so that simulated
// time replaces real time everywhere. Wall-clock time is `WallTime`, for people and logs only:
// it may jump, and no timer depends on it.
// Thread rule: values.
#pragma once

#include "rondo/base/compiler.hpp"

#include <chrono>
#include <cstdint>

namespace rondo {

using Duration = std::chrono::nanoseconds;

/// The clock of loops: monotonic, not advanced while the machine sleeps. It has no `now()` of
/// its own on purpose: ask the loop.
struct LoopClock {
  using rep = std::int64_t;
  using period = std::nano;
  using duration = Duration;
  using time_point = std::chrono::time_point<LoopClock, Duration>;
  static constexpr bool is_steady = true;
};

using TimePoint = LoopClock::time_point;
/// Wall-clock time since 1970-01-01T00:00:00Z.
using WallTime = std::chrono::sys_time<Duration>;

inline constexpr TimePoint k_no_deadline = TimePoint::max();

/// `start + timeout` that stays at `k_no_deadline` instead of overflowing.
constexpr TimePoint deadline_after(TimePoint start, Duration timeout) noexcept {
  if (timeout >= k_no_deadline - start) return k_no_deadline;
  return start + (timeout > Duration::zero() ? timeout : Duration::zero());
}

namespace literals {
using namespace std::chrono_literals;  // NOLINT: 5s, 20ms for users of `using namespace`.
}

}  // namespace rondo
