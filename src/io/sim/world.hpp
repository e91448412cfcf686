// SPDX-License-Identifier: Apache-2.0
// World: everything that several simulated hosts share: the clock, the events to come, the
// random streams, the network and the trace.
//
//   World world(seed, faults);
//   Host& server = world.add_host("server", {"10.0.0.1"});
//
// Time moves only in advance_to(), and whoever calls it has made sure that nothing is ready.
// Every decision goes through choose(), so that a run is a list of choices and one hash.
// Thread rule: one thread for all hosts of a world.
#pragma once

#include <cstdint>
#include <deque>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "io/sim/disk.hpp"
#include "io/sim/endpoint.hpp"
#include "io/sim/event_queue.hpp"
#include "io/sim/network.hpp"
#include "io/sim/random.hpp"
#include "rondo/base/move_fn.hpp"
#include "rondo/base/time.hpp"
#include "rondo/io/sim_faults.hpp"

namespace rondo::io::sim {

/// A name of the simulated host table beside those of the hosts, and how long its answers take.
struct HostName {
  std::string name;
  std::vector<Ip> addresses;
  Duration v4_delay{};
  Duration v6_delay{};
};

class World {
 public:
  World(std::uint64_t seed, const SimFaults& faults);
  World(const World&) = delete;
  World& operator=(const World&) = delete;
  ~World();

  std::uint64_t seed() const noexcept { return seed_; }
  const SimFaults& faults() const noexcept { return faults_; }
  /// From now on; connections that exist are subject to it too.
  void set_faults(const SimFaults& faults);

  void set_disk_faults(const SimDiskFaults& disk) noexcept { faults_.disk = disk; }

  // Time.
  std::int64_t now() const noexcept { return now_; }
  /// What a host's wall clock shows, in ns since 1970.
  std::int64_t wall_time(const Host& host) const noexcept;
  EventQueue::Id at(std::int64_t time, MoveFn<void()> action);
  /// Runs `action` after `delay`, at once when there is none.
  void after(Duration delay, MoveFn<void()> action);
  void forget(const EventQueue::Id& id) { events_.remove(id); }
  std::int64_t next_event() const noexcept { return events_.next_time(); }
  void advance_to(std::int64_t time);
  /// Runs the events that are due; true when there was one.
  bool run_due();

  // Chance.
  /// 0 .. n - 1 from one stream; `site` names the decision in the trace.
  std::uint64_t choose(Random::Stream stream, std::string_view site, std::uint64_t n);
  bool chance(std::string_view site, std::uint32_t per_mille) {
    return per_mille != 0 && choose(Random::k_faults, site, 1'000) < per_mille;
  }

  /// The same of the disks' own stream.
  bool disk_chance(std::string_view site, std::uint32_t per_mille) {
    return per_mille != 0 && choose(Random::k_disk, site, 1'000) < per_mille;
  }

  // The trace.
  void record(std::uint64_t host, std::uint64_t what, std::uint64_t size);
  std::uint64_t trace_hash() const noexcept { return trace_.value(); }

  // Hosts.
  Host& add_host(std::string name, const std::vector<std::string>& addresses);
  Host* find_host(std::string_view name) noexcept;
  void add_name(HostName name) { names_.push_back(std::move(name)); }
  const HostName* find_name(std::string_view name) const noexcept;
  std::deque<Host>& hosts() noexcept { return hosts_; }
  Network& network() noexcept { return network_; }

 private:
  Random& stream(Random::Stream which) noexcept {
    return streams_[static_cast<std::size_t>(which) - 1];
  }

  std::uint64_t seed_;
  SimFaults faults_;
  std::int64_t now_ = 0;
  std::vector<Random> streams_;
  TraceHash trace_;
  EventQueue events_;
  std::deque<Host> hosts_;  // A deque: a Host's address stays when others are added.
  std::vector<HostName> names_;
  Network network_;
};

}  // namespace rondo::io::sim
