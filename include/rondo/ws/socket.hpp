// SPDX-License-Identifier: Apache-2.0
// Socket: an end of a WebSocket (RFC 6455), over HTTP/1.1 or on a stream of HTTP/2 (RFC 8441).
//
//   Task<> echo(http::Request& request, http::Response& response) {
//     auto socket = co_await ws::accept(request, response, {.origins = {"https://example.org"}});
//     if (!socket) co_return;                            // refused; the answer is sent already
//     while (auto message = co_await socket->receive())  // ends with an error: closed, ...
//       if (!co_await socket->send(*message)) break;
//   }
//
//   auto socket = (co_await ws::connect(client, "wss://example.org/feed")).or_throw();
//
// receive() does the protocol: it answers pings and the closing handshake, checks UTF-8, joins
// fragments and keeps the limits; a session that never receives answers nothing. Sending is free
// for others meanwhile: one task in send_x, anybody in try_send, which shares one encoded frame.
// Soft stop: the peer is sent 1001, and receive() ends with `stopping` after its answer, or after
// half of close_timeout.
// A Socket that goes without close() sends 1000 (1001 in a stop), not waiting for the answer.
// Messages are deflated (RFC 7692, without context takeover) when both ends want it.
// Lifetime: inside the handler that accepted it; a client's, no longer than its http::Client.
// Thread rule: the loop's thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "rondo/base/bytes.hpp"
#include "rondo/base/limits.hpp"
#include "rondo/base/memory.hpp"
#include "rondo/base/move_fn.hpp"
#include "rondo/base/result.hpp"
#include "rondo/base/time.hpp"
#include "rondo/core/stream.hpp"
#include "rondo/core/task.hpp"
#include "rondo/http/client.hpp"
#include "rondo/http/message.hpp"

namespace rondo::ws {

enum class Kind : std::uint8_t { text, binary };

/// A received message; a view, valid until the next receive().
struct Message {
  Kind kind = Kind::text;
  ByteView bytes;
  std::string_view text() const noexcept { return as_text(bytes); }
};

/// Close codes (RFC 6455, section 7.4.1) that Rondo sends or names.
enum class CloseCode : std::uint16_t {
  normal = 1000,
  going_away = 1001,
  protocol_error = 1002,
  unsupported = 1003,
  no_status = 1005,       ///< never sent: the peer's Close had no code
  abnormal = 1006,        ///< never sent: the connection ended without a Close
  invalid_text = 1007,
  policy = 1008,
  too_big = 1009,
  internal_error = 1011,
  try_again_later = 1013,
};

struct Options {
  /// Origins that may connect, compared as scheme://host[:port] without case. Empty: only
  /// requests without an Origin or whose Origin is the request's own Host.
  std::vector<std::string> origins = {};
  /// Replaces the list: true lets the Origin in ("" when there is none).
  MoveFn<bool(std::string_view origin, const http::Request& request)> check_origin = {};
  /// Subprotocols of this server, best first; the first the client offers too is taken. A client
  /// that offers only others gets none.
  std::vector<std::string> protocols = {};
  std::size_t message_max = limits::ws_message_max.value;  ///< bytes: 1009
  std::size_t queue_max = limits::ws_queue_max.value;      ///< bytes of try_send: would_exceed
  Duration ping_interval = std::chrono::milliseconds(limits::ws_ping_interval.value);
  Duration close_timeout = std::chrono::milliseconds(limits::ws_close_timeout.value);
  Duration write_timeout = std::chrono::milliseconds(limits::http_write_timeout.value);
  std::uint32_t control_rate = limits::ws_control_rate.value;  ///< pings and pongs a second: 1008
  /// Deflates messages from deflate_min bytes on when the peer can. It costs CPU for each message
  /// and receiver, so frames of try_send go out as they were encoded.
  bool deflate = false;
  std::size_t deflate_min = limits::ws_deflate_min.value;
};

/// Plain numbers, copied.
struct Statistics {
  std::uint64_t messages_received = 0;
  std::uint64_t messages_sent = 0;
  std::uint64_t bytes_received = 0;   ///< payload of messages
  std::uint64_t bytes_sent = 0;
  std::uint64_t pings_sent = 0;
  std::uint64_t pongs_sent = 0;
  std::uint64_t copied = 0;           ///< messages that had to be put together
  std::uint64_t deflated = 0;         ///< messages sent deflated
};

/// One unmasked frame, encoded once for any number of try_send.
SharedBytes encode_text(std::string_view text);
SharedBytes encode_binary(ByteView bytes);

/// True when the request asks for a WebSocket (section 4.1); it may still be refused by accept.
bool is_upgrade(const http::Request& request) noexcept;

/// Of the connection that a client opens.
struct ConnectOptions {
  /// Offered, best first; the server may take one.
  std::vector<std::string> protocols = {};
  /// Fields beside those of the handshake: Authorization, Cookie, Origin.
  std::vector<http::Header> headers = {};
  /// On a stream of the client's connection when the server speaks HTTP/2 and allows it, else as
  /// ever on a connection of its own.
  bool http2 = false;
  /// Limits and time-outs, deflate; what is of a server (origins, protocols) is not used.
  Options socket = {};
};

namespace detail {
class Session;
struct Send;
}

class [[nodiscard("keep it: its end closes the socket")]] Socket {
 public:
  Socket(Socket&&) noexcept;
  Socket& operator=(Socket&&) noexcept;
  ~Socket();

