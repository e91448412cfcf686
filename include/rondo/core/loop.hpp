// SPDX-License-Identifier: Apache-2.0
// Loop: one thread's event loop. It owns a ready queue, timers, a driver and every task on it.
//
//   int main() { return rondo::run(serve()); }           // a program: signals, graceful stop
//   Loop loop;                                            // or by hand
//   int n = loop.run(answer()).or_throw();
//   loop.call_soon([] { ... });  loop.call_later(5s, f);  loop.post(f);   // post: any thread
//
// One iteration has seven phases: timers, pending, ready, prepare, poll, check, close
// (docs/explanation/the-iteration.md). One system call per iteration, in poll.
// Lifetime: a Loop outlives its tasks, streams and handles; it is made, run and destroyed on one
// thread. Its end waits until every stream and listener is closed: one that is kept beyond the
// loop keeps the end waiting. A loan that outlives the loop is an assertion.
// Thread rule: everything on the loop's thread, except post() and request_stop().
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "rondo/base/limits.hpp"
#include "rondo/base/memory.hpp"
#include "rondo/base/move_fn.hpp"
#include "rondo/base/result.hpp"
#include "rondo/base/time.hpp"
#include "rondo/core/callback.hpp"
#include "rondo/core/detail/chain.hpp"
#include "rondo/core/detail/loop_hook.hpp"
#include "rondo/core/detail/post_queue.hpp"
#include "rondo/core/detail/timer_wheel.hpp"
#include "rondo/core/task.hpp"
#include "rondo/io/driver.hpp"

namespace rondo {

class LoopRef;

namespace detail {

struct LoopAnchor;

/// Chooses the next ready entry; only simulations set one (they take it by the seed).
class ReadyOrder {
 public:
  virtual ~ReadyOrder() = default;
  virtual Ready* pick(IntrusiveQueue<Ready>& ready) = 0;
};

/// What a layer keeps once per loop (sockets, pools); destroyed with the loop, last made first.
class LoopService {
 public:
  virtual ~LoopService() = default;
  /// Asked before the loop ends: false while something of it is still in flight.
  virtual bool drained() const noexcept { return true; }
  /// True while it has collected output that leaves in the next prepare phase.
  virtual bool holds_output() const noexcept { return false; }
};

}  // namespace detail

template <class T>
class MainTask;

struct LoopOptions {
  io::DriverOptions driver = {};
  /// Resumes per iteration, at least 1: what is ready beyond waits for the next one, after a look
  /// at the kernel (limits::resumes_per_iteration).
  int ready_budget = 128;
  /// Before it sleeps the loop asks the driver again and again for up to this long: what comes in
  /// between is answered without the cost of sleeping and waking, and a CPU is kept busy. It also
  /// wakes that much before a timer is due and asks until then: 50 us take a sleep from some 25 us
  /// late to less than one. Zero: sleeps at once. Ignored under simulation, where waiting takes no
  /// time.
  Duration spin = Duration::zero();
  /// Events that are kept from the start on: Loop::record(). Zero: nothing is recorded.
  std::size_t record = 0;
  /// A driver made by the caller, such as a simulation's; replaces `driver`.
  Owned<io::Driver> own_driver = nullptr;
  Owned<detail::ReadyOrder> ready_order = nullptr;
};

/// Plain numbers, copied; they only grow, except the first three.
struct LoopStatistics {
  std::uint64_t live_tasks = 0;  ///< started chains that have not ended
  std::uint64_t armed_timers = 0;
  std::uint64_t services = 0;
  std::uint64_t iterations = 0;
  std::uint64_t resumes = 0;     ///< ready entries run
  std::uint64_t next_slots = 0;  ///< of them, those that came through the next slot
  std::uint64_t posts = 0;
  std::uint64_t wakes = 0;           ///< posts that had to wake the driver
  std::uint64_t spins = 0;           ///< waits that LoopOptions::spin began without sleeping
  std::uint64_t spins_hit = 0;       ///< of them, those in which there was work before the end
  std::uint64_t dropped_errors = 0;  ///< failed Task<Result<>> whose handle was dropped unread
  std::uint64_t never_awaited = 0;   ///< Tasks that were dropped without having been started
  /// Exceptions that reached nobody: a scope's after the first, a callback's.
  std::uint64_t lost_exceptions = 0;
};

class Loop : private detail::LoopCore {
 public:
  explicit Loop(LoopOptions options = {});
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;
  ~Loop();

