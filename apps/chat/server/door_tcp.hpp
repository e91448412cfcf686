// SPDX-License-Identifier: Apache-2.0
// What the TCP doors share: accepting, and writing within a session's budget.
// Lifetime: streams outlive the calls. Thread rule: the loop's thread.
#pragma once

#include <utility>

#include "chat/server/doors.hpp"
#include "chat/server/session.hpp"
#include "rondo/core/scope.hpp"
#include "rondo/net/tcp.hpp"

namespace rondo::chat {

/// Queues bytes; false when that would exceed the budget. A broken stream gives the session up.
bool push_bytes(Session& session, tcp::Stream& stream, const SharedBytes& bytes,
                std::size_t budget);
/// The same, waiting while the peer is slow; false when it has gone. One caller at a time.
Task<bool> push_bytes_slowly(Session& session, tcp::Stream& stream, const SharedBytes& bytes);

/// Accepts until a soft stop, hands every stream to `start(Scope&, tcp::Stream)`, then cancels
/// what is left; output that was accepted still leaves.
template <class Start>
Task<> accept_sessions(tcp::Listener& listener, Start start) {
  co_await with_scope([&](Scope& sessions) -> Task<> {
    for (;;) {
      auto peer = co_await listener.accept();
      if (!peer) break;
      if (sessions.live() > k_connections_max) continue;  // Closed by its destructor.
      start(sessions, std::move(*peer));
    }
    sessions.cancel();
  });
}

}  // namespace rondo::chat
