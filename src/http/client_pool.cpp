// SPDX-License-Identifier: Apache-2.0
// Where requests go, and the connections that lead there.
#include <algorithm>
#include <utility>

#include "base/text.hpp"
#include "http/client_http1.hpp"
#include "http/client_http2.hpp"
#include "rondo/core/cancel.hpp"
#include "rondo/core/loop.hpp"
#include "rondo/net/tcp.hpp"
#include "rondo/net/unix.hpp"
#include "rondo/proto/http1_write.hpp"
#include "rondo/proto/url.hpp"

namespace rondo::http::detail {

using proto::iequals;

namespace {

bool goes_direct(const ClientOptions& options, std::string_view host) {
  return std::ranges::any_of(options.no_proxy, [&](std::string_view item) {
    if (item == "*" || iequals(item, host)) return true;
    return host.size() > item.size() && host[host.size() - item.size() - 1] == '.' &&
           iequals(host.substr(host.size() - item.size()), item);
  });
}

struct Proxy {
  std::string address;        ///< "proxy:3128"
  std::string authorization;  ///< empty: it named nobody
};

/// "http://user:password@proxy:3128" taken apart. An error names the proxy without its password.
Result<Proxy> parse_proxy(std::string_view url) {
  const std::size_t scheme = url.find("://");
  const std::size_t begin = scheme == url.npos ? 0 : scheme + 3;
  const std::size_t end = std::min(url.find_first_of("/?#", begin), url.size());
  const std::size_t at = url.substr(0, end).rfind('@');
  const bool named = at != url.npos && at >= begin;
  const std::string_view who = named ? url.substr(begin, at - begin) : std::string_view();
  const std::string_view rest = named ? url.substr(at + 1) : url.substr(begin);
  const std::string whole =
      std::string(scheme == url.npos ? "http" : url.substr(0, scheme)) + "://" + std::string(rest);
  // Also of what is no URL nothing is told that may be a password.
  const std::size_t told = whole.rfind('@');
  const std::string name = told == whole.npos ? whole : whole.substr(told + 1);
  const auto parts = proto::parse_url(whole);
  if (!parts || !iequals(parts->scheme, "http")) {
    return Error(Errc::invalid_argument, "http proxy", name);
  }
  Proxy made{.address = std::string(parts->authority.host) + ":" +
                        std::to_string(parts->authority.port.value_or(80)),
             .authorization = {}};
  if (!named) return made;
  const std::size_t colon = std::min(who.find(':'), who.size());
  const auto user = proto::percent_decode(who.substr(0, colon));
  const auto password = proto::percent_decode(colon < who.size() ? who.substr(colon + 1) : "");
  if (!user || !password) {
    return Error(Errc::invalid_argument, "http proxy (its user information)", name);
  }
  made.authorization = basic_authorization(*user, *password);
  return made;
}

template <class S>
Owned<Transport> transport_of(S stream) {
  return tls::detail::transport_of(std::move(stream));
}

}  // namespace

Result<Target> Target::of(const ClientOptions& options, std::string_view url) {
  // Whether a URL is absolute is not for a search to say: "search?at=http://b/" has one inside.
  auto whole = options.base_url.empty() ? proto::resolve_reference(url, "")
                                        : proto::resolve_reference(options.base_url, url);
  if (!whole) return Error(Errc::invalid_argument, "http url", url);
  Target made;
  made.url = std::move(*whole);
  const proto::UrlView parts = *proto::parse_url(made.url);  // resolve_reference has parsed it.
  made.secure = iequals(parts.scheme, "https");
  if (!made.secure && !iequals(parts.scheme, "http")) {
    return Error(Errc::invalid_argument, "http url (http or https only)", url);
  }
  const std::uint16_t own_port = made.secure ? 443 : 80;
  const std::uint16_t port = parts.authority.port.value_or(own_port);
  made.host = lower(parts.authority.host);
  made.authority = port == own_port ? made.host : made.host + ":" + std::to_string(port);
  made.address = made.host + ":" + std::to_string(port);
  made.path = parts.path;
  if (!parts.query.empty()) made.path.append("?").append(parts.query);
  const std::string& proxy = made.secure ? options.https_proxy : options.http_proxy;
  if (!proxy.empty() && options.unix_path.empty() && !goes_direct(options, made.host)) {
    auto where = parse_proxy(proxy);
    if (!where) return where.error();
    made.proxy = std::move(where->address);
    const bool own = options.proxy_authorization.empty();
    made.proxy_authorization = own ? where->authorization : options.proxy_authorization;
  }
  return made;
}

ClientState::ClientState(ClientOptions&& given)
    : options(std::move(given)),
      authenticator(options.credentials),
      tls(options.tls),
      places(options.connections_max) {
  RONDO_ASSERT(options.connections_max > 0 && options.per_origin_max > 0,
               "a client needs at least one connection");
}

ClientState::~ClientState() {
  for (auto& [name, origin] : origins)
    while (!origin.http2.empty()) origin.http2.back()->close();
  reaper.cancel();  // Behind them: what ends asks for it.
  for (const auto& [name, origin] : origins)
    RONDO_ASSERT(origin.users == 0, "a Client was destroyed before its requests and Answers");
}

// ---- Idle connections

Owned<ClientConnection> ClientState::take_idle(Origin& origin) {
  while (!origin.idle.empty()) {
    Owned<ClientConnection> connection = std::move(origin.idle.front());
    origin.idle.pop_front();
    // A server that speaks unasked, or has left, is done with it.
    const bool stale = connection->stream().readable() || !connection->input.empty() ||
                       now() - connection->idle_since >= options.keep_alive;
    if (!stale) return connection;
    --statistics.connections;
  }
  return nullptr;
}

void ClientState::give_back(Origin& origin, Owned<ClientConnection> connection) {
  connection->idle_since = now();
  connection->loan = Loan();
  origin.idle.push_front(std::move(connection));
  see_idle();
}

/// A connection has become idle.
void ClientState::see_idle() noexcept {
  if (reaper.pending()) return;
  reaper = Loop::current().call_later(options.keep_alive, [this] { close_idle(); });
}

/// Closes what has been idle too long, and comes back while something is left.
void ClientState::close_idle() {
  TimePoint oldest = k_no_deadline;
  for (auto& [name, origin] : origins) {
    while (!origin.idle.empty() && now() - origin.idle.back()->idle_since >= options.keep_alive) {
      origin.idle.pop_back();
      --statistics.connections;
    }
    if (!origin.idle.empty()) oldest = std::min(oldest, origin.idle.back()->idle_since);
    for (std::size_t i = origin.http2.size(); i-- > 0;) {
      ClientHttp2& each = *origin.http2[i];
      if (!each.is_idle()) continue;
      if (now() - each.idle_since() >= options.keep_alive)
        each.close();
      else
        oldest = std::min(oldest, each.idle_since());
    }
  }
  std::erase_if(origins, [](const auto& each) { return each.second.is_unused(); });
  if (oldest == k_no_deadline) return;
  reaper.cancel();  // What was closed here has asked for it.
  reaper = Loop::current().call_at(oldest + options.keep_alive, [this] { close_idle(); });
}

/// Makes room for a new connection: idle ones count as well.
void ClientState::evict_oldest() noexcept {
  Origin* oldest = nullptr;
  for (auto& [name, origin] : origins) {
    if (origin.idle.empty()) continue;
    if (!oldest || origin.idle.back()->idle_since < oldest->idle.back()->idle_since)
      oldest = &origin;
  }
  if (!oldest) return;
  oldest->idle.pop_back();
  --statistics.connections;
}

void ClientState::leave(const std::string& name) noexcept {
  const auto at = origins.find(name);
  --at->second.users;
  if (at->second.is_unused()) origins.erase(at);
}

// ---- New connections

Task<Result<Owned<Transport>>> ClientState::reach(const Target& target, TimePoint& resolved_at) {
  if (!options.unix_path.empty()) {
    auto made = co_await unix_stream::connect(options.unix_path);
    if (!made) co_return made.error();
    co_return transport_of(std::move(*made));
  }
  auto made = co_await tcp::connect(target.proxy.empty() ? target.address : target.proxy,
                                    {.resolved_at = &resolved_at});
  if (!made) co_return made.error();
  Owned<Transport> transport = transport_of(std::move(*made));
  if (target.proxy.empty() || target.forwarded()) co_return std::move(transport);
  if (auto open = co_await open_tunnel(transport->stream(), target); !open) co_return open.error();
  co_return std::move(transport);
}

/// CONNECT (RFC 9110, section 9.3.6): from its 2xx on the proxy only passes bytes on.
Task<Result<>> ClientState::open_tunnel(ByteStream& proxy, const Target& target) {
  std::array<std::byte, 2'048> buffer;
  proto::HeadWriter head(buffer);
  head.request("CONNECT", target.address).field("Host", target.address);
  if (!target.proxy_authorization.empty())
    head.field("Proxy-Authorization", target.proxy_authorization);
  auto size = head.finish();
  if (!size) co_return size.error();
  auto sent = co_await proxy.write_all(ByteView(buffer).first(*size));
  if (!sent) co_return sent;
  proto::ResponseParser parser({.head_max = options.head_max, .fields_max = options.fields_max});
  parser.expect_no_body();
  while (true) {
    // Byte for byte no more than the head: what follows belongs to the tunnel.
    auto line = co_await proxy.read_line();
    if (!line) co_return line.error();
    if (line->empty()) co_return Error(Errc::truncated, "http proxy", target.proxy);
    ByteView input = *line;
    const proto::HttpEvent event = parser.next(input);
    if (event == proto::HttpEvent::error)
      co_return Error(Errc::protocol_error, "http proxy", parser.reason());
    if (event != proto::HttpEvent::head) continue;
    const int status = parser.head().status();
    if (status / 100 == 2) co_return Result<>();
    if (status / 100 == 1) continue;
    co_return Error(Errc::access_denied, "http proxy",
                    target.proxy + " answers " + std::to_string(status) + " to CONNECT");
  }
}

Task<Result<Opened>> ClientState::connect(const Target& target, ClientTimings& timings,
                                          TimePoint began, std::vector<std::string> alpn) {
  if (statistics.connections >= options.connections_max) evict_oldest();
  TimePoint resolved_at = began;
  auto reached = co_await with_timeout(options.connect_timeout, reach(target, resolved_at));
  if (!reached) {
    if (reached.error() == Errc::timed_out)
      co_return Error(Errc::timed_out, "http connect", target.address);
    co_return reached.error();
  }
  timings.resolved = resolved_at - began;
  timings.connected = now() - began;
  Opened opened{.transport = std::move(*reached)};
  if (target.secure) {
    if (!tls) {
      auto context = tls::Context::client();
      if (!context) co_return context.error();
      tls = std::move(*context);
    }
    auto secured = co_await tls::detail::connect(*tls, std::move(opened.transport), target.address,
                                                 {.alpn = std::move(alpn)});
    if (!secured) co_return secured.error();
    timings.secured = now() - began;
    opened.http2 = secured->alpn() == "h2";
    opened.transport = transport_of(std::move(*secured));
  }
  ++statistics.opened;
  ++statistics.connections;
  co_return std::move(opened);
}

}  // namespace rondo::http::detail
