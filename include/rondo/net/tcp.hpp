// SPDX-License-Identifier: Apache-2.0
// TCP: listening and connecting.
//
//   auto listener = tcp::listen({.address = "127.0.0.1:8080"}).or_throw();
//   auto peer = co_await tcp::connect("example.org:80");            // resolves the name
//   auto near = co_await tcp::connect(endpoint);                    // no resolution
//
// Streams have TCP_NODELAY on: Rondo batches output itself, once per iteration.
// For time-outs wrap the call: `with_timeout(5s, tcp::connect(where))`.
// Lifetime and rules of the handles: net/socket.hpp. Thread rule: the loop's thread.
#pragma once

#include <string>
#include <string_view>

#include "rondo/core/detail/one_shot.hpp"
#include "rondo/core/task.hpp"
#include "rondo/io/socket_ops.hpp"
#include "rondo/net/endpoint.hpp"
#include "rondo/net/socket.hpp"

namespace rondo::net::detail {

struct ConnectAwaiter : rondo::detail::OneShotAwaiter<io::ConnectOp> {
  ConnectAwaiter(const Endpoint& where, rondo::detail::PromiseBase& parent) noexcept
      : OneShotAwaiter(parent) {
    op.address = where.address();
  }
  Result<Stream> await_resume();
};
struct [[nodiscard("co_await it")]] Connect : rondo::detail::OperationAwaitable<Connect> {
  Endpoint where;
  explicit Connect(const Endpoint& to) noexcept : where(to) {}
  ConnectAwaiter awaiter(rondo::detail::PromiseBase& parent) && noexcept {
    return {where, parent};
  }
};

}  // namespace rondo::net::detail

namespace rondo::tcp {

using Stream = net::Stream;
using Listener = net::Listener;
using net::ListenOptions;

/// Opens a listening socket; at once, but for a port in use: that is tried again for 200 ms, in
/// which the thread blocks (a killed process's ring holds its port for a while). Names are not
/// resolved. Errors: bad_address, also for a name; address_in_use, access_denied, ...
Result<Listener> listen(const ListenOptions& options);

/// Connects to an address.
/// - **Completes** when connected or refused. **Returns** the Stream. **Errors** the kernel's,
///   with the endpoint: connection_refused, connection_timed_out, network_unreachable, ...
/// - **Cancel** gives the attempt up; the descriptor is closed. **Lifetime** nothing to keep.
/// - **Concurrency** any number. **Thread** the loop's.
inline net::detail::Connect connect(const net::Endpoint& where) noexcept {
  return net::detail::Connect(where);
}

struct ConnectOptions {
  /// An address has that long before the next one is tried beside it.
  Duration attempt_delay = std::chrono::milliseconds(limits::connect_attempt_delay.value);
  /// IPv4 addresses that are known first wait that long for the IPv6 ones.
  Duration resolution_delay = std::chrono::milliseconds(limits::resolution_delay.value);
  /// Addresses of this family only.
  io::AddressFamily family = io::AddressFamily::any;
  /// Out: when the first address was known and tried; untouched before. Outlives the await.
  TimePoint* resolved_at = nullptr;
};

/// Resolves "host:port" and connects to the first of its addresses that answers (happy eyeballs).
/// Both families are asked for at once; addresses are tried in turns, IPv6 first, the next one
/// attempt_delay after the one before or as soon as that one failed. Source: RFC 8305.
/// - **Completes** when one is connected, or all have failed. **Returns** the Stream of the first;
///   the other attempts have ended and are closed.
/// - **Errors** those of net::resolve; the last attempt's code, with every address tried and why
///   it failed in the message. **Cancel** ends the questions and all attempts.
/// - **Lifetime** nothing to keep. **Concurrency** any number. **Thread** the loop's.
Task<Result<Stream>> connect(std::string host_and_port, ConnectOptions options = {});

}  // namespace rondo::tcp
