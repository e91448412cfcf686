// SPDX-License-Identifier: Apache-2.0
// The opening handshake (RFC 6455, section 4.2).
#include <openssl/evp.h>

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
  const int done =
      EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha1(), nullptr);
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
  std::string protocol = choose_protocol(request.head(), options);
  response.header("Sec-WebSocket-Accept", accept_value(judged.key));
  if (!protocol.empty()) response.header("Sec-WebSocket-Protocol", protocol);
  co_return Socket(std::make_unique<detail::Session>(response.switch_protocols("websocket"),
                                                     std::move(options), std::move(protocol)));
}

}  // namespace rondo::ws
