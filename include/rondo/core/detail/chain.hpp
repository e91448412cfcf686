// SPDX-License-Identifier: Apache-2.0
// Chains: how suspended tasks wait, are woken, and are cancelled. The heart of core.
//
// A *chain* is the line of frames from a started task (or a composite's branch) down to the
// leaf it waits in; it is the unit of cancellation. Every awaiter that can wait is a *Waiter*.
//
//   suspended:  chain.leaf == the waiter           (park)
//   completed:  chain.leaf = null, resume queued   (wake)      a later cancel finds no leaf:
//                                                              data that arrived wins
//   struck:     chain.leaf = null, unwind queued   (strike)    frames die from the leaf upward
//
// Invariants:
//  1. leaf is set exactly while the chain is suspended in something that can be cancelled.
//  2. Nothing is resumed or destroyed from inside park/wake/strike/request_cancel: they queue.
//  3. A waiter is queued at most once between park and its run.
//  4. A frame is destroyed only when no operation of it is in flight: a leaf's cancel() strikes
//     at once if it can unlink itself, else when its operation's terminal completion has come.
//  5. Composites (scopes, time-outs, when_any) are their parent's leaf from start to end and own
//     child chains; they end only after every child chain has ended.
//  6. A request of cancellation is a state: once chain.cancelled is set, every leaf awaitable
//     tests it before it starts anything.
//  7. A select is the leaf while other waiters of its chain are registered (enlisted) below it:
//     park, wake and strike of such a waiter go to the select, synchronously, which withdraws the
//     others. So exactly one of them is handed something.
// Thread rule: the loop's thread, all of it.
#pragma once

#include <coroutine>
#include <cstdint>
#include <source_location>

#include "rondo/base/assert.hpp"
#include "rondo/base/intrusive_list.hpp"

namespace rondo {
class TraceRing;
}

namespace rondo {
class Loop;
class Scope;

/// Why something was cancelled; `text` must be a string literal.
struct CancelReason {
  const char* text = "";
};
}  // namespace rondo

namespace rondo::detail {

class PromiseBase;
struct Chain;
struct LocalNode;

/// How a chain ended.
enum class End : std::uint8_t { value, exception, cancelled };

/// An entry of the ready queue.
struct Ready : QueueLink<Ready> {
  void (*run)(Ready&) = nullptr;
};

/// What the hot paths need of a loop; Loop is made of it.
struct LoopCore {
  IntrusiveQueue<Ready> ready;
  Ready* next = nullptr;    ///< the next slot: runs before the queue (the-iteration.md)
  bool next_open = false;   ///< the entry that runs may put somebody there
  int await_budget = 0;     ///< ready awaits the running task may still make (rule 4)
  bool unwinding = false;   ///< frames are being destroyed by a cancellation
  Chain* running = nullptr;  ///< whose frame runs now; null in callbacks and timers
  TraceRing* trace = nullptr;  ///< null: nothing is recorded
};
inline constinit thread_local LoopCore* t_core = nullptr;

inline LoopCore& core() noexcept {
  RONDO_DEBUG_ASSERT(t_core, "no loop runs on this thread: call this from a task or callback");
  return *t_core;
}

/// A number for this thread that no other living one has.
inline const void* this_thread_tag() noexcept { return &t_core; }

/// A suspended awaiter. `frame` is set by await_transform before await_ready is asked.
struct Waiter : Ready {
  PromiseBase* frame = nullptr;
  void (*cancel)(Waiter&) noexcept = nullptr;
};

/// Told once when a chain or scope is cancelled, and released at its end (core/stop_token.hpp).
struct CancelWatch {
  void (*on_cancel)(CancelWatch&) noexcept = nullptr;
  void (*release)(CancelWatch&) noexcept = nullptr;
};

/// A waiter that stands for several: the leaf of its chain while they are registered.
class Collector : public Waiter {
 public:
  /// A waiter of this chain has registered itself somewhere.
  void enlist(Waiter& waiter) noexcept { on_enlist(*this, waiter); }
  /// It was handed something, or has left where it was.
  void settle(Waiter& waiter, End how) noexcept { on_settle(*this, waiter, how); }
  /// What `run` holds while it is a leaf, to be told from other waiters.
  static void mark(Ready&) noexcept {}

