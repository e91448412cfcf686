// SPDX-License-Identifier: Apache-2.0
// WakeFlag: at most one unseen wake-up on its way to a loop.
//
//   another thread:    puts its work on the list, then calls fire()
//   the loop's thread: sees the signal, calls clear(), then takes the list
//
// fire() signals only if no earlier one is still unseen; a thread whose fire() signalled nothing
// is covered by the clear() that is still to come, which synchronises with it. So no wake-up is
// lost as long as both sides keep their order (tried out in tests/unit/core/wake_up_test.cpp).
// The atomic is a parameter so that the test can put its own in its place.
// Thread rule: fire() on any thread, clear() on the loop's.
#pragma once

#include <atomic>

namespace rondo::io {

template <template <class> class Atomic>
class BasicWakeFlag {
 public:
  template <class Signal>
  void fire(Signal signal) noexcept {
    if (!fired_.exchange(true, std::memory_order_acq_rel)) signal();
  }
  void clear() noexcept {
    // A read-modify-write, not a store: it must read the value of the last fire() to
    // synchronise with every one before it.
    fired_.exchange(false, std::memory_order_acq_rel);
  }

 private:
  Atomic<bool> fired_{false};
};

}  // namespace rondo::io
