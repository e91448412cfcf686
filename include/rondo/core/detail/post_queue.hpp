// SPDX-License-Identifier: Apache-2.0
// PostQueue: what other threads hand to a loop. Gate: who may still do so.
//
// A lock-free stack that is taken as a whole and turned round, so that it is first in, first out.
// Only the push that finds it empty wakes the loop: the loop takes everything before it sleeps,
// and looks once more after its driver has begun to listen to wake-ups. What must hold, and is
// tried in every interleaving of up to two preemptions (tests/unit/core/wake_up_test.cpp):
//   1. a loop never sleeps while an entry is in the queue and no wake-up is on its way;
//   2. an entry is seen whole by the loop, and each thread's entries in their order;
//   3. the queue may be destroyed once settled() holds: no thread will touch it or the driver.
// Alternatives: a mutex costs the loop one per iteration; a ring has a bound that posts would hit.
// The atomics are a parameter so that the test can put its own in their place.
// Thread rule: push(), waking and enter()/leave() on any thread; the rest on the loop's.
#pragma once

#include <atomic>
#include <cstdint>

#include "rondo/core/detail/chain.hpp"

namespace rondo::detail {

template <template <class> class Atomic>
class BasicPostQueue {
 public:
  /// Adds an entry; calls `wake` when the loop may be asleep for want of one.
  template <class Wake>
  void push(Ready& entry, Wake wake) noexcept {
    Ready* head = newest_.load(std::memory_order_relaxed);
    bool counted = false;
    do {
      // Counted before the entry can be seen: from then on the loop may run it and end.
      if (!head && !counted) {
        counted = true;
        wakers_.fetch_add(1, std::memory_order_relaxed);
      }
      entry.queue_next = head;
      // Release: the loop's exchange sees the entry whole.
    } while (!newest_.compare_exchange_weak(head, &entry, std::memory_order_release,
                                            std::memory_order_relaxed));
    if (!head) wake();
    if (counted) wakers_.fetch_sub(1, std::memory_order_release);
  }
  /// Runs `wake` while settled() is false.
  template <class Wake>
  void waking(Wake wake) noexcept {
    wakers_.fetch_add(1, std::memory_order_relaxed);
    wake();
    wakers_.fetch_sub(1, std::memory_order_release);
  }

  bool empty() const noexcept { return !newest_.load(std::memory_order_acquire); }
  /// A cheap look that may be old: what it misses is seen before the loop sleeps.
  bool seems_empty() const noexcept { return !newest_.load(std::memory_order_relaxed); }
  /// Takes all entries, linked by queue_next, oldest first.
  Ready* take_all() noexcept {
    // Acquire: what the posting threads wrote before is visible to what they posted.
    Ready* newest_first = newest_.exchange(nullptr, std::memory_order_acquire);
    Ready* oldest_first = nullptr;
    while (newest_first) {
      Ready* entry = newest_first;
      newest_first = entry->queue_next;
      entry->queue_next = oldest_first;
      oldest_first = entry;
    }
    return oldest_first;
  }
  /// No thread that has pushed an entry still touches the queue or the driver it wakes.
  bool settled() const noexcept { return wakers_.load(std::memory_order_acquire) == 0; }

 private:
  alignas(64) Atomic<Ready*> newest_{nullptr};  // Written by other threads: a line of its own.
  Atomic<int> wakers_{0};                       ///< other threads that may still touch the driver
};

/// Lets threads in until it is closed. Its owner then waits until the last one has left.
template <template <class> class Atomic>
class BasicGate {
 public:
  /// False when it is closed; else leave() must follow.
  bool enter() noexcept {
    // Acquire: whoever is let in sees what it guards whole.
    if ((state_.fetch_add(k_one, std::memory_order_acquire) & k_closed) == 0) return true;
    leave();
    return false;
  }
  void leave() noexcept {
    // Release: what was done inside happens before the owner goes on.
    state_.fetch_sub(k_one, std::memory_order_release);
  }
  void close() noexcept { state_.fetch_add(k_closed, std::memory_order_relaxed); }
  bool closed() const noexcept { return (state_.load(std::memory_order_relaxed) & k_closed) != 0; }
  /// Closed, and nobody is inside any more.
  bool settled() const noexcept { return state_.load(std::memory_order_acquire) == k_closed; }

 private:
  static constexpr std::uint32_t k_closed = 1;
  static constexpr std::uint32_t k_one = 2;
  Atomic<std::uint32_t> state_{0};
};

using PostQueue = BasicPostQueue<std::atomic>;
using Gate = BasicGate<std::atomic>;

}  // namespace rondo::detail
