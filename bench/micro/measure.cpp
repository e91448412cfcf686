// SPDX-License-Identifier: Apache-2.0
#include "measure.hpp"

#include <pthread.h>
#include <sched.h>
#include <time.h>

#include <cstdio>
#include <cstring>

namespace bench {
namespace {

double read_clock_ns(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_nsec);
}

}  // namespace

double now_ns() { return read_clock_ns(CLOCK_MONOTONIC); }
double cpu_us() { return read_clock_ns(CLOCK_PROCESS_CPUTIME_ID) / 1e3; }

void put(const char* metric, double value, const char* unit) {
  std::printf("{\"metric\":\"%s\",\"value\":%.3f,\"unit\":\"%s\"}\n", metric, value, unit);
  std::fflush(stdout);
}

void pin(unsigned core) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(core, &set);
  pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

void unpin() {
  cpu_set_t set;
  std::memset(&set, 0xff, sizeof set);  // The kernel leaves out what there is not.
  pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

}  // namespace bench