  /// Runs `main` and everything it starts until it has ended.
  /// Returns its value; Errc::cancelled when it was cancelled (hard stop). Rethrows its exception.
  template <class T>
  Lifted<T> run(Task<T> main);

  /// Starts `main` without running it: somebody else turns the loop by the calls below.
  template <class T>
  MainTask<T> start(Task<T> main);

  /// Runs until nothing but internal work is left, or until a stop was requested and all tasks
  /// have unwound; callbacks whose time has not come by then are dropped at the loop's end.
  void run_forever();
  /// One iteration that waits when nothing is ready and something is to come. False when nothing
  /// is left to do; a stop request ends the wait.
  bool run_once();
  /// One iteration that does not wait. False when nothing is left to do.
  bool poll();
  /// Turns until `done` holds, also when there is no work. Who sets it, on this loop, calls
  /// leave() too.
  void run_until(const bool& done);

  /// For a foreign loop that turns this one (docs/howto/embed-in-another-loop.md): a descriptor
  /// that is readable, level-triggered, while poll() has something to do: a completion, a post, a
  /// timer. The host never reads it, never closes it, and calls poll() when it is readable and
  /// after it has called anything of this loop but post().
  /// Errors: not_supported under simulation, whose time no host can wait for.
  Result<int> pollable_fd();
  /// How long a host that polls without a descriptor may sleep before the next poll(): zero when
  /// something is ready or output is corked, Duration::max() when no timer is armed.
  Duration poll_timeout() noexcept;

  /// Runs `f` in the ready phase of this or the next iteration, after what is queued already.
  template <class F>
  CallbackHandle call_soon(F f) {
    assert_here();
    auto* node = new detail::CallbackOf<F>(std::move(f));
    ready.push_back(*node);
    return CallbackHandle(*node);
  }
  /// Runs `f` once, not before `delay` from now has passed.
  template <class F>
  CallbackHandle call_later(Duration delay, F f) {
    return call_at(deadline_after(now(), delay), std::move(f));
  }
  /// Runs `f` once, not before `when`.
  template <class F>
  CallbackHandle call_at(TimePoint when, F f) {
    auto* node = new detail::CallbackOf<F>(std::move(f));
    arm_callback(*node, when);
    return CallbackHandle(*node);
  }

  /// Runs `f` on the loop's thread, in the pending phase of its next iteration. Any thread; the
  /// posts of one thread keep their order. The loop must be alive when the call begins; its end
  /// waits for calls that have begun. An exception of `f` is logged and counted.
  template <class F>
  void post(F f) {
    struct Node : detail::Ready {
      F function;
      explicit Node(F&& x) : function(std::move(x)) {}
    };
    auto* node = new Node(std::move(f));  // Not pooled: pools belong to threads.
    node->run = [](detail::Ready& entry) noexcept {
      Owned<Node> own(static_cast<Node*>(&entry));
      detail::call_guarded(own->function, "a posted function");
    };
    post_entry(*node);
  }
  /// Runs `f` in the prepare phase of every iteration, before collected output leaves: what it
  /// writes goes out with it, what it makes ready keeps the loop from waiting.
  template <class F>
  Hook on_prepare(F f) {
    return add_hook(prepare_, std::move(f));
  }
  /// Runs `f` in the check phase of every iteration: completions have been taken, what waited for
  /// them is ready and has not run.
  template <class F>
  Hook on_check(F f) {
    return add_hook(check_, std::move(f));
  }
  /// Runs `f` after the prepare hooks of every iteration that would wait because nothing is ready.
  /// While there is an idle hook the loop does not wait: for work in small pieces; remove it with
  /// the last piece. Under simulation time stands still meanwhile.
  template <class F>
  Hook on_idle(F f) {
    return add_hook(idle_, std::move(f));
  }

