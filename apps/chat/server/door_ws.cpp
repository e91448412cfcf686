// SPDX-License-Identifier: Apache-2.0
// The WebSocket door, and which hosts and origins may knock.
#include "chat/server/doors.hpp"
#include "chat/server/json_session.hpp"
#include "rondo/core/scope.hpp"
#include "rondo/proto/url.hpp"
#include "rondo/ws/socket.hpp"

namespace rondo::chat {

namespace {

bool same_text(std::string_view a, std::string_view b) noexcept {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const auto low = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
    if (low(a[i]) != low(b[i])) return false;
  }
  return true;
}

std::string host_of(std::string_view authority) {
  auto parsed = proto::parse_authority(authority);
  return parsed ? std::string(parsed->host) : std::string();
}

bool is_address(std::string_view host) noexcept {
  if (host.starts_with('[')) return true;
  return !host.empty() && host.find_first_not_of("0123456789.") == std::string_view::npos;
}

class WebSession final : public JsonSession {
 public:
  WebSession(Hub& hub, ws::Socket& socket) : JsonSession(hub), socket_(socket) {}

  bool push(Outbound& out, std::size_t budget) override {
    if (socket_.unsent() + out.ws().size() > budget) return false;
    auto queued = socket_.try_send(out.ws());
    if (queued) return true;
    if (queued.error() == Errc::would_exceed) return false;
    give_up();
    return true;
  }

 protected:
  Task<bool> push_slowly(Outbound& out) override {
    if (push(out, k_answer_budget)) co_return true;
    co_return (co_await socket_.send_text(out.json())).has_value();
  }

 private:
  ws::Socket& socket_;
};

Task<> converse(WebSession& session, ws::Socket& socket) {
  session.greet();
  while (auto message = co_await socket.receive()) {
    if (message->kind != ws::Kind::text) {
      socket.start_close(ws::CloseCode::unsupported, "text frames only");
    } else if (!co_await session.receive(message->text())) {
      socket.start_close(ws::CloseCode::policy, "too many bad frames");
    }
  }
}

}  // namespace

HostPolicy::HostPolicy(std::string_view listen, std::string_view public_url)
    : listen_host_(host_of(listen)) {
  auto url = proto::parse_url(public_url);
  if (!url) return;
  public_host_ = url->authority.host;
  public_origin_ = std::string(url->scheme) + "://" + public_host_;
  if (url->authority.port) public_origin_ += ":" + std::to_string(*url->authority.port);
}

bool HostPolicy::admits_host(std::string_view authority) const noexcept {
  auto parsed = proto::parse_authority(authority);
  if (!parsed) return false;
  const std::string_view host = parsed->host;
  // Rebinding needs a name that an attacker owns: addresses are safe.
  if (is_address(host) || same_text(host, "localhost")) return true;
  return !host.empty() && (same_text(host, listen_host_) || same_text(host, public_host_));
}

bool HostPolicy::admits_origin(std::string_view origin, std::string_view authority) const noexcept {
  if (origin.empty()) return true;
  if (!public_origin_.empty() && same_text(origin, public_origin_)) return true;
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (origin.starts_with(scheme) && same_text(origin.substr(scheme.size()), authority))
      return true;
  }
  return false;
}

Task<> serve_web_socket(Hub& hub, const HostPolicy& policy, http::Request& request,
                        http::Response& response) {
  ws::Options options;
  options.check_origin = [&policy](std::string_view origin, const http::Request& asked) {
    return policy.admits_origin(origin, asked.authority());
  };
  options.message_max = k_frame_bytes_max;
  options.queue_max = k_answer_budget;
  // A slow reader is waited for, not cut off; one that answers no ping is gone.
  options.write_timeout = std::chrono::minutes(10);
  options.ping_interval = std::chrono::seconds(60);
  auto socket = co_await ws::accept(request, response, std::move(options));
  if (!socket) co_return;
  WebSession session(hub, *socket);
  co_await with_scope([&](Scope& scope) -> Task<> {
    session.attach(&scope);
    co_await converse(session, *socket);
    session.attach(nullptr);
    scope.cancel();
  });
}

}  // namespace rondo::chat
