// SPDX-License-Identifier: Apache-2.0
// One request and its answer, whatever carries them.
#include <algorithm>
#include <utility>

#include "http/client.hpp"
#include "http/client_http1.hpp"
#include "rondo/core/cancel.hpp"
#include "rondo/http/cookies.hpp"
#include "rondo/http/middleware.hpp"

namespace rondo::http::detail {

using proto::iequals;

namespace {

constexpr std::size_t k_unpacked_piece = 65'536;

Origin& origin_of(ClientState& client, const std::string& name) {
  auto [at, fresh] = client.origins.try_emplace(name, client.options.per_origin_max);
  ++at->second.users;
  return at->second;
}

bool has_field(const ClientRequest& request, std::string_view name) {
  for (const Header& field : request.headers)
    if (iequals(field.name, name)) return true;
  return false;
}

bool takes_body(const ClientRequest& request) {
  return !request.body.empty() || request.body_source || request.method == "POST" ||
         request.method == "PUT" || request.method == "PATCH";
}

}  // namespace

Error phase_error(Error error, const char* phase, std::string_view url) {
  if (error == Errc::timed_out) return Error(Errc::timed_out, phase, url);
  return error;
}

Task<Result<std::string>> Sending::next_piece() {
  if (!std::exchange(source_used, true)) source_left = request.body_size.value_or(0);
  auto piece = co_await request.body_source();
  if (!piece || !request.body_size) co_return piece;
  if (piece->size() > source_left || (piece->empty() && source_left > 0))
    co_return Error(Errc::invalid_argument, "http body_source is not body_size long");
  source_left -= piece->size();
  co_return piece;
}

ClientExchange::ClientExchange(ClientState& of, const Target& to, const Attempt& how)
    : client(of),
      target(to),
      upgrade(how.upgrade),
      origin_name(to.origin()),
      origin(origin_of(of, origin_name)),
      http1_only(how.http1_only) {}

ClientExchange::~ClientExchange() {
  carrier.reset();
  place.reset();
  origin_place.reset();
  client.leave(origin_name);
}

/// The answer cannot go on: the next read says so too.
void ClientExchange::fail() noexcept {
  if (!carrier) return;
  ++client.statistics.failed;
  carrier.reset();
}

// ---- The request

Outgoing ClientExchange::outgoing(std::shared_ptr<Sending> sending) {
  const ClientRequest& request = sending->request;
  const ClientOptions& options = client.options;
  Outgoing out{.sending = sending, .fields = {}, .length = {}, .has_body = false};
  std::vector<Header>& fields = out.fields;
  if (!options.user_agent.empty() && !has_field(request, "User-Agent"))
    fields.push_back({"User-Agent", options.user_agent});
  if (!has_field(request, "Accept")) fields.push_back({"Accept", "*/*"});
  may_unpack = options.unpack && upgrade.empty() && !has_field(request, "Accept-Encoding") &&
               !has_field(request, "Range");
  if (may_unpack) fields.push_back({"Accept-Encoding", "gzip, br, zstd"});
  std::string cookies;
  if (options.cookies && !has_field(request, "Cookie"))
    cookies = options.cookies->header_for(target.url);
  if (!cookies.empty()) fields.push_back({"Cookie", cookies});
  if (const proto::TraceContext* trace = current_trace();
      trace && !has_field(request, "traceparent"))
    fields.push_back({"traceparent", proto::write_traceparent(*trace)});
  fields.insert(fields.end(), request.headers.begin(), request.headers.end());
  if (request.trailers)
    out.length.reset();  // Over HTTP/1.1 they stand behind the last chunk.
  else if (request.body_source)
    out.length = request.body_size;
  else if (takes_body(request))
    out.length = request.body.size();
  out.has_body = request.body_source || request.trailers || !request.body.empty();
  if (request.expect_continue && out.has_body) fields.push_back({"Expect", "100-continue"});
  return out;
}

Task<Result<>> ClientExchange::exchange(std::shared_ptr<Sending> sending) {
  const Outgoing out = outgoing(std::move(sending));
  auto done = co_await carrier->exchange(out);
  if (!done) co_return done;
  take_head();
  Result<ByteView> nothing = ByteView();
  // Its connection is free at once.
  if (!head.has_body() && head.status() != 101) (void)next_piece(nothing);
  co_return done;
}

// ---- The answer

void ClientExchange::take_head() {
  head = carrier->head();
  if (CookieJar* jar = client.options.cookies) {
    for (std::size_t i = 0; (i = head.find("Set-Cookie", i)) < head.field_count(); ++i) {
      jar->store(target.url, head.field(i).value);
    }
  }
  const auto coding = proto::coding_of(head.get("Content-Encoding"));
  if (coding && may_unpack && head.has_body()) unpacking.emplace(*coding);
}

bool ClientExchange::next_piece(Result<ByteView>& piece) {
  piece = ByteView();
  if (ended) return true;
  if (!carrier) {
    piece = Error(Errc::closed, "http body", target.url);
    return true;
  }
  if (!carrier->pull(piece)) return false;
  if (!piece)
    fail();
  else if (piece->empty())
    end_body();
  return true;
}

Task<Result<ByteView>> ClientExchange::read_piece() {
  Result<ByteView> piece = ByteView();
  while (!next_piece(piece)) {
    auto got = co_await with_timeout(client.options.body_timeout, carrier->wait_more());
    if (got) continue;
    fail();
    co_return phase_error(got.error(), "http body", target.url);
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
  if (std::exchange(ended, true)) return;
  trailers = carrier->trailers();
  carrier->end();
  carrier.reset();
}

}  // namespace rondo::http::detail
