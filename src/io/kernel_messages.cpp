// SPDX-License-Identifier: Apache-2.0
#include "io/kernel_messages.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include "rondo/base/limits.hpp"

namespace rondo::io::kernel {
namespace {

static_assert(sizeof(msghdr) <= sizeof(MessageHeader::header));
static_assert(sizeof(iovec) <= sizeof(MessageHeader::slice));
static_assert(CMSG_SPACE(k_descriptors_max * sizeof(int)) <= sizeof(MessageHeader::control));
static_assert(CMSG_SPACE(sizeof(std::uint16_t)) <= sizeof(MessageHeader::control));

int set_int(int fd, int level, int option, int value) noexcept {
  return ::setsockopt(fd, level, option, &value, sizeof value);
}

msghdr& new_header(MessageHeader& storage, const void* data, std::size_t size) noexcept {
  auto* slice = std::construct_at(reinterpret_cast<iovec*>(storage.slice));
  slice->iov_base = const_cast<void*>(data);
  slice->iov_len = size;
  auto* header = std::construct_at(reinterpret_cast<msghdr*>(storage.header));
  header->msg_iov = slice;
  header->msg_iovlen = 1;
  return *header;
}

/// Puts one control message into the storage.
void add_control(msghdr& header, MessageHeader& storage, int level, int type, const void* data,
                 std::size_t size) noexcept {
  std::memset(storage.control, 0, sizeof storage.control);
  header.msg_control = storage.control;
  header.msg_controllen = CMSG_SPACE(size);
  cmsghdr* control = CMSG_FIRSTHDR(&header);
  control->cmsg_level = level;
  control->cmsg_type = type;
  control->cmsg_len = CMSG_LEN(size);
  std::memcpy(CMSG_DATA(control), data, size);
}

bool configure(int fd, const DatagramSocketOp& op, int family) noexcept {
  if (op.reuse_address && set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1) < 0) return false;
  if (op.reuse_port && set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1) < 0) return false;
  return family != AF_INET6 || set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, op.v6_only ? 1 : 0) == 0;
}

}  // namespace

std::int32_t datagram_socket(const DatagramSocketOp& op, Sockets sockets) noexcept {
  const int family = name_of(op.bind.size > 0 ? op.bind : op.peer)->sa_family;
  UniqueFd fd(::socket(family, SOCK_DGRAM | SOCK_CLOEXEC | static_cast<int>(sockets), 0));
  if (!fd || !configure(fd.get(), op, family)) return -errno;
  if (op.bind.size > 0 && ::bind(fd.get(), name_of(op.bind), op.bind.size) < 0) return -errno;
  // Connecting a datagram socket only notes the peer: it never waits.
  if (op.peer.size > 0 && ::connect(fd.get(), name_of(op.peer), op.peer.size) < 0) return -errno;
  return fd.release();
}

msghdr& message_header(SendDatagramOp& op) noexcept {
  msghdr& header = new_header(op.storage, op.data.data(), op.data.size());
  if (op.to.size > 0) {
    header.msg_name = op.to.storage;
    header.msg_namelen = op.to.size;
  }
  if (!op.descriptors.empty()) {
    add_control(header, op.storage, SOL_SOCKET, SCM_RIGHTS, op.descriptors.data(),
                std::min(op.descriptors.size(), k_descriptors_max) * sizeof(int));
  } else if (op.segment_size > 0 && op.segment_size < op.data.size()) {
    add_control(header, op.storage, SOL_UDP, UDP_SEGMENT, &op.segment_size, sizeof op.segment_size);
  }
  return header;
}

msghdr& message_header(RecvMessageOp& op) noexcept {
  MessageSlot& slot = op.slots.front();
  msghdr& header = new_header(op.storage, slot.into.data(), slot.into.size());
  header.msg_name = slot.from.storage;
  header.msg_namelen = sizeof slot.from.storage;
  op.descriptor_count = 0;
  op.descriptors_lost = false;
  if (op.take_descriptors) {
    header.msg_control = op.storage.control;
    header.msg_controllen = CMSG_SPACE(k_descriptors_max * sizeof(int));
  }
  return header;
}

