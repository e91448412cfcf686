// SPDX-License-Identifier: Apache-2.0
// Datagram sockets of a simulated process: making them, sending, receiving, their options.
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include "io/sim/descriptor.hpp"
#include "io/sim/sim_driver.hpp"

namespace rondo::io::sim {

std::int32_t SimDriver::datagram_socket(const DatagramSocketOp& op) {
  auto mailbox = std::make_unique<Mailbox>();
  mailbox->reuse = op.reuse_address || op.reuse_port;
  mailbox->v6_only = op.v6_only;
  const auto bound = Endpoint::from(op.bind);
  const auto peer = Endpoint::from(op.peer);
  if (!bound && !peer) return -EAFNOSUPPORT;
  if (peer) mailbox->peer = *peer;
  mailbox->family = bound ? bound->family() : peer->family();
  const auto descriptor = open();
  if (!descriptor) return -EMFILE;
  mailbox->owner = descriptor.get();
  Post& post = world_.network().post();
  int error = 0;
  if (bound) {
    mailbox->bound = *bound;
    error = post.bind(host_, *mailbox);
  } else if (mailbox->family != Family::local) {  // A Unix socket stays without a name.
    error = post.bind_for(host_, *mailbox, *peer);
  }
  descriptor->mailbox = std::move(mailbox);
  if (error == 0) return descriptor->fd;
  close(descriptor->fd);
  return error;
}

bool SimDriver::advance_send_datagram(Descriptor& descriptor, SendDatagramOp& op) {
  if (!op.descriptors.empty()) return finish(op, -EOPNOTSUPP);
  Mailbox& mailbox = *descriptor.mailbox;
  const auto to = op.to.size > 0 ? Endpoint::from(op.to) : mailbox.peer;
  if (!to) return finish(op, -EAFNOSUPPORT);
  Post& post = world_.network().post();
  const std::size_t step =
      op.segment_size > 0 ? op.segment_size : std::max<std::size_t>(op.data.size(), 1);
  std::size_t done = 0;
  do {
    const ByteView part = op.data.subspan(done, std::min(step, op.data.size() - done));
    const int sent = post.send(host_, mailbox, *to, part);
    if (sent == Post::k_must_wait) return false;
    if (sent < 0) return finish(op, sent);
    done += part.size();
  } while (done < op.data.size());
  return finish(op, static_cast<std::int32_t>(done));
}

bool SimDriver::advance_recv_message(Descriptor& descriptor, RecvMessageOp& op) {
  Mailbox& mailbox = *descriptor.mailbox;
  op.descriptor_count = 0;
  op.descriptors_lost = false;
  std::int32_t filled = 0;
  for (MessageSlot& slot : op.slots) {
    if (mailbox.queue.empty()) break;
    const Packet packet = std::move(mailbox.queue.front());
    mailbox.queue.pop_front();
    mailbox.queued_bytes -= packet.bytes.size();
    const std::size_t size = std::min(slot.into.size(), packet.bytes.size());
    if (size > 0) std::memcpy(slot.into.data(), packet.bytes.data(), size);
    slot.size = static_cast<std::uint32_t>(size);
    slot.truncated = size < packet.bytes.size();
    slot.from = packet.from.to_address();
    ++filled;
  }
  if (filled > 0) {
    // Senders of this host may wait for the room that there is now.
    for (const auto& other : descriptors_) {
      if (mailbox.family == Family::local && other && other->mailbox) touch(*other);
    }
    return finish(op, filled);
  }
  if (mailbox.error != 0) return finish(op, -std::exchange(mailbox.error, 0));
  return false;
}

std::int32_t SimDriver::mailbox_option(Mailbox& mailbox, SocketOptionOp& op) {
  const auto flag = [&](bool& held) {
    if (op.get)
      op.value = held ? 1 : 0;
    else
      held = op.value != 0;
    return 0;
  };
  switch (op.option) {
    case SocketOption::broadcast:
      return flag(mailbox.broadcast);
    case SocketOption::multicast_loop:
      return flag(mailbox.multicast_loop);
    case SocketOption::multicast_ttl:
      if (op.get)
        op.value = mailbox.multicast_ttl;
      else
        mailbox.multicast_ttl = op.value;
      return 0;
    case SocketOption::join_group:
    case SocketOption::leave_group: {
      const auto group = Endpoint::from(op.address);
      if (!group) return -EINVAL;
      const auto at = std::find(mailbox.groups.begin(), mailbox.groups.end(), group->ip);
      const bool is_in = at != mailbox.groups.end();
      const bool joins = op.option == SocketOption::join_group;
      if (joins == is_in) return joins ? -EADDRINUSE : -EADDRNOTAVAIL;
      if (joins)
        mailbox.groups.push_back(group->ip);
      else
        mailbox.groups.erase(at);
      return 0;
    }
    case SocketOption::no_delay:
      return -EOPNOTSUPP;
    default:
      return -ENOPROTOOPT;
  }
}

}  // namespace rondo::io::sim
