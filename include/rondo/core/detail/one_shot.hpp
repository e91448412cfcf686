// SPDX-License-Identifier: Apache-2.0
// OneShotAwaiter<Op>: a one-shot operation that lives in the awaiter, inside the coroutine frame.
//
// The frame may not die before the operation's terminal completion: a cancel asks the driver and
// waits for it. A result >= 0 resumes also when a cancel was asked for (data wins); an error of a
// cancelled chain unwinds it.
// Thread rule: the loop's thread.
#pragma once

#include <coroutine>
#include <cstdint>

#include "rondo/base/simulation.hpp"
#include "rondo/core/loop.hpp"
#include "rondo/core/task.hpp"
#include "rondo/io/operation.hpp"

namespace rondo::detail {

template <class Op>
struct OneShotAwaiter : Waiter {
  struct Mine : Op {
    OneShotAwaiter* awaiter = nullptr;
  };
  Mine op;
  std::int32_t result = 0;

  explicit OneShotAwaiter(PromiseBase& parent) noexcept {
    frame = &parent;
    op.awaiter = this;
    op.on_complete = [](io::Operation& done, const io::Completion& completion) noexcept {
      static_cast<Mine&>(done).awaiter->complete(completion.result);
    };
  }
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<>) noexcept {
    if (detail::cancelled(*this)) return strike(*this);
    begin();
  }

 protected:
  /// For what must not be left out even when the chain is cancelled already.
  void begin() noexcept {
    park(*this, [](Waiter& waiter) noexcept {
      Loop::current().driver().cancel(static_cast<OneShotAwaiter&>(waiter).op);
      if (planted(PlantedBug::free_op_at_cancel)) strike(waiter);
    });
    Loop::current().driver().submit(op);
  }

 private:
  void complete(std::int32_t value) noexcept {
    result = value;
    if (value < 0 && detail::cancelled(*this))
      strike(*this);
    else
      wake(*this);
  }
};

}  // namespace rondo::detail
