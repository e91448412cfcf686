// SPDX-License-Identifier: Apache-2.0
// Scope: the bracket that owns child tasks (a nursery, a task group).
//
//   co_await with_scope([&](Scope& sessions) -> Task<> {
//     while (auto peer = co_await listener.accept()) sessions.start(serve, std::move(*peer));
//   });                                       // not left before every session has ended
//
// Who waits for whom: with_scope waits for its body and for every child started in the scope.
// A child that throws cancels its siblings and the body; the first exception goes on to the
// awaiter of with_scope, the others are counted. `scope.cancel()` asks all of them to end;
// a deadline (move_on_after) does the same when it passes, for children's children too.
// Lifetime trap: start() keeps the function and its arguments as long as the task, but what you
// capture by reference must outlive the *scope*, which it does when it stands above it.
// `start_now` runs the child at once, up to its first wait. Soft stop: request_stop(grace).
// It refuses to be copied or returned: hand `Scope&` to whom may start work in it.
// Thread rule: the loop's thread.
#pragma once

#include <coroutine>
#include <cstddef>
#include <exception>
#include <optional>
#include <source_location>
#include <span>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include "rondo/base/memory.hpp"
#include "rondo/core/detail/locals.hpp"
#include "rondo/core/event.hpp"
#include "rondo/core/loop.hpp"
#include "rondo/core/task.hpp"

namespace rondo {

/// How a bracket ended.
struct ScopeEnd {
  bool cancelled = false;  ///< by this scope's own cancel() or deadline
  CancelReason reason = {};
};

/// Optional first argument of Scope::start: a name for tools and reports, and with it the place
/// where it was started.
struct Named {
  const char* name;
  std::source_location location = std::source_location::current();
};

template <class T>
class JoinHandle;
namespace detail {
template <class F>
struct ScopeBracket;
template <class Token>
struct StopTokenOf;  // core/stop_token.hpp

/// Takes every exception of a scope instead of the scope itself (core/error_group.hpp).
struct FailureSink {
  void (*take)(FailureSink&, std::exception_ptr) noexcept = nullptr;
  bool cancels = true;  ///< a failure cancels the siblings
};
}  // namespace detail

class Scope {
 public:
  Scope() = default;
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;
  ~Scope() {
    detail::end_watch(watch_);
    if (own_locals_) [[unlikely]]
      detail::drop_locals(own_locals_);
  }

  /// Starts `f(args...)`, a function that returns a Task, as a child. Function and arguments are
  /// copied (moved) like std::thread's and live as long as the task; use std::ref for references.
  /// The child runs from the ready queue, not inside this call; in a cancelled scope it never does.
  template <class F, class... A>
  auto start(F&& f, A&&... args);
  template <class F, class... A>
  auto start(Named name, F&& f, A&&... args);
  /// The same, but the child runs inside this call, up to its first suspension (or its end): what
  /// it does before that has happened when start_now returns, without a turn of the ready queue.
  /// It shares the caller's budget of ready awaits. An exception of it goes to the scope, never to
  /// the caller, which is struck at its next checkpoint. In a cancelled scope it never runs.
  /// Trap: the child may change what the caller holds iterators or references into.
  template <class F, class... A>
  auto start_now(F&& f, A&&... args);
  template <class F, class... A>
  auto start_now(Named name, F&& f, A&&... args);
  /// Starts `f(args...)` on another loop, as a child of this scope like any other: the scope is
  /// not left before it has ended there, and its exception cancels its siblings here. The handle
  /// is that of a Task<Result<...>>; the errors are on()'s. Defined in core/on.hpp.
  template <class F, class... A>
  auto start_on(const LoopRef& target, F&& f, A&&... args);

  /// Asks every child and the body to end. Idempotent; new children start cancelled.
  void cancel(CancelReason reason = {"scope.cancel"}) noexcept;
  /// The same, asked by an outer bracket: it becomes a value there, not here.
  void cancel_from_outside() noexcept;
  bool cancelled() const noexcept { return cancelled_; }
  /// Cancels when `after` has passed (at `when`); replaces the deadline that was set before, that
  /// of move_on_after too. `k_no_deadline` takes it away.
  void cancel_after(Duration after, CancelReason reason = {"deadline"});
  void cancel_at(TimePoint when, CancelReason reason = {"deadline"});