  /// Queues an entry that the caller owns; it must live until it has run. Any thread.
  void post_entry(detail::Ready& entry) noexcept;

  /// Asks everything to finish: listeners stop accepting, stop_requested() becomes true.
  /// Any thread. Idempotent.
  void request_stop() noexcept;
  bool stop_requested() const noexcept { return stop_seen_; }

  /// This loop for other threads, and for holding longer than it lives (core/loop_ref.hpp).
  LoopRef ref() noexcept;

  /// The driver's clock, read now.
  TimePoint now() noexcept { return driver_->now(); }
  WallTime wall_time() noexcept { return WallTime(Duration(driver_->time(io::Clock::wall))); }
  io::Driver& driver() noexcept { return *driver_; }
  LoopStatistics statistics() const noexcept;

  /// The loop that runs on this thread; asserts that there is one.
  static Loop& current() noexcept;
  /// The loop of this thread or null.
  static Loop* current_or_null() noexcept;

  /// Asks every started task that has no parent to end, level-triggered.
  void cancel_all() noexcept;

  // For the layers above and for simulations.

  template <class S>
  S& service() {
    static constexpr char k_key = 0;
    if (auto* found = find_service(&k_key)) return static_cast<S&>(*found);
    Owned<S> made(new S(*this));
    S& reference = *made;
    add_service(&k_key, std::move(made));
    return reference;
  }
  void arm(detail::Timer& timer) noexcept {
    assert_here();
    wheel_.arm(timer);
  }
  void disarm(detail::Timer& timer) noexcept {
    assert_here();
    wheel_.disarm(timer);
  }
  /// Where among the library's own prepare hooks: what stands on another layer's output is first.
  enum class HookPlace : std::uint8_t { last, first };
  /// Runs after the users' prepare hooks: what they have written leaves in the same batch.
  void add_prepare_hook(detail::LoopHook& hook, HookPlace place = HookPlace::last) noexcept {
    assert_here();
    place == HookPlace::first ? flush_.push_front(hook) : flush_.push_back(hook);
  }
  /// A soft stop ends `grace` after it was asked for: until then output of streams that are gone
  /// may leave. Said by run(); without it a stop has no end.
  void bound_stop(Duration grace) noexcept { stop_grace_ = grace; }
  /// The grace is over now, for what is still to be closed.
  void end_grace() noexcept { stop_end_ = now(); }
  /// When a soft stop that was asked for ends; k_no_deadline before and without one.
  TimePoint stop_end() const noexcept { return stop_end_; }
  void add_stop_hook(detail::LoopHook& hook) noexcept {
    assert_here();
    stop_hooks_.push_back(hook);
  }
  /// Queues something whose last operation has completed for the close phase.
  void close_later(detail::Ready& entry) noexcept { closing_.push_back(entry); }
  void note_dropped_error() noexcept { ++statistics_.dropped_errors; }
  void note_never_awaited() noexcept { ++statistics_.never_awaited; }
  void note_lost_exception() noexcept { ++statistics_.lost_exceptions; }
  /// The iteration at hand does not wait in its poll phase.
  void leave() noexcept { leave_ = true; }
  /// Its end has begun: nothing is started any more.
  bool ending() const noexcept { return ending_; }
  /// The caller is on this loop's thread (semantics.md rule 1). Free in release builds.
  void assert_here() const noexcept {
    RONDO_DEBUG_ASSERT(thread_ == detail::this_thread_tag(),
                       "a loop was used on another thread than its own: only post() and "
                       "request_stop() may be; hold a LoopRef, or use on()");
  }
  /// Something can run without waiting for kernel or time.
  bool has_ready() const noexcept;
  /// A time at or shortly before the earliest timer; k_no_deadline without one.
  TimePoint next_deadline() const noexcept;
  /// A task, timer, ready entry or service in flight is left; what the library itself keeps in
  /// flight (wake-ups, signals) does not count.
  bool has_work() const noexcept;
  /// Keeps the last `events` (a power of two; 32 bytes each) of what the loop does from now on:
  /// phases, resumes, operations, timers, posts, offloads. Anew: what was kept is dropped.
  /// Costs some 1 to 2 % of an echo server while on, and a branch at each place while off.
  void record(std::size_t events = limits::trace_events.value);
  /// Records no more and drops what was kept.
  void stop_recording() noexcept;
  /// What is kept; null: nothing is recorded. Its snapshot() may be taken by any thread, as long
  /// as the loop lives and goes on recording.
  const TraceRing* recording() const noexcept { return trace; }

