// SPDX-License-Identifier: Apache-2.0
// The opening handshake (RFC 6455, section 4.2).
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <utility>

#include "rondo/proto/base64.hpp"
#include "rondo/proto/http1.hpp"
#include "rondo/proto/websocket.hpp"
#include "rondo/ws/socket.hpp"
#include "ws/session.hpp"

namespace rondo::ws {

namespace {

/// Sec-WebSocket-Accept for a key (section 4.2.2, item 5.4).
std::string accept_value(std::string_view key) {
  std::string text(key);
  text.append(proto::k_websocket_guid);
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned size = 0;
  const int done = EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha1(), nullptr);
  RONDO_ASSERT(done == 1 && size == 20, "libcrypto has SHA-1");
  return proto::base64_encode(std::as_bytes(std::span(digest).first(size)));
}

/// True for scheme://host[:port] of the request's own Host field.
bool is_own_origin(std::string_view origin, std::string_view host) noexcept {
  for (std::string_view scheme : {"http://", "https://"}) {
    if (origin.size() < scheme.size()) continue;
    if (!proto::iequals(origin.substr(0, scheme.size()), scheme)) continue;
    return proto::iequals(origin.substr(scheme.size()), host);
  }
  return false;
}

bool origin_allowed(const http::Request& request, Options& options) {
  const std::string_view origin = request.header("Origin");
  if (options.check_origin) return options.check_origin(origin, request);
  if (options.origins.empty()) {
    return !request.head().has("Origin") || is_own_origin(origin, request.authority());
  }
  for (const std::string& allowed : options.origins) {
    if (proto::iequals(origin, allowed)) return true;
  }
  return false;
}

bool offers(const proto::RequestHead& head, std::string_view protocol) noexcept {
  constexpr std::string_view k_name = "Sec-WebSocket-Protocol";
  for (std::size_t i = head.find(k_name); i < head.field_count(); i = head.find(k_name, i + 1)) {
    if (proto::has_token(head.field(i).value, protocol)) return true;
  }
  return false;
}

std::string choose_protocol(const proto::RequestHead& head, const Options& options) {
  for (const std::string& protocol : options.protocols) {
    if (offers(head, protocol)) return protocol;
  }
  return {};
}

/// The first offer of any field that we can do.
std::optional<proto::MessageDeflate> choose_extension(const proto::RequestHead& head) {
  constexpr std::string_view k_name = "Sec-WebSocket-Extensions";
  for (std::size_t i = head.find(k_name); i < head.field_count(); i = head.find(k_name, i + 1)) {
    if (auto chosen = proto::choose_deflate(head.field(i).value)) return chosen;
  }
  return std::nullopt;
}

}  // namespace

bool is_upgrade(const http::Request& request) noexcept {
  return request.method() == http::Method::get &&
         proto::has_token(request.head().upgrade(), "websocket");
}

Task<Result<Socket>> accept(http::Request& request, http::Response& response, Options options) {
  const proto::WebSocketHandshake judged = proto::check_handshake(request.head());
  if (judged.status != 101) {
    if (judged.status == 426) response.header("Sec-WebSocket-Version", "13");
    response.send_error(judged.status, judged.reason);
    co_return Error(Errc::bad_message, "accept", judged.reason);
  }
  if (!origin_allowed(request, options)) {
    response.send_error(403, "this Origin may not connect");
    co_return Error(Errc::access_denied, "accept", request.header("Origin"));
  }
  detail::Agreed agreed{.protocol = choose_protocol(request.head(), options), .deflate = {}};
  // Over HTTP/2 there is nothing to prove (RFC 8441, section 5).
  if (!judged.key.empty()) response.header("Sec-WebSocket-Accept", accept_value(judged.key));
  if (!agreed.protocol.empty()) response.header("Sec-WebSocket-Protocol", agreed.protocol);
  if (options.deflate) agreed.deflate = choose_extension(request.head());
  if (agreed.deflate)
    response.header("Sec-WebSocket-Extensions", proto::deflate_answer(*agreed.deflate));
  co_return Socket(std::make_unique<detail::Session>(response.switch_protocols("websocket"),
                                                     std::move(options), std::move(agreed)));
}

namespace {

Result<std::string> http_url(std::string url) {
  if (url.starts_with("ws://")) return "http" + url.substr(2);
  if (url.starts_with("wss://")) return "https" + url.substr(3);
  if (url.starts_with("http://") || url.starts_with("https://")) return url;
  return Error(Errc::invalid_argument, "ws url (ws or wss)", url);
}

/// What the server chose; an Error when it proves nothing or chose what was not offered
/// (section 4.1).
Result<detail::Agreed> check_answer(const proto::ResponseHead& head, std::string_view key,
                                    const ConnectOptions& options) {
  const auto bad = [](std::string_view why) {
    return Error(Errc::protocol_error, "ws handshake", why);
  };
  const bool http1 = head.major_version() == 1;
  if (http1 && !proto::has_token(head.get("Upgrade"), "websocket")) return bad("another protocol");
  if (http1 && head.get("Sec-WebSocket-Accept") != accept_value(key)) return bad("no proof");
  detail::Agreed agreed{.protocol = std::string(head.get("Sec-WebSocket-Protocol")), .deflate = {}};
  const auto& offered = options.protocols;
  const bool known =
      agreed.protocol.empty() || std::ranges::find(offered, agreed.protocol) != offered.end();
  if (!known) return bad("a subprotocol that was not offered");
  const std::string_view extensions = head.get("Sec-WebSocket-Extensions");
  if (!extensions.empty() && !options.socket.deflate)
    return bad("an extension that was not offered");
  auto deflate = proto::check_deflate_answer(extensions);
  if (!deflate) return deflate.error();
  agreed.deflate = *deflate;
  return agreed;
}

}  // namespace

Task<Result<Socket>> connect(http::Client& client, std::string url, ConnectOptions options) {
  auto where = http_url(std::move(url));
  if (!where) co_return where.error();
  std::array<std::byte, 16> nonce;
  Loop::current().driver().random(nonce);
  const std::string key = proto::base64_encode(nonce);
  http::ClientRequest request{.url = std::move(*where), .headers = options.headers};
  request.headers.push_back({"Sec-WebSocket-Version", "13"});
  request.headers.push_back({"Sec-WebSocket-Key", key});
  std::string offered;
  for (const std::string& each : options.protocols) offered += (offered.empty() ? "" : ", ") + each;
  if (!offered.empty()) request.headers.push_back({"Sec-WebSocket-Protocol", offered});
  if (options.socket.deflate)
    request.headers.push_back({"Sec-WebSocket-Extensions", std::string(proto::k_deflate_offer)});
  auto upgraded = co_await client.upgrade(std::move(request), "websocket", options.http2);
  if (!upgraded) co_return upgraded.error();
  auto agreed = check_answer(upgraded->head(), key, options);
  if (!agreed) co_return agreed.error();
  co_return Socket(std::make_unique<detail::Session>(
      std::move(*upgraded), std::move(options.socket), std::move(*agreed)));
}

}  // namespace rondo::ws
