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
// Thread rule: the loop's thread, all of it.
#pragma once

#include <coroutine>
#include <cstdint>
#include <source_location>

#include "rondo/base/assert.hpp"
#include "rondo/base/intrusive_list.hpp"

namespace rondo {
class Loop;
class Scope;
}  // namespace rondo

namespace rondo::detail {

class PromiseBase;
struct Chain;

/// How a chain ended.
enum class End : std::uint8_t { value, exception, cancelled };

/// An entry of the ready queue.
struct Ready : QueueLink<Ready> {
  void (*run)(Ready&) = nullptr;
};

/// What the hot paths need of a loop; Loop is made of it.
struct LoopCore {
  IntrusiveQueue<Ready> ready;
  int await_budget = 0;     ///< ready awaits the running task may still make (rule 4)
  bool unwinding = false;   ///< frames are being destroyed by a cancellation
};
inline constinit thread_local LoopCore* t_core = nullptr;

inline LoopCore& core() noexcept {
  RONDO_DEBUG_ASSERT(t_core, "no loop runs on this thread: call this from a task or callback");
  return *t_core;
}

/// A suspended awaiter. `frame` is set by await_transform before await_ready is asked.
struct Waiter : Ready {
  PromiseBase* frame = nullptr;
  void (*cancel)(Waiter&) noexcept = nullptr;
};

struct InLoop;   // tag: link in the loop's list of started chains
struct InScope;  // tag: link in a scope's list of children

/// One started task or branch. The Waiter part is its own start entry in the ready queue.
struct Chain : Waiter, TaggedLink<InLoop>, TaggedLink<InScope> {
  Waiter* leaf = nullptr;
  void (*ended)(Chain&, End) = nullptr;  ///< may free the chain: the last thing that happens
  Chain* parent = nullptr;               ///< the chain whose composite or scope this belongs to
  const char* name = nullptr;
  bool cancelled = false;
  bool finished = false;
};

bool chain_cancelled(const PromiseBase& frame) noexcept;
Chain& chain_of(const PromiseBase& frame) noexcept;

/// Runs the frame that a waiter belongs to.
void run_resume(Ready& entry);
/// Destroys the chain's frames from the waiter's frame up to the root, then ends the chain.
void run_unwind(Ready& entry);

/// Asks a chain to end. Idempotent, level-triggered, never inline.
inline void request_cancel(Chain& chain) noexcept {
  if (chain.cancelled) return;
  chain.cancelled = true;
  if (chain.leaf) chain.leaf->cancel(*chain.leaf);
}

/// One more await that was ready at once; false when the task has to go to the end of the queue.
inline bool spend_await() noexcept { return --core().await_budget > 0; }

}  // namespace rondo::detail
