// SPDX-License-Identifier: Apache-2.0
// Http2Carrier: one request and its answer on a stream.
#include <algorithm>
#include <utility>

#include "http/client_http2.hpp"
#include "http/fields.hpp"
#include "rondo/core/cancel.hpp"

namespace rondo::http::detail {

namespace {

/// Fields that have no place in HTTP/2, and what only proves a handshake of HTTP/1.1.
bool is_dropped(const Header& field) noexcept {
  const bool is_te = proto::iequals(field.name, "te");
  if (is_te) return !proto::iequals(trimmed(field.value), "trailers");  // RFC 9113, 8.2.2.
  return is_of_http1(field.name) || proto::iequals(field.name, "sec-websocket-key");
}

/// How long the head may still take. While the request is being sent, as long as some of it was
/// taken in between; from its end on, once.
class HeadClock {
 public:
  HeadClock(ClientStream& stream, Duration patience)
      : stream_(stream), patience_(patience), due_(deadline_after(now(), patience)) {}
  Duration left() {
    if (ended_) return due_ - now();
    ended_ = stream_.request_ended();
    const bool moved = std::exchange(taken_, stream_.taken()) != stream_.taken();
    // A source may take its time.
    if (ended_ || moved || stream_.producing) due_ = deadline_after(now(), patience_);
    return due_ - now();
  }
  bool ended() const noexcept { return ended_; }

 private:
  ClientStream& stream_;
  Duration patience_;
  TimePoint due_;
  std::uint64_t taken_ = 0;
  bool ended_ = false;
};

}  // namespace

Http2Carrier::Http2Carrier(ClientExchange& exchange, std::shared_ptr<ClientHttp2> on)
    : ex(exchange), connection(std::move(on)) {
  connection->reserve();
}

Http2Carrier::~Http2Carrier() {
  if (stream) stream->abandon();
  if (reserved) connection->unreserve();
}

/// False: it has to be another connection.
bool Http2Carrier::begin(const Outgoing& out) {
  const ClientRequest& request = out.sending->request;
  const Target& target = ex.target;
  const bool extended = !ex.upgrade.empty();
  const std::string length = std::to_string(out.length.value_or(0));
  std::vector<proto::Field> fields = {
      {":method", extended ? std::string_view("CONNECT") : std::string_view(request.method)},
      {":scheme", target.secure ? "https" : "http"},
      {":authority", target.authority},
      {":path", target.path.empty() ? std::string_view("/") : std::string_view(target.path)}};
  if (extended) fields.push_back({":protocol", ex.upgrade});
  for (const Header& field : out.fields)
    if (!is_dropped(field)) fields.push_back({field.name, trimmed(field.value)});
  if (out.length && !extended) fields.push_back({"content-length", length});
  reserved = false;
  stream = connection->open(fields, out.has_body || extended);
  if (!stream) return false;
  if (extended)
    stream->begin_tunnel();
  else if (out.has_body)
    stream->begin_body(out);
  return true;
}

Task<Result<>> Http2Carrier::exchange(const Outgoing& out) {
  const TimePoint began = now();
  if (!ex.upgrade.empty()) {
    // What the server allows stands in its settings, which may not be there yet.
    const bool known = co_await connection->wait_settings();
    if (!known && !connection->is_gone()) co_return ex.timed_out("http2 settings");
    if (known && !connection->session().peer_allows_connect())
      co_return Error(Errc::not_supported, "http2: the server has no extended CONNECT");
  }
  if (!begin(out)) co_return Error(Errc::connection_reset, "http2", "the connection is leaving");
  const std::uint64_t heard_before = connection->pieces_heard();
  auto heard = co_await wait_head(began);
  if (!heard && heard.error() == Errc::timed_out && connection->pieces_heard() == heard_before)
    connection->leave();  // Nobody may be there any more.
  if (!heard) co_return heard;
  co_return check_head();
}

Task<Result<>> Http2Carrier::wait_head(TimePoint began) {
  HeadClock clock(*stream, ex.client.options.answer_timeout);
  while (!stream->has_head) {
    if (stream->failure) co_return *stream->failure;
    stream->moved.reset();
    const Duration left = clock.left();
    if (!clock.ended() || ex.timings.sent == Duration::zero())
      ex.timings.sent = ex.timings.queued + (now() - began);
    auto in_time = co_await with_timeout(left, stream->moved.wait());
    if (in_time || clock.left() > Duration::zero()) continue;
    co_return ex.timed_out(clock.ended() ? "http answer" : "http request");
  }
  co_return Result<>();
}

Result<> Http2Carrier::check_head() {
  if (stream->refusal() == 0) return {};
  const bool large = stream->refusal() == 431;
  return Error(large ? Errc::too_large : Errc::protocol_error, "http answer", stream->reason());
}

bool Http2Carrier::pull(Result<ByteView>& piece) {
  ClientStream& at = *stream;
  at.use_up(at.lent.size());
  at.lent.clear();
  piece = ByteView();
  if (!at.arrived.empty()) {
    std::swap(at.lent, at.arrived);
    piece = as_bytes(at.lent);
    return true;
  }
  if (at.answer_ended()) return true;
  if (at.failure) {
    piece = *at.failure;
    return true;
  }
  at.moved.reset();  // Here: until wait_more() is run something may have moved.
  return false;
}

Task<Result<>> Http2Carrier::wait_more() {
  co_await stream->moved.wait();
  co_return Result<>();
}

}  // namespace rondo::http::detail
