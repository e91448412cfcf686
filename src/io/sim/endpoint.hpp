// SPDX-License-Identifier: Apache-2.0
// Endpoint: a socket address of the simulated network, readable where io::Address is opaque.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "rondo/io/operation.hpp"
#include "rondo/io/socket_ops.hpp"

namespace rondo::io::sim {

enum class Family : std::uint8_t { none, v4, v6, local };

/// An IP address; the first four bytes count for v4.
struct Ip {
  Family family = Family::none;
  std::array<std::uint8_t, 16> bytes{};

  bool is_any() const noexcept;
  bool is_loopback() const noexcept;
  bool operator==(const Ip&) const = default;

  /// "10.0.0.1" or "fd00::1".
  static std::optional<Ip> parse(std::string_view text);
  static Ip loopback(Family family) noexcept;
  /// The IPv4 address inside of ::ffff:a.b.c.d, or this one.
  Ip unmapped() const noexcept;
  /// ::ffff:a.b.c.d of an IPv4 address, or this one.
  Ip mapped() const noexcept;
};

struct Endpoint {
  Ip ip;  ///< family `local`: a path instead
  std::uint16_t port = 0;
  std::string path;  ///< as in sockaddr_un; a first NUL makes it an abstract name

  Family family() const noexcept { return ip.family; }
  bool operator==(const Endpoint&) const = default;

  /// Empty when the bytes are not an address of a family that is simulated.
  static std::optional<Endpoint> from(const Address& address);
  Address to_address() const;
};

}  // namespace rondo::io::sim
