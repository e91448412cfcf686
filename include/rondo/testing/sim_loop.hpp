// SPDX-License-Identifier: Apache-2.0
// SimLoop: a loop in virtual time, for tests. Sleeps take no real time and end exactly.
//
//   SimLoop sim{{.seed = 42}};
//   sim.run([&]() -> Task<> { for (int i = 0; i < 10; ++i) co_await sleep_for(50ms); });
//   EXPECT_EQ(sim.now(), 500ms);
//
// Time moves only when nothing is ready, to the next timer or event. Connections to 127.0.0.1
// and to the host's own addresses go through an in-memory network, perfect unless `faults` say
// otherwise. A program that would sleep for ever ends with "deadlock: nothing is ready ...".
// The same options give the same run, in every process and build; trace_hash() says so.
// Lifetime: outlives everything that runs on it. Several hosts: testing/sim_world.hpp.
// Thread rule: one thread; a test may use several SimLoops one after the other or nested.
#pragma once

#include <cstdint>
#include <type_traits>
#include <utility>

#include "rondo/base/assert.hpp"
#include "rondo/base/memory.hpp"
#include "rondo/base/time.hpp"
#include "rondo/core/loop.hpp"
#include "rondo/io/sim_faults.hpp"
#include "rondo/testing/sim_disk.hpp"
#include "rondo/testing/sim_process.hpp"

namespace rondo::testing {

/// The order in which ready tasks run. Programs may rely on none but fifo; correctness on none.
enum class SimOrder : std::uint8_t {
  fifo,  ///< as in production
  random,
  newest_first,
  change_points,  ///< one place of the queue is preferred; the place changes three times
  by_seed,        ///< one of the four, drawn
};

struct SimLoopOptions {
  std::uint64_t seed = 0;
  io::SimFaults faults = {};
  SimOrder order = SimOrder::fifo;
  std::uint32_t buffer_count = 4'096;
  std::uint32_t buffer_size = 4'096;
};

class SimLoop {
 public:
  explicit SimLoop(SimLoopOptions options = {});
  SimLoop(const SimLoop&) = delete;
  SimLoop& operator=(const SimLoop&) = delete;
  ~SimLoop();

  /// Runs `f()`, a Task, and everything it starts until it has ended; returns its value. `f` lives
  /// until then, so a lambda with captures is fine. A main task may not end cancelled (asserted).
  template <class F>
  auto run(F f) {
    using T = typename std::invoke_result_t<F&>::value_type;
    auto ended = loop().run(f());
    if constexpr (is_result<T>) {
      return ended;
    } else {
      RONDO_ASSERT(ended.has_value(), "the main task of a SimLoop was cancelled");
      if constexpr (!std::is_void_v<T>) return std::move(*ended);
    }
  }

  Loop& loop() noexcept;
  /// Virtual time since the start.
  Duration now() const noexcept;
  std::uint64_t seed() const noexcept;
  /// One number for everything that happened so far.
  std::uint64_t trace_hash() const noexcept;

  SimDisk disk() noexcept;
  /// From now on, also for connections that exist.
  void set_faults(const io::SimFaults& faults);
  /// A signal for this process; kept until something takes it.
  void raise(int signal);
  /// Plays the program `name` when it is spawned (testing/sim_process.hpp).
  void program(std::string name, SimProgram play);
  /// The wall clock jumps; timers do not notice.
  void jump_wall_clock(Duration by);
  /// Every connection is reset.
  void reset_connections();

  struct Descriptors {
    int first;
    int second;
  };
  /// A pipe: `first` reads what `second` writes. The caller closes both.
  Descriptors make_pipe();
  /// Two connected stream sockets. The caller closes both.
  Descriptors make_pair();

 private:
  struct State;
  Owned<State> state_;
};

}  // namespace rondo::testing
