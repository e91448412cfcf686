// SPDX-License-Identifier: Apache-2.0
// select: waits for several things at once and takes exactly one.
//
//   auto got = co_await select(orders.receive(), cancels.receive(), sleep_for(5s));
//   if (got.index == 0) handle(std::get<0>(got.values));
//
// It registers everywhere in the order written; the first that can go ahead is committed to, and
// in the same step the others are withdrawn. So of channels, events, locks, semaphores, futures,
// handles and sleeps exactly one has happened: no item is taken that is not returned, no permit or
// turn is lost. When several can go ahead at once the one written first does.
// A Task or a kernel operation among them cannot be withdrawn in one step: it is cancelled and
// waited for, and if it has completed all the same its value is there too (as with when_any).
// Thread rule: the loop's thread.
#pragma once

#include <concepts>
#include <coroutine>
#include <cstddef>
#include <exception>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

#include "rondo/core/event.hpp"
#include "rondo/core/loop.hpp"
#include "rondo/core/task.hpp"
#include "rondo/core/when.hpp"

namespace rondo {

namespace detail {

/// Awaiters that leave where they wait inside of their cancel(): they are registered themselves.
/// Whatever derives from ListedWaiter is one; others say so with `k_withdraws = true`.
template <class Awaiter>
concept Withdraws =
    std::derived_from<Awaiter, ListedWaiter> || requires { requires Awaiter::k_withdraws; };

/// States of a case: idle -> registered -> won | withdrawn | failed (of branches: ended).
struct SelectCase {
  Waiter* waiter = nullptr;  ///< null: a branch
  Chain* branch = nullptr;
  bool registered = false;
};

/// What does not depend on the cases' types. It is its chain's leaf while cases are registered.
class SelectCore : public Collector {
 public:
  bool has_winner() const noexcept { return winner_ != k_none; }
  std::size_t winner() const noexcept { return winner_; }

 protected:
  static constexpr std::size_t k_none = static_cast<std::size_t>(-1);

  explicit SelectCore(PromiseBase& parent) noexcept;
  void open(SelectCase* cases, std::size_t count) noexcept;
  /// After the last case: false when it is decided and the task goes on at once.
  bool close() noexcept;
  void branch_ended(std::size_t index, End how) noexcept;
  void fail(std::exception_ptr error, const Chain& branch) noexcept;
  /// A case threw before it was registered: that decides.
  void threw(std::size_t index, std::exception_ptr error) noexcept;

  bool opening_ = false;
  std::exception_ptr error_;

 private:
  void ended(std::size_t index, End how) noexcept;
  void withdraw(const char* reason) noexcept;
  void finish() noexcept;

  SelectCase* cases_ = nullptr;
  std::size_t count_ = 0;
  std::size_t left_ = 0;
  std::size_t winner_ = k_none;
};

template <class A>
struct DirectCase {
  AwaiterOf<A> awaiter;
  DirectCase(A&& awaitable, PromiseBase& parent)
      : awaiter(std::forward<A>(awaitable).awaiter(parent)) {}
  using Value = AwaitedOf<A>;
};

template <class A>
struct BranchCase : Branch<typename TaskOf<A>::value_type> {
  using Value = typename TaskOf<A>::value_type;
  Task<Value> task;
  std::size_t index = 0;
  BranchCase(A&& awaitable, PromiseBase&) : task(as_task(std::forward<A>(awaitable))) {}
  ~BranchCase() {
    // An earlier case decided: that this one never ran is no oversight to be reported.
    if (void* unstarted = std::move(task).release())
      std::coroutine_handle<>::from_address(unstarted).destroy();
  }
};

template <class A>
constexpr bool is_direct() {
  if constexpr (is_task<std::remove_cvref_t<A>>)
    return false;
  else
    return Withdraws<AwaiterOf<A>>;
}
template <class A>
using CaseOf = std::conditional_t<is_direct<A>(), std::type_identity<DirectCase<A>>,
                                  std::type_identity<BranchCase<A>>>::type;
template <class A>
using SelectedValue =
    std::conditional_t<std::is_void_v<typename CaseOf<A>::Value>, void, typename CaseOf<A>::Value>;

/// A case in a tuple, built in place: awaiters do not move.
template <std::size_t I, class A>
struct CaseSlot {
  CaseOf<A> value;
  CaseSlot(A&& awaitable, PromiseBase& parent) : value(std::forward<A>(awaitable), parent) {}
};
template <class Indices, class... A>
struct CaseSlots;
template <std::size_t... I, class... A>
struct CaseSlots<std::index_sequence<I...>, A...> : CaseSlot<I, A>... {
  CaseSlots(std::tuple<A&&...> awaitables, PromiseBase& parent)
      : CaseSlot<I, A>(std::get<I>(std::move(awaitables)), parent)... {}
};

template <class... A>
struct SelectAwaiter : SelectCore {
  using Indices = std::index_sequence_for<A...>;
  CaseSlots<Indices, A...> slots;
  SelectCase cases[sizeof...(A)];

