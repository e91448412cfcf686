// SPDX-License-Identifier: Apache-2.0
#include "rondo/core/sleep.hpp"

namespace rondo::detail {

void SleepAwaiter::await_suspend(std::coroutine_handle<>) noexcept {
  if (detail::cancelled(*this)) return strike(*this);
  fire = [](Timer& timer) noexcept { wake(static_cast<SleepAwaiter&>(timer)); };
  if (deadline != k_no_deadline.time_since_epoch().count()) Loop::current().arm(*this);
  park(*this, [](Waiter& waiter) noexcept {
    auto& self = static_cast<SleepAwaiter&>(waiter);
    if (self.armed()) Loop::current().disarm(self);
    strike(self);
  });
}

void StopAwaiter::await_suspend(std::coroutine_handle<>) noexcept {
  if (detail::cancelled(*this)) return strike(*this);
  Loop& at = Loop::current();
  if (at.stop_requested()) return wake(*this);
  // The loop unlinks a hook before it runs it.
  LoopHook::run = [](LoopHook& hook) { wake(static_cast<StopAwaiter&>(hook)); };
  at.add_stop_hook(*this);
  park(*this, [](Waiter& waiter) noexcept {
    auto& self = static_cast<StopAwaiter&>(waiter);
    self.unlink();
    strike(self);
  });
}

}  // namespace rondo::detail
