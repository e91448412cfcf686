// SPDX-License-Identifier: Apache-2.0
// SeveralLoops: one source, three drivers, and several loops that share a program.
//
//   TEST_P(Loops, a_claim) { run_on_loops(3, [&]() -> Task<> { ... loops()[2] ... }); }
//
// On real drivers the loops are a Runtime's, each on its thread; under sim they are those of one
// simulated host and take turns by the seed. Both end with nothing left: loops and drivers assert.
// Lifetime: the body and its captures live until the call returns. Thread rule: the test's thread.
#pragma once

#include <atomic>
#include <exception>
#include <utility>

#include "every_driver.hpp"
#include "rondo/core/on.hpp"
#include "rondo/core/runtime.hpp"
#include "rondo/testing/sim_world.hpp"

namespace rondo::testing {

class SeveralLoops : public EveryDriver {
 public:
  RuntimeOptions runtime_options(std::size_t count) {
    return {
        .loops = count,
        .driver = {.kind = GetParam() == "uring" ? io::DriverKind::uring : io::DriverKind::epoll,
                   .buffer_count = 64}};
  }
  /// Runs `body()`, a Task<>, on the first of `count` loops.
  template <class F>
  void run_on_loops(std::size_t count, F body, std::uint64_t seed = 7) {
    if (is_sim()) return run_simulated(count, std::move(body), seed);
    Runtime runtime(runtime_options(count));
    EXPECT_TRUE(runtime.run(body()).has_value()) << "the body was cancelled";
  }

 private:
  template <class F>
  void run_simulated(std::size_t count, F body, std::uint64_t seed) {
    SimWorld world({.seed = seed, .buffer_count = 64});
    bool over = false;
    world.host("local", "10.0.0.1", count).start([&]() -> Task<> {
      AtExit note([&over] { over = true; });
      co_await body();
    });
    EXPECT_TRUE(world.run_until([&] { return over; }, 1h)) << "the body did not end";
    world.run_for(1ms);  // An exception out of it is rethrown by this.
    EXPECT_EQ(world.host("local").live_tasks(), 0u);
  }
};

/// Counts on any thread.
struct Count {
  std::atomic<int> value{0};
  void add() noexcept { ++value; }
  operator int() const noexcept { return value; }  // NOLINT: a number.
};

}  // namespace rondo::testing
