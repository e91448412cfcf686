// SPDX-License-Identifier: Apache-2.0
// Time-outs, shields and clean-up: brackets around one awaitable.
//
//   auto line = co_await with_timeout(5s, peer.read_line());          // Result: timed_out
//   co_await shield(commit(transaction));                             // not cut in half
//   co_await finally(work(), [&]() -> Task<> { co_await peer.close(); });
//
// Cancellation here is a third way to end, beside value and exception: it is asked of a scope or
// handle, walks down to the operation that waits, and destroys frames from there upward; no code
// runs but destructors and `finally`. It becomes a value only in the bracket that asked for it.
// Data wins: an operation that completed although it was being cancelled delivers its result.
// Thread rule: the loop's thread.
#pragma once

#include <coroutine>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

#include "rondo/base/limits.hpp"
#include "rondo/base/simulation.hpp"
#include "rondo/core/loop.hpp"
#include "rondo/core/task.hpp"

namespace rondo {

namespace detail {

template <class T>
struct TimeoutAwaiter : Waiter, Timer {
  Branch<T> branch;
  Task<T> task;

  TimeoutAwaiter(PromiseBase& parent, Task<T>&& t, TimePoint when) : task(std::move(t)) {
    frame = &parent;
    deadline = when.time_since_epoch().count();
  }
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<>) noexcept {
    if (detail::cancelled(*this)) return drop_and_strike();
    fire = [](Timer& timer) noexcept {
      request_cancel(static_cast<TimeoutAwaiter&>(timer).branch, "deadline");
    };
    if (deadline != k_no_deadline.time_since_epoch().count()) Loop::current().arm(*this);
    park(*this, [](Waiter& waiter) noexcept {
      request_cancel(static_cast<TimeoutAwaiter&>(waiter).branch);
    });
    branch.back = this;
    branch.start(std::move(task), &ended, frame->chain);
  }
  void drop_and_strike() noexcept { strike(*this); }
  static void ended(Chain& chain, End how) {
    auto& self = *static_cast<TimeoutAwaiter*>(static_cast<Branch<T>&>(chain).back);
    self.branch.over(how);
    if (self.armed()) Loop::current().disarm(self);
    // Struck by an outer request: passes on. Struck by our timer alone: becomes timed_out.
    if (how == End::cancelled && detail::cancelled(self))
      strike(self);
    else
      wake(self);
  }
  Lifted<T> await_resume() {
    if (branch.how == End::cancelled) return Error(Errc::timed_out, "with_timeout");
    if constexpr (std::is_void_v<T>) {
      branch.take();
      return {};
    } else {
      return branch.take();
    }
  }
};

template <class T>
struct [[nodiscard("co_await it")]] Timeout : OperationAwaitable<Timeout<T>> {
  Task<T> task;
  TimePoint when;
  bool relative;
  Duration timeout;
  Timeout(Task<T>&& t, Duration after)
      : task(std::move(t)), when(), relative(true), timeout(after) {}
  Timeout(Task<T>&& t, TimePoint until)
      : task(std::move(t)), when(until), relative(false), timeout() {}
  TimeoutAwaiter<T> awaiter(PromiseBase& parent) && {
    const TimePoint at = relative ? deadline_after(Loop::current().now(), timeout) : when;
    return {parent, std::move(task), at};
  }
};

template <class T>
struct ShieldAwaiter : Waiter, Timer {
  Branch<T> branch;
  Task<T> task;
  Duration limit;

  ShieldAwaiter(PromiseBase& parent, Task<T>&& t, Duration max) : task(std::move(t)), limit(max) {
    frame = &parent;
  }
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<>) noexcept {
    if (detail::cancelled(*this)) return strike(*this);
    fire = [](Timer& timer) noexcept {
      request_cancel(static_cast<ShieldAwaiter&>(timer).branch, "the shield's limit");
    };
    park(*this, [](Waiter& waiter) noexcept {
      auto& self = static_cast<ShieldAwaiter&>(waiter);
      self.deadline = deadline_after(Loop::current().now(), self.limit).time_since_epoch().count();
      Loop::current().arm(self);  // Masked, but not for ever.
    });
    branch.back = this;
    branch.start(std::move(task), &ended, frame->chain);
  }
  static void ended(Chain& chain, End how) {
    auto& self = *static_cast<ShieldAwaiter*>(static_cast<Branch<T>&>(chain).back);
    self.branch.over(how);
    if (self.armed()) Loop::current().disarm(self);
    if (how == End::cancelled)
      strike(self);
    else
      wake(self);
  }
  T await_resume() { return branch.take(); }
};

template <class T>
struct [[nodiscard("co_await it")]] Shield {
  Task<T> task;
  Duration limit;
  ShieldAwaiter<T> awaiter(PromiseBase& parent) && { return {parent, std::move(task), limit}; }
};

/// States: body runs -> clean-up runs -> ended. The timer bounds a clean-up that was cancelled.
template <class T, class C>
struct FinallyAwaiter : Waiter, Timer {
  Branch<T> body;
  Task<T> task;
  C make_cleanup;
  Branch<void> cleanup;
  std::exception_ptr cleanup_error;  ///< what the clean-up, or its function, threw
  Duration limit;

