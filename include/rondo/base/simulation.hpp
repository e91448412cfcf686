// SPDX-License-Identifier: Apache-2.0
// What production code says to a simulation that may be running it.
//
//   if (RONDO_FAULT("store refuses", 5)) return Errc::try_again;   // 5 in 1,000, by the seed
//   RONDO_MARK("rearm after ENOBUFS");                             // a rare path was taken
//
// Outside a simulation both cost one load and one branch, so that one binary serves for both: the
// code that is tested is the code that runs. Faults come only in worlds whose SimFaults switch
// code_faults on. Marks are counted by rondo-sim, which fails when a listed one was never reached.
// PlantedBug: bugs that are there on purpose, in builds with RONDO_PLANTED_BUGS only; tools/planted
// shows that rondo-sim finds each. Elsewhere planted() is false at compile time.
// Thread rule: the thread that runs the simulation; others see none.
#pragma once

#include "rondo/base/compiler.hpp"

#include <cstdint>

namespace rondo::detail {

struct SimulationHooks {
  bool (*fault)(const char* name, std::uint32_t per_mille);
  void (*mark)(const char* name);
};
/// Null where nothing is simulated. Of the thread: a simulation has one.
inline constinit thread_local SimulationHooks simulation{};

inline bool fault_strikes(const char* name, std::uint32_t per_mille) {
  return simulation.fault && simulation.fault(name, per_mille);
}
inline void reached(const char* name) {
  if (simulation.mark) simulation.mark(name);
}

}  // namespace rondo::detail

#define RONDO_FAULT(name, per_mille) (::rondo::detail::fault_strikes((name), (per_mille)))
#define RONDO_MARK(name) (::rondo::detail::reached(name))

namespace rondo {

enum class PlantedBug : std::uint8_t {
  none,
  free_op_at_cancel,
  ignore_missing_more,
  no_rearm,
  no_retry,
  lost_wake_up,
  ack_before_commit,
  no_id_check,
  order_by_wall_clock,
  no_queue_limit,
  skipped_cleanup,
};

#ifdef RONDO_PLANTED_BUGS
inline constinit PlantedBug planted_bug = PlantedBug::none;
inline bool planted(PlantedBug bug) noexcept { return planted_bug == bug; }
#else
constexpr bool planted(PlantedBug) noexcept { return false; }
#endif

}  // namespace rondo
