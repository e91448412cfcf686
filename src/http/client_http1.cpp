// SPDX-License-Identifier: Apache-2.0
#include "http/client_http1.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "http/fields.hpp"
#include "rondo/core/cancel.hpp"
#include "rondo/core/scope.hpp"
#include "rondo/proto/http1_write.hpp"

namespace rondo::http::detail {

namespace {

constexpr std::size_t k_head_room = 40'000;  // More than http_head_max: what a server may refuse.
constexpr std::size_t k_write_at_once = 65'536;

}  // namespace

Http1Carrier::~Http1Carrier() {
  if (connection) --ex.client.statistics.connections;  // Its answer was not read to the end.
}

// ---- The request

Task<Result<>> Http1Carrier::write(const Outgoing& out) {
  const ClientRequest& request = out.sending->request;
  std::string room(k_head_room, '\0');
  const auto into = std::as_writable_bytes(std::span(room));
  proto::HeadWriter writer(into);
  const Target& target = ex.target;
  const bool forwarded = target.forwarded();
  writer.request(request.method, forwarded ? target.url : target.path);
  writer.field("Host", target.authority);
  if (!ex.upgrade.empty()) writer.field("Connection", "Upgrade").field("Upgrade", ex.upgrade);
  if (forwarded && !target.proxy_authorization.empty())
    writer.field("Proxy-Authorization", target.proxy_authorization);
  for (const Header& field : out.fields) writer.field(field.name, field.value);
  if (out.length)
    writer.field("Content-Length", *out.length);
  else if (out.has_body)
    writer.field("Transfer-Encoding", "chunked");
  auto size = writer.finish();
  if (!size) {
    own_failure = true;
    co_return size.error();
  }
  auto sent = co_await put(as_text(into.first(*size)));
  if (sent && request.expect_continue && out.has_body) {
    const Duration patience = ex.client.options.continue_timeout;
    (void)co_await with_timeout(patience, may_send_body.wait());
  }
  const bool chunked = out.has_body && !out.length;
  if (sent && request.body_source)
    sent = co_await write_source(out);
  else if (sent && chunked && !request.body.empty())
    sent = co_await write_source(out);
  else if (sent)
    sent = co_await write_whole(request.body);
  if (sent && chunked) sent = co_await write_trailers(out);
  if (sent) sent_all = true;
  co_return sent;
}

/// The time-out is one of progress.
Task<Result<>> Http1Carrier::put(std::string_view bytes) {
  auto sent = co_await with_timeout(ex.client.options.answer_timeout,
                                    connection->stream().write_all(bytes));
  if (!sent) co_return phase_error(sent.error(), "http request", ex.target.url);
  co_return sent;
}

Task<Result<>> Http1Carrier::write_whole(std::string_view body) {
  while (!body.empty()) {
    const std::string_view piece = body.substr(0, k_write_at_once);
    auto sent = co_await put(piece);
    if (!sent) co_return sent;
    body.remove_prefix(piece.size());
  }
  co_return Result<>();
}

/// Piece by piece, in chunks unless the length was told.
Task<Result<>> Http1Carrier::write_source(const Outgoing& out) {
  const ClientRequest& request = out.sending->request;
  std::string_view whole = request.body;
  while (true) {
    std::string piece;
    if (request.body_source) {
      auto made = co_await out.sending->next_piece();
      if (!made) {
        own_failure = true;
        co_return made.error();
      }
      piece = std::move(*made);
    } else {
      piece = whole.substr(0, k_write_at_once);
      whole.remove_prefix(piece.size());
    }
    if (piece.empty()) co_return Result<>();
    if (!out.length) {
      char size_line[proto::k_chunk_head_max];
      piece.insert(0, proto::write_chunk_head(size_line, piece.size()));
      piece.append(proto::k_chunk_end);
    }
    auto sent = co_await put(piece);
    if (!sent) co_return sent;
  }
}

Task<Result<>> Http1Carrier::write_trailers(const Outgoing& out) {
  auto& trailers = out.sending->request.trailers;
  std::string end("0\r\n");
  if (trailers) {
    for (const Header& field : trailers())
      if (may_be_trailer(field.name, field.value)) end += field.name + ": " + field.value + "\r\n";
  }
  end += "\r\n";
  co_return co_await put(end);
}

// ---- The answer

Task<Result<>> Http1Carrier::wait_more() {
  auto got = co_await connection->stream().read();
  if (!got) co_return got.error();
  if (got->empty()) {
    at_end = connection->parser.finish() == proto::HttpEvent::end;
    if (at_end) co_return Result<>();
    const bool has_head = ex.head.status() != 0;
    co_return Error(Errc::truncated, has_head ? "http body" : "http answer", ex.target.url);
  }
  any_received = true;
  connection->loan = std::move(*got);
  connection->input = connection->loan.bytes();
  co_return Result<>();
}

Task<Result<>> Http1Carrier::read_head() {
  const std::size_t interims_max = limits::http_interims_max.value;
  while (true) {
    const proto::HttpEvent event = connection->parser.next(connection->input);
    if (event == proto::HttpEvent::error) {
      const bool large = connection->parser.status() == 431;
      co_return Error(large ? Errc::too_large : Errc::protocol_error, "http answer",
                      connection->parser.reason());
    }
    if (event == proto::HttpEvent::head) {
      const int status = connection->parser.head().status();
      if (status == 101 && ex.upgrade.empty())
        co_return Error(Errc::protocol_error, "http answer", "101 unasked");
      if (status >= 200 || status == 101) co_return Result<>();
      if (++interims > interims_max)
        co_return Error(Errc::protocol_error, "http answer", "too many interim answers");
      if (status == 100) may_send_body.set();
      continue;  // An interim answer; its end comes with the next call.
    }
    if (event == proto::HttpEvent::end) continue;
    auto got = co_await wait_more();
    if (!got) co_return got;
  }
}

/// Sends the request; a server may answer, and refuse, before it has taken all of it. The head has
/// its time from the moment on when all was sent, or could not be: while a request is being sent
/// each piece of it has that time.
Task<Result<>> Http1Carrier::exchange(const Outgoing& out) {
  const TimePoint began = now();
  if (out.sending->request.method == "HEAD") connection->parser.expect_no_body();
  Result<> sent;
  Result<> heard = ex.timed_out("http answer");
  co_await with_scope([&](Scope& scope) -> Task<> {
    auto writing = scope.start([&]() -> Task<> {
      sent = co_await write(out);
      ex.timings.sent = ex.timings.queued + (now() - began);
      if (own_failure)
        scope.cancel();
      else
        scope.cancel_after(ex.client.options.answer_timeout);
    });
    heard = co_await read_head();
    scope.cancel_at(k_no_deadline);
    // What the server did not want to hear is not said to the end.
    const bool unwanted = !heard || !head().keep_alive() || head().status() >= 400;
    if (!sent_all && unwanted) writing.cancel();
  });
  if (own_failure) co_return sent;
  // The reason that the server could not answer may be ours.
  if (!heard && !sent && !any_received) co_return sent;
  co_return heard;
}

bool Http1Carrier::pull(Result<ByteView>& piece) {
  piece = ByteView();
  if (at_end) return true;
  switch (connection->parser.next(connection->input)) {
    case proto::HttpEvent::body:
      piece = connection->parser.body();
      return true;
    case proto::HttpEvent::end:
      at_end = true;
      return true;
    case proto::HttpEvent::error:
      piece = Error(Errc::protocol_error, "http body", connection->parser.reason());
      return true;
    default:
      return false;
  }
}

void Http1Carrier::end() noexcept {
  if (sent_all && ex.head.keep_alive() && !connection->parser.in_message()) {
    ex.client.give_back(ex.origin, std::move(connection));
  } else {
    --ex.client.statistics.connections;
    connection.reset();
  }
  ex.place.reset();
  ex.origin_place.reset();
}

Loan Http1Carrier::take_rest(ByteView& rest) noexcept {
  rest = std::exchange(connection->input, {});
  return std::move(connection->loan);
}

}  // namespace rondo::http::detail