  /// One line for each started task: name, where it is defined or last awaited.
  std::string describe_tasks();

  struct Entered;  ///< makes this loop the thread's current one for a block
  struct Turning;

 private:
  /// Whether an iteration may wait in its poll phase.
  enum class Block : std::uint8_t { never, always, while_work, while_running, while_in_flight };

  void iterate(Block block);
  bool may_block(Block block) const noexcept;
  bool keeps_running() const noexcept;
  bool in_flight() const noexcept;
  bool holds_output() const noexcept;
  bool rests() const noexcept;
  void note_phase(std::uint32_t number) noexcept;
  void run_timers();
  void run_pending();
  void take_posted();
  void note_stop();
  void run_ready();
  detail::Ready* take_ready();
  void run_prepare();
  void run_poll(Block block);
  bool spin();
  void run_closing();
  void leave_to_host();
  void drain() noexcept;
  void abandon() noexcept;
  void unlink_hooks() noexcept;
  template <class F>
  Hook add_hook(detail::HookList& to, F f) {
    assert_here();
    auto* node = new detail::HookOf<F>(std::move(f));
    to.push_back(*node);
    return Hook(*node);
  }
  void arm_callback(detail::CallbackNode& node, TimePoint when) noexcept;
  detail::LoopService* find_service(const void* key) noexcept;
  void add_service(const void* key, Owned<detail::LoopService> service);

 public:
  void link_chain(detail::Chain& chain) noexcept {
    ++live_chains_;
    chains_.push_back(chain);
  }
  void unlink_chain(detail::Chain& chain) noexcept {
    --live_chains_;
    static_cast<TaggedLink<detail::InLoop>&>(chain).unlink();
  }

 private:
  friend LoopRef;
  struct ServiceNode;

