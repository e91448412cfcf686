// SPDX-License-Identifier: Apache-2.0
// LoopRef: a loop as other threads may hold it, also longer than it lives.
//
//   LoopRef home = loop().ref();
//   std::thread([home] { if (!home.post([] { ... })) report("the loop has ended"); });
//   for (const LoopRef& other : loops()) { ... }        // every loop of this program
//
// A `Loop&` is for its own thread and must not outlive the loop; a LoopRef is a counted handle
// that says no instead. To run a task there and have its result: on() (core/on.hpp).
// Lifetime: a value; keeps a small record alive, never the loop.
// Thread rule: any thread; one LoopRef object like any value.
#pragma once

#include <atomic>
#include <cstddef>
#include <span>
#include <utility>

#include "rondo/base/memory.hpp"
#include "rondo/core/detail/chain.hpp"
#include "rondo/core/detail/post_queue.hpp"

namespace rondo {

namespace detail {

/// What a loop and its refs share. The loop closes the gate when its end begins: from then on
/// nothing is posted through here, and what was posted before still runs.
struct LoopAnchor {
  explicit LoopAnchor(Loop& at) noexcept : loop(&at) {}
  void hold() noexcept { refs.fetch_add(1, std::memory_order_relaxed); }
  void drop() noexcept {
    if (refs.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }

  Gate gate;
  Loop* const loop;  ///< to be followed inside of the gate, or on the loop's own thread
  std::atomic<std::size_t> refs{1};
};

}  // namespace detail

class LoopRef {
 public:
  LoopRef() = default;
  explicit LoopRef(detail::LoopAnchor& anchor) noexcept : anchor_(&anchor) { anchor.hold(); }
  LoopRef(const LoopRef& other) noexcept : anchor_(other.anchor_) {
    if (anchor_) anchor_->hold();
  }
  LoopRef(LoopRef&& other) noexcept : anchor_(std::exchange(other.anchor_, nullptr)) {}
  LoopRef& operator=(LoopRef other) noexcept {
    std::swap(anchor_, other.anchor_);
    return *this;
  }
  ~LoopRef() {
    if (anchor_) anchor_->drop();
  }

  /// Runs `f` on the loop's thread, as Loop::post. False, and `f` is dropped here, when the loop
  /// has ended; what was taken runs before it has. The posts of one thread keep their order.
  template <class F>
  [[nodiscard("look at it: false, and it was not posted")]] bool post(F f) const {
    struct Node : detail::Ready {
      F function;
      explicit Node(F&& x) : function(std::move(x)) {}
    };
    Owned<Node> node(new Node(std::move(f)));  // Not pooled: pools belong to threads.
    node->run = [](detail::Ready& entry) noexcept {
      Owned<Node> own(static_cast<Node*>(&entry));
      detail::call_guarded(own->function, "a posted function");
    };
    if (!post_entry(*node)) return false;
    static_cast<void>(node.release());
    return true;
  }
  /// Queues an entry that the caller owns; it must live until it has run. False: not taken.
  [[nodiscard("false: it was not posted")]] bool post_entry(detail::Ready& entry) const noexcept;
  /// The same, but taken also while the loop's end is under way, on its own thread: what its
  /// services settle then is still delivered.
  [[nodiscard("false: it was not posted")]] bool deliver_entry(
      detail::Ready& entry) const noexcept;

  /// Loop::request_stop; nothing happens when the loop has ended.
  void request_stop() const noexcept;
  /// Whether posting is over. A loop that is alive may be so no more a moment later.
  bool ended() const noexcept { return !anchor_ || anchor_->gate.closed(); }
  /// Whether the loop is the one that runs on this thread.
  bool is_current() const noexcept;

  friend bool operator==(const LoopRef&, const LoopRef&) = default;

 private:
  detail::LoopAnchor* anchor_ = nullptr;
};

/// The loops of the program (or of the simulated host) that this loop belongs to, in their order;
/// the first one runs main. A loop that was made alone is its own only one.
/// Lifetime: as the running loop. Thread: a loop's.
std::span<const LoopRef> loops();

namespace detail {

/// The loops of one program: they know each other, and a stop asked of one reaches all.
struct LoopGroup {
  explicit LoopGroup(std::size_t count) : refs(new LoopRef[count]), size(count) {}
  LoopGroup(const LoopGroup&) = delete;
  ~LoopGroup() { delete[] refs; }
  void drop() noexcept {
    if (holders.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }

  LoopRef* const refs;
  const std::size_t size;
  std::atomic<std::size_t> holders{1};
};

/// Makes the running loop a member. On its thread, before tasks ask for loops().
void join_group(LoopGroup& group);

}  // namespace detail

}  // namespace rondo
