// SPDX-License-Identifier: Apache-2.0
// SimWorld: several hosts, each with its loop, on one simulated network and clock.
//
//   SimWorld world{{.seed = 7, .faults = io::SimFaults::draw(7)}};
//   SimHost& server = world.host("server", "10.0.0.1");
//   server.start([] { return serve(); });          // again after every restart
//   world.host("client", "10.0.0.2").start([] { return chat_with("10.0.0.1:7000"); });
//   world.run_for(10s);
//   world.partition("server", "client");  world.run_for(30s);  world.heal();
//   world.crash("server");  world.restart("server");
//
// world.host("server", "10.0.0.1", 4): a process with four loops, as a Runtime makes them.
// Tasks are roots: the first exception out of one is rethrown by run_for/run_until.
// Lifetime: the destructor cancels what is left on all hosts and runs until it has ended.
// Thread rule: one thread. Everything here may be called from a task of any host, except the
// calls that run the world.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "rondo/base/memory.hpp"
#include "rondo/base/move_fn.hpp"
#include "rondo/base/time.hpp"
#include "rondo/core/loop.hpp"
#include "rondo/core/task.hpp"
#include "rondo/io/sim_faults.hpp"
#include "rondo/testing/sim_disk.hpp"
#include "rondo/testing/sim_loop.hpp"

namespace rondo::testing {

struct SimWorldOptions {
  std::uint64_t seed = 0;
  io::SimFaults faults = {};
  SimOrder order = SimOrder::by_seed;
  std::uint32_t buffer_count = 1'024;  ///< receive buffers of each host
  std::uint32_t buffer_size = 4'096;
};

class SimHost {
 public:
  SimHost(const SimHost&) = delete;
  SimHost& operator=(const SimHost&) = delete;
  ~SimHost();

  /// Starts `make()` as a task of this host now, and again at each restart.
  void start(MoveFn<Task<>()> make);
  /// Asks everything on this host to finish (Loop::request_stop).
  void request_stop();
  void raise(int signal);
  /// Its disk: the same for every process it has.
  SimDisk disk();
  /// Plays the program `name` when it is spawned on this host, also after a restart.
  void program(std::string name, SimProgram play);
  /// Its wall clock jumps.
  void jump_wall_clock(Duration by);

  bool is_up() const noexcept;
  /// Tasks of this host that have not ended.
  std::size_t live_tasks() const noexcept;
  const std::string& name() const noexcept;
  /// The loop of the running process; the host must be up.
  Loop& loop() noexcept;

  struct State;
  explicit SimHost(Owned<State> state);

 private:
  friend class SimWorld;
  Owned<State> state_;
};

/// How a name of the simulated host table is answered.
struct SimName {
  std::vector<std::string_view> addresses;  ///< numeric, of both families
  Duration v4_delay{};                      ///< until the addresses of a family are known
  Duration v6_delay{};
};

class SimWorld {
 public:
  explicit SimWorld(SimWorldOptions options = {});
  SimWorld(const SimWorld&) = delete;
  SimWorld& operator=(const SimWorld&) = delete;
  ~SimWorld();

  /// Makes a host that is up and runs nothing yet. Its name resolves to `address`. Its process has
  /// `loops` loops, as rondo::run(main, {.loops = n}) makes them: what is started runs on the
  /// first, loops() and on() reach the others, and all of them take turns in this one thread.
  SimHost& host(std::string_view name, std::string_view address, std::size_t loops = 1);
  SimHost& host(std::string_view name, std::string_view address, std::string_view second_address);
  /// A further name that programs can resolve; its addresses may be anybody's or nobody's.
  void name(std::string_view name, const SimName& answers);
  /// The host of that name, which must exist.
  SimHost& host(std::string_view name);

  /// Runs all hosts for `time`.
  void run_for(Duration time);
  /// Runs until `done()` holds, at most for `limit`; says whether it does.
  bool run_until(MoveFn<bool()> done, Duration limit);

  Duration now() const noexcept;
  std::uint64_t seed() const noexcept;
  std::uint64_t trace_hash() const noexcept;
  /// A number 0 .. n - 1 for the test's own decisions, from the seed.
  std::uint64_t choose(std::string_view site, std::uint64_t n);

  // The network. Nothing passes a partition; TCP keeps trying, and heal() lets it through.
  void partition(std::string_view a, std::string_view b);
  void partition_one_way(std::string_view from, std::string_view to);
  /// A partition whose connections are reset at once.
  void cut(std::string_view a, std::string_view b);
  /// Ends every partition and black hole; what was held back arrives.
  void heal();
  void heal(std::string_view a, std::string_view b);
  void reset_connections(std::string_view a, std::string_view b);
  /// `from` ends its sending side on every connection to `to`.
  void half_close(std::string_view from, std::string_view to);
  /// Nothing arrives between the two for `time`.
  void stall(std::string_view a, std::string_view b, Duration time);
  /// What `from` sends to `to` on today's connections never arrives.
  void black_hole(std::string_view from, std::string_view to);
  void set_link(std::string_view a, std::string_view b, const io::SimLink& link);
  void set_faults(const io::SimFaults& faults);
  /// Phase two of a test: no fault any more, everything healed, every host up.
  void calm();

  // Processes (semantics.md 37: submissions become void, then the frames are destroyed).
  /// kill -9: the kernel lives and closes everything; peers see ends and resets.
  void crash(std::string_view name);
  /// Peers see silence until the host is back, then resets.
  void power_off(std::string_view name);
  void restart(std::string_view name);

 private:
  struct State;
  Owned<State> state_;
};

}  // namespace rondo::testing
