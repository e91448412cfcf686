// SPDX-License-Identifier: Apache-2.0
// race: the first success of several attempts at the same thing.
//
//   Result<tcp::Stream> peer = co_await race(connect(a), connect(b));
//
// An attempt succeeds with a value; a Result that holds an error and an exception are failures,
// after which the others go on. Only when all have failed does race fail. For the first end of any
// kind use when_any; where a second success must not be thrown away too (its value is destroyed).
// Thread rule: the loop's thread.
#pragma once

#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "rondo/core/task.hpp"
#include "rondo/core/when.hpp"

namespace rondo {

namespace detail {

template <class T>
struct RaceAwaiter : Waiter {
  struct Attempt : Branch<T> {};
  std::vector<Task<T>> tasks;
  std::vector<Attempt> attempts;
  std::size_t left = 0;
  std::optional<Lifted<T>> outcome;  ///< the first success, else the last error
  std::exception_ptr first_error;
  bool won = false;

  RaceAwaiter(PromiseBase& parent, std::vector<Task<T>>&& t)
      : tasks(std::move(t)), attempts(tasks.size()) {
    frame = &parent;
  }
  void cancel_all(const char* reason) noexcept {
    for (Attempt& attempt : attempts) request_cancel(attempt, reason);
  }
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<>) noexcept {
    if (detail::cancelled(*this)) return strike(*this);
    left = tasks.size();
    park(*this,
         [](Waiter& waiter) noexcept { static_cast<RaceAwaiter&>(waiter).cancel_all(nullptr); });
    for (std::size_t i = 0; i < tasks.size(); ++i) {
      attempts[i].back = this;
      attempts[i].start(std::move(tasks[i]), &ended, frame->chain);
    }
  }
  static void ended(Chain& chain, End how) {
    auto& attempt = static_cast<Attempt&>(chain);
    auto& self = *static_cast<RaceAwaiter*>(attempt.back);
    attempt.over(how);
    if (how == End::value)
      self.note_value(attempt);
    else if (how == End::exception)
      self.note_error(attempt);
    attempt.free_frame();
    if (--self.left > 0) return;
    const bool nothing = !self.outcome && !self.first_error;
    if (nothing || (!self.won && detail::cancelled(self)))
      strike(self);
    else
      wake(self);
  }
  void note_value(Attempt& attempt) {
    if (won) return;
    outcome.reset();
    if constexpr (std::is_void_v<T>)
      outcome.emplace();
    else
      outcome.emplace(attempt.take());
    won = outcome->has_value();
    if (won) cancel_all("another attempt succeeded");
  }
  void note_error(Attempt& attempt) {
    auto error = attempt.promise().take_error();
    if (first_error || won) return report_lost(error, "an attempt of a race", &attempt);
    first_error = std::move(error);
  }
  Lifted<T> await_resume() {
    if (won) {
      if (first_error) report_lost(first_error, "an attempt of a race", nullptr);
      return std::move(*outcome);
    }
    if (first_error) std::rethrow_exception(std::move(first_error));
    return std::move(*outcome);
  }
};

template <class T>
struct [[nodiscard("co_await it")]] Race : OperationAwaitable<Race<T>> {
  std::vector<Task<T>> tasks;
  explicit Race(std::vector<Task<T>>&& t) : tasks(std::move(t)) {}
  RaceAwaiter<T> awaiter(PromiseBase& parent) && {
    RONDO_ASSERT(!tasks.empty(), "a race of no attempts has no outcome");
    return {parent, std::move(tasks)};
  }
};

}  // namespace detail

/// Runs attempts together until one has succeeded; the others are cancelled.
/// - **Completes** when every one has ended. **Returns** the first success.
/// - **Errors** when all failed: the first exception rethrown, else the last error.
/// - **Cancel** cancels all of them. **Lifetime** owns the attempts.
/// - **Concurrency** any number. **Thread** the loop's.
template <class T>
auto race(std::vector<Task<T>> attempts) {
  return detail::Race<T>(std::move(attempts));
}
template <class A, class... B>
  requires requires(A&& a) { detail::as_task(std::forward<A>(a)); }
auto race(A&& first, B&&... others) {
  using T = typename detail::TaskOf<A>::value_type;
  static_assert((std::is_same_v<T, typename detail::TaskOf<B>::value_type> && ...),
                "race: every attempt yields the same type");
  std::vector<Task<T>> attempts;
  attempts.reserve(1 + sizeof...(B));
  attempts.push_back(detail::as_task(std::forward<A>(first)));
  (attempts.push_back(detail::as_task(std::forward<B>(others))), ...);
  return detail::Race<T>(std::move(attempts));
}

}  // namespace rondo
