// SPDX-License-Identifier: Apache-2.0
// from_callback, start_callback: between code that calls back and code that awaits.
//
//   Result<int> n = co_await from_callback<int>([&](Resume<int> resume) {
//     library_fetch(key, [resume](int value) { resume(value); });       // any thread, any time
//   });
//   library_read(file, [](void* ctx, int n) { Resume<int>::from_pointer(ctx)(n); },
//                resume.to_pointer());                                   // a C API
//
//   CallbackOperation op = start_callback(peer.read_line(), [](Result<std::string> line) { ... });
//   op.cancel();                                                        // f is not called any more
//
// The call may come at once, later, from another thread, after the task was cancelled and after
// the loop has ended; the last two are dropped. Called twice it asserts. Never called: when the
// last copy of `resume` dies the await yields `abandoned`; a copy that is kept for ever waits for
// ever, until cancelled. Lifetime trap: after a cancel the other side may still hold `resume`
// (which owns all it needs) but not what the starting function captured by reference.
// Thread rule: calling a Resume any thread; everything else the loop's.
#pragma once

#include <atomic>
#include <coroutine>
#include <optional>
#include <type_traits>
#include <utility>

#include "rondo/base/intrusive_list.hpp"
#include "rondo/base/result.hpp"
#include "rondo/core/loop.hpp"
#include "rondo/core/loop_ref.hpp"
#include "rondo/core/task.hpp"

namespace rondo {

namespace detail {

/// What the copies of a Resume and the one that awaits share.
/// States: open -> set (by the first call, or abandoned by the last copy) -> delivered on the loop.
template <class T>
struct ResumeState : Ready {
  explicit ResumeState(LoopRef at) noexcept : loop(std::move(at)) {
    run = [](Ready& entry) { static_cast<ResumeState&>(entry).deliver(); };
  }
  void hold() noexcept { refs.fetch_add(1, std::memory_order_relaxed); }
  // acq_rel: whoever frees it sees what the others did with it.
  void drop() noexcept {
    if (refs.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }
  void hold_copy() noexcept {
    hold();
    copies.fetch_add(1, std::memory_order_relaxed);
  }
  void drop_copy() noexcept {
    if (copies.fetch_sub(1, std::memory_order_acq_rel) == 1)
      give(Error(Errc::abandoned, "resume"));
    drop();
  }
  /// The first one counts; false for any other.
  bool give(Lifted<T>&& result) {
    if (taken.exchange(true, std::memory_order_acq_rel)) return false;
    value.emplace(std::move(result));
    hold();                               // The posted entry's.
    if (!loop.post_entry(*this)) drop();  // The loop has ended: nobody waits.
    return true;
  }
  void deliver() {
    delivered = true;
    if (waiter) wake(*std::exchange(waiter, nullptr));
    drop();
  }

  LoopRef loop;
  std::optional<Lifted<T>> value;  ///< written before the post, read after it was delivered
  Waiter* waiter = nullptr;        ///< the loop's
  bool delivered = false;          ///< the loop's
  std::atomic<bool> taken{false};
  std::atomic<unsigned> refs{1};
  std::atomic<unsigned> copies{0};
};

}  // namespace detail

/// What ends the wait of a from_callback: called once, from any thread. Copies are one and the
/// same.
template <class T>
class Resume {
 public:
  explicit Resume(detail::ResumeState<T>& state) noexcept : state_(&state) { state.hold_copy(); }
  Resume(const Resume& other) noexcept : state_(other.state_) {
    if (state_) state_->hold_copy();
  }
  Resume(Resume&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
  Resume& operator=(Resume other) noexcept {
    std::swap(state_, other.state_);
    return *this;
  }
  ~Resume() {
    if (state_) state_->drop_copy();
  }

  /// Gives the result. Asserts that nobody did before.
  void operator()(Lifted<T> result) const {
    RONDO_ASSERT(state_, "this Resume was moved from");
    RONDO_ASSERT(state_->give(std::move(result)), "a callback came twice: Resume is called once");
  }
  void operator()() const
    requires std::is_void_v<T>
  {
    (*this)(Lifted<T>{});
  }

  /// For a C API's context argument: the pointer holds a copy until from_pointer() takes it back.
  [[nodiscard("from_pointer() it once")]] void* to_pointer() && noexcept {
    return std::exchange(state_, nullptr);
  }
  static Resume from_pointer(void* context) noexcept {
    return Resume(static_cast<detail::ResumeState<T>*>(context));
  }

 private:
  explicit Resume(detail::ResumeState<T>* taken) noexcept : state_(taken) {}
  detail::ResumeState<T>* state_;
};

namespace detail {

template <class T, class F>
struct FromCallbackAwaiter : Waiter {
  static constexpr bool k_withdraws = true;  // core/select.hpp
  F begin;
  ResumeState<T>* state = nullptr;

