// SPDX-License-Identifier: Apache-2.0
// Callbacks: functions a loop runs later, and the handle that cancels one. Hooks: functions a loop
// runs in every iteration, and the handle that removes one.
//
//   CallbackHandle h = loop.call_later(5s, [] { remind(); });
//   h.cancel();                       // never runs, its captures are destroyed at once
//   Hook batch = loop.on_prepare([] { flush(); });     // until `batch` dies
//
// Dropping a CallbackHandle does not cancel; dropping a Hook removes. A callback runs once, on the
// loop's thread, in the ready phase. There is nobody to give an exception of either to: it is
// logged as an error and counted in LoopStatistics::lost_exceptions, and the loop goes on. Work
// that can fail is a task in a scope.
// Lifetime: captures live until the callback has run or was cancelled, the hook was removed (at
// the end of its own run, if it removes itself). A Hook may outlive its loop.
// Thread rule: the loop's thread.
#pragma once

#include <utility>

#include "rondo/core/detail/chain.hpp"
#include "rondo/core/detail/frame_pool.hpp"
#include "rondo/core/detail/loop_hook.hpp"
#include "rondo/core/detail/timer_wheel.hpp"

namespace rondo {

namespace detail {

/// A callback that is queued or armed. Counted by the queue (or timer) and the handle. While it
/// is armed it stands in a list of its loop, which may end before.
struct CallbackNode : Ready, Timer, ListLink {
  enum class State : unsigned char { armed, queued, done };
  State state = State::queued;
  unsigned char refs = 2;
  Loop* home = nullptr;                                         ///< while armed
  void (*invoke)(CallbackNode&, bool call) noexcept = nullptr;  ///< runs or only drops captures
  void (*release)(CallbackNode&) noexcept = nullptr;

  void drop() noexcept {
    if (--refs == 0) release(*this);
  }
  static void run_entry(Ready& entry) noexcept {
    auto& node = static_cast<CallbackNode&>(entry);
    if (node.state == State::queued) {
      node.state = State::done;
      if (core().trace) [[unlikely]] trace_callback(node, true);
      node.invoke(node, true);
      if (core().trace) [[unlikely]] trace_callback(node, false);
    }
    node.drop();
  }
  void cancel() noexcept;
  static void trace_callback(const CallbackNode& node, bool begins) noexcept;
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
      if (call) call_guarded(own, "a callback");
    };
    release = [](CallbackNode& node) noexcept { delete static_cast<CallbackOf*>(&node); };
  }
  ~CallbackOf() {}
};

/// A hook that owns its function. Owned by its handle, and by itself while it runs.
struct HookNode : LoopHook {
  bool running = false;
  bool removed = false;
  void (*release)(HookNode&) noexcept = nullptr;

  void remove() noexcept {
    if (linked()) unlink();
    removed = true;
    if (!running) release(*this);
  }
};

template <class F>
struct HookOf : HookNode, Pooled {
  F function;
  explicit HookOf(F&& f) : function(std::move(f)) {
    LoopHook::run = [](LoopHook& hook) noexcept {
      auto& self = static_cast<HookOf&>(hook);
      self.running = true;
      call_guarded(self.function, "a hook");
      self.running = false;
      if (self.removed) self.release(self);
    };
    release = [](HookNode& node) noexcept { delete static_cast<HookOf*>(&node); };
  }
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

/// Keeps a function among those that a loop runs in each iteration: Loop::on_prepare, on_check,
/// on_idle. It does not keep the loop turning.
class [[nodiscard("keep it: the hook is removed when its handle dies")]] Hook {
 public:
  Hook() = default;
  explicit Hook(detail::HookNode& node) noexcept : node_(&node) {}
  Hook(Hook&& other) noexcept : node_(std::exchange(other.node_, nullptr)) {}
  Hook& operator=(Hook&& other) noexcept {
    std::swap(node_, other.node_);
    return *this;
  }
  ~Hook() { remove(); }

  /// It does not run again. From inside of any hook, this one included; idempotent.
  void remove() noexcept {
    if (node_) std::exchange(node_, nullptr)->remove();
  }
  /// Whether its loop still runs it.
  bool active() const noexcept { return node_ && node_->linked(); }

 private:
  detail::HookNode* node_ = nullptr;
};

}  // namespace rondo
