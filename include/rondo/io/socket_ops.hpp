// SPDX-License-Identifier: Apache-2.0
// Operations on sockets and names. The rules are those of io/operation.hpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "rondo/base/bytes.hpp"
#include "rondo/io/operation.hpp"

namespace rondo::io {

/// A socket address in the kernel's own layout (sockaddr_in, _in6, _un), opaque here.
struct Address {
  alignas(8) std::byte storage[112] = {};
  std::uint32_t size = 0;
};

/// Multishot. Completes with a new close-on-exec descriptor that the owner now owns, `more` while
/// it stays armed; to be used through this driver only (O_NONBLOCK is set by epoll alone: older
/// kernels make io_uring answer -EAGAIN on such sockets instead of waiting). -EMFILE, -ENFILE:
/// out of descriptors (terminal).
struct AcceptOp : Operation {
  AcceptOp() noexcept : Operation(OpKind::accept) {}
  int fd = -1;
};

/// Multishot. Completes with 1.. bytes in `buffer` of the driver's BufferPool (the owner now
/// owns that buffer), 0 at end of stream (terminal), -ENOBUFS when the pool is empty (terminal:
/// back-pressure, not an error of the peer; submit again when a buffer is free).
struct RecvOp : Operation {
  RecvOp() noexcept : Operation(OpKind::recv) {}
  int fd = -1;
};

/// Makes a stream socket and connects it. Completes with the new descriptor (as an accepted one;
/// TCP_NODELAY for IP), now the owner's.
struct ConnectOp : Operation {
  ConnectOp() noexcept : Operation(OpKind::connect) {}
  Address address;
  int fd = -1;  ///< the driver's, while in flight
};

/// Sends from one span. Completes with the bytes taken, 1..size (short sends happen).
struct SendOp : Operation {
  SendOp() noexcept : Operation(OpKind::send) {}
  int fd = -1;
  const std::byte* data = nullptr;
  std::size_t size = 0;
};

/// Sends from several spans in order. Completes with the bytes taken in total (may be short).
struct SendMessageOp : Operation {
  SendMessageOp() noexcept : Operation(OpKind::send_message) {}
  int fd = -1;
  std::uint32_t count = 0;
  const ByteView* slices = nullptr;             ///< layout-compatible with struct iovec
  alignas(8) std::byte header_storage[56] = {};  ///< the driver's: struct msghdr
};

/// As SendOp, without a copy into the kernel where the kernel can (Linux 6.0, on a ring); elsewhere
/// it is a SendOp. Completes only when the kernel has let go of the bytes: a cancel that comes when
/// some are sent already resets the connection, for else a peer that does not read would hold them.
struct SendZeroCopyOp : Operation {
  SendZeroCopyOp() noexcept : Operation(OpKind::send_zero_copy) {}
  int fd = -1;
  const std::byte* data = nullptr;
  std::size_t size = 0;
  std::int32_t taken = -1;  ///< the driver's: what was sent, while the kernel still reads it
};

/// Descriptors that one message carries at most (limits::descriptors_max).
inline constexpr std::size_t k_descriptors_max = 16;

/// Room for one message, and what came.
struct MessageSlot {
  ByteSpan into;            ///< where its bytes go
  Address from;             ///< out: the sender; size 0 when it has no name
  std::uint32_t size = 0;   ///< out: bytes in `into`
  bool truncated = false;   ///< out: the datagram was longer, its end is lost
};

/// The driver's: struct msghdr, struct iovec and control data of one message.
struct MessageHeader {
  alignas(8) std::byte header[56] = {};
  alignas(8) std::byte slice[16] = {};
  alignas(8) std::byte control[96] = {};
};

/// Sends one datagram, or on a Unix stream one piece of it with descriptors. Completes with the
/// bytes taken: of a datagram all. -EMSGSIZE: larger than the transport carries.
struct SendDatagramOp : Operation {
  SendDatagramOp() noexcept : Operation(OpKind::send_datagram) {}
  int fd = -1;
  ByteView data;
  Address to;                      ///< size 0: the connected peer
  std::uint16_t segment_size = 0;  ///< UDP: cut `data` into datagrams of this size (UDP_SEGMENT)
  std::span<const int> descriptors;  ///< Unix: at most k_descriptors_max; the peer gets copies
  /// -EAGAIN may say that the peer's queue is full. For Unix datagrams: no event tells when there
  /// is room again, and io_uring up to Linux 6.18 retries with the bytes already taken from it, so
  /// that an empty datagram arrives.
  bool may_fail_full = false;
  MessageHeader storage;           ///< the driver's
};

/// Receives messages: of datagrams as many as are there, at most slots.size() and at least one;
/// of a Unix stream one piece (size 0 at its end). Completes with the number of slots filled.
/// A cancel takes no message: one that was taken is delivered (rule 2).
struct RecvMessageOp : Operation {
  RecvMessageOp() noexcept : Operation(OpKind::recv_message) {}
  int fd = -1;
  std::span<MessageSlot> slots;
  /// Out: close-on-exec descriptors that came with the first message, now the owner's.
  int descriptors[k_descriptors_max] = {};
  std::uint8_t descriptor_count = 0;
  bool descriptors_lost = false;   ///< out: the kernel closed some: too many, or no number free
  bool take_descriptors = false;   ///< else the kernel closes what comes
  MessageHeader storage;           ///< the driver's
};

/// Sends a part of a file to a connected socket without copying it through the process. Completes
/// with the bytes that the socket took, 1..size; 0 at the end of the file. A cancelled one says
/// what was sent before. -ENOTSUP: this driver, or the file, cannot; read and send it instead.
struct SendFileOp : Operation {
  SendFileOp() noexcept : Operation(OpKind::send_file) {}
  int fd = -1;
  int file = -1;
  std::int64_t offset = 0;
  std::size_t size = 0;
  int pipe[2] = {-1, -1};          ///< the driver's
  std::uint32_t in_pipe = 0;       ///< the driver's
  std::uint32_t sent = 0;          ///< the driver's
};

enum class AddressFamily : std::uint8_t { any, v4, v6 };

/// Under simulation only: looks `name` up in the simulated host table, fills `found` and
/// completes with the number of addresses (ports zero). Other drivers: -ENOTSUP.
struct ResolveOp : Operation {
  ResolveOp() noexcept : Operation(OpKind::resolve) {}
  std::string_view name;
  AddressFamily family = AddressFamily::any;
  std::span<Address> found;
};

/// Immediate. Makes a listening stream socket. Completes with its descriptor.
struct ListenOp : Operation {
  ListenOp() noexcept : Operation(OpKind::listen) {}
  Address address;
  int backlog = 0;
  bool reuse_port = false;
  bool v6_only = false;
};

/// Immediate. Shuts down the sending side (and the receiving one when `both`).
struct ShutdownOp : Operation {
  ShutdownOp() noexcept : Operation(OpKind::shutdown) {}
  int fd = -1;
  bool both = false;
};

/// Immediate. The local or, when `peer`, the remote address of a socket.
struct SocketNameOp : Operation {
  SocketNameOp() noexcept : Operation(OpKind::socket_name) {}
  int fd = -1;
  bool peer = false;
  Address address;
};

/// Immediate. Makes a datagram socket, binds and connects it. Completes with its descriptor, to
/// be used as an accepted one.
struct DatagramSocketOp : Operation {
  DatagramSocketOp() noexcept : Operation(OpKind::datagram_socket) {}
  Address bind;  ///< size 0: not bound (the kernel does at the first send)
  Address peer;  ///< size 0: not connected; one of the two says the family
  bool reuse_address = false;
  bool reuse_port = false;
  bool v6_only = false;
};

/// Immediate. Accepts waiting connections of a listener and closes them, at most `max`, with a
/// descriptor kept in reserve for when the process is out of them. Completes with their number.
struct RefuseOp : Operation {
  RefuseOp() noexcept : Operation(OpKind::refuse) {}
  int fd = -1;
  std::uint32_t max = 0;
};

/// What an option means stands at its type in net/options.hpp.
enum class SocketOption : std::uint8_t {
  no_delay,
  keep_alive,
  receive_buffer,
  send_buffer,
  keep_alive_idle,      ///< s
  keep_alive_interval,  ///< s
  keep_alive_count,
  linger,               ///< s, -1: off
  ttl,                  ///< hop limit of IPv6
  tos,                  ///< traffic class of IPv6
  v6_only,
  user_timeout,         ///< ms
  fast_open,            ///< listeners: connections that have not shaken hands; clients: 0 or 1
  broadcast,
  multicast_ttl,
  multicast_loop,
  multicast_interface,  ///< index
  join_group,           ///< set only: `address`, `value` is the interface's index or 0
  leave_group,
  bind_device,          ///< `text`
  peer_credentials,     ///< get only: `value` pid, `more` uid and gid
  drivers_mode,         ///< set only: O_NONBLOCK as sockets of this driver have it
};

/// Immediate. Sets or gets an option of a socket.
struct SocketOptionOp : Operation {
  SocketOptionOp() noexcept : Operation(OpKind::socket_option) {}
  int fd = -1;
  SocketOption option = SocketOption::no_delay;
  bool get = false;
  int value = 0;
  std::uint32_t more[2] = {};
  Address address;
  char text[16] = {};
};

}  // namespace rondo::io
