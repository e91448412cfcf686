// SPDX-License-Identifier: Apache-2.0
// Callbacks: functions a loop runs later, and the handle that cancels one.
//
//   CallbackHandle h = loop.call_later(5s, [] { remind(); });
//   h.cancel();                       // never runs, its captures are destroyed at once
//
// Dropping a handle does not cancel. A callback runs once, on the loop's thread, in the ready
// phase; it may not throw (an exception out of a callback ends the program: there is nobody to
// give it to; use a task in a scope for work that can fail).
// Lifetime: captures live until the callback has run or was cancelled.
// Thread rule: the loop's thread.
#pragma once

#include <utility>

#include "rondo/core/detail/chain.hpp"
#include "rondo/core/detail/frame_pool.hpp"
#include "rondo/core/detail/timer_wheel.hpp"

namespace rondo {

namespace detail {

/// A callback that is queued or armed. Counted by the queue (or timer) and the handle. While it
/// is armed it stands in a list of its loop, which may end before.
struct CallbackNode : Ready, Timer, ListLink {
  enum class State : unsigned char { armed, queued, done };
  State state = State::queued;
  unsigned char refs = 2;
  Loop* home = nullptr;  ///< while armed
  void (*invoke)(CallbackNode&, bool call) noexcept = nullptr;  ///< runs or only drops captures
  void (*release)(CallbackNode&) noexcept = nullptr;

  void drop() noexcept {
    if (--refs == 0) release(*this);
  }
  static void run_entry(Ready& entry) noexcept {
    auto& node = static_cast<CallbackNode&>(entry);
    if (node.state == State::queued) {
      node.state = State::done;
      node.invoke(node, true);
    }
    node.drop();
  }
  void cancel() noexcept;
};

template <class F>
struct CallbackOf : CallbackNode, Pooled {
  union {
    F function;
  };
  explicit CallbackOf(F&& f) : function(std::move(f)) {
    run = &CallbackNode::run_entry;
    invoke = [](CallbackNode& node, bool call) noexcept {
      // Moved out first: the callback may cancel or re-arm through its own handle.
      F own = std::move(static_cast<CallbackOf&>(node).function);
      static_cast<CallbackOf&>(node).function.~F();
      if (call) own();
    };
    release = [](CallbackNode& node) noexcept { delete static_cast<CallbackOf*>(&node); };
  }
  ~CallbackOf() {}
};

}  // namespace detail

class [[maybe_unused]] CallbackHandle {
 public:
  CallbackHandle() = default;
  explicit CallbackHandle(detail::CallbackNode& node) noexcept : node_(&node) {}
  CallbackHandle(CallbackHandle&& other) noexcept : node_(std::exchange(other.node_, nullptr)) {}
  CallbackHandle& operator=(CallbackHandle&& other) noexcept {
    std::swap(node_, other.node_);
    return *this;
  }
  ~CallbackHandle() {
    if (node_) node_->drop();
  }

  /// The callback will not run. Nothing happens when it has run already.
  void cancel() noexcept {
    if (node_) node_->cancel();
  }
  /// Whether it will still run.
  bool pending() const noexcept {
    return node_ && node_->state != detail::CallbackNode::State::done;
  }

 private:
  detail::CallbackNode* node_ = nullptr;
};

}  // namespace rondo
