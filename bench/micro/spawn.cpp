// SPDX-License-Identifier: Apache-2.0
// W9: 2,000 times /bin/true, spawned and waited for, one after the other.
#include <sys/resource.h>

#include <chrono>
#include <cstdio>

#include "rondo/core/loop.hpp"
#include "rondo/process/process.hpp"

namespace {

using namespace rondo;

double cpu_us() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  const auto us = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_usec);
  };
  return us(used.ru_utime) + us(used.ru_stime);
}

Task<int> spawn_many(int rounds) {
  const auto start = std::chrono::steady_clock::now();
  const double cpu = cpu_us();
  for (int i = 0; i < rounds; ++i) {
    auto child = process::Process::spawn({.program = "/bin/true"}).or_throw();
    if (!(co_await child.wait().or_throw()).success()) co_return 1;
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  std::printf("{\"metric\":\"spawn+wait\",\"value\":%.3f,\"unit\":\"per s\"}\n",
              rounds / took.count());
  std::printf("{\"metric\":\"parent CPU per spawn\",\"value\":%.3f,\"unit\":\"us\"}\n",
              (cpu_us() - cpu) / rounds);
  co_return 0;
}

}  // namespace

int bench_spawn() { return rondo::run(spawn_many(2'000)); }
