// SPDX-License-Identifier: Apache-2.0
// SimPrograms: the registered programs of one simulated host, and those of them that run.
//
// Thread rule: the simulation's thread.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "io/sim/sim_driver.hpp"
#include "rondo/testing/sim_process.hpp"

namespace rondo::testing {

class SimPrograms {
 public:
  void add(std::string name, SimProgram program) {
    programs_[std::move(name)] = std::move(program);
  }
  /// Plays what is spawned on this driver's host. Outlives the driver's loop.
  void attach(io::sim::SimDriver& driver);

 private:
  struct Running;
  std::int32_t start(io::sim::SimDriver& driver, const io::ChildPlan& plan,
                     std::shared_ptr<io::sim::Child> child);

  std::map<std::string, SimProgram> programs_;
};

}  // namespace rondo::testing
