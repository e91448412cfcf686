// SPDX-License-Identifier: Apache-2.0
#include "rondo/core/stop_token.hpp"

#include <optional>

#include "rondo/core/loop.hpp"
#include "rondo/core/loop_ref.hpp"

namespace rondo::detail {
namespace {

/// What a stop posts. Its bracket owns it, but for the time from the post to the delivery: one
/// whose task ends meanwhile outlives the bracket and frees itself.
struct StopNote : Ready {
  Chain* chain = nullptr;  ///< null: the task has ended. The loop's.
  bool posted = false;     ///< the callback's; the loop's once that has posted or cannot run
};

struct PostNote {
  StopNote* note;
  LoopRef loop;
  void operator()() const noexcept {
    note->posted = true;  // First: once it is posted the loop may take it back or free it.
    // Refused only by a loop that is ending, which cancels its tasks anyway.
    if (!loop.post_entry(*note)) note->posted = false;
  }
};

}  // namespace

struct StopBracket::State : Waiter, Pooled {
  Branch<void> branch;
  Task<> task;
  std::stop_token token;
  StopNote* note = nullptr;
  std::optional<std::stop_callback<PostNote>> callback;

  State(PromiseBase& parent, std::stop_token&& stop, Task<>&& t)
      : task(std::move(t)), token(std::move(stop)) {
    frame = &parent;
  }
  void begin() {
    if (detail::cancelled(*this)) return strike(*this);
    note = new StopNote();
    note->chain = &branch;
    note->run = [](Ready& entry) {
      auto& delivered = static_cast<StopNote&>(entry);
      if (!delivered.chain) return delete &delivered;
      delivered.posted = false;
      request_cancel(*delivered.chain, "stop_token");
    };
    if (token.stop_requested()) {  // Stopped already: the task never runs.
      branch.cancelled = true;
      branch.reason = "stop_token";
    } else {
      callback.emplace(token, PostNote{note, Loop::current().ref()});
    }
    park(*this,
         [](Waiter& waiter) noexcept { request_cancel(static_cast<State&>(waiter).branch); });
    branch.back = this;
    branch.start(std::move(task), &ended, frame->chain);
  }
  static void ended(Chain& chain, End how) {
    auto& self = *static_cast<State*>(static_cast<Branch<void>&>(chain).back);
    self.branch.over(how);
    self.callback.reset();  // Waits for one that runs on another thread right now.
    if (self.note->posted)
      self.note->chain = nullptr;
    else
      delete self.note;
    if (how == End::cancelled && detail::cancelled(self))
      strike(self);
    else
      wake(self);
  }
};

StopBracket::Awaiter::Awaiter(PromiseBase& parent, std::stop_token&& token, Task<>&& task)
    : state_(new State(parent, std::move(token), std::move(task))) {}
StopBracket::Awaiter::~Awaiter() { delete state_; }

void StopBracket::Awaiter::await_suspend(std::coroutine_handle<>) { state_->begin(); }

bool StopBracket::Awaiter::await_resume() {
  if (state_->branch.how == End::cancelled) return true;
  state_->branch.take();
  return false;
}

}  // namespace rondo::detail
