// SPDX-License-Identifier: Apache-2.0
// Latch: a count that goes down to zero once.
//
//   Latch loaded{3};
//   loaded.count_down();             // three times, by anybody on the loop
//   co_await loaded.wait();          // open from then on, for ever
//
// To wait again and again use a Barrier; for tasks to end, leave their scope.
// Lifetime: outlives its waiters (checked). Thread rule: the loop's thread.
#pragma once

#include <cstddef>

#include "rondo/core/event.hpp"

namespace rondo {

struct LatchStatistics {
  std::size_t remaining = 0;
  std::size_t waiting = 0;
};

class Latch {
 public:
  explicit Latch(std::size_t count) noexcept : remaining_(count) {
    if (count == 0) open_.set();
  }

  /// Counts down; at zero everybody who waits goes on. More than remain is an assertion.
  void count_down(std::size_t by = 1) noexcept {
    RONDO_ASSERT(by <= remaining_, "a Latch was counted down more often than its count");
    remaining_ -= by;
    if (remaining_ == 0) open_.set();
  }
  bool is_open() const noexcept { return open_.is_set(); }

  /// Waits for zero.
  /// - **Completes** when the count is zero. **Returns** nothing. **Errors** none.
  /// - **Cancel** stops waiting; the count is untouched. **Lifetime** the latch outlives the wait.
  /// - **Concurrency** any number of waiters, all woken. **Thread** the loop's.
  auto wait() noexcept { return open_.wait(); }

  LatchStatistics statistics() const noexcept { return {remaining_, open_.statistics().waiting}; }

 private:
  Event open_;
  std::size_t remaining_;
};

}  // namespace rondo
