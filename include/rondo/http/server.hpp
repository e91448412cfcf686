// SPDX-License-Identifier: Apache-2.0
// Server: HTTP/1.1 and HTTP/2 over any ByteStream (RFC 9110, RFC 9112, RFC 9113).
//
//   http::Server server(std::move(router), {.body_max = 64 * 1024});
//   auto listener = tcp::listen({.address = "127.0.0.1:8080"}).or_throw();
//   co_await server.run(listener);                     // until a soft stop, then all have ended
//   co_await server.run(listener, tls_context);        // the same over TLS
//
// A client speaks HTTP/2 when TLS agreed on "h2" (name it in the context's alpn), or on a plain
// connection by beginning with its preface. Handlers are the same for both; over HTTP/2 each is a
// task of its own, which is cancelled when the client resets its stream or goes away.
// Keep-alive and pipelining: the answers to requests that arrived together leave in one send.
// Time-outs, limits and what they answer are the fields of ServerOptions. A connection that is
// refused (400, 408, 413, 414, 431, 501, 505) is closed so that the client can read why.
// Soft stop: idle connections close at once, busy ones answer with `Connection: close` (GOAWAY).
// An idle connection holds no buffer and no request: they are lent while one is served.
// Lifetime: the server outlives its connections: run() and serve() end before it goes.
// Thread rule: one server per loop.
#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>

#include "rondo/base/limits.hpp"
#include "rondo/base/memory.hpp"
#include "rondo/base/result.hpp"
#include "rondo/base/time.hpp"
#include "rondo/core/stream.hpp"
#include "rondo/core/task.hpp"
#include "rondo/http/router.hpp"
#include "rondo/tls/context.hpp"

namespace rondo::net {
class Listener;
}

namespace rondo::http {

namespace detail {
class ServerState;
}

/// Every bound of a server; the defaults are those of base/limits.hpp.
struct ServerOptions {
  std::size_t head_max = limits::http_head_max.value;        ///< bytes: 431
  std::size_t fields_max = limits::http_fields_max.value;    ///< fields: 431
  std::size_t target_max = limits::http_target_max.value;    ///< bytes: 414
  std::uint64_t body_max = limits::http_body_max.value;      ///< bytes: 413
  std::size_t chunk_extensions_max = limits::http_chunk_extensions_max.value;  ///< bytes: 413
  std::size_t pipeline_max = limits::http_pipeline_max.value;  ///< answers before a flush
  std::size_t drain_max = limits::http_drain_max.value;      ///< bytes of an unread body
  std::size_t connections_max = limits::http_connections_max.value;  ///< then accepting waits
  Duration head_timeout = std::chrono::milliseconds(limits::http_head_timeout.value);    ///< 408
  Duration body_timeout = std::chrono::milliseconds(limits::http_body_timeout.value);    ///< 408
  Duration keep_alive = std::chrono::milliseconds(limits::http_keep_alive.value);        ///< close
  Duration write_timeout = std::chrono::milliseconds(limits::http_write_timeout.value);  ///< close
  /// After a refusal the client's bytes are read away that long, so that it sees the answer.
  Duration drain_timeout = std::chrono::milliseconds(limits::http_drain_timeout.value);
  /// Connections without TLS that begin with HTTP/2's preface are served; else they get 505.
  bool http2 = true;
  std::size_t streams_max = limits::http2_streams_max.value;      ///< requests of one at once
  std::size_t stream_window = limits::http2_stream_window.value;  ///< bytes of an unread body
  std::size_t connection_window = limits::http2_connection_window.value;  ///< of all of them
  std::size_t continuations_max = limits::http2_continuations_max.value;  ///< frames of a head
  std::size_t reset_rate = limits::http2_reset_rate.value;        ///< resets/s: close
  std::size_t control_rate = limits::http2_control_rate.value;    ///< empty frames/s: close
};

/// Plain numbers, copied; all but the first two only grow.
struct ServerStatistics {
  std::uint64_t connections = 0;    ///< open now
  std::uint64_t idle = 0;           ///< of these, without a request
  std::uint64_t accepted = 0;
  std::uint64_t requests = 0;
  std::uint64_t refused = 0;        ///< requests answered by the server: limits, syntax
  std::uint64_t handler_errors = 0; ///< handlers that threw: 500
  std::uint64_t timeouts = 0;       ///< connections closed by a time-out
  std::uint64_t exchanges = 0;      ///< request blocks made: the most that were busy at once
  std::uint64_t http2 = 0;          ///< of the accepted connections, those that speak HTTP/2
  std::uint64_t floods = 0;         ///< of these, those that were closed at a rate
};

/// What is known about a stream's other end.
struct Peer {
  std::string_view address = {};   ///< for Request::peer(); outlives the connection
  bool secure = false;             ///< for Request::secure()
  bool http2 = false;              ///< TLS agreed on "h2" (RFC 9113, section 3.3)
};

class Server {
 public:
  explicit Server(Router router, ServerOptions options = {});
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  ~Server();

  /// Accepts and serves connections.
  /// - **Completes** after a soft stop, when every connection has ended.
  /// - **Returns** nothing. **Errors** the listener's. **Cancel** ends every connection.
  /// - **Lifetime** the listener outlives it. **Concurrency** any number of listeners.
  /// - **Thread** the loop's.
  Task<Result<>> run(net::Listener& listener);
  /// The same over TLS. A connection whose handshake fails is counted by the context.
  Task<Result<>> run(net::Listener& listener, tls::Context context);

  /// Serves one connection.
  /// - **Completes** when it has ended: output is queued, the write side shut down.
  /// - **Returns** nothing. **Errors** none. **Cancel** ends it, its handler first.
  /// - **Lifetime** the stream outlives it and is closed by its owner.
  /// - **Concurrency** any number, each with its own stream. **Thread** the loop's.
  Task<> serve(ByteStream& stream, Peer peer = {});

  ServerStatistics statistics() const noexcept;
  const ServerOptions& options() const noexcept;

 private:
  Owned<detail::ServerState> state_;
};

}  // namespace rondo::http
