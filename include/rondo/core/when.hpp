// SPDX-License-Identifier: Apache-2.0
// when_all, when_any: several awaitables at once, structured.
//
//   auto [page, image] = co_await when_all(get(a), get(b));
//   auto first = co_await when_any(read(peer), sleep_for(5s));
//   if (first.index == 1) ...                                  // the sleep ended first
//
// Both start their branches together and end only after every branch has ended.
// when_any: the first branch to complete wins and the others are cancelled; because data wins
// over cancellation, a loser may have completed too: its value is there and must not be lost.
// Thread rule: the loop's thread.
#pragma once

#include <coroutine>
#include <cstddef>
#include <exception>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include "rondo/core/loop.hpp"
#include "rondo/core/task.hpp"

namespace rondo {

/// What when_any yields: who was first, and every value that arrived.
template <class... T>
struct Any {
  std::size_t index = 0;
  std::tuple<std::optional<NonVoid<T>>...> values;
};
template <class T>
struct AnyOf {
  std::size_t index = 0;
  std::vector<std::optional<NonVoid<T>>> values;
};

namespace detail {

/// What all branches of one await share: counts, and what to do when one ends.
struct Together : Waiter {
  std::size_t left = 0;
  std::size_t winner = static_cast<std::size_t>(-1);
  bool first_wins = false;
  bool any_struck = false;
  std::exception_ptr error;
  void (*stop)(Together&) noexcept = nullptr;

  bool has_winner() const noexcept { return winner != static_cast<std::size_t>(-1); }
  /// Of the branches' cancellation; null: asked from outside.
  const char* why() const noexcept {
    if (!has_winner()) return nullptr;
    return first_wins ? "another branch was first" : "another branch failed";
  }
  void ended(std::size_t index, End how) noexcept {
    --left;
    if (how == End::cancelled) any_struck = true;
    else if (!has_winner() && (first_wins || how == End::exception)) {
      winner = index;
      stop(*this);
    }
    if (left > 0) return;
    const bool lost = first_wins ? !has_winner() : any_struck && !error;
    if (lost && detail::cancelled(*this)) strike(*this);
    else wake(*this);
  }
};

template <class T>
struct TogetherBranch : Branch<T> {
  std::size_t index = 0;
  void go(Together& all, std::size_t at, Task<T>&& task) noexcept {
    this->back = &all;
    index = at;
    this->start(std::move(task), &over_one, all.frame->chain);
  }
  static void over_one(Chain& chain, End how) {
    auto& self = static_cast<TogetherBranch&>(chain);
    auto& all = *static_cast<Together*>(self.back);
    self.over(how);
    if (how == End::exception) {
      auto error = self.promise().take_error();
      if (!all.error) all.error = std::move(error);
      else report_lost(error, "a branch after the first that failed", &chain);
    }
    all.ended(self.index, how);
  }
  NonVoid<T> value() {
    if constexpr (std::is_void_v<T>) {
      this->take();
      return Unit{};
    } else {
      return this->take();
    }
  }
  std::optional<NonVoid<T>> optional_value() {
    if (this->how != End::value) return std::nullopt;
    return value();
  }
};

template <bool FirstWins, class... T>
struct TogetherAwaiter : Together {
  std::tuple<Task<T>...> tasks;
  std::tuple<TogetherBranch<T>...> branches;

  TogetherAwaiter(PromiseBase& parent, std::tuple<Task<T>...>&& t) : tasks(std::move(t)) {
    frame = &parent;
    first_wins = FirstWins;
    left = sizeof...(T);
    stop = [](Together& all) noexcept { static_cast<TogetherAwaiter&>(all).cancel_all(); };
  }
  void cancel_all() noexcept {
    std::apply([this](auto&... branch) { (request_cancel(branch, why()), ...); }, branches);
  }
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<>) noexcept {
    if (detail::cancelled(*this)) return strike(*this);
    park(*this, [](Waiter& waiter) noexcept {
      static_cast<TogetherAwaiter&>(waiter).cancel_all();
    });
    [this]<std::size_t... I>(std::index_sequence<I...>) {
      (std::get<I>(branches).go(*this, I, std::move(std::get<I>(tasks))), ...);
    }(std::index_sequence_for<T...>{});
  }
  auto await_resume() {
    if (error) std::rethrow_exception(std::move(error));
    if constexpr (FirstWins) {
      return std::apply(
          [this](auto&... b) { return Any<T...>{winner, {b.optional_value()...}}; }, branches);
    } else {
      return std::apply([](auto&... b) { return std::tuple<NonVoid<T>...>{b.value()...}; },
                        branches);
    }
  }
};

template <bool FirstWins, class... T>
struct [[nodiscard("co_await it")]] TogetherOf {
  std::tuple<Task<T>...> tasks;
  TogetherAwaiter<FirstWins, T...> awaiter(PromiseBase& parent) && {
    return {parent, std::move(tasks)};
  }
};

template <bool FirstWins, class T>
struct TogetherListAwaiter : Together {
  std::vector<Task<T>> tasks;
  std::vector<TogetherBranch<T>> branches;