  /// Soft stop: stop_requested() becomes true and until_stop_requested() completes, so that
  /// children may finish what they do; what is left after `grace` is cancelled ("grace is over").
  void request_stop(Duration grace = std::chrono::milliseconds(limits::stop_grace.value));
  bool stop_requested() const noexcept { return stop_.is_set(); }
  /// Waits for request_stop(): as Event::wait.
  auto until_stop_requested() noexcept { return stop_.wait(); }

  /// A std::stop_token for code outside of the loop, stopped when this scope is cancelled or has
  /// ended. Defined in core/stop_token.hpp.
  template <class Token = void>
  auto stop_token() {
    return detail::StopTokenOf<Token>::of(watch_, cancelled_);
  }
  /// Children (the body is one) that have not ended.
  std::size_t live() const noexcept { return live_; }
  /// Exceptions of children after the first.
  std::size_t other_exceptions() const noexcept { return others_; }

  // For the brackets and children themselves.
  void add(detail::Chain& child) noexcept;
  void remove(detail::Chain& child) noexcept;
  void fail(std::exception_ptr error, const detail::Chain& child) noexcept;
  void collect_failures(detail::FailureSink& sink) noexcept { sink_ = &sink; }
  bool failed() const noexcept { return failed_; }
  detail::CancelWatch*& watch() noexcept { return watch_; }
  /// What children inherit: the scope's own values before those of the task that awaits it.
  const detail::LocalNode* locals() const noexcept {
    return own_locals_ ? own_locals_ : owner_->locals;
  }
  /// `head` holds on to what was set before.
  void set_locals(const detail::LocalNode* head) noexcept {
    const detail::LocalNode* before = std::exchange(own_locals_, head);
    if (before) detail::drop_locals(before);
  }

 private:
  template <class F>
  friend struct detail::ScopeBracket;
  struct Deadline : detail::Timer {
    Scope* scope = nullptr;
    CancelReason why;
  };

  void end() noexcept;
  void cancel_children(const char* reason) noexcept;
  template <class F, class... A>
  auto make_child(Named name, F&& f, A&&... args);

