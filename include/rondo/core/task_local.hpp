// SPDX-License-Identifier: Apache-2.0
// TaskLocal<T>: a value for a task and all that runs on its behalf.
//
//   inline TaskLocal<std::string> request_id;              // one per kind of value, static
//   co_await request_id.with("42", handle(request));
//   if (const std::string* id = request_id.get()) log(*id);  // anywhere below, in functions too
//
// Inherited by what is awaited inside, by branches (when_all, with_timeout, ...), by children of
// scopes opened inside, and, to be read only, by functions of run_blocking, run_cpu and Worker.
// A child inherits from the task that opened its *scope*, wherever it is started from: so a value
// never dies before who reads it. Not carried by on(): values belong to their loop.
// Costs nothing when unused; reading walks the values set around, innermost first.
// Lifetime: the TaskLocal is static; values live until their with() or scope has ended.
// Thread rule: get() anywhere; everything else the loop's thread.
#pragma once

#include <coroutine>
#include <type_traits>
#include <utility>

#include "rondo/core/detail/frame_pool.hpp"
#include "rondo/core/detail/locals.hpp"
#include "rondo/core/loop.hpp"
#include "rondo/core/scope.hpp"
#include "rondo/core/task.hpp"

namespace rondo {

namespace detail {

/// The values of the running task, or of the one for which this thread runs a function.
const LocalNode* current_locals() noexcept;
const LocalNode* find_local(const void* key) noexcept;

template <class T>
struct LocalValue : LocalNode, Pooled {
  T value;
  template <class U>
  LocalValue(const void* k, const LocalNode* around, U&& v) : value(std::forward<U>(v)) {
    key = k;
    outer = hold_locals(around);
    release = [](const LocalNode& node) noexcept { delete static_cast<const LocalValue*>(&node); };
  }
};

/// Sets the chain's values while a task runs in it; nothing is queued for it.
template <class T, class V>
class WithLocalAwaiter : public Task<T>::Awaiter {
  using Base = typename Task<T>::Awaiter;

 public:
  WithLocalAwaiter(Task<T>&& task, const void* key, V&& value, PromiseBase& parent)
      : Base(std::move(task).release(), parent),
        chain_(*parent.chain),
        before_(chain_.locals),
        mine_(new LocalValue<V>(key, before_, std::move(value))) {}
  ~WithLocalAwaiter() {
    end_task();
    restore();
  }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> up) noexcept {
    chain_.locals = mine_;
    return Base::await_suspend(up);
  }
  T await_resume() {
    chain_.locals = before_;
    return Base::await_resume();
  }

 private:
  /// The task's frame may read the value in its destructors.
  void end_task() noexcept {
    if (this->frame_) {
      std::coroutine_handle<>::from_address(std::exchange(this->frame_, nullptr)).destroy();
    }
  }
  void restore() noexcept {
    if (chain_.locals == mine_) chain_.locals = before_;  // Struck inside.
    drop_locals(mine_);
  }

  Chain& chain_;
  const LocalNode* before_;
  const LocalNode* mine_;
};

template <class T, class V>
struct [[nodiscard("co_await it")]] WithLocal {
  using value_type = T;
  Task<T> task;
  const void* key;
  V value;
  WithLocalAwaiter<T, V> awaiter(PromiseBase& parent) && {
    return {std::move(task), key, std::move(value), parent};
  }
};

}  // namespace detail

template <class T>
class TaskLocal {
 public:
  TaskLocal() = default;
  TaskLocal(const TaskLocal&) = delete;
  TaskLocal& operator=(const TaskLocal&) = delete;

  /// The innermost value around what runs now; null when none is set.
  /// Lifetime: as long as what it was set for. Thread: a loop's, or one that runs a function for a
  /// task (not to be changed from there).
  const T* get() const noexcept {
    const detail::LocalNode* node = detail::find_local(this);
    return node ? &static_cast<const detail::LocalValue<T>*>(node)->value : nullptr;
  }
  T value_or(T otherwise) const {
    const T* set = get();
    return set ? *set : std::move(otherwise);
  }

  /// Runs an awaitable with the value set.
  /// - **Completes** with the awaitable. **Returns** its value. **Errors** its own.
  /// - **Cancel** passes through. **Lifetime** owns awaitable and value. **Concurrency** any
  /// number,
  ///   nested at will: the innermost counts. **Thread** the loop's.
  template <class A>
  auto with(T value, A&& awaitable) const {
    auto task = detail::as_task(std::forward<A>(awaitable));
    using R = typename decltype(task)::value_type;
    return detail::WithLocal<R, T>{std::move(task), this, std::move(value)};
  }
  /// Sets the value for the children that `scope` starts from now on (its body keeps what it has).
  void set_for(Scope& scope, T value) const {
    auto* node = new detail::LocalValue<T>(this, scope.locals(), std::move(value));
    scope.set_locals(node);
  }
};

}  // namespace rondo
