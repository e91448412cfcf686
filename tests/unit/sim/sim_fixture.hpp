// SPDX-License-Identifier: Apache-2.0
// Nodes: simulated hosts driven by bare operations, without loops.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "driver_fixture.hpp"
#include "io/sim/endpoint.hpp"
#include "io/sim/sim_driver.hpp"

#include "rondo/io/socket_ops.hpp"

namespace rondo::io::sim {

using namespace std::chrono_literals;
using io::testing::Recorded;
using io::testing::Sink;

class Nodes {
 public:
  explicit Nodes(std::uint64_t seed = 1, const SimFaults& faults = {}) : world(seed, faults) {}
  ~Nodes() {
    // Only the ends of operations are waited for: connections may be held for ever.
    for (auto& driver : drivers) driver->crash(SimDriver::Crash::process);
    settle();
  }

  SimDriver& add(const std::string& name, const std::string& address,
                 SimDriverSetup setup = {.buffer_count = 64, .buffer_size = 1'024}) {
    setup.stepped = true;
    auto& host = world.add_host(name, {address});
    return *drivers.emplace_back(std::make_unique<SimDriver>(world, host, setup));
  }

  void turn() {
    world.run_due();
    for (auto& driver : drivers) driver->wait(Wait::poll, {});
  }
  bool busy() const {
    for (const auto& driver : drivers) {
      if (driver->has_work()) return true;
    }
    return world.next_event() <= world.now();
  }
  /// Runs what happens without time moving.
  void settle() {
    for (int turns = 0; busy(); ++turns) {
      ASSERT_LT(turns, 100'000) << "the simulated hosts do not come to rest";
      turn();
    }
  }
  void run_for(Duration time) {
    const std::int64_t end = world.now() + time.count();
    settle();
    while (world.next_event() <= end) {
      world.advance_to(world.next_event());
      settle();
    }
    world.advance_to(end);
  }
  template <class F>
  bool until(F&& done, Duration limit) {
    const std::int64_t end = world.now() + limit.count();
    settle();
    while (!done()) {
      if (world.next_event() > end) return false;
      world.advance_to(world.next_event());
      settle();
    }
    return true;
  }

  static Address address(const std::string& ip, std::uint16_t port) {
    return Endpoint{.ip = *Ip::parse(ip), .port = port, .path = {}}.to_address();
  }
  static Address path(const std::string& name) {
    return Endpoint{.ip = {.family = Family::local}, .port = 0, .path = name}.to_address();
  }
  static std::uint16_t port(const Address& address) { return Endpoint::from(address)->port; }

  int listen(SimDriver& driver, const Address& at, int backlog = 16) {
    Recorded<ListenOp> op;
    op.address = at;
    op.backlog = backlog;
    driver.submit(op);
    return op.result();
  }
  template <class Op>
  std::int32_t now(SimDriver& driver, Op& op) {
    op.got.clear();
    driver.submit(op);
    settle();
    return op.result();
  }
  void close(SimDriver& driver, int fd) {
    Recorded<CloseOp> op;
    op.fd = fd;
    EXPECT_EQ(now(driver, op), 0);
  }
  /// What send took, or its error; INT32_MIN while it waits (then it is withdrawn).
  std::int32_t send(SimDriver& driver, int fd, std::string_view text) {
    Recorded<SendOp> op;
    op.fd = fd;
    op.data = rondo::as_bytes(text).data();
    op.size = text.size();
    const std::int32_t result = now(driver, op);
    if (op.in_flight()) {
      driver.cancel(op);
      settle();
    }
    return result;
  }

  struct Link {
    SimDriver& a;
    SimDriver& b;
    int near;      ///< the dialler's end, on a
    int far;       ///< the listener's end, on b
    int listener;  ///< on b
  };
  /// Two hosts "a" (10.0.0.1) and "b" (10.0.0.2) with a connection from a to b.
  Link link() {
    SimDriver& a = add("a", "10.0.0.1");
    SimDriver& b = add("b", "10.0.0.2");
    const int listener = listen(b, address("10.0.0.2", 7'000));
    Recorded<AcceptOp> accept;
    accept.fd = listener;
    b.submit(accept);
    Recorded<ConnectOp> dial;
    dial.address = address("10.0.0.2", 7'000);
    a.submit(dial);
    EXPECT_TRUE(until([&] { return dial.ended() && !accept.got.empty(); }, 10s));
    if (accept.in_flight()) b.cancel(accept);
    settle();
    return {a, b, dial.result(), accept.got.front().result, listener};
  }

  World world;
  std::vector<std::unique_ptr<SimDriver>> drivers;
};

/// A Sink that withdraws its receive at its end.
struct Reader : Sink {
  Reader(Nodes& with, SimDriver& on, int from) : Sink(on, from), nodes(with) {}
  ~Reader() {
    // A Sink whose receive ended in data submits again.
    while (in_flight()) {
      driver.cancel(*this);
      nodes.settle();
    }
  }
  Nodes& nodes;
};

}  // namespace rondo::io::sim
