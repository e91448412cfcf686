// SPDX-License-Identifier: Apache-2.0
// How the library starts threads: named, and deaf to the signals that loops take.
//
// A signal sent to the process reaches any thread that does not block it, and its default action
// ends the program. Loops take signals through their driver, which blocks them for the loop's
// thread only; every other thread therefore blocks, from its first instruction on, all but those
// that faults of its own raise, the profiler's, and real-time signals (debuggers, watchdogs).
#pragma once

#include <string_view>
#include <thread>

#include "rondo/base/move_fn.hpp"

namespace rondo::detail {

/// Throws std::system_error when the system refuses. `name`: its first 15 characters are kept.
std::thread start_thread(std::string_view name, MoveFn<void()> run);

/// Lets the calling thread run on one CPU only, the `index`th (modulo their number) of those that
/// the process may use.
void pin_this_thread(std::size_t index) noexcept;
/// Lets it run on all of them again.
void unpin_this_thread() noexcept;

/// CPUs that a cgroup's `cpu.max` ("max 100000", "150000 100000") allows, rounded up;
/// 0: as many as there are, or not readable.
std::size_t cpus_of_quota(std::string_view cpu_max) noexcept;

}  // namespace rondo::detail