 protected:
  void (*on_enlist)(Collector&, Waiter&) noexcept = nullptr;
  void (*on_settle)(Collector&, Waiter&, End) noexcept = nullptr;
};

struct InLoop;   // tag: link in the loop's list of started chains
struct InScope;  // tag: link in a scope's list of children

/// One started task or branch. The Waiter part is its own start entry in the ready queue.
struct Chain : Waiter, TaggedLink<InLoop>, TaggedLink<InScope> {
  Waiter* leaf = nullptr;
  void (*ended)(Chain&, End) = nullptr;  ///< may free the chain: the last thing that happens
  Chain* parent = nullptr;               ///< the chain whose composite or scope this belongs to
  const char* name = nullptr;
  LoopCore* home = nullptr;  ///< the loop it was started on; null: not started
  const char* reason = nullptr;       ///< of its cancellation; null: the parent's
  const LocalNode* locals = nullptr;  ///< values of TaskLocals, innermost first
  CancelWatch* watch = nullptr;
  std::source_location definition;    ///< of its root coroutine, since `site` moves on
  std::source_location started_at;    ///< where a named one was started; else line 0
  bool cancelled = false;
  bool finished = false;

  /// Whoever wakes or cancels it runs on its loop. Free in release builds.
  void assert_here() const noexcept {
    RONDO_DEBUG_ASSERT(!home || home == t_core,
                       "a task of one loop was woken or cancelled from another: events, channels "
                       "and handles belong to one loop; use post(), a Promise or on()");
  }
};

bool chain_cancelled(const PromiseBase& frame) noexcept;
Chain& chain_of(const PromiseBase& frame) noexcept;

/// Logs and counts the exception that is being handled: it came out of a callback.
void report_callback_exception(const char* what) noexcept;

template <class F>
void call_guarded(F& function, const char* what) noexcept {
  try {
    function();
  } catch (...) {
    report_callback_exception(what);
  }
}

/// Runs the frame that a waiter belongs to.
void run_resume(Ready& entry);
/// Destroys the chain's frames from the waiter's frame up to the root, then ends the chain.
void run_unwind(Ready& entry);

/// Asks a chain to end. Idempotent, level-triggered, never inline. A composite that only passes
/// on what its own chain was asked gives no reason: it is found in the parents.
inline void request_cancel(Chain& chain, const char* reason = nullptr) noexcept {
  chain.assert_here();
  if (chain.cancelled) return;
  chain.cancelled = true;
  chain.reason = reason;
  if (chain.watch) [[unlikely]] chain.watch->on_cancel(*chain.watch);
  if (chain.leaf) chain.leaf->cancel(*chain.leaf);
}

/// The chain has ended: nobody watches it any more.
inline void end_watch(CancelWatch*& watch) noexcept {
  if (watch) [[unlikely]] {
    CancelWatch* ended = watch;
    watch = nullptr;
    ended->release(*ended);
  }
}
/// Resumes a frame of a chain on this stack.
void resume_in(Chain& chain, PromiseBase& frame);

/// One more await that was ready at once; false when the task has to go to the end of the queue.
inline bool spend_await() noexcept { return --core().await_budget > 0; }
/// Bytes cost as well: what a peer sends in a flood of small pieces takes long to work through.
inline void spend_bytes(std::size_t size) noexcept {
  constexpr std::size_t k_bytes_an_await = 128;
  constexpr std::size_t k_most = 1'024;  // More than a budget is.
  const std::size_t cost = size / k_bytes_an_await;
  core().await_budget -= static_cast<int>(cost < k_most ? cost : k_most);
}

}  // namespace rondo::detail