  const void* const thread_ = detail::this_thread_tag();
  Owned<TraceRing> trace_ring_;  // Before the driver, which may write to it until its end.
  Owned<io::Driver> driver_;
  detail::LoopAnchor* const anchor_;
  detail::TimerWheel wheel_;
  Owned<detail::ReadyOrder> order_;
  IntrusiveList<detail::Chain, detail::InLoop> chains_;
  IntrusiveList<detail::CallbackNode> armed_callbacks_;
  detail::HookList prepare_;
  detail::HookList idle_;
  detail::HookList flush_;
  detail::HookList check_;
  IntrusiveList<detail::LoopHook> stop_hooks_;
  IntrusiveQueue<detail::Ready> closing_;
  ServiceNode* services_ = nullptr;
  std::uint64_t live_chains_ = 0;
  LoopStatistics statistics_;
  int ready_budget_;
  int next_in_a_row_ = 0;  ///< resumes through the next slot since one from the queue
  Duration spin_ = Duration::zero();
  Duration stop_grace_ = Duration::max();
  TimePoint stop_end_ = k_no_deadline;
  bool hosted_ = false;  ///< pollable_fd() was asked for: poll() leaves it ready for the host
  bool leave_ = false;
  bool stop_seen_ = false;
  bool ending_ = false;
  std::atomic<bool> stop_asked_{false};
  std::atomic<std::uint64_t> wakes_{0};
  detail::PostQueue posted_;
};

struct Loop::Entered {
  explicit Entered(Loop& loop) noexcept : before(detail::t_core) {
    loop.assert_here();
    detail::t_core = &loop;
  }
  Entered(const Entered&) = delete;
  ~Entered() { detail::t_core = before; }
  detail::LoopCore* before;
};

namespace detail {
/// A loop is turned by its thread, not by a task that runs there.
inline void assert_no_task_runs(const LoopCore* at) noexcept {
  RONDO_ASSERT(!at || !at->running,
               "run() inside of a running task: nothing else of its loop could run meanwhile; "
               "co_await the task, start it in a Scope, or run it on another loop by on()");
}
}  // namespace detail

/// Entered to be turned.
struct Loop::Turning : Entered {
  explicit Turning(Loop& loop) noexcept : Entered(loop) { detail::assert_no_task_runs(before); }
};

inline Loop& Loop::current() noexcept {
  RONDO_ASSERT(detail::t_core, "no loop runs on this thread: call this from a task or callback");
  return *static_cast<Loop*>(detail::t_core);
}
inline Loop* Loop::current_or_null() noexcept { return static_cast<Loop*>(detail::t_core); }

/// The loop of the task or callback that runs.
inline Loop& loop() noexcept { return Loop::current(); }
/// The loop's clock, read now.
inline TimePoint now() noexcept { return Loop::current().now(); }
/// True from a soft stop on: finish what you do and return.
inline bool stop_requested() noexcept { return Loop::current().stop_requested(); }

namespace detail {

/// Makes `root` the first frame of a chain.
inline void adopt(Chain& chain, PromiseBase& root) noexcept {
  root.chain = &chain;
  root.parent = nullptr;
  chain.home = &core();
  chain.frame = &root;
  chain.definition = root.site;
}

/// Starts a chain with `root` as its first frame: through the ready queue, never inline.
inline void begin(Chain& chain, PromiseBase& root) noexcept {
  adopt(chain, root);
  chain.run = [](Ready& entry) {
    auto& self = static_cast<Chain&>(entry);
    self.leaf = nullptr;
    resume_in(self, *self.frame);
  };
  // Cancelled before its start: it is queued already and will be unwound instead of run.
  chain.cancel = [](Waiter& waiter) noexcept {
    static_cast<Chain&>(waiter).leaf = nullptr;
    waiter.run = &run_unwind;
  };
  if (chain.cancelled)
    chain.run = &run_unwind;
  else
    chain.leaf = &chain;
  Loop::current().link_chain(chain);
  core().ready.push_back(chain);
}

/// Starts a chain on this stack, up to its first suspension. Only for Scope::start_now.
inline void begin_inline(Chain& chain, PromiseBase& root) {
  RONDO_ASSERT(!core().unwinding, "start_now resumes a task: a destructor may only use start");
  if (chain.cancelled) return begin(chain, root);
  adopt(chain, root);
  Loop::current().link_chain(chain);
  resume_in(chain, root);
}

/// A chain that runs one Task on behalf of an awaiter or of Loop::run.
template <class T>
struct Branch : Chain {
  void* task_frame = nullptr;
  void* back = nullptr;  ///< who made it
  End how = End::value;

