// SPDX-License-Identifier: Apache-2.0
// Servers behind a proxy: reading the PROXY protocol before the stream is used.
//
//   while (auto peer = co_await listener.accept()) sessions.start(serve, std::move(*peer));
//   Task<> serve(tcp::Stream stream) {
//     auto from = co_await net::read_proxy_header(stream);     // Proxied{client, ...}
//     if (!from) co_return;                                    // no header: not our proxy
//     ...                                                      // the stream begins behind it
//   }
//
// Use it only where nobody but the proxy can connect: whoever sends a header says who he is.
// Source and format: proto/proxy_protocol.hpp. Thread rule: the loop's thread.
#pragma once

#include "rondo/base/limits.hpp"
#include "rondo/base/result.hpp"
#include "rondo/base/time.hpp"
#include "rondo/core/stream.hpp"
#include "rondo/core/task.hpp"
#include "rondo/net/endpoint.hpp"
#include "rondo/net/socket.hpp"

namespace rondo::net {

/// Who is at the other end, as a proxy told it.
struct Proxied {
  Endpoint client;        ///< the proxy's own address when it named nobody
  Endpoint destination;   ///< what the client connected to
  bool is_named = false;  ///< false: a check of the proxy's own, or a client without an IP address
};

struct ProxyHeaderOptions {
  Duration timeout = std::chrono::milliseconds(limits::proxy_header_timeout.value);
  std::size_t max = limits::proxy_header_max.value;  ///< bytes of the whole header
};

/// Reads the header that a proxy sends first (version 1 or 2) and leaves what follows unread.
/// - **Completes** when the header is there, or at the time-out. **Returns** who the client is.
/// - **Errors** protocol_error: there is no such header, or a broken one; timed_out; end_of_stream;
///   the stream's. Close the stream after any of them. **Cancel** consumes nothing but a whole
///   header. **Lifetime** the stream outlives it. **Concurrency** counts as the reader.
/// - **Thread** the loop's.
Task<Result<Proxied>> read_proxy_header(Stream& stream, ProxyHeaderOptions options = {});

/// Sends a header of version 2 that names the ends of a client's connection: what a proxy written
/// with Rondo does first on its connection to the server. Completes and fails as write_all.
Task<Result<>> write_proxy_header(ByteStream& server, Endpoint client, Endpoint destination);

}  // namespace rondo::net