  /// Waits for the next message.
  /// - **Completes** with a message, when the connection is closed, or on an error.
  /// - **Returns** the message, valid until the next receive(); one that lies in one received
  ///   buffer is not copied.
  /// - **Errors** closed (the peer closed or close() was called; see close_code), stopping,
  ///   protocol_error, bad_message (UTF-8), too_large, timed_out (no pongs, no answer to a
  ///   Close), end_of_stream (no Close), the transport's. Every one is final.
  /// - **Cancel** loses nothing. **Lifetime** the socket outlives the await.
  /// - **Concurrency** one receiver. **Thread** the loop's.
  http::detail::Prompt<Result<Message>> receive() noexcept;

  /// Sends a message.
  /// - **Completes** when it is accepted: up to 4 KiB is copied at once, more waits until the
  ///   kernel has taken it; waits while the peer is slow, at most write_timeout.
  /// - **Returns** nothing. **Errors** closed (after a Close in either direction), the
  ///   transport's. **Cancel** a large message sent in part ends the connection.
  /// - **Lifetime** the payload outlives the await. Text must be UTF-8 (asserted in debug).
  /// - **Concurrency** one sender; try_send is free meanwhile, except behind a large message.
  /// - **Thread** the loop's.
  Task<Result<>> send_text(std::string_view text);
  Task<Result<>> send_binary(ByteView bytes);
  Task<Result<>> send(const Message& message);

  /// Queues an encoded frame without ever waiting. Errors: would_exceed when more than queue_max
  /// bytes would wait (nothing was taken); closed. A server's only (asserted): a client masks each
  /// frame with a key of its own.
  Result<> try_send(const SharedBytes& frame) noexcept;
  /// Bytes that the peer has not taken yet.
  std::size_t unsent() const noexcept;

  /// Closes in good order: sends Close, then reads until the peer's answer.
  /// - **Completes** with the answer or after close_timeout. **Returns** nothing.
  /// - **Errors** timed_out, the transport's. **Cancel** ends the wait; the Close is sent.
  /// - **Lifetime** `reason` (at most 123 bytes of UTF-8) outlives the call.
  /// - **Concurrency** not beside receive(): call start_close then. **Thread** the loop's.
  Task<Result<>> close(CloseCode code = CloseCode::normal, std::string_view reason = {});
  /// Sends Close from beside; the task in receive() sees `closed` after the answer or time-out.
  void start_close(CloseCode code, std::string_view reason = {}) noexcept;

  /// True until a Close was sent or received or the connection failed.
  bool is_open() const noexcept;
  /// How it ended: the peer's code and reason, or ours when we closed first.
  CloseCode close_code() const noexcept;
  std::string_view close_reason() const noexcept;
  /// The subprotocol agreed on; "" for none.
  std::string_view protocol() const noexcept;
  Statistics statistics() const noexcept;

 private:
  friend Task<Result<Socket>> accept(http::Request&, http::Response&, Options);
  friend Task<Result<Socket>> connect(http::Client&, std::string, ConnectOptions);
  explicit Socket(Owned<detail::Session> session) noexcept;
  Owned<detail::Session> session_;
};

/// Answers the opening handshake (section 4.2), or an extended CONNECT (RFC 8441, section 5), which
/// a GET route is given.
/// - **Completes** at once. **Returns** the socket; the handler's response is used up.
/// - **Errors** bad_message, sent as 400 (426 with Sec-WebSocket-Version for another version);
///   access_denied, sent as 403: a foreign Origin. **Cancel** before it starts.
/// - **Lifetime** the socket lives inside the handler. **Concurrency** once per request.
/// - **Thread** the loop's.
Task<Result<Socket>> accept(http::Request& request, http::Response& response,
                            Options options = {});

/// Opens a WebSocket (section 4.1) through an HTTP client, with its TLS, proxies, cookies and
/// time-outs. `url` has the scheme ws or wss (or http, https).
/// - **Completes** when the server agreed. **Returns** the socket. **Errors** those of
///   Client::upgrade (access_denied: it answered with another status); protocol_error when its
///   answer is no proof, or chose what was not offered.
/// - **Cancel** closes the connection. **Lifetime** the client outlives the socket.
/// - **Concurrency** any number. **Thread** the loop's.
Task<Result<Socket>> connect(http::Client& client, std::string url, ConnectOptions options = {});

}  // namespace rondo::ws
