// SPDX-License-Identifier: Apache-2.0
// Oneshot<T>: one value from one task to another on the same loop.
//
//   auto [sender, receiver] = make_oneshot<Answer>();
//   requests.try_send({question, std::move(sender)});     // the other task: sender.set(answer)
//   Result<Answer> answer = co_await receiver;         // abandoned: the sender died unset
//
// No atomics, no post, memory from the frame pool: a fifth of a Promise's cost. Use a Promise
// when a callback on another thread, or a task of another loop, sets the value.
// Lifetime: either half may die first. Thread rule: the loop's thread, both halves (a waiter
// that is woken elsewhere asserts in debug builds).
#pragma once

#include <coroutine>
#include <cstdint>
#include <optional>
#include <type_traits>
#include <utility>

#include "rondo/base/result.hpp"
#include "rondo/core/detail/frame_pool.hpp"
#include "rondo/core/task.hpp"

namespace rondo {

struct OneshotStatistics {
  bool set = false;        ///< or broken: an await is ready at once
  bool waiting = false;    ///< a task awaits it
  bool abandoned = false;  ///< the other half has died
};

namespace detail {

/// What both halves share: which of them live, the value, who waits.
template <class T>
struct OneshotState {
  std::optional<Lifted<T>> value;
  Waiter* waiter = nullptr;
  bool has_sender = true;
  bool has_receiver = true;
  bool taken = false;

  static void* operator new(std::size_t size) { return FramePool::take(size); }
  static void operator delete(void* block, std::size_t size) { FramePool::give(block, size); }
  void set(Lifted<T>&& result) {
    value.emplace(std::move(result));
    if (waiter) wake(*std::exchange(waiter, nullptr));
  }
  OneshotStatistics statistics(bool other_lives) const noexcept {
    return {value.has_value() || taken, waiter != nullptr, !other_lives};
  }
};

template <class T>
struct OneshotAwaiter : Waiter {
  static constexpr bool k_withdraws = true;  // core/select.hpp
  OneshotState<T>& state;
  OneshotAwaiter(OneshotState<T>& s, PromiseBase& parent) noexcept : state(s) { frame = &parent; }
  bool await_ready() const noexcept {
    return !detail::cancelled(*this) && state.value && spend_await();
  }
  void await_suspend(std::coroutine_handle<>) noexcept {
    if (detail::cancelled(*this)) return strike(*this);
    if (state.value) return wake(*this);
    RONDO_ASSERT(!state.taken, "a Oneshot's value is taken once");
    RONDO_ASSERT(!state.waiter, "a Oneshot is awaited by one task");
    state.waiter = this;
    park(*this, [](Waiter& waiter) noexcept {
      static_cast<OneshotAwaiter&>(waiter).state.waiter = nullptr;
      strike(waiter);
    });
  }
  Lifted<T> await_resume() {
    Lifted<T> got = std::move(*state.value);
    state.value.reset();
    state.taken = true;
    return got;
  }
};

}  // namespace detail

template <class T>
class [[nodiscard("keep it, and set() it: unset, the receiver gets broken")]] OneshotSender {
 public:
  explicit OneshotSender(detail::OneshotState<T>& state) noexcept : state_(&state) {}
  OneshotSender(OneshotSender&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
  OneshotSender& operator=(OneshotSender&& other) noexcept {
    std::swap(state_, other.state_);
    return *this;
  }
  ~OneshotSender() {
    if (state_) finish(Error(Errc::abandoned, "oneshot"));
  }

  /// Gives the value; the task that awaits it is woken. Once. False when nobody can receive it.
  bool set(Lifted<T> result) {
    RONDO_ASSERT(state_, "a Oneshot is set once");
    return finish(std::move(result));
  }
  bool set()
    requires std::is_void_v<T>
  {
    return set(Lifted<T>{});
  }
  /// The receiver has died: the value is not worth making.
  bool abandoned() const noexcept { return !state_ || !state_->has_receiver; }
  OneshotStatistics statistics() const noexcept {
    return state_ ? state_->statistics(state_->has_receiver) : OneshotStatistics{.set = true};
  }

 private:
  bool finish(Lifted<T>&& result) {
    auto* state = std::exchange(state_, nullptr);
    state->has_sender = false;
    if (!state->has_receiver) {
      delete state;
      return false;
    }
    state->set(std::move(result));
    return true;
  }
  detail::OneshotState<T>* state_;
};

template <class T>
class [[nodiscard("co_await it")]] OneshotReceiver
    : public detail::HandleAwaitable<OneshotReceiver<T>> {
 public:
  explicit OneshotReceiver(detail::OneshotState<T>& state) noexcept : state_(&state) {}
  OneshotReceiver(OneshotReceiver&& other) noexcept
      : state_(std::exchange(other.state_, nullptr)) {}
  OneshotReceiver& operator=(OneshotReceiver&& other) noexcept {
    std::swap(state_, other.state_);
    return *this;
  }
  ~OneshotReceiver() {
    if (!state_) return;
    RONDO_ASSERT(!state_->waiter, "a OneshotReceiver was destroyed while a task awaits it");
    if (state_->has_sender)
      state_->has_receiver = false;
    else
      delete state_;
  }
  bool is_set() const noexcept { return state_->value.has_value(); }

  /// Waits for the value: `co_await receiver`, once.
  /// - **Completes** when it was set or the sender has died. **Returns** the value.
  /// - **Errors** what was set; abandoned when the sender died unset.
  /// - **Cancel** stops waiting; awaiting again is allowed. **Lifetime** the receiver outlives it.
  /// - **Concurrency** one awaiter. **Thread** the loop's.
  detail::OneshotAwaiter<T> awaiter(detail::PromiseBase& parent) & noexcept {
    return {*state_, parent};
  }
  detail::OneshotAwaiter<T> awaiter(detail::PromiseBase& parent) && noexcept {
    return {*state_, parent};
  }
  OneshotStatistics statistics() const noexcept { return state_->statistics(state_->has_sender); }

 private:
  detail::OneshotState<T>* state_;
};

template <class T>
struct Oneshot {
  OneshotSender<T> sender;
  OneshotReceiver<T> receiver;
};

/// Both halves. On a loop's thread.
template <class T>
Oneshot<T> make_oneshot() {
  auto* state = new detail::OneshotState<T>();
  return {OneshotSender<T>(*state), OneshotReceiver<T>(*state)};
}

}  // namespace rondo
