// SPDX-License-Identifier: Apache-2.0
// Endpoint: where a socket is: an IP address with a port, or a path of a Unix socket.
//
//   auto where = net::Endpoint::parse("127.0.0.1:8080").or_throw();   // "[::1]:80", "unix:/run/x"
//   where.to_string();      // "127.0.0.1:8080"
//
// It holds numbers, never names: names are resolved by net/resolve.hpp.
// Thread rule: a value.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "rondo/base/result.hpp"
#include "rondo/io/operation.hpp"
#include "rondo/io/socket_ops.hpp"

namespace rondo::net {

class Endpoint {
 public:
  /// 0.0.0.0:0.
  Endpoint() noexcept;
  explicit Endpoint(const io::Address& address) noexcept : address_(address) {}

  /// "A.B.C.D:port", "[v6]:port", ":port" (all IPv4 addresses) or "unix:PATH".
  /// Errors: bad_address, with the text.
  static Result<Endpoint> parse(std::string_view text);
  /// A numeric IPv4 or IPv6 address without brackets, and a port. Errors: bad_address.
  static Result<Endpoint> ip(std::string_view address, std::uint16_t port);
  /// A Unix socket's path, at most 107 bytes; "@name" is the abstract namespace.
  static Result<Endpoint> unix_path(std::string_view path);
  /// A Unix socket that was never bound: "unix:".
  static Endpoint unnamed_unix() noexcept;

  /// The port, 0 for Unix sockets.
  std::uint16_t port() const noexcept;
  void set_port(std::uint16_t port) noexcept;
  bool is_unix() const noexcept;
  bool is_v6() const noexcept;
  /// 127.0.0.0/8, ::1 (also mapped) or a Unix socket.
  bool is_loopback() const noexcept;
  /// The form parse() takes.
  std::string to_string() const;
  /// The address without the port.
  std::string host() const;
  /// The address in network order: 4 bytes of IPv4, also when it is mapped into IPv6
  /// (::ffff:0:0/96, RFC 4291, section 2.5.5.2), else 16; empty for a Unix socket.
  std::string ip_bytes() const;

  const io::Address& address() const noexcept { return address_; }

 private:
  io::Address address_;
};

/// "host:port" split: host without brackets. Errors: bad_address.
struct HostPort {
  std::string host;
  std::uint16_t port = 0;
};
Result<HostPort> parse_host_port(std::string_view text);

}  // namespace rondo::net
