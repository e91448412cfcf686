// SPDX-License-Identifier: Apache-2.0
// Runtime: several loops in one program, each on a thread of its own, sharing nothing.
//
//   int main() { return rondo::run(serve(), {.loops = 0}); }     // a program: one loop per CPU
//   Runtime runtime{{.loops = 4}};                               // or by hand
//   runtime.start_everywhere([] { return serve_shard(); });
//   runtime.run(watch()).or_throw();
//
// main runs on loop 0, on the calling thread; loops() names them all to every task. Work goes to
// another loop by on(), on_each() and Scope::start_on (core/on.hpp); a listener with `.reuse_port`
// on each loop lets the kernel spread connections. A soft stop asked of one loop reaches all.
// Under simulation a host with several loops plays this in one thread (testing/sim_world.hpp).
// Lifetime: outlives what runs on it; its end joins its threads.
// Thread rule: made, run and destroyed on one thread, which is loop 0's; request_stop() on any.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <type_traits>
#include <utility>

#include "rondo/base/memory.hpp"
#include "rondo/base/move_fn.hpp"
#include "rondo/core/loop.hpp"
#include "rondo/core/loop_ref.hpp"
#include "rondo/core/on.hpp"
#include "rondo/core/scope.hpp"
#include "rondo/io/driver.hpp"

namespace rondo {

struct RuntimeOptions {
  /// Loops, the calling thread's included; 0: one for each usable CPU.
  std::size_t loops = 0;
  /// Each loop's thread stays on one CPU.
  bool pin = false;
  io::DriverOptions driver = {};
  /// Resumes per iteration (limits::resumes_per_iteration).
  int ready_budget = 128;
};

class Runtime {
 public:
  /// Makes all loops and their threads. Throws SystemError when the system refuses one; none is
  /// left then.
  explicit Runtime(const RuntimeOptions& options = {});
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;
  ~Runtime();

  /// Starts `f()`, a Task<>, on every loop as soon as run() begins; run() ends after all of them.
  /// Each loop gets a copy of `f`; it is called on that loop. Before run().
  template <class F>
  void start_everywhere(F f) {
    everywhere([f = std::move(f)](Scope& scope) {
      for (const LoopRef& one : rondo::loops()) scope.start_on(one, f);
    });
  }

  /// Runs `main` on loop 0 until it and everything started everywhere have ended.
  /// Returns its value; Errc::cancelled when it was cancelled. The first exception, of main or of
  /// a task on any loop, cancels the rest and is rethrown here.
  template <class T>
  Lifted<T> run(Task<T> main) {
    return main_loop().run(beside(this, std::move(main)));
  }
  /// Runs what was started everywhere until it has ended.
  Result<> run() {
    return run([]() -> Task<> { co_return; }());
  }

  /// Loop 0.
  Loop& main_loop() noexcept;
  std::span<const LoopRef> loops() const noexcept;
  /// The soft stop, on every loop. Any thread.
  void request_stop() noexcept;
  /// Asks everything on every loop to end.
  void cancel_all() noexcept;

 private:
  struct State;

  template <class T>
  static Task<T> beside(Runtime* self, Task<T> main) {
    auto ended = co_await with_scope([&](Scope& scope) -> Task<T> {
      self->begin_everywhere(scope);
      co_return co_await std::move(main);
    });
    // Nobody can cancel this scope but by an exception, which has been rethrown.
    if constexpr (!std::is_void_v<T>) co_return std::move(*ended);
  }
  void everywhere(MoveFn<void(Scope&)> start);
  void begin_everywhere(Scope& scope);

  Owned<State> state_;
};

}  // namespace rondo
