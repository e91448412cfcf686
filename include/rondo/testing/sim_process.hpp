// SPDX-License-Identifier: Apache-2.0
// SimProcess: a stand-in for a program, so that what spawns it can be simulated.
//
//   sim.program("upper", [](SimProcess& self) -> Task<int> {
//     while (auto line = co_await self.input().read_line()) {
//       if (line->empty()) break;
//       (void)co_await self.output().write_all(line->text());
//     }
//     co_return 0;                                   // the exit status
//   });
//
// A program is found by the last part of its path. It runs as a task on the loop of whoever
// spawned it; a signal that it does not ignore ends it as a cancellation, and the parent sees the
// signal. An exception out of it counts as signal 6 (SIGABRT). What the parent lets it inherit or
// sends to /dev/null reads as ended and takes every write.
// Lifetime: the function outlives the loop's children. Thread rule: the simulation's thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "rondo/base/move_fn.hpp"
#include "rondo/core/task.hpp"
#include "rondo/io/child_ops.hpp"
#include "rondo/process/stream.hpp"

namespace rondo::testing {

class SimProcess {
 public:
  explicit SimProcess(const io::ChildPlan& plan) : plan_(plan) {}
  SimProcess(const SimProcess&) = delete;
  SimProcess& operator=(const SimProcess&) = delete;

  const std::string& program() const noexcept { return plan_.program; }
  const std::vector<std::string>& arguments() const noexcept { return plan_.arguments; }
  /// "NAME=value": what the parent set; nothing is inherited in a simulation.
  const std::vector<std::string>& environment() const noexcept { return plan_.set_environment; }
  const std::string& directory() const noexcept { return plan_.directory; }
  process::PipeStream& input() noexcept { return streams_[0]; }
  process::PipeStream& output() noexcept { return streams_[1]; }
  process::PipeStream& errors() noexcept { return streams_[merged_ ? 1 : 2]; }

  /// This signal does nothing from now on; SIGKILL ends it all the same.
  void ignore(int signal) noexcept { ignored_ |= std::uint64_t{1} << (signal - 1); }

 private:
  friend class SimPrograms;
  io::ChildPlan plan_;
  process::PipeStream streams_[3];
  std::uint64_t ignored_ = 0;
  bool merged_ = false;  ///< its errors go where its output goes
};

using SimProgram = MoveFn<Task<int>(SimProcess&)>;

}  // namespace rondo::testing