void take_message(RecvMessageOp& op, std::int32_t size) noexcept {
  auto& header = *reinterpret_cast<msghdr*>(op.storage.header);
  MessageSlot& slot = op.slots.front();
  slot.size = static_cast<std::uint32_t>(size);
  slot.truncated = (header.msg_flags & MSG_TRUNC) != 0;
  slot.from.size = std::min<std::uint32_t>(header.msg_namelen, sizeof slot.from.storage);
  op.descriptors_lost = op.take_descriptors && (header.msg_flags & MSG_CTRUNC) != 0;
  if (!op.take_descriptors) return;
  for (cmsghdr* at = CMSG_FIRSTHDR(&header); at; at = CMSG_NXTHDR(&header, at)) {
    if (at->cmsg_level != SOL_SOCKET || at->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (at->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(at) + i * sizeof(int), sizeof fd);
      if (op.descriptor_count < k_descriptors_max)
        op.descriptors[op.descriptor_count++] = fd;
      else
        ::close(fd);  // Cannot be: there is no room for more. Never leak one all the same.
    }
  }
}

std::int32_t receive_more(RecvMessageOp& op, std::size_t first) noexcept {
  constexpr std::size_t k_at_once = 16;
  mmsghdr headers[k_at_once] = {};
  iovec slices[k_at_once];
  std::int32_t filled = 0;
  for (std::size_t at = first; at < op.slots.size();) {
    const std::size_t count = std::min(op.slots.size() - at, k_at_once);
    for (std::size_t i = 0; i < count; ++i) {
      MessageSlot& slot = op.slots[at + i];
      slices[i] = {slot.into.data(), slot.into.size()};
      headers[i] = {};
      headers[i].msg_hdr.msg_iov = &slices[i];
      headers[i].msg_hdr.msg_iovlen = 1;
      headers[i].msg_hdr.msg_name = slot.from.storage;
      headers[i].msg_hdr.msg_namelen = sizeof slot.from.storage;
    }
    const int got = ::recvmmsg(op.fd, headers, static_cast<unsigned>(count), MSG_DONTWAIT, nullptr);
    // An error of what comes next is found by the next receive.
    if (got <= 0) return filled;
    for (std::size_t i = 0; i < static_cast<std::size_t>(got); ++i) {
      MessageSlot& slot = op.slots[at + i];
      slot.size = headers[i].msg_len;
      slot.truncated = (headers[i].msg_hdr.msg_flags & MSG_TRUNC) != 0;
      slot.from.size = headers[i].msg_hdr.msg_namelen;
    }
    filled += got;
    at += static_cast<std::size_t>(got);
    if (static_cast<std::size_t>(got) < count) return filled;
  }
  return filled;
}

Reserve::Reserve() noexcept : spare_(::open("/dev/null", O_RDONLY | O_CLOEXEC)) {}

std::int32_t Reserve::refuse(const RefuseOp& op) noexcept {
  // The listener may be blocking (io_uring wants it so), and accept4 must not wait here.
  const int flags = ::fcntl(op.fd, F_GETFL);
  if (flags < 0) return -errno;
  ::fcntl(op.fd, F_SETFL, flags | O_NONBLOCK);
  spare_.reset();
  std::int32_t refused = 0;
  while (static_cast<std::uint32_t>(refused) < op.max) {
    const UniqueFd fd(::accept4(op.fd, nullptr, nullptr, SOCK_CLOEXEC));
    if (!fd && errno != ECONNABORTED && errno != EINTR) break;
    if (fd) ++refused;
  }
  spare_.reset(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (!(flags & O_NONBLOCK)) ::fcntl(op.fd, F_SETFL, flags);
  return refused;
}

}  // namespace rondo::io::kernel
