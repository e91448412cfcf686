// SPDX-License-Identifier: Apache-2.0
// Request and Response: what a handler of the HTTP server is given (RFC 9110).
//
//   Task<> post_message(http::Request& request, http::Response& response) {
//     auto body = co_await request.read_all();
//     if (!body) co_return response.send_error(http::status_of(body.error()));
//     store(request.param("room"), *body);
//     response.status(201).content_type("application/json").send("{\"ok\":true}");
//   }
//
// Both live until the handler returns, and no longer: views of them (path, header, param, body
// pieces) must not be kept. A handler that sends nothing has sent an empty answer.
// They refuse what the server does by itself: Date, Content-Length, Transfer-Encoding and
// Connection are its fields (asserted), and so is answering HEAD.
// When the client goes away while a handler runs, over HTTP/1 the handler is not disturbed: writes
// begin to fail, and who wants to know at once awaits request.disconnected(). Over HTTP/2 the
// handler is cancelled; what must be finished is shielded (core/cancel.hpp).
// Thread rule: the loop's thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "rondo/base/bytes.hpp"
#include "rondo/base/result.hpp"
#include "rondo/core/stream.hpp"
#include "rondo/core/task.hpp"
#include "rondo/http/detail/prompt.hpp"
#include "rondo/proto/http1.hpp"

namespace rondo::http {

using proto::Method;

namespace detail {
struct Exchange;
class Connection;
struct Params;
}  // namespace detail

/// The status that answers an error of reading a request: 408 for timed_out, 413 for too_large,
/// 400 for everything else.
int status_of(const Error& error) noexcept;

class Request {
 public:
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;

  Method method() const noexcept { return head().method(); }
  std::string_view method_text() const noexcept { return head().method_text(); }
  /// As it was sent; path() and query() are its parts, still percent-encoded.
  std::string_view target() const noexcept { return head().target(); }
  std::string_view path() const noexcept { return head().path(); }
  std::string_view query() const noexcept { return head().query(); }
  /// Host and port that the client asked for, as in its Host field.
  std::string_view authority() const noexcept { return head().authority(); }
  /// The value of the first field of that name, in any case; `otherwise` when there is none.
  std::string_view header(std::string_view name, std::string_view otherwise = {}) const noexcept {
    return head().get(name, otherwise);
  }
  const proto::RequestHead& head() const noexcept;
  /// The decoded part of the path that `{name}` of the route stands for; "" when it has none.
  std::string_view param(std::string_view name) const noexcept;
  /// The decoded value of the query's first pair of that name.
  std::optional<std::string> query_value(std::string_view name) const;
  /// The client's address, such as "127.0.0.1:50312"; "" on streams that have none.
  std::string_view peer() const noexcept;
  /// True when the connection is encrypted.
  bool secure() const noexcept;
  /// "HTTP/1.0", "HTTP/1.1" or "HTTP/2".
  std::string_view version() const noexcept;

  /// Waits for the next piece of the body.
  /// - **Completes** when a piece is there, at the body's end, or on an error. The first call
  ///   answers `Expect: 100-continue`.
  /// - **Returns** 1..n bytes, valid until the next read; empty at the end, again and again.
  /// - **Errors** timed_out (http_body_timeout without a byte), too_large (body_max),
  ///   bad_message (broken chunks), end_of_stream (the client closed inside the body), the
  ///   transport's; over HTTP/2 connection_reset. After any of them the connection is closed
  ///   behind the answer, over HTTP/2 the stream.
  /// - **Cancel** loses nothing. **Lifetime** the request outlives the await.
  /// - **Concurrency** one reader. **Thread** the loop's.
  detail::Prompt<Result<ByteView>> read() noexcept;

  /// Reads the rest of the body into one block.
  /// - **Completes** at the end of the body. **Returns** all of it, valid as long as the request;
  ///   a body that arrived in one piece is not copied.
  /// - **Errors** those of read(). **Cancel** loses what was read.
  /// - **Lifetime** the request outlives the await. **Concurrency** one reader.
  /// - **Thread** the loop's.
  detail::Prompt<Result<std::string_view>> read_all() noexcept;

  /// Fields that came behind the body (RFC 9110, section 6.5): in chunks, or over HTTP/2. Complete
  /// once a read has seen the body's end; they are under the limits of a head.
  const proto::FieldList& trailers() const noexcept;

  /// Overrides ServerOptions::body_max for this request; before the first read.
  void set_body_max(std::uint64_t bytes) noexcept;

