// SPDX-License-Identifier: Apache-2.0
// Network: hosts, listeners, attempts to connect, and the lines between hosts.
//
// A dial (one connect) goes: way there -> a listener is found, or not -> way back -> `result`.
// A lost SYN or a full accept queue is tried again after 1, 2, 4, ... s, as Linux does, and
// ends with ETIMEDOUT after 127 s. Addresses nobody has: EHOSTUNREACH after 3 s.
// Thread rule: the world's thread.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "io/sim/connection.hpp"
#include "io/sim/disk.hpp"
#include "io/sim/endpoint.hpp"
#include "io/sim/mailbox.hpp"
#include "rondo/base/time.hpp"
#include "rondo/io/sim_faults.hpp"

namespace rondo::io::sim {

class World;

/// A listening socket.
struct Listener {
  Endpoint bound;
  std::size_t backlog = 1;
  bool reuse_port = false;
  bool v6_only = false;
  std::deque<std::shared_ptr<Connection>> queue;  ///< established, not yet accepted
  Socket* owner = nullptr;
};

struct Host {
  int index = 0;
  std::string name;
  std::vector<Ip> addresses;
  bool down = false;
  Duration wall_offset{};
  std::uint64_t boots = 0;  ///< processes it has had: each has random numbers of its own
  std::uint16_t next_port = 32'768;
  std::vector<Listener*> listeners;
  std::unique_ptr<Disk> disk;  ///< survives its processes
  std::vector<Mailbox*> mailboxes;

  bool has_family(Family family) const noexcept;
  bool owns(const Ip& ip) const noexcept;
};

/// One attempt to connect.
struct Dial {
  static constexpr int k_pending = 1;
  Host* from = nullptr;
  Host* target = nullptr;
  Endpoint to;
  Endpoint asked;  ///< as the program wrote it: a mapped IPv4 address stays IPv6 in its names
  std::int64_t started = 0;
  Duration backoff = std::chrono::seconds(1);
  int result = k_pending;  ///< then 0 or a negated errno
  std::shared_ptr<Connection> connection;
  Socket* owner = nullptr;
  bool abandoned = false;
};

class Network {
 public:
  explicit Network(World& world) : world_(world), post_(world) {}
  Post& post() noexcept { return post_; }

  // Listening. Negated errno on failure; `listener.bound` gets its port.
  int listen(Host& host, Listener& listener);
  void unlisten(Host& host, Listener& listener);

  void dial(const std::shared_ptr<Dial>& dial);
  void abandon(Dial& dial);

  /// Two connected ends on one host: a pipe (side 0 writes) or a pair of sockets.
  std::shared_ptr<Connection> pair(Host& host, Connection::Kind kind);

  // Lines.
  const SimLink& link(int a, int b) const;
  void set_link(int a, int b, const SimLink& link);
  void clear_links() { links_.clear(); }
  bool blocked(int from, int to) const;
  void partition(int from, int to, bool both_ways);
  void heal();
  void heal(int a, int b);

  /// Every living connection between two hosts (-1: any), oldest first.
  std::vector<std::shared_ptr<Connection>> connections(int a, int b);
  /// Lets what was held back move again.
  void kick();

 private:
  Host* find(const Ip& ip, Host& from);
  Listener* find_listener(Host& host, const Endpoint& to);
  int check_address(Host& host, const Listener& listener) const;
  std::uint16_t free_port(Host& host);
  bool port_taken(const Host& host, std::uint16_t port) const;
  void arrive(const std::shared_ptr<Dial>& dial);
  void retry(const std::shared_ptr<Dial>& dial);
  void admit(const std::shared_ptr<Dial>& dial, Listener& listener);
  void finish(const std::shared_ptr<Dial>& dial, Duration delay, int result);
  void name_ends(Dial& dial, const Listener& listener, Connection& connection);
  std::shared_ptr<Connection> make(Connection::Kind kind, int a, int b);

  World& world_;
  Post post_;
  std::map<std::pair<int, int>, SimLink> links_;
  std::set<std::pair<int, int>> cuts_;  ///< (from, to): nothing passes
  std::map<std::uint64_t, std::weak_ptr<Connection>> connections_;
  std::uint64_t next_connection_ = 1;
};

}  // namespace rondo::io::sim
