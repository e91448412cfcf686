// SPDX-License-Identifier: Apache-2.0
#include "rondo/core/on.hpp"

namespace rondo::detail {

void RemoteCall::begin_call() noexcept {
  home = &Loop::current();
  start_note.run = [](Ready& entry) {
    RemoteCall& call = *static_cast<Note&>(entry).call;
    if (!Loop::current().ending()) return call.launch(call);
    call.refused = true;
    call.post_done();
  };
  park(*this, [](Waiter& waiter) noexcept { static_cast<RemoteCall&>(waiter).ask_stop(); });
  if (target.post_entry(start_note)) return;
  refused = true;
  wake(*this);
}

void RemoteCall::ask_stop() noexcept {
  if (std::exchange(stop_asked_, true)) return;
  stop_note.run = [](Ready& entry) {  // There.
    RemoteCall& call = *static_cast<Note&>(entry).call;
    request_cancel(*call.chain);   // Not begun yet: it begins cancelled. Ended: nobody hears it.
    entry.run = [](Ready& back) {  // Home again.
      RemoteCall& own = *static_cast<Note&>(back).call;
      own.stop_away_ = false;
      own.settle();
    };
    call.home->post_entry(entry);
  };
  stop_away_ = target.post_entry(stop_note);
}

void RemoteCall::post_done() noexcept {
  done_note.run = [](Ready& entry) {
    RemoteCall& call = *static_cast<Note&>(entry).call;
    call.answered_ = true;
    call.settle();
  };
  home->post_entry(done_note);
}

void RemoteCall::settle() noexcept {
  if (!answered_ || stop_away_) return;
  const bool nothing_came = refused || how == End::cancelled;
  if (nothing_came && detail::cancelled(*this))
    strike(*this);
  else
    wake(*this);
}

}  // namespace rondo::detail
