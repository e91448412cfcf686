// SPDX-License-Identifier: Apache-2.0
// Entry: ready at once unless cancelled. Makes a coroutine of the library a checkpoint at its
// start, and lets others run when its task has used up its turn.
// Thread rule: the loop's thread.
#pragma once

#include <coroutine>

#include "rondo/core/task.hpp"

namespace rondo::detail {

struct EntryAwaiter : Waiter {
  explicit EntryAwaiter(PromiseBase& parent) noexcept { frame = &parent; }
  bool await_ready() const noexcept { return !cancelled(*this) && spend_await(); }
  void await_suspend(std::coroutine_handle<>) noexcept {
    if (cancelled(*this)) return strike(*this);
    wake(*this);
  }
  void await_resume() const noexcept {}
};
struct [[nodiscard("co_await it")]] Entry {
  EntryAwaiter awaiter(PromiseBase& parent) && noexcept { return EntryAwaiter(parent); }
};

}  // namespace rondo::detail
