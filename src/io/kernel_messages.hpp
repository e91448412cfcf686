// SPDX-License-Identifier: Apache-2.0
// Datagrams, descriptors in messages, file to socket: what uring and epoll share of them.
// Thread rule: the loop's thread.
#pragma once

#include <cstdint>

#include "io/kernel.hpp"

#include "rondo/io/socket_ops.hpp"

namespace rondo::io::kernel {

// Immediate kinds; descriptors and counts, or negated errnos.
std::int32_t datagram_socket(const DatagramSocketOp& op, Sockets sockets) noexcept;
std::int32_t socket_option(SocketOptionOp& op, Sockets sockets) noexcept;
/// Keeps a descriptor for refuse() from now on. One per driver.
class Reserve {
 public:
  Reserve() noexcept;
  std::int32_t refuse(const RefuseOp& op) noexcept;

 private:
  UniqueFd spare_;
};

/// Writes the struct msghdr of an operation into its storage.
msghdr& message_header(SendDatagramOp& op) noexcept;
msghdr& message_header(RecvMessageOp& op) noexcept;
/// The kernel has filled the header of `op`: fills its first slot with `size` bytes and takes the
/// descriptors that came.
void take_message(RecvMessageOp& op, std::int32_t size) noexcept;
/// Fills the slots from `first` on with what is there already; the number filled.
std::int32_t receive_more(RecvMessageOp& op, std::size_t first) noexcept;

}  // namespace rondo::io::kernel
