// SPDX-License-Identifier: Apache-2.0
// What the tests of the synchronisation primitives share: virtual time, turns, and a storm of
// tasks that are cancelled at random.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "rondo/core/cancel.hpp"
#include "rondo/core/scope.hpp"
#include "rondo/core/sleep.hpp"
#include "rondo/testing/sim_loop.hpp"

namespace rondo::testing {

using namespace std::chrono_literals;

/// Runs `body` in virtual time, ready tasks first in first out.
template <class F>
void run_sync(F body) {
  SimLoop sim;
  sim.run(std::move(body));
}

/// Runs `body(dice)` under many seeds, each with its own order of ready tasks.
template <class F>
void run_seeds(std::uint64_t seeds, F body) {
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    SimLoop sim({.seed = seed, .order = SimOrder::by_seed});
    sim.run([&]() -> Task<> { return body(seed); });
  }
}

inline Task<> turns(int n) {
  for (int i = 0; i < n; ++i) co_await checkpoint();
}

/// Numbers from a seed (splitmix64, Steele et al. 2014), the same everywhere.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : state_(seed) {}
  std::uint64_t below(std::uint64_t n) {
    std::uint64_t z = state_ += 0x9E3779B97F4A7C15;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    return (z ^ (z >> 31)) % n;
  }

 private:
  std::uint64_t state_;
};

}  // namespace rondo::testing
