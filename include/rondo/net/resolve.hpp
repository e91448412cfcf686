// SPDX-License-Identifier: Apache-2.0
// Name resolution that never blocks the loop: DNS and the hosts file over c-ares.
//
//   auto found = co_await net::resolve("example.org", 80);
//   for (const net::Endpoint& where : *found) ...
//
// The resolver's sockets and time-outs belong to the loop; no thread is involved. Under simulation
// names come from the simulated host table. Numeric addresses are answered without asking.
// Source: RFC 1035, RFC 6724 (order of addresses). Thread rule: the loop's thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "rondo/base/result.hpp"
#include "rondo/core/task.hpp"
#include "rondo/io/socket_ops.hpp"
#include "rondo/net/endpoint.hpp"

namespace rondo::net {

/// Looks a host name up.
/// - **Completes** when answered or given up (the resolver's own time-outs, about 15 s at most).
/// - **Returns** at least one endpoint with `port`, best first. **Errors** no_such_host,
///   resolve_failed (no server answered), bad_address (not a name), each with the name.
/// - **Cancel** gives the question up; its answer is dropped. **Lifetime** nothing to keep.
/// - **Concurrency** any number. **Thread** the loop's.
/// With a family only its addresses are asked for.
Task<Result<std::vector<Endpoint>>> resolve(std::string host, std::uint16_t port,
                                            io::AddressFamily family = io::AddressFamily::any);

}  // namespace rondo::net
