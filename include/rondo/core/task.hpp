// SPDX-License-Identifier: Apache-2.0
// Task<T>: a lazy coroutine with exactly one owner.
//
//   Task<int> answer() { co_await sleep_for(1ms); co_return 42; }
//   Task<> caller()    { int n = co_await answer(); }
//
// A Task starts when it is awaited, or when a scope starts it (core/scope.hpp); until then it is
// only its arguments. It is awaited once, as an rvalue: `co_await f()`, `co_await std::move(t)`.
// Lifetime trap: arguments taken by reference or view must outlive the task, and a coroutine
// lambda's captures live in the lambda, not in the task: pass state as parameters.
// It refuses to be copied, to be detached (start it in a Scope) and to block (use rondo::run).
// Cancellation destroys the frame at the await where it waits: destructors run, nothing is thrown.
// Thread rule: born, resumed and freed on one loop.
#pragma once

#include <concepts>
#include <coroutine>
#include <exception>
#include <source_location>
#include <type_traits>
#include <utility>

#include "rondo/base/memory.hpp"
#include "rondo/base/result.hpp"
#include "rondo/core/detail/chain.hpp"
#include "rondo/core/detail/frame_pool.hpp"

namespace rondo {

template <class T = void>
class Task;

/// Stands for void where a value is needed: `std::get<0>(co_await when_all(a, b))`.
struct Unit {
  friend bool operator==(Unit, Unit) = default;
};
template <class T>
using NonVoid = std::conditional_t<std::is_void_v<T>, Unit, T>;
/// Result<T> for a plain T, T itself when it is a Result already.
template <class T>
using Lifted = std::conditional_t<is_result<T>, T, Result<T>>;

namespace detail {

/// What every coroutine frame of the library begins with.
class PromiseBase {
 public:
  explicit PromiseBase(std::source_location here) noexcept : site(here) {}
  PromiseBase(const PromiseBase&) = delete;
  PromiseBase& operator=(const PromiseBase&) = delete;
  ~PromiseBase() {
    if (state == State::error) detail::destroy_at(&error_);
  }

  static void* operator new(std::size_t size) { return FramePool::take(size); }
  static void operator delete(void* frame, std::size_t size) { FramePool::give(frame, size); }

  std::coroutine_handle<> handle() noexcept {
    // Right for every derived promise: their alignment is at most 16 (asserted in Task).
    return std::coroutine_handle<PromiseBase>::from_promise(*this);
  }

  std::suspend_always initial_suspend() noexcept { return {}; }
  struct FinalAwaiter {
    bool await_ready() noexcept { return false; }
    template <class P>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<P> h) noexcept {
      return h.promise().finish();
    }
    void await_resume() noexcept {}
  };
  FinalAwaiter final_suspend() noexcept { return {}; }
  void unhandled_exception() noexcept { set_error(std::current_exception()); }

  template <class A>
  decltype(auto) await_transform(A&& awaitable,
                                 std::source_location here = std::source_location::current()) {
    site = here;
    if constexpr (requires { std::forward<A>(awaitable).awaiter(*this); }) {
      return std::forward<A>(awaitable).awaiter(*this);  // Built in place, never moved.
    } else {
      static_assert(
          !requires { typename std::remove_cvref_t<A>::GeneratorTag; },
          "await a generator's next(), not the generator");
      static_assert(
          !requires(std::remove_cvref_t<A>& a) { std::move(a).awaiter(*this); },
          "await a Task or operation as an rvalue: co_await std::move(task)");
      return std::forward<A>(awaitable);
    }
  }

  /// The frame has its result: continues in whoever waits for it.
  std::coroutine_handle<> finish() noexcept {
    if (on_finish) [[unlikely]]
      return on_finish(*this);
    return hand_over();
  }
  std::coroutine_handle<> hand_over() noexcept {
    if (parent) return parent->handle();
    chain->ended(*chain, state == State::error ? End::exception : End::value);
    return std::noop_coroutine();
  }
  void set_error(std::exception_ptr error) noexcept {
    // Only now: an exception_ptr as a plain member costs 5 ns in every await.
    detail::construct_at(&error_, std::move(error));
    state = State::error;
  }
  std::exception_ptr take_error() noexcept { return std::move(error_); }
  bool failed() const noexcept { return state == State::error; }

