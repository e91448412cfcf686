// SPDX-License-Identifier: Apache-2.0
// Socket options as types: set(socket, option), get<Option>(socket).
//
//   net::set(stream, net::KeepAlive{.idle = 30s, .interval = 10s, .count = 3}).or_throw();
//   net::set(stream, net::Linger{}).or_throw();
//   if (net::get<net::NoDelay>(stream).or_throw().on) ...
//
// `socket` is a Stream, a Listener or a datagram socket. Errors: the kernel's, with the option's
// name: not every socket has every option (a Unix stream has no NoDelay). Under simulation most
// are kept and read back without an effect; docs/reference/drivers.md has the list.
// Source: socket(7), ip(7), ipv6(7), tcp(7), unix(7). Thread rule: the loop's thread.
#pragma once

#include <cstdint>
#include <string>

#include "rondo/base/result.hpp"
#include "rondo/base/time.hpp"

namespace rondo::net {

/// Small packets leave at once (on in all of Rondo's TCP streams). TCP_NODELAY.
struct NoDelay {
  bool on = true;
};
/// The kernel asks an idle peer whether it is still there, and ends the connection when it is
/// not. Whole seconds of at least one. SO_KEEPALIVE, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT.
struct KeepAlive {
  bool on = true;
  Duration idle = std::chrono::hours(2);         ///< silence before the first question
  Duration interval = std::chrono::seconds(75);  ///< between questions
  int count = 9;                                 ///< unanswered ones that end it
};
/// What close does with bytes the kernel has not sent: on, it waits for up to `timeout` and then
/// (at once when it is zero) resets the connection. Off: the kernel goes on alone. Whole seconds.
struct Linger {
  bool on = true;
  Duration timeout{};
};
/// Kernel buffers; the kernel doubles what is set and bounds it (net.core.wmem_max, rmem_max).
struct SendBuffer {
  int bytes = 0;
};
struct ReceiveBuffer {
  int bytes = 0;
};
/// Routers a packet may pass. IP_TTL, IPV6_UNICAST_HOPS.
struct Ttl {
  int hops = 64;
};
/// The DSCP and ECN byte. IP_TOS, IPV6_TCLASS.
struct TypeOfService {
  int value = 0;
};
/// An IPv6 socket hears no IPv4; to be set before binding: ListenOptions and BindOptions do.
struct V6Only {
  bool on = true;
};
/// Sent bytes that stay unacknowledged that long end the connection; 0: the kernel's default.
/// Milliseconds. TCP_USER_TIMEOUT.
struct UserTimeout {
  Duration time{};
};
/// Listeners: data in the first packet, for at most so many connections that have not shaken
/// hands. RFC 7413; the kernel must allow it (net.ipv4.tcp_fastopen).
struct FastOpen {
  int queue = 0;
};
/// Traffic of this socket uses one interface ("eth0") only; "" any. SO_BINDTODEVICE.
struct BindDevice {
  std::string name;
};
/// Datagrams may be sent to broadcast addresses.
struct Broadcast {
  bool on = true;
};
/// Routers that multicast datagrams may pass; 0 stays on this machine.
struct MulticastTtl {
  int hops = 1;
};
/// Multicast datagrams of this socket reach members on this machine too.
struct MulticastLoop {
  bool on = true;
};
/// The interface (index) that multicast leaves by; IPv4 cannot read it back.
struct MulticastInterface {
  unsigned index = 0;
};
/// Who is at the other end of a Unix stream, as the kernel noted it at connect. Get only.
struct PeerCredentials {
  int pid = 0;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
};

namespace detail {

Result<> set(int descriptor, const NoDelay& option);
Result<> set(int descriptor, const KeepAlive& option);
Result<> set(int descriptor, const Linger& option);
Result<> set(int descriptor, const SendBuffer& option);
Result<> set(int descriptor, const ReceiveBuffer& option);
Result<> set(int descriptor, const Ttl& option);
Result<> set(int descriptor, const TypeOfService& option);
Result<> set(int descriptor, const V6Only& option);
Result<> set(int descriptor, const UserTimeout& option);
Result<> set(int descriptor, const FastOpen& option);
Result<> set(int descriptor, const BindDevice& option);
Result<> set(int descriptor, const Broadcast& option);
Result<> set(int descriptor, const MulticastTtl& option);
Result<> set(int descriptor, const MulticastLoop& option);
Result<> set(int descriptor, const MulticastInterface& option);

Result<> get(int descriptor, NoDelay& option);
Result<> get(int descriptor, KeepAlive& option);
Result<> get(int descriptor, Linger& option);
Result<> get(int descriptor, SendBuffer& option);
Result<> get(int descriptor, ReceiveBuffer& option);
Result<> get(int descriptor, Ttl& option);
Result<> get(int descriptor, TypeOfService& option);
Result<> get(int descriptor, V6Only& option);
Result<> get(int descriptor, UserTimeout& option);
Result<> get(int descriptor, FastOpen& option);
Result<> get(int descriptor, BindDevice& option);
Result<> get(int descriptor, Broadcast& option);
Result<> get(int descriptor, MulticastTtl& option);
Result<> get(int descriptor, MulticastLoop& option);
Result<> get(int descriptor, MulticastInterface& option);
Result<> get(int descriptor, PeerCredentials& option);

}  // namespace detail

/// Sets an option. Immediate. Errors: the kernel's, with the option's name; invalid_argument for
/// values out of its range.
template <class S, class Option>
  requires requires(S& socket) { socket.descriptor(); }
Result<> set(S& socket, const Option& option) {
  return detail::set(socket.descriptor(), option);
}

/// Reads an option. Immediate. Errors: the kernel's, with the option's name.
template <class Option, class S>
  requires requires(S& socket) { socket.descriptor(); }
Result<Option> get(S& socket) {
  Option option;
  if (auto done = detail::get(socket.descriptor(), option); !done) return done.error();
  return option;
}

}  // namespace rondo::net