  IntrusiveList<detail::Chain, detail::InScope> children_;
  std::size_t live_ = 0;
  std::size_t others_ = 0;
  bool cancelled_ = false;
  bool cancelled_here_ = false;  ///< by its own cancel() or deadline
  bool failed_ = false;
  CancelReason reason_;
  const char* asked_ = nullptr;  ///< what children were told; null: the owner's chain knows
  Deadline deadline_;
  Event stop_;
  detail::FailureSink* sink_ = nullptr;
  detail::CancelWatch* watch_ = nullptr;
  const detail::LocalNode* own_locals_ = nullptr;
  std::exception_ptr first_;
  detail::Chain* owner_ = nullptr;  ///< the chain that awaits the bracket
  detail::Waiter* closer_ = nullptr;
  void (*when_empty_)(detail::Waiter&) noexcept = nullptr;
};

namespace detail {

/// The record of a child: its chain, its result, and counts of who still needs it.
struct ChildBase : Chain {
  Scope* scope = nullptr;
  Waiter* joiner = nullptr;
  unsigned char refs = 2;  ///< the task and the handle
  End how = End::value;
  void (*release)(ChildBase&) noexcept = nullptr;
  void drop() noexcept {
    if (--refs == 0) release(*this);
  }
};

template <class T>
struct Child : ChildBase {
  std::optional<NonVoid<T>> value;
};

/// Says what is wrong with a function that cannot be called with arguments that were kept for it.
template <class Fn, class... A>
consteval void check_callable() {
  constexpr bool k_takes = std::is_invocable_v<Fn&, std::decay_t<A>&&...>;
  static_assert(k_takes || !std::is_invocable_v<Fn&, A...>,
                "f takes a reference, but the task is handed copies of its arguments: pass "
                "std::ref(x) and see that x outlives the task, or let f take a value");
  static_assert(k_takes || std::is_invocable_v<Fn&, A...>,
                "f cannot be called with these arguments");
}

/// Parameters that own what they hold: their values need no copy beside the frame's own.
template <class P>
inline constexpr bool is_owning =
    !std::is_reference_v<P> && !std::is_pointer_v<P> &&
    !std::is_same_v<std::remove_cv_t<P>, std::string_view> &&
    !requires(P& p) { []<class E, std::size_t N>(std::span<E, N>&) {}(p); };

template <class F>
inline constexpr bool owns_parameters = false;
template <class R, class... P>
inline constexpr bool owns_parameters<R (*)(P...)> = (is_owning<P> && ...);
template <class R, class... P>
inline constexpr bool owns_parameters<R (*)(P...) noexcept> = (is_owning<P> && ...);

template <class F>
constexpr bool calls_directly() {
  if constexpr (std::is_pointer_v<F>)
    return owns_parameters<F>;
  else if constexpr (std::is_empty_v<F> && requires(F f) { +f; })
    return owns_parameters<decltype(+std::declval<F>())>;
  else
    return false;
}

template <class T>
struct StartedChild : Child<T>, Pooled {
  void* frame_address = nullptr;
  PromiseBase& root() noexcept { return Task<T>::promise_of(frame_address); }
  JoinHandle<T> handle() noexcept { return JoinHandle<T>(*this); }
};
/// A child together with the function and the arguments that its frame may refer to.
template <class T, class... Kept>
struct KeptChild : StartedChild<T> {
  std::optional<std::tuple<Kept...>> kept;  ///< emptied at the task's end: a handle may stay
  template <class... Y>
  explicit KeptChild(Y&&... values) : kept(std::in_place, std::forward<Y>(values)...) {}
  void drop_kept() noexcept { kept.reset(); }
};
template <class T>
struct KeptChild<T> : StartedChild<T> {
  void drop_kept() noexcept {}
};

/// The child's frame is over: its result moves to the record, its arguments die here.
template <class C, class T>
void end_child(Chain& chain, End how) {
  C& child = static_cast<C&>(chain);
  child.how = how;
  child.finished = true;
  if (how != End::cancelled) {
    auto& promise = Task<T>::promise_of(child.frame_address);
    if (how == End::exception)
      child.scope->fail(promise.take_error(), chain);
    else if constexpr (!std::is_void_v<T>)
      child.value.emplace(promise.take());
    std::coroutine_handle<>::from_address(child.frame_address).destroy();
  }
  core().unwinding = how == End::cancelled;  // The kept arguments are a part of the frame.
  child.drop_kept();
  core().unwinding = false;
  if (child.joiner) wake(*std::exchange(child.joiner, nullptr));
  end_watch(child.watch);
  Loop::current().unlink_chain(child);
  child.scope->remove(child);
  child.drop();
}

template <class C, class T>
void release_child(ChildBase& base) noexcept {
  C* child = static_cast<C*>(&base);
  if constexpr (is_result<T>) {
    if (child->value && !child->value->has_value()) {
      report_dropped(child->value->error(), *child);
    }
  }
  delete child;
}

template <class T>
struct JoinAwaiter : Waiter {
  static constexpr bool k_withdraws = true;  // core/select.hpp
  Child<T>* child;
  JoinAwaiter(Child<T>* c, PromiseBase& parent) noexcept : child(c) { frame = &parent; }
  bool await_ready() noexcept {
    return !detail::cancelled(*this) && child->finished && spend_await();
  }
  void await_suspend(std::coroutine_handle<>) noexcept {
    if (detail::cancelled(*this)) return strike(*this);
    if (child->finished) return wake(*this);
    RONDO_ASSERT(!child->joiner, "a task is joined by one awaiter");
    child->joiner = this;
    park(*this, [](Waiter& waiter) noexcept {
      static_cast<JoinAwaiter&>(waiter).child->joiner = nullptr;
      strike(waiter);
    });
  }
  Lifted<T> await_resume() {
    if (child->how == End::cancelled) return Error(Errc::cancelled, "join");
    if (child->how == End::exception) return Error(Errc::failed, "join");
    if constexpr (std::is_void_v<T>) {
      return {};
    } else {
      RONDO_ASSERT(child->value, "a task's result is taken once");
      auto taken = std::move(*child->value);
      child->value.reset();
      return taken;
    }
  }
};

}  // namespace detail

/// A started child. Dropping the handle lets the child run on: its scope owns it, not the handle.
template <class T>
class [[maybe_unused]] JoinHandle : public detail::HandleAwaitable<JoinHandle<T>> {
 public:
  explicit JoinHandle(detail::Child<T>& child) noexcept : child_(&child) {}
  JoinHandle(JoinHandle&& other) noexcept : child_(std::exchange(other.child_, nullptr)) {}
  JoinHandle& operator=(JoinHandle&& other) noexcept {
    std::swap(child_, other.child_);
    return *this;
  }
  ~JoinHandle() {
    if (child_) child_->drop();
  }

