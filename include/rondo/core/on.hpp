// SPDX-License-Identifier: Apache-2.0
// on: a task on another loop, awaited here. Structure over threads.
//
//   Result<int> n = co_await on(loops()[1], count_words, std::move(text));
//   co_await on_each(serve, endpoint);                           // on every loop of the program
//   co_await with_scope([&](Scope& scope) -> Task<> {
//     for (const LoopRef& other : loops()) scope.start_on(other, serve, endpoint);
//     co_return;
//   });
//
// `f(args...)` is called on the target's thread; its frame is born, run and freed there. The one
// who awaits waits for its end whatever happens, so references into its own frame stay good; what
// they refer to must bear being used from another thread (it is not touched here meanwhile).
// Cancelling the one who awaits asks the task there to end, and waits for it; a value that it
// returned all the same is delivered. A target that has ended yields `stopping`, never a hang.
// Lifetime trap: nothing of one loop (streams, events, channels, scopes) may be used on another:
// hand over values, or make the thing there. Debug builds assert it.
// Thread rule: a loop's thread.
#pragma once

#include <coroutine>
#include <exception>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "rondo/core/loop.hpp"
#include "rondo/core/loop_ref.hpp"
#include "rondo/core/scope.hpp"
#include "rondo/core/task.hpp"

namespace rondo {

namespace detail {

/// The conversation of two loops about one task. It lives in the awaiter, on the home loop.
///
///   home                            target
///   start ------------------------> the task begins, or is refused: the loop is ending
///   stop -------------------------> request_cancel
///        <------------------------- stop, given back
///        <------------------------- done: the outcome is written
///
/// Rules:
///  1. home ends only after done came, and after a stop that it sent came back: until then the
///     target may still touch the record (as with a kernel's cancel request, rule 19).
///  2. Before start is posted everything is home's; until done is posted `chain`, the function,
///     its arguments and the outcome are the target's; then home's again. Posting orders it.
///  3. stop may overtake start (simulations run ready entries in any order): then the task starts
///     cancelled.
///  4. A post that the target refuses was refused for good: it is ending, its tasks have ended.
struct RemoteCall : Waiter {
  struct Note : Ready {
    RemoteCall* call = nullptr;
  };

  explicit RemoteCall(LoopRef there) noexcept : target(std::move(there)) {
    start_note.call = stop_note.call = done_note.call = this;
  }
  /// Home: sends the task off; the waiter is parked or queued.
  void begin_call() noexcept;
  /// Target: the outcome is written.
  void post_done() noexcept;

  LoopRef target;
  Loop* home = nullptr;
  Chain* chain = nullptr;                          ///< what a stop cancels
  void (*launch)(RemoteCall&) noexcept = nullptr;  ///< on the target: starts the task
  Note start_note;
  Note stop_note;
  Note done_note;
  // The outcome.
  bool refused = false;
  End how = End::value;
  std::exception_ptr error;

 private:
  void ask_stop() noexcept;
  void settle() noexcept;
  // Home only.
  bool answered_ = false;
  bool stop_asked_ = false;
  bool stop_away_ = false;
};

template <class T, class F, class... A>
struct OnAwaiter : RemoteCall {
  F function;
  std::tuple<A...> arguments;
  Branch<T> branch;
  std::optional<NonVoid<T>> value;

