// SPDX-License-Identifier: Apache-2.0
// LoopHook: something a loop runs once an iteration, and HookList: hooks that may change their own
// list while it runs.
//
// Hooks run in the order in which they were added. In a turn, one may add hooks (they run from the
// next turn on) and remove any, itself included, also by its end.
// Lifetime: a hook unlinks before it is destroyed. Thread rule: the loop's thread.
#pragma once

#include "rondo/base/intrusive_list.hpp"

namespace rondo::detail {

/// Linked into a loop by its owner.
struct LoopHook : ListLink {
  void (*run)(LoopHook&) = nullptr;
};

class HookList {
 public:
  bool empty() const noexcept { return hooks_.empty(); }
  void push_back(LoopHook& hook) noexcept { hooks_.push_back(hook); }
  void push_front(LoopHook& hook) noexcept { hooks_.push_front(hook); }
  void run() {
    if (hooks_.empty()) return;
    // Each stands in a list at any time, so that it can be unlinked at any time; none is touched
    // after it has run.
    IntrusiveList<LoopHook> turn;
    IntrusiveList<LoopHook> done;
    turn.splice_back(hooks_);
    while (LoopHook* hook = turn.pop_front()) {
      done.push_back(*hook);
      hook->run(*hook);
    }
    done.splice_back(hooks_);  // What was added meanwhile comes after.
    hooks_.splice_back(done);
  }
  /// Those who own the hooks may outlive the list.
  void unlink_all() noexcept {
    while (hooks_.pop_front()) {
    }
  }

 private:
  IntrusiveList<LoopHook> hooks_;
};

}  // namespace rondo::detail