  enum class State : std::uint8_t { running, value, error };

  PromiseBase* parent = nullptr;  ///< the frame that awaits this one; null: root of its chain
  Chain* chain = nullptr;         ///< null: never started
  void** owner = nullptr;         ///< the owner's handle, emptied before an unwind destroys this
  /// Set by or_return(): decides what happens when this frame has its result.
  std::coroutine_handle<> (*on_finish)(PromiseBase&) noexcept = nullptr;
  std::source_location site;  ///< the last co_await; before the first, the definition
  State state = State::running;

 private:
  union {
    std::exception_ptr error_;
  };
};

template <class T>
class ValuePromise : public PromiseBase {
 public:
  explicit ValuePromise(std::source_location here) noexcept : PromiseBase(here) {}
  ~ValuePromise() {
    if (state == State::value) detail::destroy_at(&value_);
  }
  template <class U = T>
    requires std::constructible_from<T, U&&>
  void return_value(U&& value) {
    detail::construct_at(&value_, std::forward<U>(value));
    state = State::value;
  }
  T take() {
    if (failed()) [[unlikely]]
      std::rethrow_exception(take_error());
    return std::move(value_);
  }
  T& value() noexcept { return value_; }

 private:
  union {
    T value_;
  };
};

template <>
class ValuePromise<void> : public PromiseBase {
 public:
  using PromiseBase::PromiseBase;
  void return_void() noexcept { state = State::value; }
  void take() {
    if (failed()) [[unlikely]]
      std::rethrow_exception(take_error());
  }
};

inline constexpr const char* k_empty_task =
    "this Task was awaited, started or moved from before: a Task runs once; call the function "
    "again for another one";

/// Counted, and in debug builds logged, unless a cancellation or an exception is on its way.
void report_never_awaited(const PromiseBase& promise) noexcept;
/// An exception that nobody gets: counted and, in debug builds, logged with the task's name and
/// creation site. `what` says where it came from; `task` may be null.
void report_lost(const std::exception_ptr& error, const char* what, const Chain* task) noexcept;
/// A failed Result that nobody reads: logged in debug builds.
void report_dropped(const Error& error, const Chain& task) noexcept;

/// Ends the frame that awaits as if it had returned `error`, without resuming it.
template <class Promise, class U>
std::coroutine_handle<> finish_with(Promise& promise, U&& error) noexcept {
  promise.return_value(std::forward<U>(error));
  return promise.finish();
}

}  // namespace detail

template <class T>
class [[nodiscard("co_await it or start it in a Scope: else it never runs")]] Task {
 public:
  using value_type = T;

  class promise_type : public detail::ValuePromise<T> {
   public:
    explicit promise_type(
        std::source_location definition = std::source_location::current()) noexcept
        : detail::ValuePromise<T>(definition) {}
    Task get_return_object() noexcept {
      static_assert(alignof(promise_type) <= 16, "a Task's value has an alignment of at most 16");
      return Task(std::coroutine_handle<promise_type>::from_promise(*this).address());
    }
  };

  Task(Task&& other) noexcept : frame_(std::exchange(other.frame_, nullptr)) {}
  Task& operator=(Task&& other) noexcept {
    if (this != &other) {
      drop();
      frame_ = std::exchange(other.frame_, nullptr);
    }
    return *this;
  }
  ~Task() { drop(); }