  Branch() = default;
  ~Branch() { free_frame(); }
  void free_frame() noexcept {
    if (!task_frame) return;
    std::coroutine_handle<>::from_address(std::exchange(task_frame, nullptr)).destroy();
  }
  void start(Task<T> task, void (*when_ended)(Chain&, End), Chain* above) noexcept {
    parent = above;
    if (above) locals = above->locals;
    ended = when_ended;
    task_frame = std::move(task).release();
    RONDO_ASSERT(task_frame, k_empty_task);
    promise().owner = &task_frame;
    begin(*this, promise());
  }
  auto& promise() noexcept { return Task<T>::promise_of(task_frame); }
  T take() { return promise().take(); }
  /// Its frame has ended: leaves the loop's list.
  void over(End end) noexcept {
    how = end;
    finished = true;
    end_watch(watch);
    Loop::current().unlink_chain(*this);
  }
};

}  // namespace detail

/// The main task of a loop that somebody else turns.
///
///   Loop loop;
///   MainTask<int> main = loop.start(serve());
///   while (!main.done()) loop.run_once();     // or a foreign loop calls loop.poll()
///   int n = main.take().or_throw();
///
/// Lifetime: dies after its task has ended (checked) and before its loop.
template <class T>
class [[nodiscard("keep it, and turn the loop until it is done()")]] MainTask {
 public:
  MainTask(Loop& loop, Task<T> task) : loop_(loop) {
    Loop::Entered entered(loop);
    branch_.back = &loop;
    branch_.start(
        std::move(task),
        [](detail::Chain& chain, detail::End how) {
          auto& self = static_cast<detail::Branch<T>&>(chain);
          self.over(how);
          static_cast<Loop*>(self.back)->leave();
        },
        nullptr);
  }
  MainTask(const MainTask&) = delete;
  MainTask& operator=(const MainTask&) = delete;
  ~MainTask() {
    RONDO_ASSERT(done(), "a main task was dropped before its end: turn its loop until done()");
    Loop::Entered entered(loop_);  // What the task was given dies on its loop.
    branch_.free_frame();
  }

  bool done() const noexcept { return branch_.finished; }
  /// Asks it to end; it is done when everything inside has unwound.
  void cancel() noexcept {
    Loop::Entered entered(loop_);
    if (!done()) detail::request_cancel(branch_);
  }
  /// What it returned, once: Errc::cancelled when it was cancelled. Rethrows its exception.
  Lifted<T> take() {
    RONDO_ASSERT(done(), "a main task has no result before its end: turn its loop until done()");
    if (branch_.how == detail::End::cancelled) return Errc::cancelled;
    if constexpr (std::is_void_v<T>) {
      branch_.take();
      return {};
    } else {
      return branch_.take();
    }
  }

 private:
  Loop& loop_;
  detail::Branch<T> branch_;
};

template <class T>
MainTask<T> Loop::start(Task<T> main) {
  return MainTask<T>(*this, std::move(main));
}

template <class T>
Lifted<T> Loop::run(Task<T> main) {
  Turning turning(*this);
  MainTask<T> task(*this, std::move(main));
  while (!task.done()) iterate(Block::always);
  return task.take();
}

struct RunOptions {
  LoopOptions loop = {};
  /// Loops of the program, each after the first on a thread of its own; 0: one for each usable
  /// CPU. More than one takes `loop.driver`, not `loop.own_driver` (core/runtime.hpp).
  std::size_t loops = 1;
  /// Each loop's thread stays on one CPU.
  bool pin = false;
  /// SIGINT and SIGTERM become a soft stop; a second one cancels at once.
  bool handle_signals = true;
  Duration grace = std::chrono::milliseconds(limits::stop_grace.value);
  Duration drain_max = std::chrono::milliseconds(limits::drain_max.value);
};

/// Runs a program: a loop, `main` on it, and the graceful stop in one call. SIGINT or SIGTERM (or
/// request_stop) is a soft stop; after `grace` everything is cancelled; what has not unwound after
/// `drain_max` is reported and leaked on purpose. With several loops each step reaches all;
/// signals are taken by the first.
/// Returns the process's exit status: main's int (or 0); 1 when it failed, threw or did not drain.
int run(Task<int> main, RunOptions options = {});
int run(Task<> main, RunOptions options = {});

/// True while the runtime destroys the frames of a cancelled task: destructors that report
/// success by `std::uncaught_exceptions()` must ask this too.
inline bool is_unwinding() noexcept { return detail::t_core && detail::t_core->unwinding; }

}  // namespace rondo
