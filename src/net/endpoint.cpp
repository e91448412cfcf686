// SPDX-License-Identifier: Apache-2.0
#include "rondo/net/endpoint.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <charconv>
#include <cstddef>
#include <cstring>

namespace rondo::net {
namespace {

static_assert(sizeof(sockaddr_un) <= sizeof(io::Address::storage));
static_assert(sizeof(sockaddr_in6) <= sizeof(io::Address::storage));

template <class T>
T as(const io::Address& address) noexcept {
  T value;
  std::memcpy(&value, address.storage, sizeof value);
  return value;
}

template <class T>
io::Address pack(const T& value, std::size_t size = sizeof(T)) noexcept {
  io::Address address;
  std::memcpy(address.storage, &value, sizeof value);
  address.size = static_cast<std::uint32_t>(size);
  return address;
}

sa_family_t family(const io::Address& address) noexcept {
  return as<sockaddr>(address).sa_family;
}

Result<std::uint16_t> parse_port(std::string_view digits, std::string_view whole) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (error != std::errc{} || end != digits.data() + digits.size() || digits.empty()) {
    return Error(Errc::bad_address, "parse", whole);
  }
  return port;
}

std::string unix_name(const io::Address& address) {
  const auto un = as<sockaddr_un>(address);
  const std::size_t length = address.size - offsetof(sockaddr_un, sun_path);
  if (length == 0) return "";
  if (un.sun_path[0] == '\0') return "@" + std::string(un.sun_path + 1, length - 1);
  return std::string(un.sun_path, strnlen(un.sun_path, length));
}

}  // namespace

Endpoint::Endpoint() noexcept {
  sockaddr_in any{};
  any.sin_family = AF_INET;
  address_ = pack(any);
}

Result<Endpoint> Endpoint::ip(std::string_view address, std::uint16_t port) {
  const std::string text(address);  // inet_pton wants an end.
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  v4.sin_port = htons(port);
  if (inet_pton(AF_INET, text.c_str(), &v4.sin_addr) == 1) return Endpoint(pack(v4));
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(port);
  if (inet_pton(AF_INET6, text.c_str(), &v6.sin6_addr) == 1) return Endpoint(pack(v6));
  return Error(Errc::bad_address, "parse", address);
}

Result<Endpoint> Endpoint::unix_path(std::string_view path) {
  sockaddr_un un{};
  un.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof un.sun_path) {
    return Error(Errc::bad_address, "parse", path);
  }
  std::memcpy(un.sun_path, path.data(), path.size());
  const bool is_abstract = path.front() == '@';
  if (is_abstract) un.sun_path[0] = '\0';
  const std::size_t end = is_abstract ? 0 : 1;  // Paths carry their terminator, names do not.
  return Endpoint(pack(un, offsetof(sockaddr_un, sun_path) + path.size() + end));
}

Endpoint Endpoint::unnamed_unix() noexcept {
  sockaddr_un un{};
  un.sun_family = AF_UNIX;
  return Endpoint(pack(un, offsetof(sockaddr_un, sun_path)));
}

Result<HostPort> parse_host_port(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return Error(Errc::bad_address, "parse", text);
  auto port = parse_port(text.substr(colon + 1), text);
  if (!port) return port.error();
  std::string_view host = text.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return Error(Errc::bad_address, "parse", text);  // IPv6 without brackets is ambiguous.
  }
  return HostPort{std::string(host), *port};
}

Result<Endpoint> Endpoint::parse(std::string_view text) {
  if (text.starts_with("unix:")) return unix_path(text.substr(5));
  auto parts = parse_host_port(text);
  if (!parts) return parts.error();
  if (parts->host.empty()) return ip("0.0.0.0", parts->port);
  auto found = ip(parts->host, parts->port);
  if (!found) return Error(Errc::bad_address, "parse", text);
  return found;
}

std::uint16_t Endpoint::port() const noexcept {
  if (family(address_) == AF_INET) return ntohs(as<sockaddr_in>(address_).sin_port);
  if (family(address_) == AF_INET6) return ntohs(as<sockaddr_in6>(address_).sin6_port);
  return 0;
}

void Endpoint::set_port(std::uint16_t port) noexcept {
  if (family(address_) == AF_INET) {
    auto v4 = as<sockaddr_in>(address_);
    v4.sin_port = htons(port);
    address_ = pack(v4);
  } else if (family(address_) == AF_INET6) {
    auto v6 = as<sockaddr_in6>(address_);
    v6.sin6_port = htons(port);
    address_ = pack(v6);
  }
}

bool Endpoint::is_unix() const noexcept { return family(address_) == AF_UNIX; }
bool Endpoint::is_v6() const noexcept { return family(address_) == AF_INET6; }

bool Endpoint::is_loopback() const noexcept {
  if (is_unix()) return true;
  if (!is_v6()) return (ntohl(as<sockaddr_in>(address_).sin_addr.s_addr) >> 24) == 127;
  const auto v6 = as<sockaddr_in6>(address_);
  if (IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr)) return true;
  return IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr) && v6.sin6_addr.s6_addr[12] == 127;
}

std::string Endpoint::ip_bytes() const {
  if (is_unix()) return {};
  if (!is_v6()) {
    const auto v4 = as<sockaddr_in>(address_);
    return std::string(reinterpret_cast<const char*>(&v4.sin_addr), sizeof v4.sin_addr);
  }
  const auto v6 = as<sockaddr_in6>(address_);
  const std::string bytes(reinterpret_cast<const char*>(&v6.sin6_addr), sizeof v6.sin6_addr);
  return IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr) ? bytes.substr(12) : bytes;
}

std::string Endpoint::host() const {
  if (is_unix()) return unix_name(address_);
  char text[INET6_ADDRSTRLEN] = {};
  if (is_v6()) {
    const auto v6 = as<sockaddr_in6>(address_);
    inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
  } else {
    const auto v4 = as<sockaddr_in>(address_);
    inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text);
  }
  return text;
}

std::string Endpoint::to_string() const {
  if (is_unix()) return "unix:" + unix_name(address_);
  const std::string port_text = std::to_string(port());
  return is_v6() ? "[" + host() + "]:" + port_text : host() + ":" + port_text;
}

}  // namespace rondo::net