  /// The awaiter of `co_await task`; for the library's use.
  class Awaiter {
   public:
    Awaiter(void* frame, detail::PromiseBase& parent) noexcept : frame_(frame) {
      RONDO_ASSERT(frame, detail::k_empty_task);
      detail::PromiseBase& child = promise();
      child.parent = &parent;
      child.chain = parent.chain;
      child.owner = &frame_;
    }
    Awaiter(const Awaiter&) = delete;
    Awaiter& operator=(const Awaiter&) = delete;
    ~Awaiter() {
      if (frame_) std::coroutine_handle<>::from_address(frame_).destroy();
    }
    bool await_ready() const noexcept { return false; }
    std::coroutine_handle<> await_suspend(std::coroutine_handle<>) noexcept {
      return std::coroutine_handle<>::from_address(frame_);
    }
    T await_resume() { return promise().take(); }

   protected:
    promise_type& promise() noexcept {
      return std::coroutine_handle<promise_type>::from_address(frame_).promise();
    }
    void* frame_;
  };

  Awaiter awaiter(detail::PromiseBase& parent) && noexcept {
    return Awaiter(std::exchange(frame_, nullptr), parent);
  }

  /// For Task<Result<U>>: the value, or throws SystemError at the await.
  auto or_throw() &&
    requires is_result<T>;
  /// For Task<Result<U>>: the value, or ends the awaiting Task<Result<V>> with the error.
  auto or_return() &&
    requires is_result<T>;

  /// The frame, for the library's owners of started tasks; leaves this empty.
  void* release() && noexcept { return std::exchange(frame_, nullptr); }
  static promise_type& promise_of(void* frame) noexcept {
    return std::coroutine_handle<promise_type>::from_address(frame).promise();
  }

 private:
  explicit Task(void* frame) noexcept : frame_(frame) {}
  void drop() noexcept {
    if (!frame_) return;
    if (!promise_of(frame_).chain) [[unlikely]]
      detail::report_never_awaited(promise_of(frame_));
    std::coroutine_handle<>::from_address(std::exchange(frame_, nullptr)).destroy();
  }

  void* frame_;
};

namespace detail {

template <class A>
using AwaiterOf = decltype(std::declval<A&&>().awaiter(std::declval<PromiseBase&>()));
/// What `co_await` of an A yields.
template <class A>
using AwaitedOf = decltype(std::declval<AwaiterOf<A>&>().await_resume());

template <class T>
inline constexpr bool is_task = false;
template <class T>
inline constexpr bool is_task<Task<T>> = true;

/// An awaitable as a Task: a Task as it is, anything else in a frame of its own.
template <class T>
Task<T> as_task(Task<T> task) {
  return task;
}
template <class A>
  requires(!is_task<std::remove_cvref_t<A>>)
Task<AwaitedOf<A>> as_task(A awaitable) {
  co_return co_await std::move(awaitable);
}
template <class A>
Task<AwaitedOf<A&>> await_in_place(A& awaitable) {
  co_return co_await awaitable;
}
template <class A>
using TaskOf = decltype(as_task(std::declval<A>()));

/// `co_await op.or_throw()`.
template <class A>
struct [[nodiscard("co_await it")]] OrThrow {
  A inner;
  struct Awaiter {
    AwaiterOf<A> inner;
    bool await_ready() { return inner.await_ready(); }
    auto await_suspend(std::coroutine_handle<> h) { return inner.await_suspend(h); }
    auto await_resume() { return inner.await_resume().or_throw(); }
  };
  Awaiter awaiter(PromiseBase& parent) && { return {std::forward<A>(inner).awaiter(parent)}; }
};

/// `co_await op.or_return()`: see PromiseBase::on_finish.
template <class A>
struct [[nodiscard("co_await it")]] OrReturn {
  using Inner = AwaitedOf<A>;  // Result<U>
  using U = typename Inner::value_type;
  Task<Inner> task;