  /// Asks this child to end; it is joined as ever.
  void cancel(CancelReason reason = {"handle.cancel"}) noexcept {
    detail::request_cancel(*child_, reason.text);
  }
  bool done() const noexcept { return child_->finished; }
  const char* name() const noexcept { return child_->name ? child_->name : ""; }

  /// Waits until the child has ended: `co_await handle`, once.
  /// - **Completes** after the child's frame and arguments are gone.
  /// - **Returns** its value as a Result. **Errors** cancelled: the child was cancelled (and the
  ///   one awaiting was not); failed: it threw, its scope carries the exception.
  /// - **Cancel** stops waiting; the child runs on. **Lifetime** the handle may die before it.
  /// - **Concurrency** one awaiter. **Thread** the loop's.
  detail::JoinAwaiter<T> awaiter(detail::PromiseBase& parent) & noexcept {
    return {child_, parent};
  }
  detail::JoinAwaiter<T> awaiter(detail::PromiseBase& parent) && noexcept {
    return {child_, parent};
  }

 private:
  detail::Child<T>* child_;
};

template <class F, class... A>
auto Scope::start(F&& f, A&&... args) {
  return start(Named{nullptr}, std::forward<F>(f), std::forward<A>(args)...);
}

template <class F, class... A>
auto Scope::start(Named name, F&& f, A&&... args) {
  auto* child = make_child(name, std::forward<F>(f), std::forward<A>(args)...);
  detail::begin(*child, child->root());
  return child->handle();
}

template <class F, class... A>
auto Scope::start_now(F&& f, A&&... args) {
  return start_now(Named{nullptr}, std::forward<F>(f), std::forward<A>(args)...);
}

template <class F, class... A>
auto Scope::start_now(Named name, F&& f, A&&... args) {
  auto* child = make_child(name, std::forward<F>(f), std::forward<A>(args)...);
  auto handle = child->handle();  // Keeps the record: the task may end inside.
  detail::begin_inline(*child, child->root());
  return handle;
}

template <class F, class... A>
auto Scope::make_child(Named name, F&& f, A&&... args) {
  using Fn = std::decay_t<F>;
  static_assert(!detail::is_task<Fn>,
                "start(f, args...): hand over the function and its arguments, not f(args...)");
  detail::check_callable<Fn, A...>();
  using TaskT = std::invoke_result_t<Fn&, std::decay_t<A>&&...>;
  static_assert(detail::is_task<TaskT>, "start(f, args...): f returns a Task");
  using T = typename TaskT::value_type;
  constexpr bool k_direct = detail::calls_directly<Fn>();
  using C = std::conditional_t<k_direct, detail::KeptChild<T>,
                               detail::KeptChild<T, Fn, std::decay_t<A>...>>;
  C* child;
  if constexpr (k_direct) {
    TaskT task = f(std::forward<A>(args)...);
    child = new C();  // Cannot throw but for memory, and then the task frees its frame.
    child->frame_address = std::move(task).release();
  } else {
    Owned<C> owned(new C(std::forward<F>(f), std::forward<A>(args)...));
    owned->frame_address =
        std::apply([](Fn& fn, auto&... kept) { return fn(std::move(kept)...); }, *owned->kept)
            .release();
    child = owned.release();
  }
  child->name = name.name;
  if (name.name) child->started_at = name.location;
  child->scope = this;
  child->release = &detail::release_child<C, T>;
  child->ended = &detail::end_child<C, T>;
  add(*child);
  return child;
}

namespace detail {

/// The awaiter of with_scope and move_on_after.
template <class F>
struct ScopeBracket : Waiter {
  using BodyTask = std::invoke_result_t<F&, Scope&>;
  using T = typename BodyTask::value_type;
  using Returned = std::conditional_t<std::is_void_v<T>, ScopeEnd, std::optional<NonVoid<T>>>;