  OnAwaiter(LoopRef there, F&& f, std::tuple<A...>&& args, PromiseBase& parent)
      : RemoteCall(std::move(there)), function(std::move(f)), arguments(std::move(args)) {
    frame = &parent;
    chain = &branch;
    branch.name = "on";
    branch.back = this;
    launch = [](RemoteCall& call) noexcept { static_cast<OnAwaiter&>(call).run_there(); };
  }
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<>) noexcept {
    if (detail::cancelled(*this)) return strike(*this);
    begin_call();
  }
  void run_there() noexcept {
    bool started = false;
    try {
      // No parent: chains refer to each other on one loop only.
      branch.start(
          std::apply([this](A&... args) { return function(std::move(args)...); }, arguments),
          &ended_there, nullptr);
      started = true;
    } catch (...) {  // The function threw before there was a task.
      how = End::exception;
      error = std::current_exception();
    }
    // Outside of the handler: it holds the exception, which is home's alone from here on.
    if (!started) post_done();
  }
  static void ended_there(Chain& over, End how) {
    auto& self = *static_cast<OnAwaiter*>(static_cast<Branch<T>&>(over).back);
    self.branch.over(how);
    self.how = how;
    if (how == End::exception)
      self.error = self.branch.promise().take_error();
    else if (how == End::value)
      self.keep_value();
    self.branch.free_frame();
    self.post_done();
  }
  void keep_value() {
    if constexpr (!std::is_void_v<T>) value.emplace(branch.take());
  }
  Lifted<T> await_resume() {
    if (refused) return Error(Errc::stopping, "on");
    if (how == End::exception) std::rethrow_exception(std::move(error));
    if (how == End::cancelled) return Error(Errc::cancelled, "on");
    if constexpr (std::is_void_v<T>)
      return {};
    else
      return std::move(*value);
  }
};

template <class T, class F, class... A>
struct [[nodiscard("co_await it")]] On : OperationAwaitable<On<T, F, A...>> {
  LoopRef target;
  F function;
  std::tuple<A...> arguments;
  On(LoopRef there, F f, A... args)
      : target(std::move(there)), function(std::move(f)), arguments(std::move(args)...) {}
  OnAwaiter<T, F, A...> awaiter(PromiseBase& parent) && {
    return {std::move(target), std::move(function), std::move(arguments), parent};
  }
};

/// T of the Task<T> that `f(args...)` returns.
template <class F, class... A>
using StartedValue =
    typename std::invoke_result_t<std::decay_t<F>&, std::decay_t<A>&&...>::value_type;

/// The child at home that stands for a task elsewhere.
template <class T, class F, class... A>
Task<Lifted<T>> stand_in(LoopRef target, F function, A... args) {
  co_return co_await On<T, F, A...>(std::move(target), std::move(function), std::move(args)...);
}

}  // namespace detail

/// Runs `f(args...)`, a function that returns a Task, on another loop.
/// - **Completes** when the task has ended there and this loop was told.
/// - **Returns** its value as a Result. **Errors** stopping: the loop has ended, f was not called;
///   cancelled: it was cancelled there (Loop::cancel_all) and the one awaiting was not. An
///   exception of the task is rethrown here.
/// - **Cancel** asks the task there to end and waits until it has; its value wins.
/// - **Lifetime** function and arguments are moved into the awaiter and live there until the task
///   has ended; its frame lives and dies on the target. **Concurrency** any number.
/// - **Thread** a loop's; `target` may be the same loop.
template <class F, class... A>
auto on(const LoopRef& target, F&& f, A&&... args) {
  detail::check_callable<std::decay_t<F>, A...>();
  return detail::On<detail::StartedValue<F, A...>, std::decay_t<F>, std::decay_t<A>...>(
      target, std::forward<F>(f), std::forward<A>(args)...);
}

template <class F, class... A>
auto Scope::start_on(const LoopRef& target, F&& f, A&&... args) {
  detail::check_callable<std::decay_t<F>, A...>();
  using T = detail::StartedValue<F, A...>;
  return start(&detail::stand_in<T, std::decay_t<F>, std::decay_t<A>...>, target,
               std::decay_t<F>(std::forward<F>(f)), std::decay_t<A>(std::forward<A>(args))...);
}

/// Runs `f(args...)` on every loop of the program at once, this one included.
/// - **Completes** when the last one has ended. **Returns** their results in the order of loops().
/// - **Errors** in the results, as with on(). The first exception cancels the others and is
///   rethrown when all have ended.
/// - **Cancel** asks all of them to end. **Lifetime** each loop gets copies of f and args.
/// - **Concurrency** any number. **Thread** a loop's.
template <class F, class... A>
auto on_each(F f, A... args)
    -> Task<std::vector<Lifted<detail::StartedValue<const F&, const A&...>>>> {
  std::vector<Lifted<detail::StartedValue<const F&, const A&...>>> results;
  co_await with_scope([&](Scope& scope) -> Task<> {
    std::vector<decltype(scope.start_on(LoopRef(), std::as_const(f), std::as_const(args)...))> all;
    for (const LoopRef& one : loops()) {
      all.push_back(scope.start_on(one, std::as_const(f), std::as_const(args)...));
    }
    for (auto& handle : all) results.push_back(co_await handle);
  });
  co_return results;
}

}  // namespace rondo