  class Awaiter : public Task<Inner>::Awaiter {
   public:
    using Task<Inner>::Awaiter::Awaiter;
    template <class P>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<P> up) noexcept {
      static_assert(
          requires(P& p, Error e) { p.return_value(std::move(e)); },
          "or_return() needs a surrounding Task<Result<T>>");
      PromiseBase& child = this->promise();
      child.on_finish = [](PromiseBase& done) noexcept -> std::coroutine_handle<> {
        auto& own = static_cast<ValuePromise<Inner>&>(done);
        if (own.failed() || own.value().has_value()) return own.hand_over();
        return finish_with(static_cast<P&>(*own.parent), own.value().error());
      };
      return Task<Inner>::Awaiter::await_suspend(up);
    }
    U await_resume() { return *Task<Inner>::Awaiter::await_resume(); }
  };
  Awaiter awaiter(PromiseBase& parent) && { return Awaiter(std::move(task).release(), parent); }
};

/// Base of the library's operations (awaitables that yield Result): adds the two shortcuts.
template <class Self>
struct OperationAwaitable {
  /// The value, or throws SystemError at the await.
  auto or_throw() && { return OrThrow<Self>{std::move(static_cast<Self&>(*this))}; }
  /// The value, or ends the awaiting Task<Result<V>> with the error; its locals are destroyed.
  auto or_return() && { return OrReturn<Self>{as_task(std::move(static_cast<Self&>(*this)))}; }
};

/// Base of handles that are awaited where they stand: the shortcuts take an lvalue as well.
template <class Self>
struct HandleAwaitable : OperationAwaitable<Self> {
  using OperationAwaitable<Self>::or_throw;
  using OperationAwaitable<Self>::or_return;
  auto or_throw() & { return OrThrow<Self&>{static_cast<Self&>(*this)}; }
  auto or_return() & { return OrReturn<Self&>{await_in_place(static_cast<Self&>(*this))}; }
};

inline bool chain_cancelled(const PromiseBase& frame) noexcept { return frame.chain->cancelled; }
inline Chain& chain_of(const PromiseBase& frame) noexcept { return *frame.chain; }

/// The select that a leaf which is not the waiter itself must be.
inline Collector& collector_of(Waiter& leaf) noexcept {
  RONDO_ASSERT(leaf.run == &Collector::mark, "a task can wait in one place only");
  return static_cast<Collector&>(leaf);
}
/// Suspends the waiter's chain in it.
inline void park(Waiter& waiter, void (*cancel)(Waiter&) noexcept) noexcept {
  Chain& chain = *waiter.frame->chain;
  waiter.cancel = cancel;
  if (chain.leaf) [[unlikely]]
    return collector_of(*chain.leaf).enlist(waiter);
  chain.leaf = &waiter;
}
/// Its wait is over: the frame will run.
inline void wake(Waiter& waiter) noexcept {
  Chain& chain = *waiter.frame->chain;
  chain.assert_here();
  // One that was not parked gives up its turn: it would defeat its own budget in the next slot.
  const bool parked = chain.leaf == &waiter;
  if (chain.leaf && !parked) [[unlikely]] {
    return collector_of(*chain.leaf).settle(waiter, End::value);
  }
  chain.leaf = nullptr;
  waiter.run = &run_resume;
  LoopCore& at = core();
  if (parked && at.next_open) {
    at.next_open = false;
    at.next = &waiter;
  } else {
    at.ready.push_back(waiter);
  }
}
/// Its wait ended by cancellation: the frames will be destroyed.
inline void strike(Waiter& waiter) noexcept {
  Chain& chain = *waiter.frame->chain;
  chain.assert_here();
  if (chain.leaf && chain.leaf != &waiter) [[unlikely]] {
    return collector_of(*chain.leaf).settle(waiter, End::cancelled);
  }
  chain.leaf = nullptr;
  waiter.run = &run_unwind;
  core().ready.push_back(waiter);
}
inline bool cancelled(const Waiter& waiter) noexcept { return waiter.frame->chain->cancelled; }

}  // namespace detail

template <class T>
auto Task<T>::or_throw() &&
  requires is_result<T>
{
  return detail::OrThrow<Task>{std::move(*this)};
}
template <class T>
auto Task<T>::or_return() &&
  requires is_result<T>
{
  return detail::OrReturn<Task>{std::move(*this)};
}

}  // namespace rondo
