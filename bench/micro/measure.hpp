// SPDX-License-Identifier: Apache-2.0
// What the parts of rondo-bench-micro share: clocks, and one JSON object for each figure.
// Times come from outside of the loop's clock.
#pragma once

#include "rondo/core/task.hpp"

namespace bench {

double now_ns();
/// CPU of all threads of this process so far, the kernel's workers for it included.
double cpu_us();
void put(const char* metric, double value, const char* unit = "ns");
/// The calling thread on one core. Best effort: a machine of one core is fine too.
void pin(unsigned core);
/// The calling thread, and those it makes from here on, anywhere again.
void unpin();

/// Wall time and CPU from its making on, for a number of operations.
class Stopwatch {
 public:
  double ns_per(double operations) const { return (now_ns() - wall_) / operations; }
  double us_per(double operations) const { return ns_per(operations) / 1e3; }
  double per_s(double operations) const { return operations / ((now_ns() - wall_) / 1e9); }
  double cpu_us_per(double operations) const { return (cpu_us() - cpu_) / operations; }

 private:
  double wall_ = now_ns();
  double cpu_ = cpu_us();
};

// Each prints its figures. Tasks run on the calling thread's loop; the others make their own.
rondo::Task<> tasks();   // tasks.cpp: tasks, callbacks
rondo::Task<> hops();    // hops.cpp: a value from one task to another
rondo::Task<> timers();  // timers.cpp
int precise_timers();
void threads();          // threads.cpp: pools, and two loops
int spawn();             // spawn.cpp: W9
int files();             // files.cpp: W10
int network();           // network.cpp: datagram batches, sends without a copy

}  // namespace bench