  FinallyAwaiter(PromiseBase& parent, Task<T>&& t, C&& c, Duration max)
      : task(std::move(t)), make_cleanup(std::move(c)), limit(max) {
    frame = &parent;
  }
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<>) noexcept {
    // Not struck here, even when cancelled: the body starts cancelled, the clean-up must run.
    park(*this, [](Waiter& waiter) noexcept {
      request_cancel(static_cast<FinallyAwaiter&>(waiter).body);
    });
    body.cancelled = detail::cancelled(*this);
    body.back = this;
    body.start(std::move(task), &body_ended, frame->chain);
  }
  static void body_ended(Chain& chain, End how) {
    auto& self = *static_cast<FinallyAwaiter*>(static_cast<Branch<T>&>(chain).back);
    self.body.over(how);
    self.cancel = [](Waiter& waiter) noexcept {  // From here on masked, but not for ever.
      auto& asked = static_cast<FinallyAwaiter&>(waiter);
      if (planted(PlantedBug::skipped_cleanup)) request_cancel(asked.cleanup);
      asked.bound_cleanup();
    };
    self.fire = [](Timer& timer) noexcept {
      request_cancel(static_cast<FinallyAwaiter&>(timer).cleanup, "the clean-up's limit");
    };
    // One that nobody waits to see the end of takes the time it needs.
    if (detail::cancelled(self)) self.bound_cleanup();
    self.cleanup.back = &self;
    try {
      self.cleanup.start(self.make_cleanup(), &cleanup_ended, self.frame->chain);
    } catch (...) {  // There is no task: out of the function, or no memory for the frame.
      self.cleanup_error = std::current_exception();
      self.cleaned_up(End::exception);
    }
  }
  void bound_cleanup() noexcept {
    if (armed()) return;
    deadline = deadline_after(Loop::current().now(), limit).time_since_epoch().count();
    Loop::current().arm(*this);
  }
  static void cleanup_ended(Chain& chain, End how) {
    auto& self = *static_cast<FinallyAwaiter*>(static_cast<Branch<void>&>(chain).back);
    self.cleanup.over(how);
    self.cleaned_up(how);
  }
  void cleaned_up(End how) noexcept {
    if (armed()) Loop::current().disarm(*this);
    // An exception of the clean-up wins over a cancellation of the body.
    if (body.how == End::cancelled && how != End::exception) strike(*this);
    else wake(*this);
  }
  T await_resume() {
    if (cleanup.how == End::exception) cleanup_error = cleanup.promise().take_error();
    if (cleanup_error) {
      if (body.how != End::exception) std::rethrow_exception(std::move(cleanup_error));
      report_lost(cleanup_error, "a clean-up after an exception", &body);
    }
    return body.take();
  }
};

template <class T, class C>
struct [[nodiscard("co_await it")]] Finally {
  Task<T> task;
  C make_cleanup;
  Duration limit;
  FinallyAwaiter<T, C> awaiter(PromiseBase& parent) && {
    return {parent, std::move(task), std::move(make_cleanup), limit};
  }
};

inline constexpr Duration k_shield_max = std::chrono::milliseconds(limits::shield_max.value);

}  // namespace detail

/// Why the running task is being cancelled: "deadline", the reason given to cancel(), ... For a
/// clean-up of `finally`: why its body was. The text is empty while nothing was asked.
/// Thread: the loop's.
CancelReason cancel_reason() noexcept;

/// Gives an awaitable a time-out around any composition.
/// - **Completes** when the awaitable has ended, not at the deadline: what cannot be stopped (a
///   blocking function) is waited for.
/// - **Returns** the awaitable's value as a Result. **Errors** timed_out when it ended cancelled
///   because of this time-out; a value that arrived meanwhile wins.
/// - **Cancel** from outside passes through to the awaitable. **Lifetime** owns the awaitable.
/// - **Concurrency** any number, nested at will. **Thread** the loop's.
template <class A>
auto with_timeout(Duration timeout, A&& awaitable) {
  auto task = detail::as_task(std::forward<A>(awaitable));
  return detail::Timeout<typename decltype(task)::value_type>(std::move(task), timeout);
}
/// with_timeout until a point of the loop's clock.
template <class A>
auto with_deadline(TimePoint deadline, A&& awaitable) {
  auto task = detail::as_task(std::forward<A>(awaitable));
  return detail::Timeout<typename decltype(task)::value_type>(std::move(task), deadline);
}

/// Masks cancellation while an awaitable runs; a request strikes at the next checkpoint after it.
/// - **Completes** with the awaitable. **Returns** its value. **Errors** its own.
/// - **Cancel** is held back for at most `limit` (5 s), then passed to the awaitable.
/// - **Lifetime** owns the awaitable. **Concurrency** any number. **Thread** the loop's.
template <class A>
auto shield(A&& awaitable, Duration limit = detail::k_shield_max) {
  auto task = detail::as_task(std::forward<A>(awaitable));
  return detail::Shield<typename decltype(task)::value_type>{std::move(task), limit};
}

/// Runs `body`, then always `cleanup()` (a function that returns Task<>), whatever became of it.
/// - **Completes** after the clean-up. **Returns** the body's value. **Errors** the body's
///   exception, else the clean-up's.
/// - **Cancel** ends the body; from then on the clean-up may run shielded for `limit` (5 s).
/// - **Lifetime** owns body and function. **Concurrency** any number. **Thread** the loop's.
template <class A, class C>
auto finally(A&& body, C&& cleanup, Duration limit = detail::k_shield_max) {
  auto task = detail::as_task(std::forward<A>(body));
  using T = typename decltype(task)::value_type;
  return detail::Finally<T, std::decay_t<C>>{std::move(task), std::forward<C>(cleanup), limit};
}

}  // namespace rondo