  SelectAwaiter(std::tuple<A&&...> awaitables, PromiseBase& parent)
      : SelectCore(parent), slots(std::move(awaitables), parent) {}
  template <std::size_t I>
  auto& slot() noexcept {
    return static_cast<CaseSlot<I, std::tuple_element_t<I, std::tuple<A...>>>&>(slots).value;
  }
  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<> up) {
    if (detail::cancelled(*this)) return strike(*this), true;
    open(cases, sizeof...(A));
    [&]<std::size_t... I>(std::index_sequence<I...>) { (enter<I>(up), ...); }(Indices{});
    return close();
  }
  template <std::size_t I>
  void enter(std::coroutine_handle<> up) {
    if (has_winner()) return;
    if constexpr (requires { slot<I>().awaiter; }) {
      cases[I].waiter = &slot<I>().awaiter;
      try {
        slot<I>().awaiter.await_suspend(up);
      } catch (...) {  // Where it begins is the user's code: the start of a from_callback.
        threw(I, std::current_exception());
      }
    } else {
      auto& branch = slot<I>();
      cases[I] = {.branch = &branch, .registered = true};
      branch.index = I;
      branch.back = this;
      using Case = std::remove_reference_t<decltype(branch)>;
      branch.start(std::move(branch.task), &one_ended<Case>, frame->chain);
    }
  }
  template <class Case>
  static void one_ended(Chain& chain, End how) {
    auto& branch = static_cast<Case&>(chain);
    auto& self = *static_cast<SelectAwaiter*>(branch.back);
    branch.over(how);
    if (how == End::exception) self.fail(branch.promise().take_error(), chain);
    self.branch_ended(branch.index, how);
  }
  template <std::size_t I>
  auto value() {
    auto& one = slot<I>();
    using V = typename std::remove_reference_t<decltype(one)>::Value;
    std::optional<NonVoid<V>> out;
    if constexpr (requires { one.awaiter; }) {
      if (I != winner()) return out;
      if constexpr (std::is_void_v<V>)
        one.awaiter.await_resume(), out.emplace();
      else
        out.emplace(one.awaiter.await_resume());
    } else {
      if (!one.finished || one.how != End::value) return out;
      if constexpr (std::is_void_v<V>)
        one.take(), out.emplace();
      else
        out.emplace(one.take());
    }
    return out;
  }
  Any<SelectedValue<A>...> await_resume() {
    if (error_) std::rethrow_exception(std::move(error_));
    return [this]<std::size_t... I>(std::index_sequence<I...>) {
      return Any<SelectedValue<A>...>{winner(), {value<I>()...}};
    }(Indices{});
  }
};

template <class... A>
struct [[nodiscard("co_await it")]] Select {
  std::tuple<A...> awaitables;
  SelectAwaiter<A...> awaiter(PromiseBase& parent) && {
    return std::apply(
        [&](A&... each) {
          return SelectAwaiter<A...>(std::tuple<A&&...>(std::forward<A>(each)...), parent);
        },
        awaitables);
  }
};

}  // namespace detail

namespace detail {

/// How a case is held: a handle that is awaited where it stands (a Future, a JoinHandle) by
/// reference when it is given so, to be selected again; everything else by value.
template <class A>
concept AwaitedInPlace = std::is_lvalue_reference_v<A> && requires(A a, PromiseBase& parent) {
  a.awaiter(parent);
};
template <class A>
using HeldCase = std::conditional_t<AwaitedInPlace<A>, A, std::remove_cvref_t<A>>;

}  // namespace detail

/// Waits for the first of several awaitables and takes exactly that one.
/// - **Completes** when one has, and the others have been withdrawn (Tasks and kernel operations:
///   cancelled and ended). **Returns** Any: the winner's index and a tuple of optionals.
/// - **Errors** in the values; an exception of a Task is rethrown when all have ended.
/// - **Cancel** withdraws all of them; nothing was taken. **Lifetime** owns the awaitables; handles
///   that are given as lvalues (`select(future, sleep_for(1s))`) stay the caller's and outlive it:
///   one that did not win is selected or awaited again.
/// - **Concurrency** any number. **Thread** the loop's.
template <class... A>
  requires(sizeof...(A) > 0)
auto select(A&&... awaitables) {
  static_assert((std::is_constructible_v<detail::HeldCase<A>, A> && ...),
                "select(std::move(x)): what cannot be copied and is no handle is handed over");
  return detail::Select<detail::HeldCase<A>...>{{std::forward<A>(awaitables)...}};
}

}  // namespace rondo
