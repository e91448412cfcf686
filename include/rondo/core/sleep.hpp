// SPDX-License-Identifier: Apache-2.0
// Sleep: waiting for time, for a turn, and for the soft stop.
//
//   co_await sleep_for(20ms);
//   co_await sleep_until(deadline);
//   co_await checkpoint();            // lets others run; ends here when cancelled
//   co_await until_stop_requested();  // then finish what you do
//
// Never early; late by what the loop was busy with (measured: 10 us at p50 when idle).
// Thread rule: the loop's thread.
#pragma once

#include <coroutine>

#include "rondo/core/detail/timer_wheel.hpp"
#include "rondo/core/loop.hpp"
#include "rondo/core/task.hpp"

namespace rondo {

namespace detail {

struct SleepAwaiter : Waiter, Timer {
  static constexpr bool k_withdraws = true;  // core/select.hpp
  SleepAwaiter(PromiseBase& parent, TimePoint when) noexcept {
    frame = &parent;
    deadline = when.time_since_epoch().count();
  }
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<>) noexcept;
  void await_resume() const noexcept {}
};

struct [[nodiscard("co_await it")]] SleepFor {
  Duration time;
  SleepAwaiter awaiter(PromiseBase& parent) && noexcept {
    // Reads the clock: the time cached at the last poll would end the sleep early.
    return {parent, deadline_after(Loop::current().now(), time)};
  }
};

struct [[nodiscard("co_await it")]] SleepUntil {
  TimePoint when;
  SleepAwaiter awaiter(PromiseBase& parent) && noexcept { return {parent, when}; }
};

struct StopAwaiter : Waiter, LoopHook {
  static constexpr bool k_withdraws = true;  // core/select.hpp
  explicit StopAwaiter(PromiseBase& parent) noexcept { frame = &parent; }
  bool await_ready() const noexcept {
    return !cancelled(*this) && Loop::current().stop_requested() && spend_await();
  }
  void await_suspend(std::coroutine_handle<>) noexcept;
  void await_resume() const noexcept {}
};

struct [[nodiscard("co_await it")]] UntilStopRequested {
  StopAwaiter awaiter(PromiseBase& parent) && noexcept { return StopAwaiter(parent); }
};

struct CheckpointAwaiter : Waiter {
  explicit CheckpointAwaiter(PromiseBase& parent) noexcept { frame = &parent; }
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<>) noexcept {
    if (cancelled(*this))
      strike(*this);
    else
      wake(*this);
  }
  void await_resume() const noexcept {}
};

struct [[nodiscard("co_await it")]] Checkpoint {
  CheckpointAwaiter awaiter(PromiseBase& parent) && noexcept { return CheckpointAwaiter(parent); }
};

}  // namespace detail

/// Waits for a time.
/// - **Completes** when at least `time` has passed on the loop's clock; zero or less gives up one
///   turn. **Returns** nothing. **Errors** none.
/// - **Cancel** ends the wait at once. **Lifetime** nothing to keep.
/// - **Concurrency** any number. **Thread** the loop's.
inline detail::SleepFor sleep_for(Duration time) noexcept { return {time}; }

/// Waits until a point of the loop's clock; as sleep_for otherwise. `k_no_deadline` waits for ever.
inline detail::SleepUntil sleep_until(TimePoint when) noexcept { return {when}; }

/// Goes to the end of the ready queue once; the task ends here when it was cancelled.
/// - **Completes** in its next turn. **Returns** nothing. **Errors** none.
/// - **Cancel** strikes here. **Concurrency** any number. **Thread** the loop's.
inline detail::Checkpoint checkpoint() noexcept { return {}; }

/// Waits for the soft stop (Loop::request_stop, a first signal in rondo::run).
/// - **Completes** once the stop was requested; at once when it was. **Returns** nothing.
/// - **Errors** none. **Cancel** stops waiting. **Lifetime** nothing to keep.
/// - **Concurrency** any number, all woken. **Thread** the loop's.
inline detail::UntilStopRequested until_stop_requested() noexcept { return {}; }

}  // namespace rondo
