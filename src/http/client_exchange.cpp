// SPDX-License-Identifier: Apache-2.0
// One request and its answer on one connection.
#include <array>
#include <utility>

#include "http/client.hpp"
#include "rondo/core/cancel.hpp"
#include "rondo/core/scope.hpp"
#include "rondo/http/cookies.hpp"
#include "rondo/http/middleware.hpp"
#include "rondo/proto/http1_write.hpp"

namespace rondo::http::detail {

namespace {

constexpr std::size_t k_head_room = 40'000;  // More than http_head_max: what a server may refuse.
constexpr std::size_t k_write_at_once = 65'536;
constexpr std::size_t k_unpacked_piece = 65'536;

Origin& origin_of(ClientState& client, const std::string& name) {
  auto [at, fresh] = client.origins.try_emplace(name, client.options.per_origin_max);
  ++at->second.users;
  return at->second;
}

bool has_field(const ClientRequest& request, std::string_view name) {
  for (const Header& field : request.headers)
    if (proto::iequals(field.name, name)) return true;
  return false;
}

bool takes_body(const ClientRequest& request) {
  return !request.body.empty() || request.body_source || request.method == "POST" ||
         request.method == "PUT" || request.method == "PATCH";
}

Error phase_error(Error error, const char* phase, std::string_view url) {
  if (error == Errc::timed_out) return Error(Errc::timed_out, phase, url);
  return error;
}

}  // namespace

ClientExchange::ClientExchange(ClientState& of, const Target& to, std::string_view protocol)
    : client(of),
      target(to),
      upgrade(protocol),
      origin_name(to.origin()),
      origin(origin_of(of, origin_name)) {}

ClientExchange::~ClientExchange() {
  if (connection) --client.statistics.connections;  // Its answer was not read to the end.
  connection.reset();
  place.reset();
  origin_place.reset();
  client.leave(origin_name);
}

/// The connection cannot go on: the next read says so too.
void ClientExchange::fail() noexcept {
  if (!connection) return;
  ++client.statistics.failed;
  --client.statistics.connections;
  connection.reset();
}

// ---- The request

Task<Result<>> ClientExchange::write(const ClientRequest& request) {
  std::string room(k_head_room, '\0');
  const auto into = std::as_writable_bytes(std::span(room));
  proto::HeadWriter out(into);
  const bool forwarded = target.forwarded();
  out.request(request.method, forwarded ? target.url : target.path);
  out.field("Host", target.authority);
  const ClientOptions& options = client.options;
  if (!options.user_agent.empty() && !has_field(request, "User-Agent"))
    out.field("User-Agent", options.user_agent);
  if (!has_field(request, "Accept")) out.field("Accept", "*/*");
  may_unpack =
      options.unpack && !has_field(request, "Accept-Encoding") && !has_field(request, "Range");
  if (may_unpack) out.field("Accept-Encoding", "gzip, br, zstd");
  if (!upgrade.empty()) out.field("Connection", "Upgrade").field("Upgrade", upgrade);
  std::string cookies;
  if (options.cookies && !has_field(request, "Cookie"))
    cookies = options.cookies->header_for(target.url);
  if (!cookies.empty()) out.field("Cookie", cookies);
  if (forwarded && !options.proxy_authorization.empty())
    out.field("Proxy-Authorization", options.proxy_authorization);
  if (const proto::TraceContext* trace = current_trace();
      trace && !has_field(request, "traceparent"))
    out.field("traceparent", proto::write_traceparent(*trace));
  for (const Header& field : request.headers) out.field(field.name, field.value);
  if (request.body_source && !request.body_size)
    out.field("Transfer-Encoding", "chunked");
  else if (takes_body(request))
    out.field("Content-Length", request.body_size.value_or(request.body.size()));
  auto size = out.finish();
  if (!size) co_return size.error();
  auto sent = co_await connection->stream().write_all(ByteView(into).first(*size));
  if (sent) sent = co_await write_body(request);
  if (sent) sent_all = true;
  co_return sent;
}

Task<Result<>> ClientExchange::write_body(const ClientRequest& request) {
  ByteStream& stream = connection->stream();
  const Duration patience = client.options.answer_timeout;
  if (!request.body_source) {
    // In pieces, so that the time-out is one of progress.
    for (ByteView rest = as_bytes(request.body); !rest.empty();) {
      const ByteView piece = rest.first(std::min(rest.size(), k_write_at_once));
      auto sent = co_await with_timeout(patience, stream.write_all(piece));
      if (!sent) co_return phase_error(sent.error(), "http request", target.url);
      rest = rest.subspan(piece.size());
    }
    co_return Result<>();
  }
  auto& source = const_cast<ClientRequest&>(request).body_source;  // It is used up by this.
  std::uint64_t left = request.body_size.value_or(0);
  while (true) {
    auto piece = co_await source();
    if (!piece) co_return piece.error();
    if (request.body_size && (piece->size() > left || (piece->empty() && left > 0)))
      co_return Error(Errc::invalid_argument, "http body_source is not body_size long");
    std::string framed;
    if (!request.body_size) {
      char size_line[proto::k_chunk_head_max];
      if (piece->empty())
        framed = proto::k_last_chunk;
      else
        framed.append(proto::write_chunk_head(size_line, piece->size()))
            .append(*piece)
            .append(proto::k_chunk_end);
    }
    const std::string_view out = request.body_size ? *piece : framed;
    if (!out.empty()) {
      auto sent = co_await with_timeout(patience, stream.write_all(out));
      if (!sent) co_return phase_error(sent.error(), "http request", target.url);
    }
    if (piece->empty()) co_return Result<>();
    left -= piece->size();
  }
}

// ---- The answer

Task<Result<>> ClientExchange::receive(Duration patience, const char* phase) {
  if (!connection) co_return Error(Errc::closed, phase, target.url);
  auto got = co_await with_timeout(patience, connection->stream().read());
  if (!got) co_return phase_error(got.error(), phase, target.url);
  if (got->empty()) {
    if (connection->parser.finish() == proto::HttpEvent::end) {
      end_body();
      co_return Result<>();
    }
    co_return Error(Errc::truncated, phase, target.url);
  }
  any_received = true;
  connection->loan = std::move(*got);
  connection->input = connection->loan.bytes();
  co_return Result<>();
}

Task<Result<>> ClientExchange::read_head() {
  while (true) {
    const proto::HttpEvent event = connection->parser.next(connection->input);
    if (event == proto::HttpEvent::error) {
      const bool large = connection->parser.status() == 431;
      co_return Error(large ? Errc::too_large : Errc::protocol_error, "http answer",
                      connection->parser.reason());
    }
    if (event == proto::HttpEvent::head) {
      const int status = connection->parser.head().status();
      if (status == 101 && upgrade.empty())
        co_return Error(Errc::protocol_error, "http answer", "101 unasked");
      if (status >= 200 || status == 101) break;
      continue;  // An interim answer; its end comes with the next call.
    }
    if (event == proto::HttpEvent::end) continue;
    auto got = co_await receive(client.options.answer_timeout, "http answer");
    if (!got) co_return got;
  }
  head = connection->parser.head();
  head_received = true;
  if (CookieJar* jar = client.options.cookies) {
    for (std::size_t i = 0; (i = head.find("Set-Cookie", i)) < head.field_count(); ++i) {
      jar->store(target.url, head.field(i).value);
    }
  }
  const auto coding = proto::coding_of(head.get("Content-Encoding"));
  if (coding && may_unpack && head.has_body()) unpacking.emplace(*coding);
  co_return Result<>();
}

/// Sends the request; a server may answer, and refuse, before it has taken all of it.
Task<Result<>> ClientExchange::exchange(const ClientRequest& request) {
  const TimePoint began = now();
  if (request.method == "HEAD") connection->parser.expect_no_body();
  Result<> sent;
  Result<> heard;
  co_await with_scope([&](Scope& scope) -> Task<> {
    auto writing = scope.start([&]() -> Task<> {
      sent = co_await write(request);
      timings.sent = timings.queued + (now() - began);
    });
    heard = co_await read_head();
    // What the server did not want to hear is not said to the end.
    if (!sent_all && (!heard || !head.keep_alive() || head.status() >= 400)) writing.cancel();
  });
  if (heard) {
    Result<ByteView> nothing = ByteView();
    const bool over = !head.has_body() && head.status() != 101;
    if (over) (void)next_piece(nothing);  // Its connection is free at once.
    co_return heard;
  }
  // The reason that the server could not answer may be ours.
  if (!sent && !any_received) co_return sent;
  co_return heard;
}

Task<Result<ByteView>> ClientExchange::read_piece() {
  Result<ByteView> piece = ByteView();
  while (!next_piece(piece)) {
    auto got = co_await receive(client.options.body_timeout, "http body");
    if (got) continue;
    fail();
    co_return got.error();
  }
  co_return piece;
}

Task<Result<ByteView>> ClientExchange::read_unpacked() {
  Unpacking& body = *unpacking;
  while (true) {
    body.room.resize(k_unpacked_piece);
    const auto room = std::as_writable_bytes(std::span(body.room));
    auto size = body.unpacker.next(body.input, room);
    if (size) body.size += *size;
    if (size && body.size > client.options.unpacked_max) size = Error(Errc::too_large, "unpack");
    if (!size) {
      fail();
      co_return Error(size.error().code(), "http body", target.url);
    }
    if (*size > 0) co_return ByteView(room).first(*size);
    auto piece = co_await read_piece();
    if (!piece) co_return piece.error();
    if (piece->empty()) {
      if (body.unpacker.at_end()) co_return ByteView();
      co_return Error(Errc::truncated, "http body", target.url);
    }
    body.input = *piece;
  }
}

void ClientExchange::end_body() noexcept {
  if (std::exchange(ended, true) || !connection) return;
  if (sent_all && head.keep_alive() && !connection->parser.in_message()) {
    client.give_back(origin, std::move(connection));
  } else {
    --client.statistics.connections;
    connection.reset();
  }
  place.reset();
  origin_place.reset();
}

bool ClientExchange::next_piece(Result<ByteView>& piece) {
  piece = ByteView();
  if (ended) return true;
  if (!connection) {
    piece = Error(Errc::closed, "http body", target.url);
    return true;
  }
  switch (connection->parser.next(connection->input)) {
    case proto::HttpEvent::body:
      piece = connection->parser.body();
      return true;
    case proto::HttpEvent::end:
      end_body();
      return true;
    case proto::HttpEvent::error:
      piece = Error(Errc::protocol_error, "http body", connection->parser.reason());
      fail();
      return true;
    default:
      return false;
  }
}

}  // namespace rondo::http::detail
