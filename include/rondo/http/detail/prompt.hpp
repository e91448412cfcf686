// SPDX-License-Identifier: Apache-2.0
// Prompt<T>: an awaitable that is mostly ready, and a Task when it is not.
//
// Reading a body or a WebSocket message usually finds it among bytes that have arrived: then no
// coroutine frame is made. `attempt` tries; `wait` does it in a Task. Like every leaf it is a
// checkpoint: a cancelled task or one that has used up its turn goes through `wait`, which begins
// with a checkpoint when `yield` says so.
// Lifetime: `self` outlives the await. Thread rule: the loop's thread.
#pragma once

#include <coroutine>
#include <optional>
#include <utility>

#include "rondo/core/task.hpp"

namespace rondo::http::detail {

template <class T>
class [[nodiscard("co_await it")]] Prompt : public rondo::detail::OperationAwaitable<Prompt<T>> {
 public:
  using Attempt = bool (*)(void* self, std::optional<T>& value);
  using Wait = Task<T> (*)(void* self, bool yield);

  Prompt(void* self, Attempt attempt, Wait wait) noexcept
      : self_(self), attempt_(attempt), wait_(wait) {}

  class Awaiter {
   public:
    Awaiter(const Prompt& prompt, rondo::detail::PromiseBase& parent) noexcept
        : prompt_(prompt), parent_(parent) {}
    bool await_ready() {
      yield_ = rondo::detail::chain_cancelled(parent_) || !rondo::detail::spend_await();
      return !yield_ && prompt_.attempt_(prompt_.self_, value_);
    }
    std::coroutine_handle<> await_suspend(std::coroutine_handle<> up) {
      inner_.emplace(prompt_.wait_(prompt_.self_, yield_).release(), parent_);
      return inner_->await_suspend(up);
    }
    T await_resume() { return inner_ ? inner_->await_resume() : std::move(*value_); }

   private:
    Prompt prompt_;
    rondo::detail::PromiseBase& parent_;
    std::optional<T> value_;
    std::optional<typename Task<T>::Awaiter> inner_;
    bool yield_ = false;
  };
  Awaiter awaiter(rondo::detail::PromiseBase& parent) && noexcept { return {*this, parent}; }

 private:
  void* self_;
  Attempt attempt_;
  Wait wait_;
};

}  // namespace rondo::http::detail
