// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <charconv>

#include "http/connection.hpp"
#include "rondo/base/log.hpp"
#include "rondo/core/cancel.hpp"
#include "rondo/core/sleep.hpp"
#include "rondo/net/send_file.hpp"
#include "rondo/proto/http1_write.hpp"

namespace rondo::http::detail {

namespace {

proto::HttpLimits limits_of(const ServerOptions& options) noexcept {
  return {.head_max = options.head_max,
          .fields_max = options.fields_max,
          .target_max = options.target_max,
          .body_max = options.body_max,
          .chunk_extensions_max = options.chunk_extensions_max};
}

/// A piece of a file that a client must take within the time-out.
constexpr std::uint64_t k_file_piece = 1'048'576;

}  // namespace

Http1Exchange::Http1Exchange(const ServerOptions& options)
    : OwnParser{proto::RequestParser(limits_of(options))}, Exchange(parser.head()) {}

void Http1Exchange::begin() {
  Exchange::begin(head.has_body());
  collecting = chunked = false;
  if (!stored.empty()) stored.clear();
}

// --- The request's body -----------------------------------------------------------------------

bool Http1Exchange::pull(Result<ByteView>& piece) {
  if (body == Body::ended) return piece = ByteView(), true;
  if (body == Body::failed) return piece = Error(body_error, "read body"), true;
  switch (parser.next(input)) {
    case proto::HttpEvent::body:
      return piece = parser.body(), true;
    case proto::HttpEvent::end:
      body = Body::ended;
      return piece = ByteView(), true;
    case proto::HttpEvent::error:
      piece = fail_body(parser.status() == 413 ? Errc::too_large : Errc::bad_message);
      return true;
    default:
      return false;
  }
}

Task<Result<ByteView>> Http1Exchange::wait_body(bool yield) {
  if (yield) co_await checkpoint();
  const ServerOptions& options = connection->server().options;
  Result<ByteView> piece = ByteView();
  while (!pull(piece)) {
    if (wants_continue && answer == Answer::open) {
      out.append("HTTP/1.1 100 Continue\r\n\r\n");
    }
    wants_continue = false;
    if (!out.empty()) {
      auto sent = co_await connection->watch().write(rondo::as_bytes(out), options.write_timeout);
      out.clear();
      if (!sent) co_return fail_body(sent.error().code());
    }
    auto got = co_await connection->watch().read(options.body_timeout);
    if (!got) co_return fail_body(got.error().code());
    if (got->empty()) co_return fail_body(Errc::end_of_stream);
    loan = std::move(*got);
    input = loan.bytes();
  }
  co_return piece;
}

bool Http1Exchange::collect(Result<std::string_view>& all) {
  Result<ByteView> piece = ByteView();
  if (!collecting) {
    if (!pull(piece)) return false;
    if (!piece) return all = piece.error(), true;
    const ByteView first = *piece;
    if (!pull(piece)) {
      collecting = true;  // More will come: from here on the pieces are put together.
      stored.assign(as_text(first));
      return false;
    }
    if (!piece) return all = piece.error(), true;
    if (piece->empty()) return all = as_text(first), true;
    collecting = true;
    stored.assign(as_text(first)).append(as_text(*piece));
  }
  while (pull(piece)) {
    if (!piece) return all = piece.error(), true;
    if (piece->empty()) return all = std::string_view(stored), true;
    stored.append(as_text(*piece));
  }
  return false;
}

Task<Result<std::string_view>> Http1Exchange::wait_all(bool yield) {
  if (yield) co_await checkpoint();
  Result<std::string_view> all = std::string_view();
  while (!collect(all)) {
    collecting = true;
    const std::uint64_t known = std::min<std::uint64_t>(
        head.content_length(), connection->server().options.body_max);
    if (stored.capacity() < known) stored.reserve(static_cast<std::size_t>(known));
    auto piece = co_await wait_body(false);
    if (!piece) co_return piece.error();
    stored.append(as_text(*piece));
  }
  co_return all;
}

// --- The answer -------------------------------------------------------------------------------

void Http1Exchange::put_number(std::uint64_t value) {
  char digits[20];
  const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
  out.append(digits, static_cast<std::size_t>(end - digits));
}

void Http1Exchange::put_head(std::uint64_t length, bool with_length) {
  if (status == 200) {
    out.append("HTTP/1.1 200 OK\r\n");
  } else {
    out.append("HTTP/1.1 ");
    put_number(static_cast<std::uint64_t>(status));
    out.append(" ").append(proto::status_text(status)).append("\r\n");
  }
  out.append(connection->server().date.get());
  if (close) out.append("Connection: close\r\n");
  else if (head.minor_version() == 0) out.append("Connection: keep-alive\r\n");
  out.append(fields);
  if (with_length && status != 204) {
    out.append("Content-Length: ");
    put_number(length);
    out.append("\r\n");
  }
  out.append("\r\n");
}

void Http1Exchange::decide_close() noexcept {
  if (connection->stopping() || failed) close = true;
  if (body != Body::unread) return;
  // A body that will not be read away leaves no way to find the next request.
  const std::size_t most = connection->server().options.drain_max;
  if (wants_continue || head.content_length() > most) close = true;
}

bool Http1Exchange::begin_whole(std::uint64_t length) {
  RONDO_ASSERT(answer == Answer::open, "an answer is sent once");
  if (bad_field) {
    status = 500;
    fields.clear();
    length = 0;
  }
  decide_close();
  answer = Answer::whole;
  // A 304 would have to name the length of the 200 it stands for.
  put_head(length, status != 304);
  if (!has_no_body()) body_size = length;
  return length > 0 && !has_no_body();
}

void Http1Exchange::send_whole(std::string_view content) {
  if (begin_whole(content.size())) out.append(content);
}

void Http1Exchange::send_shared(SharedBytes content) {
  if (begin_whole(content.size())) shared = std::move(content);
}

void Http1Exchange::send_owned(std::string content) {
  if (begin_whole(content.size())) owned = std::move(content);
}

void Http1Exchange::begin_stream() {
  RONDO_ASSERT(answer == Answer::open, "an answer is sent once");
  if (bad_field) return send_whole({});
  decide_close();
  answer = Answer::streaming;
  const bool old = head.minor_version() == 0;
  chunked = !has_length && !old && status != 204 && status != 304;
  if (!has_length && old) close = true;  // The end of the stream ends the body.
  if (chunked) fields.append("Transfer-Encoding: chunked\r\n");
  put_head(length_left, has_length);
  if (has_no_body()) chunked = false;
}

void Http1Exchange::end_stream() {
  if (has_length && length_left > 0 && !has_no_body()) {
    log(LogLevel::warning, "http: a handler sent less than its Content-Length");
    close = true;
  }
  if (chunked) out.append("0\r\n").append(out_trailers).append("\r\n");
}

Task<> Http1Exchange::disconnected() {
  const std::size_t most = connection->server().options.drain_max;
  while (body == Body::ended && ahead.size() < most) {
    auto got = co_await connection->stream().read();
    if (!got || got->empty()) co_return;
    ahead.append(got->text());
  }
  co_await sleep_until(k_no_deadline);
}

void Http1Exchange::cut() noexcept { connection->cut(); }
void Http1Exchange::cancel_upgraded() noexcept { connection->cancel(); }

Upgraded Http1Exchange::upgrade(std::string_view protocol) {
  RONDO_ASSERT(answer == Answer::open, "switch_protocols() after an answer");
  RONDO_ASSERT(body == Body::ended, "only a request without a body may upgrade");
  answer = Answer::upgraded;
  out.append("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ");
  out.append(protocol).append("\r\n").append(fields).append("\r\n");
  ByteStream& stream = connection->stream();
  // Alone on the stream and small: it cannot exceed a limit. A failed stream says so at the
  // first read or write of the protocol that follows.
  (void)stream.try_write(SharedBytes::copy(out));
  out = {};
  const ByteView rest = std::exchange(input, {});
  return {stream, std::move(loan), rest, this};
}

Task<Result<>> Http1Exchange::write(ByteView piece) {
  if (connection->is_cut()) co_return Error(Errc::broken, "write");
  if (answer == Answer::open) begin_stream();
  RONDO_ASSERT(answer == Answer::streaming || bad_field,
               "write() after send() or switch_protocols()");
  PeerWatch& watch = connection->watch();
  const Duration patience = connection->server().options.write_timeout;
  const bool silent = has_no_body() || piece.empty() || bad_field;
  if (!silent && chunked) {
    char frame[proto::k_chunk_head_max];
    out.append(proto::write_chunk_head(frame, piece.size()));
  }
  if (!silent && has_length) {
    RONDO_ASSERT(piece.size() <= length_left, "more was written than content_length() said");
    length_left -= piece.size();
  }
  if (!silent) body_size += piece.size();
  const bool small = out.size() + piece.size() + 2 <= limits::cork_block.value;
  if (!silent && small) out.append(as_text(piece)).append(chunked ? "\r\n" : "");
  InAnswer in_answer(*this);
  if (!out.empty()) {
    auto sent = co_await watch.write(rondo::as_bytes(out), patience);
    out.clear();
    if (!sent) co_return in_answer.end(sent);
  }
  if (silent || small) co_return in_answer.end({});
  auto sent = co_await watch.write(piece, patience);
  if (chunked) out.append("\r\n");
  co_return in_answer.end(sent);
}

Task<Result<>> Http1Exchange::flush() {
  if (connection->is_cut()) co_return Error(Errc::broken, "flush");
  if (answer == Answer::open) begin_stream();
  const Duration patience = connection->server().options.write_timeout;
  if (!out.empty()) {
    auto sent = co_await connection->watch().write(rondo::as_bytes(out), patience);
    out.clear();
    if (!sent) co_return sent;
  }
  co_return co_await connection->watch().write({}, patience);
}

Task<Result<>> Http1Exchange::send_file(int fd, std::uint64_t offset, std::uint64_t length) {
  response.content_length(length);
  begin_stream();
  if (has_no_body() || bad_field || length == 0) co_return Result<>();
  net::Stream* socket = connection->socket();
  if (!socket || length <= k_file_copied) co_return co_await copy_part(fd, offset, length);
  InAnswer in_answer(*this);
  auto sent = co_await flush();
  const Duration patience = connection->server().options.write_timeout;
  while (sent && length_left > 0) {
    const std::uint64_t piece = std::min(length_left, k_file_piece);
    auto taken = co_await with_timeout(patience, net::send_file(*socket, fd, offset, piece));
    if (taken && *taken == 0) co_return in_answer.end(Error(Errc::truncated, "send_file"));
    if (!taken) co_return in_answer.end(taken.error());
    offset += *taken;
    length_left -= *taken;
    body_size += *taken;
  }
  co_return in_answer.end(sent);
}

}  // namespace rondo::http::detail
