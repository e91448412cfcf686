// SPDX-License-Identifier: Apache-2.0
#include "io/sim/endpoint.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

namespace rondo::io::sim {
namespace {

constexpr std::array<std::uint8_t, 12> k_mapped_prefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

template <class T>
Address pack(const T& value, std::size_t size) {
  static_assert(sizeof(T) <= sizeof(Address::storage));
  Address address;
  std::memcpy(address.storage, &value, size);
  address.size = static_cast<std::uint32_t>(size);
  return address;
}

}  // namespace

bool Ip::is_any() const noexcept {
  return std::all_of(bytes.begin(), bytes.end(), [](std::uint8_t byte) { return byte == 0; });
}

bool Ip::is_loopback() const noexcept {
  return family == Family::v4 ? bytes[0] == 127 : *this == loopback(family);
}

Ip Ip::loopback(Family family) noexcept {
  Ip ip{.family = family};
  if (family == Family::v4) {
    ip.bytes = {127, 0, 0, 1};
  } else {
    ip.bytes[15] = 1;
  }
  return ip;
}

std::optional<Ip> Ip::parse(std::string_view text) {
  const std::string copy(text);
  Ip ip;
  ip.family = copy.find(':') == std::string::npos ? Family::v4 : Family::v6;
  const int family = ip.family == Family::v4 ? AF_INET : AF_INET6;
  if (::inet_pton(family, copy.c_str(), ip.bytes.data()) != 1) return std::nullopt;
  return ip;
}

Ip Ip::unmapped() const noexcept {
  if (family != Family::v6) return *this;
  if (!std::equal(k_mapped_prefix.begin(), k_mapped_prefix.end(), bytes.begin())) return *this;
  Ip ip{.family = Family::v4};
  std::copy_n(bytes.begin() + 12, 4, ip.bytes.begin());
  return ip;
}

Ip Ip::mapped() const noexcept {
  if (family != Family::v4) return *this;
  Ip ip{.family = Family::v6};
  std::copy(k_mapped_prefix.begin(), k_mapped_prefix.end(), ip.bytes.begin());
  std::copy_n(bytes.begin(), 4, ip.bytes.begin() + 12);
  return ip;
}

std::optional<Endpoint> Endpoint::from(const Address& address) {
  sa_family_t family = AF_UNSPEC;
  if (address.size >= sizeof(family)) std::memcpy(&family, address.storage, sizeof(family));
  Endpoint endpoint;
  if (family == AF_INET && address.size >= sizeof(sockaddr_in)) {
    sockaddr_in in{};
    std::memcpy(&in, address.storage, sizeof(in));
    endpoint.ip.family = Family::v4;
    std::memcpy(endpoint.ip.bytes.data(), &in.sin_addr, 4);
    endpoint.port = ntohs(in.sin_port);
  } else if (family == AF_INET6 && address.size >= sizeof(sockaddr_in6)) {
    sockaddr_in6 in{};
    std::memcpy(&in, address.storage, sizeof(in));
    endpoint.ip.family = Family::v6;
    std::memcpy(endpoint.ip.bytes.data(), &in.sin6_addr, 16);
    endpoint.port = ntohs(in.sin6_port);
  } else if (family == AF_UNIX && address.size <= sizeof(sockaddr_un)) {
    endpoint.ip.family = Family::local;
    const char* path =
        reinterpret_cast<const char*>(address.storage) + offsetof(sockaddr_un, sun_path);
    endpoint.path.assign(path, address.size - offsetof(sockaddr_un, sun_path));
    // A path ends at its NUL; an abstract name begins with one and is counted.
    if (!endpoint.path.empty() && endpoint.path[0] != '\0') {
      endpoint.path.resize(std::strlen(endpoint.path.c_str()));
    }
  } else {
    return std::nullopt;
  }
  return endpoint;
}

Address Endpoint::to_address() const {
  if (family() == Family::v4) {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_port = htons(port);
    std::memcpy(&in.sin_addr, ip.bytes.data(), 4);
    return pack(in, sizeof(in));
  }
  if (family() == Family::v6) {
    sockaddr_in6 in{};
    in.sin6_family = AF_INET6;
    in.sin6_port = htons(port);
    std::memcpy(&in.sin6_addr, ip.bytes.data(), 16);
    return pack(in, sizeof(in));
  }
  sockaddr_un un{};
  un.sun_family = AF_UNIX;
  const std::size_t length = std::min(path.size(), sizeof(un.sun_path));
  std::memcpy(un.sun_path, path.data(), length);
  // As the kernel reports them: the final NUL counts for a path, not for an abstract name.
  const bool counts_nul = length > 0 && length < sizeof(un.sun_path) && path[0] != '\0';
  return pack(un, offsetof(sockaddr_un, sun_path) + length + (counts_nul ? 1 : 0));
}

}  // namespace rondo::io::sim
