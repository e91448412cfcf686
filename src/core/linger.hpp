// SPDX-License-Identifier: Apache-2.0
// Linger: the time accepted output has to leave after its stream is gone; a Timer whose `fire` is
// its owner's.
//
//   class FdStream : ..., rondo::detail::Linger { ... };
//   linger(loop);            // armed: for limits::linger_max, and never beyond a stop's grace
//   linger_no_more(loop);    // all has left
//
// A stop that comes while it runs shortens it: a program is not kept by who does not read.
// Lifetime: linger_no_more() before its end, unless it never began. Thread rule: the loop's thread.
#pragma once

#include <algorithm>
#include <chrono>

#include "rondo/base/limits.hpp"
#include "rondo/core/detail/loop_hook.hpp"
#include "rondo/core/detail/timer_wheel.hpp"
#include "rondo/core/loop.hpp"

namespace rondo::detail {

class Linger : public Timer {
 public:
  void linger(Loop& loop) noexcept {
    const Duration most = std::chrono::milliseconds(limits::linger_max.value);
    until(loop, deadline_after(loop.now(), most));
    if (loop.stop_requested()) return;
    stop_.linger = this;
    stop_.run = [](LoopHook& hook) {
      Linger& self = *static_cast<StopHook&>(hook).linger;
      Loop& at = Loop::current();
      at.disarm(self);
      self.until(at, TimePoint(Duration(self.deadline)));
    };
    loop.add_stop_hook(stop_);
  }
  void linger_no_more(Loop& loop) noexcept {
    if (armed()) loop.disarm(*this);
    if (stop_.linked()) stop_.unlink();
  }

 private:
  struct StopHook : LoopHook {
    Linger* linger = nullptr;
  };
  void until(Loop& loop, TimePoint when) noexcept {
    deadline = std::min(when, loop.stop_end()).time_since_epoch().count();
    loop.arm(*this);
  }
  StopHook stop_;
};

}  // namespace rondo::detail
