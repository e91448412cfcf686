// SPDX-License-Identifier: Apache-2.0
// UDP sockets.
//
//   auto socket = udp::Socket::bind({.address = "127.0.0.1:5353"}).or_throw();
//   auto client = udp::Socket::connect(*net::Endpoint::parse("127.0.0.1:5353")).or_throw();
//   co_await client.send("ping");
//
// Sending, receiving and their rules: net/datagram.hpp. A connected socket hears its peer only and
// is told when nobody listens there. Payloads are at most limits::datagram_max (65,507 bytes);
// what is larger than the path takes in one piece (about 1,200 bytes everywhere) is fragmented.
// Source: RFC 768, RFC 8085 (how to use it). Thread rule: the loop's thread.
#pragma once

#include <cstdint>
#include <string_view>

#include "rondo/io/socket_ops.hpp"
#include "rondo/net/datagram.hpp"

namespace rondo::udp {

using net::Datagram;
using net::DatagramBatch;
using net::Received;

struct BindOptions {
  /// "127.0.0.1:8080", "[::]:0"; port 0 takes a free one.
  std::string_view address = "0.0.0.0:0";
  /// Several sockets of this machine have the port: each gets a share of the senders.
  bool reuse_port = false;
  /// Several sockets have the port, as receivers of one multicast group want it.
  bool reuse_address = false;
  /// An IPv6 socket hears no IPv4.
  bool v6_only = false;
};

class [[nodiscard("keep it: its end closes the socket")]] Socket : public net::DatagramSocket {
 public:
  /// Opens a socket on an address. Errors: bad_address, address_in_use, access_denied, ...
  static Result<Socket> bind(const BindOptions& options = {});
  /// Opens a socket that talks to one peer only. Nothing is sent. Errors: the kernel's.
  static Result<Socket> connect(const net::Endpoint& peer);

  /// Sends `bytes` as datagrams of `segment_size` bytes, the last may be shorter; in one call of
  /// the kernel for up to 64 of them where it can (UDP_SEGMENT, Linux 4.18), else one by one.
  /// For bulk to one peer: both ends together it took a third of the CPU of send_to in a loop,
  /// and a quarter with receive_batch at the other end (loopback, datagrams of 1,200 bytes).
  /// - **Completes** when the kernel took all. **Returns** nothing. **Errors** as send_to; some
  ///   of them may have left. **Cancel** some may have left. **Lifetime** `bytes` and the socket
  ///   outlive it. **Concurrency** any number. **Thread** the loop's.
  Task<Result<>> send_segments(ByteView bytes, std::uint16_t segment_size, net::Endpoint to);

  /// Takes part in a multicast group ("239.1.2.3", "ff02::1:3") on one interface (its index; 0:
  /// the kernel chooses). Errors: bad_address, address_in_use (in it already), the kernel's.
  Result<> join(std::string_view group, unsigned interface_index = 0);
  Result<> leave(std::string_view group, unsigned interface_index = 0);

 private:
  using DatagramSocket::DatagramSocket;
  Result<> change_group(io::SocketOption how, std::string_view group, unsigned interface_index);
};

}  // namespace rondo::udp
