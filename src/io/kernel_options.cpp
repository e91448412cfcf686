// SPDX-License-Identifier: Apache-2.0
// Socket options: which level and number each has, and the few that are no plain integer.
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <cerrno>
#include <cstring>

#include "io/kernel_messages.hpp"

namespace rondo::io::kernel {
namespace {

struct Place {
  int level;
  int name;
};

int family_of(int fd) noexcept {
  int family = AF_UNSPEC;
  socklen_t size = sizeof family;
  ::getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &size);
  return family;
}

Place of_ip(int fd, int v4, int v6) noexcept {
  if (family_of(fd) == AF_INET6) return {IPPROTO_IPV6, v6};
  return {IPPROTO_IP, v4};
}

/// Where the options that are one integer stand.
Place place_of(const SocketOptionOp& op) noexcept {
  switch (op.option) {
    case SocketOption::no_delay:
      return {IPPROTO_TCP, TCP_NODELAY};
    case SocketOption::keep_alive:
      return {SOL_SOCKET, SO_KEEPALIVE};
    case SocketOption::receive_buffer:
      return {SOL_SOCKET, SO_RCVBUF};
    case SocketOption::send_buffer:
      return {SOL_SOCKET, SO_SNDBUF};
    case SocketOption::keep_alive_idle:
      return {IPPROTO_TCP, TCP_KEEPIDLE};
    case SocketOption::keep_alive_interval:
      return {IPPROTO_TCP, TCP_KEEPINTVL};
    case SocketOption::keep_alive_count:
      return {IPPROTO_TCP, TCP_KEEPCNT};
    case SocketOption::ttl:
      return of_ip(op.fd, IP_TTL, IPV6_UNICAST_HOPS);
    case SocketOption::tos:
      return of_ip(op.fd, IP_TOS, IPV6_TCLASS);
    case SocketOption::v6_only:
      return {IPPROTO_IPV6, IPV6_V6ONLY};
    case SocketOption::user_timeout:
      return {IPPROTO_TCP, TCP_USER_TIMEOUT};
    case SocketOption::fast_open:
      return {IPPROTO_TCP, TCP_FASTOPEN};
    case SocketOption::broadcast:
      return {SOL_SOCKET, SO_BROADCAST};
    case SocketOption::multicast_ttl:
      return of_ip(op.fd, IP_MULTICAST_TTL, IPV6_MULTICAST_HOPS);
    case SocketOption::multicast_loop:
      return of_ip(op.fd, IP_MULTICAST_LOOP, IPV6_MULTICAST_LOOP);
    default:
      return {-1, -1};
  }
}

std::int32_t plain(SocketOptionOp& op) noexcept {
  const Place at = place_of(op);
  if (at.level < 0) return -ENOPROTOOPT;
  socklen_t size = sizeof op.value;
  const int result = op.get ? ::getsockopt(op.fd, at.level, at.name, &op.value, &size)
                            : ::setsockopt(op.fd, at.level, at.name, &op.value, sizeof op.value);
  if (result < 0) return -errno;
  // The multicast options of IPv4 may be answered in one byte.
  if (op.get && size == 1) op.value = *reinterpret_cast<const unsigned char*>(&op.value);
  return 0;
}

std::int32_t linger(SocketOptionOp& op) noexcept {
  ::linger value{.l_onoff = op.value >= 0 ? 1 : 0, .l_linger = op.value >= 0 ? op.value : 0};
  socklen_t size = sizeof value;
  const int result = op.get ? ::getsockopt(op.fd, SOL_SOCKET, SO_LINGER, &value, &size)
                            : ::setsockopt(op.fd, SOL_SOCKET, SO_LINGER, &value, sizeof value);
  if (result < 0) return -errno;
  if (op.get) op.value = value.l_onoff != 0 ? value.l_linger : -1;
  return 0;
}

std::int32_t bind_device(SocketOptionOp& op) noexcept {
  static_assert(sizeof op.text >= IFNAMSIZ);
  socklen_t size = sizeof op.text;
  const int result = op.get
                         ? ::getsockopt(op.fd, SOL_SOCKET, SO_BINDTODEVICE, op.text, &size)
                         : ::setsockopt(op.fd, SOL_SOCKET, SO_BINDTODEVICE, op.text,
                                        static_cast<socklen_t>(strnlen(op.text, sizeof op.text)));
  if (result < 0) return -errno;
  if (op.get && size == 0) op.text[0] = '\0';
  return 0;
}

std::int32_t membership(const SocketOptionOp& op) noexcept {
  const bool joins = op.option == SocketOption::join_group;
  group_req group{};
  group.gr_interface = static_cast<std::uint32_t>(op.value);
  std::memcpy(&group.gr_group, op.address.storage, op.address.size);
  const int level = name_of(op.address)->sa_family == AF_INET6 ? IPPROTO_IPV6 : IPPROTO_IP;
  const int name = joins ? MCAST_JOIN_GROUP : MCAST_LEAVE_GROUP;
  return ::setsockopt(op.fd, level, name, &group, sizeof group) < 0 ? -errno : 0;
}

std::int32_t multicast_interface(SocketOptionOp& op) noexcept {
  if (family_of(op.fd) == AF_INET6) {
    socklen_t size = sizeof op.value;
    const int result =
        op.get ? ::getsockopt(op.fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, &op.value, &size)
               : ::setsockopt(op.fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, &op.value, sizeof op.value);
    return result < 0 ? -errno : 0;
  }
  // IPv4 answers with an address, from which the index cannot be told.
  if (op.get) return -EOPNOTSUPP;
  ip_mreqn by_index{};
  by_index.imr_ifindex = op.value;
  const int result = ::setsockopt(op.fd, IPPROTO_IP, IP_MULTICAST_IF, &by_index, sizeof by_index);
  return result < 0 ? -errno : 0;
}

std::int32_t peer_credentials(SocketOptionOp& op) noexcept {
  if (!op.get) return -ENOPROTOOPT;
  if (family_of(op.fd) != AF_UNIX) return -EOPNOTSUPP;  // IP sockets answer with nobody.
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(op.fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0) return -errno;
  op.value = peer.pid;
  op.more[0] = peer.uid;
  op.more[1] = peer.gid;
  return 0;
}

std::int32_t drivers_mode(const SocketOptionOp& op, Sockets sockets) noexcept {
  const int flags = ::fcntl(op.fd, F_GETFL);
  if (flags < 0) return -errno;
  const int wanted = (flags & ~O_NONBLOCK) | (sockets == Sockets::nonblocking ? O_NONBLOCK : 0);
  return flags != wanted && ::fcntl(op.fd, F_SETFL, wanted) < 0 ? -errno : 0;
}

}  // namespace

std::int32_t socket_option(SocketOptionOp& op, Sockets sockets) noexcept {
  switch (op.option) {
    case SocketOption::linger:
      return linger(op);
    case SocketOption::bind_device:
      return bind_device(op);
    case SocketOption::join_group:
    case SocketOption::leave_group:
      return membership(op);
    case SocketOption::multicast_interface:
      return multicast_interface(op);
    case SocketOption::peer_credentials:
      return peer_credentials(op);
    case SocketOption::drivers_mode:
      return drivers_mode(op, sockets);
    default:
      return plain(op);
  }
}

}  // namespace rondo::io::kernel