  TogetherListAwaiter(PromiseBase& parent, std::vector<Task<T>>&& t)
      : tasks(std::move(t)), branches(tasks.size()) {
    frame = &parent;
    first_wins = FirstWins;
    left = tasks.size();
    stop = [](Together& all) noexcept { static_cast<TogetherListAwaiter&>(all).cancel_all(); };
  }
  void cancel_all() noexcept {
    for (auto& branch : branches) request_cancel(branch, why());
  }
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<>) noexcept {
    if (detail::cancelled(*this)) return strike(*this);
    if (tasks.empty()) return wake(*this);
    park(*this, [](Waiter& waiter) noexcept {
      static_cast<TogetherListAwaiter&>(waiter).cancel_all();
    });
    for (std::size_t i = 0; i < tasks.size(); ++i) branches[i].go(*this, i, std::move(tasks[i]));
  }
  auto await_resume() {
    if (error) std::rethrow_exception(std::move(error));
    if constexpr (FirstWins) {
      AnyOf<T> any{winner, {}};
      for (auto& branch : branches) any.values.push_back(branch.optional_value());
      return any;
    } else {
      std::vector<NonVoid<T>> values;
      values.reserve(branches.size());
      for (auto& branch : branches) values.push_back(branch.value());
      return values;
    }
  }
};

template <bool FirstWins, class T>
struct [[nodiscard("co_await it")]] TogetherList {
  std::vector<Task<T>> tasks;
  TogetherListAwaiter<FirstWins, T> awaiter(PromiseBase& parent) && {
    RONDO_ASSERT(!FirstWins || !tasks.empty(), "when_any of no tasks would wait for ever");
    return {parent, std::move(tasks)};
  }
};

}  // namespace detail

/// Runs awaitables together and waits for all of them.
/// - **Completes** when every one has ended. **Returns** a tuple of their values (Unit for void);
///   for a vector of tasks, a vector.
/// - **Errors** the first exception, after the others have been cancelled and have ended.
///   Results are values: an error in one of them cancels nothing.
/// - **Cancel** cancels all of them. **Lifetime** owns the awaitables.
/// - **Concurrency** any number. **Thread** the loop's.
template <class... A>
  requires(sizeof...(A) > 0)
auto when_all(A&&... awaitables) {
  return detail::TogetherOf<false, typename detail::TaskOf<A>::value_type...>{
      {detail::as_task(std::forward<A>(awaitables))...}};
}
template <class T>
auto when_all(std::vector<Task<T>> tasks) {
  return detail::TogetherList<false, T>{std::move(tasks)};
}

/// Runs awaitables together until one has completed; the others are cancelled.
/// - **Completes** when every one has ended. **Returns** Any: the winner's index and a tuple of
///   optionals in which losers that completed all the same have their values too.
/// - **Errors** the first exception of any of them. **Cancel** cancels all of them.
/// - **Lifetime** owns the awaitables. **Concurrency** any number. **Thread** the loop's.
template <class... A>
  requires(sizeof...(A) > 0)
auto when_any(A&&... awaitables) {
  return detail::TogetherOf<true, typename detail::TaskOf<A>::value_type...>{
      {detail::as_task(std::forward<A>(awaitables))...}};
}
template <class T>
auto when_any(std::vector<Task<T>> tasks) {
  return detail::TogetherList<true, T>{std::move(tasks)};
}

}  // namespace rondo