  F function;
  Scope scope;
  Branch<T> body;
  TimePoint limit;

  ScopeBracket(PromiseBase& parent, F&& f, TimePoint until) : function(std::move(f)), limit(until) {
    frame = &parent;
  }
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<>) {
    if (detail::cancelled(*this)) return strike(*this);
    scope.owner_ = frame->chain;
    scope.closer_ = this;
    scope.when_empty_ = &when_empty;
    if (limit != k_no_deadline) scope.cancel_at(limit);
    park(*this, [](Waiter& waiter) noexcept {
      static_cast<ScopeBracket&>(waiter).scope.cancel_from_outside();
    });
    // All set before the function runs: it may be a plain one that starts children, and these may
    // end at once.
    scope.add(body);
    start_body();
  }
  void start_body() noexcept {
    try {
      BodyTask task = function(scope);
      body.back = this;
      body.start(std::move(task), &body_ended, frame->chain);
    } catch (...) {  // There is no task: out of the function, or no memory for the frame.
      body.how = End::exception;
      scope.fail(std::current_exception(), body);
      scope.remove(body);
    }
  }
  static void body_ended(Chain& chain, End how) {
    auto& self = *static_cast<ScopeBracket*>(static_cast<Branch<T>&>(chain).back);
    self.body.over(how);
    if (how == End::exception) self.scope.fail(self.body.promise().take_error(), chain);
    self.scope.remove(chain);
  }
  static void when_empty(Waiter& waiter) noexcept {
    auto& self = static_cast<ScopeBracket&>(waiter);
    self.scope.end();
    // An exception wins over a cancellation; a body that ended with its value has it delivered.
    const bool struck = !self.scope.failed() && self.body.how == End::cancelled;
    if (struck && detail::cancelled(self))
      strike(self);
    else
      wake(self);
  }
  Returned await_resume() {
    if (scope.first_) std::rethrow_exception(std::move(scope.first_));
    if constexpr (std::is_void_v<T>) {
      if (body.how == End::value) body.take();
      return ScopeEnd{scope.cancelled_here_, scope.reason_};
    } else {
      if (body.how == End::cancelled) return std::nullopt;
      return body.take();
    }
  }
};

template <class F>
struct [[maybe_unused]] ScopeAwaitable {
  F function;
  Duration timeout;
  bool bounded;
  ScopeBracket<F> awaiter(PromiseBase& parent) && {
    const TimePoint limit =
        bounded ? deadline_after(Loop::current().now(), timeout) : k_no_deadline;
    return {parent, std::move(function), limit};
  }
};

}  // namespace detail

/// Runs `body(Scope&)` and every child it starts; ends when all of them have.
/// - **Completes** after the last of body and children has ended.
/// - **Returns** for a body of Task<>: ScopeEnd, which says whether this scope was cancelled and
///   why; for Task<T>: optional<T>, empty when the body was cancelled by this scope.
/// - **Errors** rethrows the first exception of body or child; the others are counted.
/// - **Cancel** from outside cancels body and children, waits for them, then ends the awaiter.
/// - **Lifetime** the body lives inside the awaiter: its captures by reference are safe.
/// - **Concurrency** any number, nested at will. **Thread** the loop's.
template <class F>
detail::ScopeAwaitable<std::decay_t<F>> with_scope(F&& body) {
  return {std::forward<F>(body), Duration::zero(), false};
}

/// with_scope whose scope is cancelled when `timeout` has passed; what runs inside inherits it.
/// The outcome is that of with_scope: ScopeEnd{cancelled, "deadline"} or an empty optional.
template <class F>
detail::ScopeAwaitable<std::decay_t<F>> move_on_after(Duration timeout, F&& body) {
  return {std::forward<F>(body), timeout, true};
}

}  // namespace rondo
