// SPDX-License-Identifier: Apache-2.0
#include "io/sim/network.hpp"

#include <algorithm>
#include <cerrno>
#include <memory>

#include "io/sim/world.hpp"
#include "rondo/base/assert.hpp"

namespace rondo::io::sim {
namespace {

constexpr Duration k_connect_timeout = std::chrono::seconds(127);
constexpr Duration k_unreachable_after = std::chrono::seconds(3);
constexpr std::uint16_t k_first_port = 32'768;
constexpr std::uint16_t k_last_port = 60'999;

// Whether two listeners would both be meant by some address.
bool overlap(const Listener& a, const Listener& b) {
  const Endpoint& x = a.bound;
  const Endpoint& y = b.bound;
  if (x.family() == Family::local || y.family() == Family::local) {
    return x.family() == y.family() && x.path == y.path;
  }
  if (x.port != y.port) return false;
  if (x.family() == y.family()) return x.ip == y.ip || x.ip.is_any() || y.ip.is_any();
  const Listener& six = x.family() == Family::v6 ? a : b;
  return six.bound.ip.is_any() && !six.v6_only;
}

bool accepts(const Listener& listener, const Endpoint& to) {
  const Endpoint& bound = listener.bound;
  if (bound.family() == Family::local || to.family() == Family::local) {
    return bound.family() == to.family() && bound.path == to.path;
  }
  if (bound.port != to.port) return false;
  if (bound.family() == to.family()) return bound.ip == to.ip || bound.ip.is_any();
  return bound.family() == Family::v6 && bound.ip.is_any() && !listener.v6_only;
}

}  // namespace

bool Host::has_family(Family family) const noexcept {
  return std::any_of(addresses.begin(), addresses.end(),
                     [&](const Ip& ip) { return ip.family == family; });
}

bool Host::owns(const Ip& ip) const noexcept {
  return ip.is_loopback() || std::find(addresses.begin(), addresses.end(), ip) != addresses.end();
}

// --- Listening ---

int Network::check_address(Host& host, const Listener& listener) const {
  const Endpoint& bound = listener.bound;
  if (bound.family() == Family::local) return bound.path.empty() ? -EINVAL : 0;
  return bound.ip.is_any() || host.owns(bound.ip.unmapped()) ? 0 : -EADDRNOTAVAIL;
}

bool Network::port_taken(const Host& host, std::uint16_t port) const {
  return std::any_of(host.listeners.begin(), host.listeners.end(),
                     [&](const Listener* listener) { return listener->bound.port == port; });
}

std::uint16_t Network::free_port(Host& host) {
  for (int tries = k_first_port; tries <= k_last_port; ++tries) {
    const std::uint16_t port = host.next_port;
    host.next_port = port >= k_last_port ? k_first_port : static_cast<std::uint16_t>(port + 1);
    if (!port_taken(host, port)) return port;
  }
  return 0;
}

int Network::listen(Host& host, Listener& listener) {
  if (const int error = check_address(host, listener)) return error;
  if (listener.bound.family() != Family::local && listener.bound.port == 0) {
    listener.bound.port = free_port(host);
    if (listener.bound.port == 0) return -EADDRINUSE;
  }
  for (const Listener* other : host.listeners) {
    const bool may_share = other->reuse_port && listener.reuse_port;
    if (overlap(*other, listener) && !may_share) return -EADDRINUSE;
  }
  host.listeners.push_back(&listener);
  return 0;
}

void Network::unlisten(Host& host, Listener& listener) {
  std::erase(host.listeners, &listener);
  for (const auto& connection : listener.queue) {
    connection->reset();
    connection->close(1);
  }
  listener.queue.clear();
}

Listener* Network::find_listener(Host& host, const Endpoint& to) {
  std::vector<Listener*> exact;
  std::vector<Listener*> any;
  for (Listener* listener : host.listeners) {
    if (!accepts(*listener, to)) continue;
    (listener->bound.ip.is_any() && to.family() != Family::local ? any : exact).push_back(listener);
  }
  std::vector<Listener*>& found = exact.empty() ? any : exact;
  if (found.empty()) return nullptr;
  // Several share a port: the kernel spreads by a hash, here by a draw.
  return found[world_.choose(Random::k_network, "reuse_port", found.size())];
}

// --- Connecting ---

Host* Network::find(const Ip& ip, Host& from) {
  if (ip.is_any() || from.owns(ip)) return &from;
  for (Host& host : world_.hosts()) {
    if (!ip.is_loopback() && host.owns(ip)) return &host;
  }
  return nullptr;
}

void Network::dial(const std::shared_ptr<Dial>& dial) {
  dial->started = world_.now();
  dial->asked = dial->to;
  if (dial->to.family() == Family::none) return finish(dial, Duration::zero(), -EAFNOSUPPORT);
  if (dial->to.family() == Family::local) {
    dial->target = dial->from;
    return arrive(dial);
  }
  Ip& ip = dial->to.ip;
  ip = ip.unmapped();
  if (ip.is_any()) ip = Ip::loopback(ip.family);
  dial->target = find(ip, *dial->from);
  if (!dial->target) {
    if (!dial->from->has_family(ip.family)) return finish(dial, Duration::zero(), -ENETUNREACH);
    return finish(dial, k_unreachable_after, -EHOSTUNREACH);
  }
  const Duration latency = link(dial->from->index, dial->target->index).latency;
  world_.after(latency, [this, dial] { arrive(dial); });
}

void Network::arrive(const std::shared_ptr<Dial>& dial) {
  if (dial->abandoned) return;
  const bool is_local = dial->to.family() == Family::local;
  const int from = dial->from->index;
  const int to = dial->target->index;
  if (!is_local && (blocked(from, to) || blocked(to, from))) return retry(dial);
  const Duration back = is_local ? Duration::zero() : link(to, from).latency;
  Listener* listener = find_listener(*dial->target, dial->to);
  if (!listener) {
    const bool is_path = is_local && !dial->to.path.empty() && dial->to.path[0] != '\0';
    return finish(dial, back, is_path ? -ENOENT : -ECONNREFUSED);
  }
  if (listener->queue.size() >= listener->backlog) return retry(dial);
  admit(dial, *listener);
  finish(dial, back, 0);
}

void Network::retry(const std::shared_ptr<Dial>& dial) {
  const std::int64_t last = dial->started + k_connect_timeout.count();
  const std::int64_t next = world_.now() + dial->backoff.count();
  if (next > last) return finish(dial, Duration(last - world_.now()), -ETIMEDOUT);
  dial->backoff *= 2;
  world_.at(next, [this, dial] { arrive(dial); });
}

void Network::admit(const std::shared_ptr<Dial>& dial, Listener& listener) {
  const bool is_local = dial->to.family() == Family::local;
  const auto kind = is_local ? Connection::Kind::local : Connection::Kind::tcp;
  auto connection = make(kind, dial->from->index, dial->target->index);
  name_ends(*dial, listener, *connection);
  dial->connection = connection;
  listener.queue.push_back(std::move(connection));
  if (listener.owner) listener.owner->touch();
}

void Network::name_ends(Dial& dial, const Listener& listener, Connection& connection) {
  connection.peer[0] = dial.asked;
  connection.local[1] = dial.to;
  if (dial.to.family() == Family::local) {
    connection.local[0].ip.family = connection.peer[1].ip.family = Family::local;
    return;
  }
  Endpoint source{.ip = dial.to.ip, .port = free_port(*dial.from), .path = {}};
  if (dial.target != dial.from) {
    for (const Ip& ip : dial.from->addresses) {
      if (ip.family != dial.to.family()) continue;
      source.ip = ip;
      break;
    }
  }
  connection.local[0] = connection.peer[1] = source;
  if (dial.asked.ip.is_any()) connection.peer[0].ip = dial.to.ip;
  if (dial.asked.family() == Family::v6) connection.local[0].ip = source.ip.mapped();
  if (listener.bound.family() == Family::v6) {
    connection.local[1].ip = dial.to.ip.mapped();
    connection.peer[1].ip = source.ip.mapped();
  }
}

void Network::finish(const std::shared_ptr<Dial>& dial, Duration delay, int result) {
  world_.after(delay, [dial, result] {
    if (dial->abandoned || dial->result != Dial::k_pending) return;
    dial->result = result;
    if (dial->owner) dial->owner->touch();
  });
}

void Network::abandon(Dial& dial) {
  dial.abandoned = true;
  dial.owner = nullptr;
  if (dial.connection) std::exchange(dial.connection, nullptr)->close(0);
}

std::shared_ptr<Connection> Network::make(Connection::Kind kind, int a, int b) {
  const std::uint64_t id = next_connection_++;
  auto made = std::make_shared<Connection>(world_, kind, id, a, b);
  connections_.emplace(id, made);
  return made;
}

std::shared_ptr<Connection> Network::pair(Host& host, Connection::Kind kind) {
  auto made = make(kind, host.index, host.index);
  for (int side = 0; side < 2; ++side) {
    made->local[side].ip.family = made->peer[side].ip.family = Family::local;
  }
  return made;
}

// --- Lines ---

const SimLink& Network::link(int a, int b) const {
  const auto found = links_.find(std::minmax(a, b));
  return found == links_.end() ? world_.faults().link : found->second;
}

void Network::set_link(int a, int b, const SimLink& link) {
  links_.insert_or_assign(std::minmax(a, b), link);
}

bool Network::blocked(int from, int to) const {
  const auto down = [&](int index) { return world_.hosts()[static_cast<std::size_t>(index)].down; };
  return down(from) || down(to) || cuts_.contains({from, to});
}

void Network::partition(int from, int to, bool both_ways) {
  cuts_.insert({from, to});
  if (both_ways) cuts_.insert({to, from});
}

void Network::heal() {
  cuts_.clear();
  kick();
}

void Network::heal(int a, int b) {
  cuts_.erase({a, b});
  cuts_.erase({b, a});
  kick();
}

std::vector<std::shared_ptr<Connection>> Network::connections(int a, int b) {
  std::vector<std::shared_ptr<Connection>> found;
  std::erase_if(connections_, [&](const auto& entry) {
    auto connection = entry.second.lock();
    if (!connection) return true;
    const int x = connection->host(0);
    const int y = connection->host(1);
    const auto fits = [](int wanted, int host) { return wanted < 0 || wanted == host; };
    const bool wanted = (fits(a, x) && fits(b, y)) || (fits(a, y) && fits(b, x));
    if (wanted) found.push_back(std::move(connection));
    return false;
  });
  return found;
}

void Network::kick() {
  for (const auto& connection : connections(-1, -1)) connection->kick();
}

}  // namespace rondo::io::sim