  /// Waits until the client has closed or the connection has failed; over HTTP/2, where that
  /// cancels the handler, it does not complete.
  /// - **Completes** then; never while a body is unread or the client sends more than
  ///   http_drain_max ahead. **Returns** nothing. **Errors** none.
  /// - **Cancel** loses nothing. **Lifetime** the request outlives the await.
  /// - **Concurrency** one, and no read() meanwhile. **Thread** the loop's.
  ///   `co_await when_any(work(), request.disconnected())` gives up work nobody waits for.
  Task<> disconnected();

 private:
  friend detail::Exchange;
  friend detail::Connection;
  explicit Request(detail::Exchange& exchange) noexcept : exchange_(exchange) {}
  detail::Exchange& exchange_;
};

/// What a connection, or a stream of HTTP/2, is after it has left HTTP: bytes, and those of them
/// that came with the request.
struct Upgraded {
  ByteStream& stream;
  Loan loan;        ///< holds `rest`
  ByteView rest;    ///< the other protocol's first bytes, when some have arrived already
  detail::Exchange* exchange;

  /// Ends the connection (stream): cancels the handler that was given this.
  void cancel() noexcept;
};

class Response {
 public:
  Response(const Response&) = delete;
  Response& operator=(const Response&) = delete;

  /// 200 until it is set. 100..999; 1xx are the server's own.
  Response& status(int code) noexcept;
  int status() const noexcept;
  /// Adds a field. One whose name or value is not legal (a line break that a user sent) is not
  /// sent: the answer becomes 500, and a line is logged.
  Response& header(std::string_view name, std::string_view value);
  Response& content_type(std::string_view type) { return header("Content-Type", type); }
  /// For write(): exactly that many bytes will follow, instead of chunks. More is an assertion;
  /// after fewer the connection is closed, so that the client sees a truncated body.
  Response& content_length(std::uint64_t bytes) noexcept;
  /// Adds a field that is sent behind a body of write(): a checksum, say, or how it went. Until the
  /// handler ends. Over HTTP/1 only with chunks: not after content_length(), nor to HTTP/1.0. One
  /// that is not legal there is not sent: a line is logged.
  Response& trailer(std::string_view name, std::string_view value);
  /// The connection is closed after this answer; over HTTP/2 when its other streams have ended.
  Response& close() noexcept;

  /// Sends the whole answer; never waits. The body is copied (no allocation when it is small).
  void send(std::string_view body = {});
  /// The same, sharing the body.
  void send(SharedBytes body);
  /// The same, taking the body: for what was made for this answer alone.
  void send_owned(std::string body);
  /// A status with a line of text; "" sends the status's own phrase.
  void send_error(int status, std::string_view text = {});
  /// Sends the client elsewhere: 303, 302, 307, 301 or 308.
  void redirect(std::string_view location, int status = 303);

  /// Sends the next piece of a streamed answer; the first call sends the head.
  /// - **Completes** when the piece is accepted (as ByteStream::write_all): copied, or taken by
  ///   the kernel; waits while the client is slow. **Returns** nothing.
  /// - **Errors** the transport's: stop producing. **Cancel** closes the connection (stream).
  /// - **Lifetime** `piece` outlives the await. **Concurrency** one writer. **Thread** the loop's.
  ///   The end of the handler ends the body.
  Task<Result<>> write(ByteView piece);
  Task<Result<>> write(std::string_view piece) { return write(as_bytes(piece)); }
  /// Sends the head of a streamed answer before there is a body, and waits until all is sent; over
  /// HTTP/2 until the client's windows have let all of it go.
  Task<Result<>> flush();

  /// Sends a part of an open file as the whole body, with its Content-Length; large parts without
  /// copying them through the process where the connection allows it.
  /// - **Completes** when all is accepted. **Returns** nothing. **Errors** the file's, the
  ///   transport's; truncated when the file has become shorter. After any the connection is closed.
  /// - **Cancel** closes the connection. **Lifetime** the descriptor outlives the await.
  /// - **Concurrency** one writer. **Thread** the loop's.
  Task<Result<>> send_file(int descriptor, std::uint64_t offset, std::uint64_t length);

  /// Bytes of the answer's body handed over so far: for logs.
  std::uint64_t body_size() const noexcept;
  /// True once the head is decided: status and fields can be set no more.
  bool started() const noexcept;

  /// Leaves HTTP: sends 101, over HTTP/2 200 (RFC 8441), with the fields set so far and hands the
  /// stream over; the connection (stream) ends with the handler. Only for a request whose body is
  /// empty and whose Upgrade field (head().upgrade()) names `protocol` (asserted); that of an
  /// extended CONNECT does. Views of the request stay valid.
  Upgraded switch_protocols(std::string_view protocol);

 private:
  friend detail::Exchange;
  friend detail::Connection;
  explicit Response(detail::Exchange& exchange) noexcept : exchange_(exchange) {}
  detail::Exchange& exchange_;
};

}  // namespace rondo::http
