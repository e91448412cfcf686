// SPDX-License-Identifier: Apache-2.0
// Name resolution that never blocks the loop: DNS and the hosts file over c-ares.
//
//   auto found = co_await net::resolve("example.org", 80);
//   for (const net::Endpoint& where : *found) ...
//   auto mail = co_await net::resolve_srv("_imaps._tcp.example.org");
//
// Addresses are kept as long as they say (at most limits::dns_ttl_max), in each loop; other records
// are asked for anew.
// The resolver's sockets and time-outs belong to the loop; no thread is involved. Under simulation
// names come from the simulated host table. Numeric addresses are answered without asking.
// Source: RFC 1035, RFC 6724 (order of addresses). Thread rule: the loop's thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "rondo/base/result.hpp"
#include "rondo/base/time.hpp"
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

/// A place where a service is (RFC 2782).
struct ServicePlace {
  std::string host;          ///< "" when the domain says that there is no such service
  std::uint16_t port = 0;
  std::uint16_t priority = 0;
  std::uint16_t weight = 0;
};
/// Asks for SRV records, "_service._proto.domain".
/// - **Completes** as resolve(). **Returns** at least one place, in the order in which they are to
///   be tried: by priority, and among equal ones by chance as their weights say. **Errors** those
///   of resolve(); not_supported under simulation. **Cancel**, **Lifetime**, **Concurrency**,
///   **Thread** as resolve().
Task<Result<std::vector<ServicePlace>>> resolve_srv(std::string name);
/// Asks for TXT records; each is one text, its strings put together (RFC 7208, section 3.3).
/// Otherwise as resolve_srv.
Task<Result<std::vector<std::string>>> resolve_txt(std::string name);

struct DnsOptions {
  /// "192.0.2.1", "192.0.2.1:5353", "[::1]:53"; empty: those of /etc/resolv.conf.
  std::vector<std::string> servers = {};
  /// The first wait for a server, doubled with each round; zero: c-ares' 2 s.
  Duration timeout = Duration::zero();
  int tries = 3;
  bool cache = true;
};
/// How names are resolved in the running loop from now on. Before its first question, or while
/// none is under way (asserted). Errors: bad_address (a server), no_memory.
Result<> configure_dns(const DnsOptions& options);

/// Plain numbers of the running loop.
struct DnsStatistics {
  std::uint64_t asked = 0;    ///< questions given to c-ares
  std::uint64_t cached = 0;   ///< answered from what was kept
  std::size_t kept = 0;       ///< answers kept now
};
DnsStatistics dns_statistics();

}  // namespace rondo::net
