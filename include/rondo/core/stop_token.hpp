// SPDX-License-Identifier: Apache-2.0
// std::stop_token in and out.
//
//   Result<Page> page = co_await with_stop_token(token, fetch(url));   // in: any thread may stop
//   it std::stop_token mine = co_await current_stop_token();              // out: of the running
//   task std::stop_token all = scope.stop_token();                          // out: of a scope
//   co_await run_blocking([mine] { while (!mine.stop_requested()) step(); });
//
// Outward: stopped when the task (scope) is cancelled, and when it has ended: who still works for
// it may stop. Callbacks registered on such a token run on the loop's thread inside the request:
// they may post or set flags, not await; they may not throw.
// Not in rondo.hpp: <stop_token> alone is several thousand lines. Functions of run_blocking can do
// without it: they may take a CancelToken.
// Thread rule: tokens any thread; everything else the loop's.
#pragma once

#include <coroutine>
#include <optional>
#include <stop_token>
#include <utility>

#include "rondo/core/loop.hpp"
#include "rondo/core/loop_ref.hpp"
#include "rondo/core/scope.hpp"
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

struct CurrentStopTokenAwaiter {
  Chain& chain;
  bool await_ready() const noexcept { return true; }
  void await_suspend(std::coroutine_handle<>) const noexcept {}
  std::stop_token await_resume() const { return token_of(chain.watch, chain.cancelled); }
};
struct [[nodiscard]] CurrentStopToken {
  CurrentStopTokenAwaiter awaiter(PromiseBase& parent) && noexcept { return {*parent.chain}; }
};

/// What a stop posts: outlives the awaiter when it was posted and not yet delivered.
struct StopNote : Ready {
  Chain* chain = nullptr;  ///< null: the awaitable has ended. The loop's.
  bool posted = false;     ///< written by the callback, read when that cannot run any more
};

template <class T>
struct StopTokenAwaiter : Waiter {
  struct Post {
    StopNote* note;
    LoopRef loop;
    void operator()() const noexcept {
      note->posted = loop.post_entry(*note);  // Refused only while the loop dies.
    }
  };
  Branch<T> branch;
  Task<T> task;
  std::stop_token token;
  StopNote* note = nullptr;
  std::optional<std::stop_callback<Post>> callback;

  StopTokenAwaiter(PromiseBase& parent, Task<T>&& t, std::stop_token&& stop)
      : task(std::move(t)), token(std::move(stop)) {
    frame = &parent;
  }
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<>) {
    if (detail::cancelled(*this)) return strike(*this);
    note = new StopNote();
    note->chain = &branch;
    note->run = [](Ready& entry) {
      Owned<StopNote> own(static_cast<StopNote*>(&entry));
      if (own->chain) request_cancel(*own->chain, "stop_token");
    };
    // Stopped already: the branch never runs.
    if (token.stop_requested())
      branch.cancelled = true, branch.reason = "stop_token";
    else
      callback.emplace(token, Post{note, Loop::current().ref()});
    park(*this, [](Waiter& waiter) noexcept {
      request_cancel(static_cast<StopTokenAwaiter&>(waiter).branch);
    });
    branch.back = this;
    branch.start(std::move(task), &ended, frame->chain);
  }
  static void ended(Chain& chain, End how) {
    auto& self = *static_cast<StopTokenAwaiter*>(static_cast<Branch<T>&>(chain).back);
    self.branch.over(how);
    self.callback.reset();  // Waits for one that runs on another thread right now.
    if (self.note->posted)
      self.note->chain = nullptr;
    else
      delete self.note;
    if (how == End::cancelled && detail::cancelled(self))
      strike(self);
    else
      wake(self);
  }
  Lifted<T> await_resume() {
    if (branch.how == End::cancelled) return Error(Errc::cancelled, "with_stop_token");
    if constexpr (std::is_void_v<T>) {
      branch.take();
      return {};
    } else {
      return branch.take();
    }
  }
};

template <class T>
struct [[nodiscard]] WithStopToken : OperationAwaitable<WithStopToken<T>> {
  Task<T> task;
  std::stop_token token;
  WithStopToken(Task<T>&& t, std::stop_token&& stop) : task(std::move(t)), token(std::move(stop)) {}
  StopTokenAwaiter<T> awaiter(PromiseBase& parent) && {
    return {parent, std::move(task), std::move(token)};
  }
};

}  // namespace detail

/// Runs an awaitable that ends when `token` is stopped, from any thread.
/// - **Completes** when the awaitable has ended. **Returns** its value as a Result.
/// - **Errors** cancelled: it ended because of the token; a value that arrived meanwhile wins.
/// - **Cancel** from outside passes through. **Lifetime** owns awaitable and token.
/// - **Concurrency** any number. **Thread** the loop's; the stop any.
template <class A>
auto with_stop_token(std::stop_token token, A&& awaitable) {
  auto task = detail::as_task(std::forward<A>(awaitable));
  return detail::WithStopToken<typename decltype(task)::value_type>(std::move(task),
                                                                    std::move(token));
}

/// A token of the running task, for functions on other threads; one for all who ask in it.
/// - **Completes** at once. **Returns** the token. **Errors** none. **Cancel** is no checkpoint.
/// - **Lifetime** any. **Concurrency** any number. **Thread** the loop's.
inline detail::CurrentStopToken current_stop_token() noexcept { return {}; }

template <class Token>
auto Scope::stop_token() {
  return detail::token_of(watch_, cancelled_);
}

}  // namespace rondo