  FromCallbackAwaiter(PromiseBase& parent, F&& f) : begin(std::move(f)) { frame = &parent; }
  FromCallbackAwaiter(const FromCallbackAwaiter&) = delete;
  ~FromCallbackAwaiter() {
    if (state) state->drop();
  }
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<>) {
    if (detail::cancelled(*this)) return strike(*this);
    state = new ResumeState<T>(Loop::current().ref());
    // Before it parks: it may throw, and what it delivers comes through the queue anyway.
    begin(Resume<T>(*state));
    state->waiter = this;
    park(*this, [](Waiter& waiter) noexcept {
      static_cast<FromCallbackAwaiter&>(waiter).state->waiter = nullptr;
      strike(waiter);
    });
  }
  Lifted<T> await_resume() { return std::move(*state->value); }
};

template <class T, class F>
struct [[nodiscard("co_await it")]] FromCallback : OperationAwaitable<FromCallback<T, F>> {
  F begin;
  explicit FromCallback(F&& f) : begin(std::move(f)) {}
  FromCallbackAwaiter<T, F> awaiter(PromiseBase& parent) && { return {parent, std::move(begin)}; }
};

}  // namespace detail

/// Calls `begin(Resume<T>)`, which starts something that will call back, and waits for the call.
/// - **Completes** after the call, in a turn of its own. **Returns** what it was called with.
/// - **Errors** what it was called with; abandoned when every copy died without a call. An
///   exception of `begin` is rethrown.
/// - **Cancel** ends the wait at once; a call that comes later is dropped. What `begin` started is
///   not stopped: do it in a destructor or `finally` around.
/// - **Lifetime** `begin` lives while the task waits, Resume by itself. **Concurrency** any number.
/// - **Thread** the loop's; the call any.
template <class T, class F>
auto from_callback(F begin) {
  return detail::FromCallback<T, F>(std::move(begin));
}

namespace detail {

/// An operation whose end is a callback: a started task without a parent, owned by its loop.
struct CallbackTask : ListLink {
  Chain* chain = nullptr;
  unsigned char refs = 2;  ///< the task and the handle
  bool done = false;
  void (*release)(CallbackTask&) noexcept = nullptr;
  void drop() noexcept {
    if (--refs == 0) release(*this);
  }
};

/// The operations that are under way, so that the end of the loop cancels them.
class CallbackTasks : public LoopService {
 public:
  explicit CallbackTasks(Loop& loop) noexcept : loop_(loop) {}
  void add(CallbackTask& task) noexcept { live_.push_back(task); }
  bool drained() const noexcept override;

 private:
  Loop& loop_;
  mutable IntrusiveList<CallbackTask> live_;
};

template <class T, class F>
struct CallbackTaskOf : CallbackTask, Pooled {
  Branch<T> branch;
  std::optional<F> function;

  explicit CallbackTaskOf(F&& f) : function(std::move(f)) {
    chain = &branch;
    branch.back = this;
    branch.name = "start_callback";
    release = [](CallbackTask& task) noexcept { delete static_cast<CallbackTaskOf*>(&task); };
  }
  static void ended(Chain& chain, End how) {
    auto& self = *static_cast<CallbackTaskOf*>(static_cast<Branch<T>&>(chain).back);
    self.branch.over(how);
    self.unlink();
    self.done = true;
    if (how != End::cancelled) self.tell(how);
    self.function.reset();
    self.branch.free_frame();
    self.drop();
  }
  void tell(End how) noexcept {
    const auto call = [&] { (*function)(outcome(how)); };
    call_guarded(call, "a callback");
  }
  Lifted<T> outcome(End how) {
    if (how == End::exception) {
      report_lost(branch.promise().take_error(), "start_callback", &branch);
      return Error(Errc::failed, "start_callback");
    }
    if constexpr (std::is_void_v<T>)
      return {};
    else
      return branch.take();
  }
};

}  // namespace detail

/// An operation started with a callback. Dropping it does not cancel.
class [[maybe_unused]] CallbackOperation {
 public:
  CallbackOperation() = default;
  explicit CallbackOperation(detail::CallbackTask& task) noexcept : task_(&task) {}
  CallbackOperation(CallbackOperation&& other) noexcept
      : task_(std::exchange(other.task_, nullptr)) {}
  CallbackOperation& operator=(CallbackOperation&& other) noexcept {
    std::swap(task_, other.task_);
    return *this;
  }
  ~CallbackOperation() {
    if (task_) task_->drop();
  }
  /// Asks the operation to end. Its callback is not called then, unless it completed all the same
  /// (data wins); the callback's captures die when it has ended.
  void cancel() noexcept {
    if (task_ && !task_->done) detail::request_cancel(*task_->chain, "handle.cancel");
  }
  bool done() const noexcept { return !task_ || task_->done; }

 private:
  detail::CallbackTask* task_ = nullptr;
};

/// Starts any awaitable now and calls `f(result)` with its value as a Result when it has completed.
/// The same operations as for coroutines, for code that is written with callbacks; from a callback
/// or a task of the loop. `f` runs once, in a turn of its own; never after a cancel.
/// - **Errors** in the result; failed: a Task threw (the exception is reported and counted). An
///   exception of `f` is reported as that of any callback.
/// - **Lifetime** owns awaitable and function; the end of the loop cancels what is left.
/// - **Concurrency** any number. **Thread** the loop's.
template <class A, class F>
CallbackOperation start_callback(A&& awaitable, F f) {
  auto task = detail::as_task(std::forward<A>(awaitable));
  using T = typename decltype(task)::value_type;
  auto* made = new detail::CallbackTaskOf<T, F>(std::move(f));
  Loop::current().service<detail::CallbackTasks>().add(*made);
  made->branch.start(std::move(task), &detail::CallbackTaskOf<T, F>::ended, nullptr);
  return CallbackOperation(*made);
}

}  // namespace rondo
