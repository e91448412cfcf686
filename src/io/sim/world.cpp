// SPDX-License-Identifier: Apache-2.0
#include "io/sim/world.hpp"

#include <algorithm>
#include <utility>

#include "rondo/base/assert.hpp"
#include "rondo/base/simulation.hpp"

namespace rondo::io {

SimFaults SimFaults::draw(std::uint64_t seed) {
  sim::Random random(seed, sim::Random::k_faults);
  const auto on = [&] { return random.below(2) == 0; };
  const auto rate = [&](std::uint32_t most) {
    return on() ? 1 + static_cast<std::uint32_t>(random.below(most)) : 0;
  };
  const auto up_to = [&](Duration most) {
    if (!on()) return Duration::zero();
    return Duration(
        static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(most.count()))));
  };
  using std::chrono::milliseconds;
  SimFaults drawn;
  drawn.link.latency = up_to(milliseconds(100));
  drawn.link.jitter = up_to(milliseconds(50));
  if (on()) drawn.link.bandwidth = 65'536 + random.below(100'000'000);
  if (on()) drawn.link.capacity = 1'024U << random.below(8);
  drawn.link.cut_per_mille = rate(500);
  drawn.link.coalesce_per_mille = rate(500);
  drawn.link.short_send_per_mille = rate(300);
  drawn.link.reset_per_mille = rate(5);
  drawn.link.stall_per_mille = rate(10);
  drawn.link.black_hole_per_mille = rate(2);
  drawn.shuffle = on();
  drawn.cancel_races = on();
  drawn.accept_limit_per_mille = rate(30);
  drawn.accept_abort_per_mille = rate(30);
  drawn.no_buffers_per_mille = rate(100);
  drawn.end_multishot_per_mille = rate(100);
  drawn.resolve_fail_per_mille = rate(50);
  const SimDiskFaults disk = SimDiskFaults::draw(seed);
  drawn.disk.latency = disk.latency;
  drawn.disk.jitter = disk.jitter;
  drawn.disk.short_read_per_mille = disk.short_read_per_mille;
  drawn.disk.short_write_per_mille = disk.short_write_per_mille;
  // Last: what was drawn before keeps its place in the seed's numbers.
  drawn.link.loss_per_mille = rate(100);
  drawn.link.duplicate_per_mille = rate(50);
  drawn.link.reorder_per_mille = rate(200);
  return drawn;
}

SimDiskFaults SimDiskFaults::draw(std::uint64_t seed) {
  // Of a stream of its own: a new fault here moves none of the network's.
  sim::Random random(seed, sim::Random::k_disk);
  const auto on = [&] { return random.below(2) == 0; };
  const auto rate = [&](std::uint32_t most) {
    return on() ? 1 + static_cast<std::uint32_t>(random.below(most)) : 0;
  };
  const auto up_to = [&](std::uint64_t most_us) {
    return on() ? Duration(std::chrono::microseconds(random.below(most_us))) : Duration::zero();
  };
  return {.latency = up_to(5'000),
          .jitter = up_to(20'000),
          .read_error_per_mille = rate(5),
          .write_error_per_mille = rate(10),
          .sync_error_per_mille = rate(30),
          .short_read_per_mille = rate(200),
          .short_write_per_mille = rate(200),
          .open_limit_per_mille = rate(20)};
}

namespace sim {
namespace {

std::uint64_t hash_text(std::string_view text) noexcept {
  TraceHash hash;
  for (const char c : text) hash.add(static_cast<unsigned char>(c));
  return hash.value();
}

// 2026-01-01T00:00:00Z, where simulated wall clocks begin.
constexpr std::int64_t k_wall_start = 1'767'225'600'000'000'000;

// The world that RONDO_FAULT sites of this thread ask: the youngest.
constinit thread_local World* g_world = nullptr;

bool code_fault(const char* name, std::uint32_t per_mille) {
  return g_world->faults().code_faults && g_world->chance(name, per_mille);
}

}  // namespace

World::World(std::uint64_t seed, const SimFaults& faults)
    : seed_(seed), faults_(faults), network_(*this) {
  for (std::uint64_t stream = Random::k_scheduler; stream <= Random::k_disk; ++stream) {
    streams_.emplace_back(seed, stream);
  }
  g_world = this;
  rondo::detail::simulation.fault = code_fault;
}

World::~World() {
  if (g_world != this) return;
  g_world = nullptr;
  rondo::detail::simulation.fault = nullptr;
}

void World::set_faults(const SimFaults& faults) {
  faults_ = faults;
  network_.kick();
}

EventQueue::Id World::at(std::int64_t time, MoveFn<void()> action) {
  const std::uint64_t tie = faults_.shuffle ? 1 + choose(Random::k_scheduler, "tie", 1'000'000) : 0;
  return events_.add(std::max(time, now_), tie, std::move(action));
}

std::int64_t World::wall_time(const Host& host) const noexcept {
  return k_wall_start + now_ + host.wall_offset.count();
}

void World::after(Duration delay, MoveFn<void()> action) {
  if (delay <= Duration::zero()) return action();
  at(now_ + delay.count(), std::move(action));
}

void World::advance_to(std::int64_t time) {
  RONDO_ASSERT(time >= now_, "sim: time would run backwards");
  RONDO_ASSERT(time <= next_event(), "sim: an event would be jumped over");
  now_ = time;
}

bool World::run_due() {
  bool ran = false;
  while (events_.next_time() <= now_) {
    events_.pop()();
    ran = true;
  }
  return ran;
}

std::uint64_t World::choose(Random::Stream which, std::string_view site, std::uint64_t n) {
  if (n < 2) return 0;
  const std::uint64_t choice = stream(which).below(n);
  trace_.add(hash_text(site));
  trace_.add(choice);
  return choice;
}

void World::record(std::uint64_t host, std::uint64_t what, std::uint64_t size) {
  trace_.add(static_cast<std::uint64_t>(now_));
  trace_.add(host);
  trace_.add(what);
  trace_.add(size);
}

Host& World::add_host(std::string name, const std::vector<std::string>& addresses) {
  RONDO_ASSERT(!find_host(name), "two simulated hosts have one name");
  Host& host = hosts_.emplace_back();
  host.index = static_cast<int>(hosts_.size()) - 1;
  host.name = std::move(name);
  host.disk = std::make_unique<Disk>(*this);
  for (const std::string& text : addresses) {
    const auto ip = Ip::parse(text);
    RONDO_ASSERT(ip.has_value(), "a simulated host needs numeric addresses: \"10.0.0.1\"");
    host.addresses.push_back(*ip);
  }
  return host;
}

Host* World::find_host(std::string_view name) noexcept {
  for (Host& host : hosts_) {
    if (host.name == name) return &host;
  }
  return nullptr;
}

const HostName* World::find_name(std::string_view name) const noexcept {
  for (const HostName& known : names_) {
    if (known.name == name) return &known;
  }
  return nullptr;
}

}  // namespace sim
}  // namespace rondo::io
