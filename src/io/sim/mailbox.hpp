// SPDX-License-Identifier: Apache-2.0
// Mailbox: a datagram socket of the simulated network. Post: who gets what is sent, and what is
// lost on the way.
//
// A datagram finds its receiver when it arrives, as in a kernel: the socket connected to its
// sender, else one bound to its address, else one bound to all. UDP drops what finds no room and
// tells a connected sender when no socket is there; Unix datagrams wait for room instead.
// Loss, duplicates and reordering are drawn per datagram from SimLink.
// Thread rule: the world's thread.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "io/sim/connection.hpp"
#include "io/sim/endpoint.hpp"
#include "rondo/base/bytes.hpp"

namespace rondo::io::sim {

class World;
struct Host;

struct Packet {
  Endpoint from;
  std::vector<std::byte> bytes;
};

struct Mailbox {
  Endpoint bound;  ///< family none: not yet bound
  Endpoint peer;   ///< family none: not connected
  Family family = Family::none;
  bool reuse = false;
  bool v6_only = false;
  bool broadcast = false;
  bool multicast_loop = true;
  int multicast_ttl = 1;
  std::vector<Ip> groups;
  std::deque<Packet> queue;
  std::size_t queued_bytes = 0;
  int error = 0;  ///< positive errno, told once
  Socket* owner = nullptr;
};

class Post {
 public:
  explicit Post(World& world) : world_(world) {}

  /// 0 or a negated errno; `mailbox.bound` gets its port.
  int bind(Host& host, Mailbox& mailbox);
  void unbind(Host& host, Mailbox& mailbox);
  /// What the kernel does when a socket that is not bound is connected: it gets an address.
  int bind_for(Host& host, Mailbox& mailbox, const Endpoint& peer);
  /// Bytes taken, a negated errno, or k_must_wait (Unix: the receiver's queue is full).
  static constexpr int k_must_wait = 1 << 30;
  int send(Host& host, Mailbox& from, const Endpoint& to, ByteView bytes);

 private:
  int send_local(Host& host, Mailbox& from, const Endpoint& to, ByteView bytes);
  int send_to_all(Host& host, Mailbox& from, const Endpoint& to, ByteView bytes);
  Host* find(const Ip& ip, Host& from);
  Endpoint source_of(Host& host, const Mailbox& from, const Ip& to, bool within);
  void dispatch(Host& from, Host& to, const Endpoint& address, Packet packet);
  void carry(Host& from, Host& to, const Endpoint& address, Packet packet);
  void arrive(Host& from, Host& to, const Endpoint& address, Packet packet);
  void deliver(Mailbox& mailbox, Packet packet);
  void refuse(Host& from, const Endpoint& source, const Endpoint& peer);

  World& world_;
};

}  // namespace rondo::io::sim
