// SPDX-License-Identifier: Apache-2.0
#include "io/sim/mailbox.hpp"

#include <algorithm>
#include <cerrno>
#include <memory>
#include <utility>

#include "io/sim/world.hpp"

namespace rondo::io::sim {
namespace {

constexpr std::size_t k_udp_max = 65'507;       // 65,535 less the headers of IPv4 and UDP
constexpr std::size_t k_unix_max = 212'000;     // net.core.wmem_default less its own headers
constexpr std::size_t k_queue_bytes = 212'992;  // net.core.rmem_default
constexpr std::size_t k_unix_queue = 11;        // net.unix.max_dgram_qlen, and one
constexpr std::uint16_t k_first_port = 32'768;
constexpr std::uint16_t k_last_port = 60'999;

bool is_broadcast(const Ip& ip) noexcept {
  return ip.family == Family::v4 &&
         std::all_of(ip.bytes.begin(), ip.bytes.begin() + 4, [](auto byte) { return byte == 255; });
}

bool is_multicast(const Ip& ip) noexcept {
  if (ip.family == Family::v4) return ip.bytes[0] >= 224 && ip.bytes[0] < 240;
  return ip.family == Family::v6 && ip.bytes[0] == 255;
}

bool is_member(const Mailbox& mailbox, const Ip& group) noexcept {
  return std::find(mailbox.groups.begin(), mailbox.groups.end(), group) != mailbox.groups.end();
}

// Whether both would get what is sent to one address.
bool overlap(const Mailbox& a, const Mailbox& b) noexcept {
  const Endpoint& x = a.bound;
  const Endpoint& y = b.bound;
  if (x.family() == Family::local || y.family() == Family::local) {
    return x.family() == y.family() && x.path == y.path;
  }
  if (x.port != y.port) return false;
  if (x.family() == y.family()) return x.ip == y.ip || x.ip.is_any() || y.ip.is_any();
  const Mailbox& six = x.family() == Family::v6 ? a : b;
  return six.bound.ip.is_any() && !six.v6_only;
}

// How well a mailbox fits: 0 not at all, then bound to all, bound to it, connected to the sender.
int fitness(const Mailbox& mailbox, const Endpoint& to, const Endpoint& from) noexcept {
  const Endpoint& bound = mailbox.bound;
  if (bound.port != to.port) return 0;
  const bool any = bound.ip.is_any();
  const Ip own = bound.ip.unmapped();
  const bool takes = own == to.ip || (any && (bound.family() == to.family() ||
                                              (bound.family() == Family::v6 && !mailbox.v6_only)));
  if (!takes) return 0;
  if (mailbox.peer.family() == Family::none) return any ? 1 : 2;
  return mailbox.peer.ip.unmapped() == from.ip && mailbox.peer.port == from.port ? 3 : 0;
}

}  // namespace

int Post::bind(Host& host, Mailbox& mailbox) {
  Endpoint& bound = mailbox.bound;
  if (bound.family() == Family::local) {
    if (bound.path.empty()) return -EINVAL;
  } else {
    const Ip ip = bound.ip.unmapped();
    const bool ours = ip.is_any() || host.owns(ip) || is_multicast(ip) || is_broadcast(ip);
    if (!ours) return -EADDRNOTAVAIL;
  }
  const auto clashes = [&] {
    return std::any_of(host.mailboxes.begin(), host.mailboxes.end(), [&](const Mailbox* other) {
      return overlap(*other, mailbox) && !(other->reuse && mailbox.reuse);
    });
  };
  if (bound.family() != Family::local && bound.port == 0) {
    for (int tries = k_first_port; tries <= k_last_port; ++tries) {
      bound.port = host.next_port;
      host.next_port =
          bound.port >= k_last_port ? k_first_port : static_cast<std::uint16_t>(bound.port + 1);
      if (!clashes()) break;
    }
  }
  if (clashes()) return -EADDRINUSE;
  host.mailboxes.push_back(&mailbox);
  return 0;
}

int Post::bind_for(Host& host, Mailbox& mailbox, const Endpoint& peer) {
  Ip to = peer.ip.unmapped();
  if (to.is_any()) to = Ip::loopback(to.family);
  if (!host.owns(to) && !host.has_family(to.family)) return -ENETUNREACH;
  mailbox.bound.ip.family = to.family;
  mailbox.bound.ip = source_of(host, mailbox, to, host.owns(to)).ip;
  if (peer.family() == Family::v6) mailbox.bound.ip = mailbox.bound.ip.mapped();
  return bind(host, mailbox);
}

void Post::unbind(Host& host, Mailbox& mailbox) {
  std::erase(host.mailboxes, &mailbox);
  // Whoever waits for room in it finds out that it is gone.
  for (Mailbox* other : host.mailboxes) {
    if (other->owner) other->owner->touch();
  }
}

int Post::send(Host& host, Mailbox& from, const Endpoint& to, ByteView bytes) {
  if (from.error != 0) return -std::exchange(from.error, 0);
  if (to.family() == Family::none) return -EDESTADDRREQ;
  if (to.family() == Family::local) {
    return from.family == Family::local ? send_local(host, from, to, bytes) : -EINVAL;
  }
  if (bytes.size() > k_udp_max) return -EMSGSIZE;
  if (from.family == Family::local || (from.family == Family::v4 && to.family() == Family::v6)) {
    return -EAFNOSUPPORT;
  }
  if (from.family == Family::v6 && to.family() == Family::v4) return -ENETUNREACH;
  if (from.bound.family() == Family::none) {
    from.bound.ip.family = from.family;
    if (const int error = bind(host, from)) return error;
  }
  Endpoint there = to;
  there.ip = to.ip.unmapped();
  if (is_multicast(there.ip) || is_broadcast(there.ip)) {
    return send_to_all(host, from, there, bytes);
  }
  if (there.ip.is_any()) there.ip = Ip::loopback(there.ip.family);
  const bool reachable = host.owns(there.ip) || host.has_family(there.ip.family);
  if (!reachable) return -ENETUNREACH;
  const auto taken = static_cast<int>(bytes.size());
  Host* target = find(there.ip, host);
  if (!target) return taken;  // Nobody has that address: it is lost without a word.
  Packet packet{source_of(host, from, there.ip, target == &host),
                std::vector<std::byte>(bytes.begin(), bytes.end())};
  dispatch(host, *target, there, std::move(packet));
  return taken;
}

int Post::send_local(Host& host, Mailbox& from, const Endpoint& to, ByteView bytes) {
  if (bytes.size() > k_unix_max) return -EMSGSIZE;
  for (Mailbox* mailbox : host.mailboxes) {
    if (mailbox->bound.family() != Family::local || mailbox->bound.path != to.path) continue;
    // A connected one takes from its peer only.
    if (mailbox->peer.family() == Family::local && mailbox->peer.path != from.bound.path) {
      return -EPERM;
    }
    if (mailbox->queue.size() >= k_unix_queue) return k_must_wait;
    Endpoint source = from.bound;
    source.ip.family = Family::local;
    deliver(*mailbox, {std::move(source), std::vector<std::byte>(bytes.begin(), bytes.end())});
    return static_cast<int>(bytes.size());
  }
  const bool is_path = !to.path.empty() && to.path[0] != '\0';
  return is_path ? -ENOENT : -ECONNREFUSED;
}

int Post::send_to_all(Host& host, Mailbox& from, const Endpoint& to, ByteView bytes) {
  if (is_broadcast(to.ip) && !from.broadcast) return -EACCES;
  for (Host& other : world_.hosts()) {
    const bool within = &other == &host;
    const bool multicast = is_multicast(to.ip);
    if (multicast && within && !from.multicast_loop) continue;
    if (multicast && !within && from.multicast_ttl == 0) continue;
    Packet packet{source_of(host, from, to.ip, false),
                  std::vector<std::byte>(bytes.begin(), bytes.end())};
    dispatch(host, other, to, std::move(packet));
  }
  return static_cast<int>(bytes.size());
}

Host* Post::find(const Ip& ip, Host& from) {
  if (from.owns(ip)) return &from;
  for (Host& host : world_.hosts()) {
    if (!ip.is_loopback() && host.owns(ip)) return &host;
  }
  return nullptr;
}

Endpoint Post::source_of(Host& host, const Mailbox& from, const Ip& to, bool within) {
  Endpoint source = from.bound;
  source.ip = source.ip.unmapped();
  if (!source.ip.is_any() && !is_multicast(source.ip)) return source;
  source.ip = Ip::loopback(to.family);
  if (within) {
    source.ip = to;
    return source;
  }
  for (const Ip& ip : host.addresses) {
    if (ip.family != to.family) continue;
    source.ip = ip;
    break;
  }
  return source;
}

// What the line does to it, before it travels.
void Post::dispatch(Host& from, Host& to, const Endpoint& address, Packet packet) {
  const SimLink& link = world_.network().link(from.index, to.index);
  if (world_.chance("datagram lost", link.loss_per_mille)) return;
  if (world_.chance("datagram doubled", link.duplicate_per_mille)) {
    carry(from, to, address, packet);
  }
  carry(from, to, address, std::move(packet));
}

void Post::carry(Host& from, Host& to, const Endpoint& address, Packet packet) {
  const SimLink& link = world_.network().link(from.index, to.index);
  Duration time = link.latency;
  const auto up_to = [&](const char* site, Duration most) {
    return Duration(static_cast<std::int64_t>(
        world_.choose(Random::k_network, site, static_cast<std::uint64_t>(most.count()) + 1)));
  };
  // Datagrams keep no order: jitter alone may let one overtake another.
  if (link.jitter.count() > 0) time += up_to("jitter", link.jitter);
  if (world_.chance("datagram late", link.reorder_per_mille)) {
    time += up_to("late by", link.reorder_max);
  }
  world_.after(time, [this, &from, &to, address, sent = std::move(packet)]() mutable {
    arrive(from, to, address, std::move(sent));
  });
}

void Post::arrive(Host& from, Host& to, const Endpoint& address, Packet packet) {
  if (&from != &to && world_.network().blocked(from.index, to.index)) return;
  if (is_multicast(address.ip) || is_broadcast(address.ip)) {
    for (Mailbox* mailbox : std::vector<Mailbox*>(to.mailboxes)) {
      if (mailbox->bound.family() == Family::local || mailbox->bound.port != address.port) continue;
      const Ip own = mailbox->bound.ip.unmapped();
      const bool listens = own.is_any() || own == address.ip;
      const bool wants = is_broadcast(address.ip) || is_member(*mailbox, address.ip);
      if (listens && wants) deliver(*mailbox, packet);
    }
    return;
  }
  std::vector<Mailbox*> best;
  int most = 1;
  for (Mailbox* mailbox : to.mailboxes) {
    if (mailbox->bound.family() == Family::local) continue;
    const int fits = fitness(*mailbox, address, packet.from);
    if (fits < most) continue;
    if (fits > most) best.clear();
    most = fits;
    best.push_back(mailbox);
  }
  if (best.empty()) {
    const Duration back = world_.network().link(to.index, from.index).latency;
    return world_.after(back, [this, &from, &to, source = packet.from, address] {
      if (&from == &to || !world_.network().blocked(to.index, from.index)) {
        refuse(from, source, address);
      }
    });
  }
  // Several share a port: the kernel spreads by a hash of both ends, here by a draw.
  deliver(*best[world_.choose(Random::k_network, "reuse_port", best.size())], std::move(packet));
}

void Post::deliver(Mailbox& mailbox, Packet packet) {
  if (mailbox.family != Family::local &&
      mailbox.queued_bytes + packet.bytes.size() > k_queue_bytes) {
    return;  // No room: UDP says nothing.
  }
  if (mailbox.family == Family::v6) packet.from.ip = packet.from.ip.mapped();
  mailbox.queued_bytes += packet.bytes.size();
  mailbox.queue.push_back(std::move(packet));
  if (mailbox.owner) mailbox.owner->touch();
}

// "Port unreachable" reaches only a socket that is connected to that port.
void Post::refuse(Host& from, const Endpoint& source, const Endpoint& peer) {
  for (Mailbox* mailbox : from.mailboxes) {
    if (mailbox->bound.port != source.port || mailbox->peer.port != peer.port) continue;
    if (mailbox->peer.ip.unmapped() != peer.ip) continue;
    mailbox->error = ECONNREFUSED;
    if (mailbox->owner) mailbox->owner->touch();
  }
}

}  // namespace rondo::io::sim
