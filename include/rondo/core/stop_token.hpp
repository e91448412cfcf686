// SPDX-License-Identifier: Apache-2.0
// std::stop_token in and out.
//
//   Result<Page> page = co_await with_stop_token(token, fetch(url));  // in: any thread may stop it
//   std::stop_token mine = co_await current_stop_token();             // out: of the running task
//   std::stop_token all = scope.stop_token();                         // out: of a scope
//   co_await run_blocking([mine] { while (!mine.stop_requested()) step(); });
//
// Outward: stopped when the task (scope) is cancelled, and when it has ended: who still works for
// it may stop. Callbacks registered on such a token run on the loop's thread inside the request:
// they may post or set flags, not await; they may not throw.
// Not in rondo.hpp: <stop_token> alone is most of what a header may be. Functions of run_blocking
// can do without it: they may take a CancelToken. Thread rule: tokens any thread; everything else
// the loop's.
#pragma once

#include <coroutine>
#include <optional>
#include <stop_token>
#include <type_traits>
#include <utility>

#include "rondo/core/task.hpp"

namespace rondo {

namespace detail {

/// The source of an outward token; held by its chain or scope.
struct StopWatch : CancelWatch {
  std::stop_source source;
  StopWatch() {
    on_cancel = [](CancelWatch& watch) noexcept {
      static_cast<StopWatch&>(watch).source.request_stop();
    };
    release = [](CancelWatch& watch) noexcept {
      static_cast<StopWatch&>(watch).source.request_stop();
      delete static_cast<StopWatch*>(&watch);
    };
  }
};
inline std::stop_token token_of(CancelWatch*& watch, bool cancelled) {
  if (!watch) watch = new StopWatch();
  auto& mine = static_cast<StopWatch&>(*watch);
  if (cancelled) mine.source.request_stop();
  return mine.source.get_token();
}

template <class Token>
struct StopTokenOf;

struct CurrentStopTokenAwaiter {
  Chain& chain;
  bool await_ready() const noexcept { return true; }
  void await_suspend(std::coroutine_handle<>) const noexcept {}
  std::stop_token await_resume() const { return token_of(chain.watch, chain.cancelled); }
};
struct [[nodiscard("co_await it")]] CurrentStopToken {
  CurrentStopTokenAwaiter awaiter(PromiseBase& parent) && noexcept { return {*parent.chain}; }
};

/// Runs a task until it has ended or the token is stopped: true when it was cancelled by that.
/// What it is made of is in the source file: the loop's header beside <stop_token> is too much.
class [[nodiscard("co_await it")]] StopBracket {
 public:
  struct State;
  class Awaiter {
   public:
    Awaiter(PromiseBase& parent, std::stop_token&& token, Task<>&& task);
    Awaiter(const Awaiter&) = delete;
    Awaiter& operator=(const Awaiter&) = delete;
    ~Awaiter();
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<>);
    bool await_resume();

   private:
    State* state_;
  };
  StopBracket(std::stop_token token, Task<> task)
      : token_(std::move(token)), task_(std::move(task)) {}
  Awaiter awaiter(PromiseBase& parent) && { return {parent, std::move(token_), std::move(task_)}; }

 private:
  std::stop_token token_;
  Task<> task_;
};

template <class T>
Task<> keep_value(Task<T> task, std::optional<NonVoid<T>>& value) {
  if constexpr (std::is_void_v<T>) {
    co_await std::move(task);
    value.emplace();
  } else {
    value.emplace(co_await std::move(task));
  }
}

template <class T>
Task<Lifted<T>> until_stopped(std::stop_token token, Task<T> task) {
  std::optional<NonVoid<T>> value;
  const bool stopped = co_await StopBracket(std::move(token), keep_value(std::move(task), value));
  if (stopped) co_return Error(Errc::cancelled, "with_stop_token");
  if constexpr (std::is_void_v<T>)
    co_return Lifted<T>{};
  else
    co_return std::move(*value);
}

}  // namespace detail

/// Runs an awaitable that ends when `token` is stopped, from any thread.
/// - **Completes** when the awaitable has ended. **Returns** its value as a Result.
/// - **Errors** cancelled: it ended because of the token; a value that arrived meanwhile wins.
/// - **Cancel** from outside passes through. **Lifetime** owns awaitable and token.
/// - **Concurrency** any number. **Thread** the loop's; the stop any.
template <class A>
auto with_stop_token(std::stop_token token, A&& awaitable) {
  return detail::until_stopped(std::move(token), detail::as_task(std::forward<A>(awaitable)));
}

/// A token of the running task, for functions on other threads; one for all who ask in it.
/// - **Completes** at once. **Returns** the token. **Errors** none. **Cancel** is no checkpoint.
/// - **Lifetime** any. **Concurrency** any number. **Thread** the loop's.
inline detail::CurrentStopToken current_stop_token() noexcept { return {}; }

template <class Token>
struct detail::StopTokenOf {
  static std::stop_token of(CancelWatch*& watch, bool cancelled) {
    return token_of(watch, cancelled);
  }
};

}  // namespace rondo
