// SPDX-License-Identifier: Apache-2.0
// What a recorded loop has done: as a trace that Perfetto and chrome://tracing open, and summed up.
//
//   Loop::current().record();
//   ...
//   co_await fs::write_file("t.json", inspect::chrome_trace(*Loop::current().recording()));
//
// Format: https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU, the JSON
// object with traceEvents; times in microseconds on the loop's clock. Tracks: the phases, what ran
// in them, functions on pools; an operation is a bar of its own from submission to completion, with
// arrows from the task that asked and to the phase in which it ended.
// Lifetime: the results own what they hold. Thread rule: any, as TraceRing::snapshot().
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "rondo/base/trace.hpp"
#include "rondo/core/worker.hpp"

namespace rondo::inspect {

/// "timers", "pending", "ready", "prepare", "poll", "check", "close" for 1 to 7.
std::string_view phase_name(std::uint32_t number) noexcept;

/// One JSON object. Whatever was cut off by the ring's begin or is still going on is balanced: an
/// end without its begin is left out, a begin without its end ends with the last event.
std::string chrome_trace(std::span<const TraceEvent> events, std::string_view loop_name = "loop");
std::string chrome_trace(const TraceRing& ring, std::string_view loop_name = "loop");

/// What the events tell of times. Only what both began and ended in them counts.
struct TraceSummary {
  DurationStatistics iterations;
  DurationStatistics resumes;        ///< tasks and callbacks, from entry to return
  DurationStatistics polls;          ///< the poll phase: waiting, submitting, taking completions
  DurationStatistics operations;     ///< from submission to the first completion
  DurationStatistics offload_waits;  ///< functions for pools, until a thread began
  DurationStatistics offloads;       ///< and from there to the end
  Duration span = {};                ///< from the first event to the last
};
TraceSummary summarize(std::span<const TraceEvent> events);

}  // namespace rondo::inspect
