// SPDX-License-Identifier: Apache-2.0
// Promise<T>, Future<T>: a placeholder for a result that a callback or another thread will set.
//
//   auto [promise, future] = make_promise<int>();
//   std::thread([p = std::move(promise)]() mutable { p.set(42); }).detach();
//   Result<int> n = co_await future;
//
// Set once; a Promise that dies unset gives its Future `Errc::abandoned`. The Future is awaited on
// the loop that made the pair, by one task.
// Lifetime: either half may die first, and a Promise may outlive the loop: what is set then goes
// nowhere.
// Thread rule: Promise::set and its destructor on any thread; everything else the loop's.
#pragma once

#include <atomic>
#include <coroutine>
#include <optional>
#include <utility>

#include "rondo/base/result.hpp"
#include "rondo/core/loop.hpp"
#include "rondo/core/loop_ref.hpp"

namespace rondo {

namespace detail {

/// What both halves share. States: waiting -> set (posted to the loop) -> delivered on the loop.
template <class T>
struct PromiseState : Ready {
  explicit PromiseState(LoopRef at) noexcept : loop(std::move(at)) {
    run = [](Ready& entry) { static_cast<PromiseState&>(entry).deliver(); };
  }
  void set(Lifted<T>&& result) {
    value.emplace(std::move(result));
    refs.fetch_add(1, std::memory_order_relaxed);  // The posted entry holds on to the state.
    if (!loop.deliver_entry(*this)) drop();        // The loop has ended: nobody waits.
  }
  void deliver() {
    delivered = true;
    if (waiter) wake(*std::exchange(waiter, nullptr));
    drop();
  }
  void drop() noexcept {
    if (refs.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }

  LoopRef loop;
  std::optional<Lifted<T>> value;  ///< written before the post, read after it was delivered
  Waiter* waiter = nullptr;
  bool delivered = false;
  std::atomic<int> refs{2};
};

template <class T>
struct FutureAwaiter : Waiter {
  static constexpr bool k_withdraws = true;  // core/select.hpp
  PromiseState<T>* state;
  FutureAwaiter(PromiseState<T>* s, PromiseBase& parent) noexcept : state(s) { frame = &parent; }
  bool await_ready() const noexcept {
    return !detail::cancelled(*this) && state->delivered && spend_await();
  }
  void await_suspend(std::coroutine_handle<>) noexcept {
    if (detail::cancelled(*this)) return strike(*this);
    if (state->delivered) return wake(*this);
    RONDO_ASSERT(!state->waiter, "a Future is awaited by one task");
    state->waiter = this;
    park(*this, [](Waiter& waiter) noexcept {
      static_cast<FutureAwaiter&>(waiter).state->waiter = nullptr;
      strike(waiter);
    });
  }
  Lifted<T> await_resume() {
    RONDO_ASSERT(state->value, "a Future's result is taken once");
    Lifted<T> taken = std::move(*state->value);
    state->value.reset();
    return taken;
  }
};

}  // namespace detail

template <class T>
class Promise {
 public:
  explicit Promise(detail::PromiseState<T>& state) noexcept : state_(&state) {}
  Promise(Promise&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
  Promise& operator=(Promise&& other) noexcept {
    std::swap(state_, other.state_);
    return *this;
  }
  ~Promise() {
    if (state_) set(Error(Errc::abandoned, "promise"));
  }

  /// Gives the result; the Future's task is woken on its loop. Once.
  void set(Lifted<T> result) {
    RONDO_ASSERT(state_, "a Promise is set once");
    auto* state = std::exchange(state_, nullptr);
    state->set(std::move(result));
    state->drop();
  }
  void set()
    requires std::is_void_v<T>
  {
    set(Lifted<T>{});
  }

 private:
  detail::PromiseState<T>* state_;
};

template <class T>
class [[nodiscard("co_await it")]] Future : public detail::HandleAwaitable<Future<T>> {
 public:
  explicit Future(detail::PromiseState<T>& state) noexcept : state_(&state) {}
  Future(Future&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
  Future& operator=(Future&& other) noexcept {
    std::swap(state_, other.state_);
    return *this;
  }
  ~Future() {
    if (state_) state_->drop();
  }
  bool ready() const noexcept { return state_->delivered; }

  /// Waits for the result: `co_await future`, once.
  /// - **Completes** after set() was delivered to the loop. **Returns** the result.
  /// - **Errors** what was set; abandoned when the Promise died unset.
  /// - **Cancel** stops waiting; awaiting again is allowed. **Lifetime** the Future outlives it.
  /// - **Concurrency** one awaiter. **Thread** the loop's.
  detail::FutureAwaiter<T> awaiter(detail::PromiseBase& parent) & noexcept {
    return {state_, parent};
  }
  detail::FutureAwaiter<T> awaiter(detail::PromiseBase& parent) && noexcept {
    return {state_, parent};
  }

 private:
  detail::PromiseState<T>* state_;
};

template <class T>
struct PromisePair {
  Promise<T> promise;
  Future<T> future;
};

/// A pair bound to the loop that runs on this thread.
template <class T>
PromisePair<T> make_promise() {
  auto* state = new detail::PromiseState<T>(Loop::current().ref());
  return {Promise<T>(*state), Future<T>(*state)};
}

}  // namespace rondo
