// SPDX-License-Identifier: Apache-2.0
// Mutex: mutual exclusion over an await.
//
//   Mutex mutex;
//   {
//     auto lock = co_await mutex.lock();
//     co_await write(file, record);        // nobody else is in here meanwhile
//   }
//
// Between two awaits a loop needs no lock; this is for invariants that span one. Fair: first in,
// first out. It is not recursive: locking it twice in one task waits for ever.
// Lifetime: outlives its guards. Thread rule: the loop's thread; it is not for threads.
#pragma once

#include <optional>

#include "rondo/core/semaphore.hpp"

namespace rondo {

struct MutexStatistics {
  bool locked = false;
  std::size_t waiting = 0;
  std::uint64_t locks = 0;
};

class Mutex {
 public:
  using Guard = Semaphore::Permit;

  /// Locks.
  /// - **Completes** when it is free and nobody waited longer. **Returns** the Guard, which
  ///   unlocks when destroyed. **Errors** none.
  /// - **Cancel** stops waiting; the lock is not taken. **Lifetime** outlives the guard.
  /// - **Concurrency** any number of waiters. **Thread** the loop's.
  auto lock() noexcept { return one_.acquire(); }
  std::optional<Guard> try_lock() noexcept { return one_.try_acquire(); }
  MutexStatistics statistics() const noexcept {
    const SemaphoreStatistics s = one_.statistics();
    return {s.available == 0, s.waiting, s.acquired};
  }

 private:
  Semaphore one_{1};
};

}  // namespace rondo
