// SPDX-License-Identifier: Apache-2.0
#include "rondo/net/proxied.hpp"

#include <netinet/in.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "rondo/core/cancel.hpp"
#include "rondo/proto/proxy_protocol.hpp"

namespace rondo::net {
namespace {

using proto::ProxyHeader;
using proto::ProxyParser;

Endpoint endpoint_of(ProxyHeader::Family family, const proto::ProxyAddress& from) {
  io::Address address;
  if (family == ProxyHeader::Family::v4) {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(from.port);
    std::memcpy(&v4.sin_addr, from.ip.data(), 4);
    std::memcpy(address.storage, &v4, sizeof v4);
    address.size = sizeof v4;
  } else {
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(from.port);
    std::memcpy(&v6.sin6_addr, from.ip.data(), 16);
    std::memcpy(address.storage, &v6, sizeof v6);
    address.size = sizeof v6;
  }
  return Endpoint(address);
}

/// The 16 bytes of an address as IPv6, mapped when it is IPv4.
proto::ProxyAddress address_of(const Endpoint& endpoint, bool as_v6) {
  proto::ProxyAddress address;
  address.port = endpoint.port();
  if (endpoint.is_v6()) {
    sockaddr_in6 v6;
    std::memcpy(&v6, endpoint.address().storage, sizeof v6);
    std::memcpy(address.ip.data(), &v6.sin6_addr, 16);
    return address;
  }
  sockaddr_in v4;
  std::memcpy(&v4, endpoint.address().storage, sizeof v4);
  if (as_v6) address.ip[10] = address.ip[11] = 0xff;
  std::memcpy(address.ip.data() + (as_v6 ? 12 : 0), &v4.sin_addr, 4);
  return address;
}

Task<Result<ProxyHeader>> read_header(ByteStream& stream, std::size_t max) {
  ProxyParser parser(max);
  // Only looked at until it is whole: what is cancelled before has consumed nothing.
  std::vector<std::byte> seen;
  while (true) {
    const auto state = parser.feed(seen);
    if (state == ProxyParser::State::bad) co_return Error(Errc::protocol_error, "proxy header");
    if (state == ProxyParser::State::done) break;
    const std::size_t before = seen.size();
    seen.resize(std::max(before + parser.wanted(), std::min(stream.unread(), max)));
    const std::size_t shown = co_await stream.peek(seen).or_return();
    seen.resize(shown);
    if (shown <= before) co_return Error(Errc::end_of_stream, "proxy header");
  }
  seen.resize(parser.consumed());
  co_await stream.read_exact(seen).or_return();
  co_return parser.header();
}

}  // namespace

Task<Result<Proxied>> read_proxy_header(Stream& stream, ProxyHeaderOptions options) {
  // A stream looks through unread_max bytes at most.
  const std::size_t max = std::min<std::size_t>(options.max, limits::unread_max.value);
  auto header = co_await with_timeout(options.timeout, read_header(stream, max));
  if (!header) co_return header.error();
  Proxied proxied;
  if (header->family == ProxyHeader::Family::unknown) {
    auto peer = stream.peer();
    auto local = stream.local();
    if (peer) proxied.client = *peer;
    if (local) proxied.destination = *local;
    co_return proxied;
  }
  proxied.client = endpoint_of(header->family, header->source);
  proxied.destination = endpoint_of(header->family, header->destination);
  proxied.is_named = true;
  co_return proxied;
}

Task<Result<>> write_proxy_header(ByteStream& server, Endpoint client, Endpoint destination) {
  ProxyHeader header;
  if (!client.is_unix() && !destination.is_unix()) {
    const bool v6 = client.is_v6() || destination.is_v6();
    header.family = v6 ? ProxyHeader::Family::v6 : ProxyHeader::Family::v4;
    header.source = address_of(client, v6);
    header.destination = address_of(destination, v6);
  }
  const std::string bytes = proto::write_proxy_header(header);
  co_return co_await server.write_all(std::string_view(bytes));
}

}  // namespace rondo::net
