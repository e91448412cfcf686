// SPDX-License-Identifier: Apache-2.0
// A world runs in turns: every host that has something to do does one iteration, in a drawn
// order, until none has; then the clock moves to the next event, timer or limit.
#include "rondo/testing/sim_world.hpp"

#include <algorithm>
#include <cstdio>
#include <deque>
#include <exception>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "io/sim/sim_driver.hpp"
#include "rondo/core/loop_ref.hpp"
#include "testing/ready_order.hpp"
#include "testing/sim_programs.hpp"

namespace rondo::testing {
namespace {

using io::sim::Connection;
using io::sim::Random;
using io::sim::SimDriver;

// What tasks get to unwind in when a world ends.
constexpr Duration k_unwind_max = std::chrono::seconds(1'000);

/// One loop of a process and its root tasks. A crashed one unwinds beside its successor.
class Machine {
 public:
  Machine(io::sim::World& world, io::sim::Host& host, const SimWorldOptions& options,
          int loop_index)
      : world_(world) {
    auto made =
        std::make_unique<SimDriver>(world, host,
                                    io::sim::SimDriverSetup{.buffer_count = options.buffer_count,
                                                            .buffer_size = options.buffer_size,
                                                            .stepped = true,
                                                            .loop_index = loop_index});
    driver_ = made.get();
    LoopOptions with;
    with.own_driver = std::move(made);
    with.ready_order = make_ready_order(options.order, world);
    loop_ = std::make_unique<Loop>(std::move(with));
  }
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;
  ~Machine() {
    // What its streams have in flight may need time to end, and nobody steps it any more.
    driver_->set_stepped(false);
    loop_.reset();
  }

  void start(MoveFn<Task<>()>& make) {
    Loop::Entered entered(*loop_);
    auto& root = *roots_.emplace_back(std::make_unique<Root>());
    root.start(
        make(), [](detail::Chain& chain, detail::End how) { static_cast<Root&>(chain).over(how); },
        nullptr);
  }

  bool has_turn() const {
    return again_ || loop_->has_ready() || driver_->has_work() || next_deadline() <= world_.now();
  }
  std::int64_t next_deadline() const { return loop_->next_deadline().time_since_epoch().count(); }

  /// One iteration. What a root threw comes back.
  std::exception_ptr turn() {
    const std::uint64_t before = driver_->statistics().completions;
    loop_->poll();
    // A loop that was given completions turns once more before it sleeps: its prepare hooks do
    // what the completions have left to them.
    again_ = driver_->statistics().completions != before;
    Loop::Entered entered(*loop_);
    std::exception_ptr thrown;
    std::erase_if(roots_, [&](const std::unique_ptr<Root>& root) {
      if (!root->finished) return false;
      if (root->how == detail::End::exception) {
        try {
          root->take();
        } catch (...) {
          thrown = std::current_exception();
        }
      }
      return true;
    });
    return thrown;
  }
  void cancel_all() {
    Loop::Entered entered(*loop_);
    loop_->cancel_all();
  }
  void join(detail::LoopGroup& group) {
    Loop::Entered entered(*loop_);
    detail::join_group(group);
  }
  bool is_empty() const { return live_tasks() == 0 && roots_.empty(); }
  std::size_t live_tasks() const { return loop_->statistics().live_tasks; }
  Loop& loop() { return *loop_; }
  SimDriver& driver() { return *driver_; }

 private:
  using Root = detail::Branch<void>;

  io::sim::World& world_;
  SimDriver* driver_;
  bool again_ = false;
  std::unique_ptr<Loop> loop_;
  std::vector<std::unique_ptr<Root>> roots_;
};

}  // namespace

struct SimHost::State {
  io::sim::World* world;
  io::sim::Host* host;
  SimPrograms children;                          // Outlives the loops.
  std::unique_ptr<Machine> machine;              // The process's first loop. Null while down.
  std::vector<std::unique_ptr<Machine>> others;  // Its further loops.
  std::size_t loops = 1;
  std::deque<MoveFn<Task<>()>> programs;  // Their addresses stay: frames refer to captures.
};

struct SimWorld::State {
  explicit State(const SimWorldOptions& given) : options(given), world(given.seed, given.faults) {}

  SimHost* find(std::string_view name) {
    for (auto& host : hosts) {
      if (host.name() == name) return &host;
    }
    return nullptr;
  }
  int index(std::string_view name) {
    const io::sim::Host* host = world.find_host(name);
    RONDO_ASSERT(host, "there is no simulated host of that name");
    return host->index;
  }
  std::vector<std::shared_ptr<Connection>> between(std::string_view a, std::string_view b) {
    return world.network().connections(index(a), index(b));
  }

  std::vector<Machine*> machines() {
    std::vector<Machine*> all;
    for (const auto& host : hosts) {
      if (host.state_->machine) all.push_back(host.state_->machine.get());
      for (const auto& machine : host.state_->others) all.push_back(machine.get());
    }
    for (const auto& machine : crashed) all.push_back(machine.get());
    return all;
  }

  /// One iteration of every host that has something to do; false when none had.
  bool turn() {
    world.run_due();
    std::vector<Machine*> ready;
    for (Machine* machine : machines()) {
      if (machine->has_turn()) ready.push_back(machine);
    }
    for (std::size_t left = ready.size(); left > 1 && options.order != SimOrder::fifo; --left) {
      std::swap(ready[left - 1], ready[world.choose(Random::k_scheduler, "host", left)]);
    }
    for (Machine* machine : ready) {
      if (std::exception_ptr thrown = machine->turn(); thrown && !error) error = thrown;
    }
    std::erase_if(crashed, [](const auto& machine) { return machine->is_empty(); });
    return !ready.empty();
  }

  std::int64_t next_instant(std::int64_t end) {
    std::int64_t next = std::min(end, world.next_event());
    for (const Machine* machine : machines()) next = std::min(next, machine->next_deadline());
    return std::max(next, world.now());
  }

  template <class F>
  bool run(F&& done, Duration limit) {
    const std::int64_t end =
        deadline_after(TimePoint(Duration(world.now())), limit).time_since_epoch().count();
    while (true) {
      if (error) std::rethrow_exception(std::exchange(error, nullptr));
      if (done()) return true;
      if (turn()) continue;
      if (world.now() >= end) return false;
      world.advance_to(next_instant(end));
    }
  }

  /// What a Runtime does for its loops.
  void form_group(SimHost::State& host) {
    auto* group = new detail::LoopGroup(host.loops);
    group->refs[0] = host.machine->loop().ref();
    for (std::size_t i = 1; i < host.loops; ++i) group->refs[i] = host.others[i - 1]->loop().ref();
    host.machine->join(*group);
    for (auto& machine : host.others) machine->join(*group);
    group->drop();
  }
  void boot(SimHost::State& host) {
    host.machine = std::make_unique<Machine>(world, *host.host, options, 0);
    for (std::size_t i = 1; i < host.loops; ++i) {
      host.others.push_back(
          std::make_unique<Machine>(world, *host.host, options, static_cast<int>(i)));
    }
    form_group(host);
    host.children.attach(host.machine->driver());
    for (auto& machine : host.others) host.children.attach(machine->driver());
    for (auto& program : host.programs) host.machine->start(program);
  }
  void crash(std::string_view name, SimDriver::Crash how) {
    SimHost* host = find(name);
    RONDO_ASSERT(host, "there is no simulated host of that name");
    if (!host->state_->machine) return;
    // Its wires first, so that nothing it does while it unwinds reaches anybody.
    if (how == SimDriver::Crash::power) host->state_->host->down = true;
    std::vector<std::unique_ptr<Machine>> process = std::move(host->state_->others);
    host->state_->others.clear();
    process.insert(process.begin(), std::move(host->state_->machine));
    for (auto& machine : process) machine->driver().crash(how);
    io::sim::Disk& disk = *host->state_->host->disk;
    how == SimDriver::Crash::power ? disk.lose_power() : disk.end_process();
    for (auto& machine : process) {
      machine->cancel_all();
      crashed.push_back(std::move(machine));
    }
  }

  SimWorldOptions options;
  io::sim::World world;
  std::deque<SimHost> hosts;
  std::vector<std::unique_ptr<Machine>> crashed;
  std::exception_ptr error;
};

// --- SimHost ---

SimHost::SimHost(Owned<State> state) : state_(std::move(state)) {}
SimHost::~SimHost() = default;

void SimHost::start(MoveFn<Task<>()> make) {
  auto& program = state_->programs.emplace_back(std::move(make));
  if (state_->machine) state_->machine->start(program);
}

Loop& SimHost::loop() noexcept {
  RONDO_ASSERT(state_->machine, "a simulated host that is down has no loop");
  return state_->machine->loop();
}

void SimHost::request_stop() { loop().request_stop(); }

void SimHost::raise(int signal) {
  if (state_->machine) state_->machine->driver().raise(signal);
}

SimDisk SimHost::disk() { return {*state_->world, *state_->host}; }
void SimHost::program(std::string name, SimProgram play) {
  state_->children.add(std::move(name), std::move(play));
}

void SimHost::jump_wall_clock(Duration by) { state_->host->wall_offset += by; }
bool SimHost::is_up() const noexcept { return state_->machine != nullptr; }
const std::string& SimHost::name() const noexcept { return state_->host->name; }

std::size_t SimHost::live_tasks() const noexcept {
  std::size_t live = state_->machine ? state_->machine->live_tasks() : 0;
  for (const auto& machine : state_->others) live += machine->live_tasks();
  return live;
}

// --- SimWorld ---

SimWorld::SimWorld(SimWorldOptions options) : state_(std::make_unique<State>(options)) {}

SimWorld::~SimWorld() {
  for (Machine* machine : state_->machines()) machine->cancel_all();
  const auto all_ended = [&] {
    state_->error = nullptr;  // Nobody is left to hear of it.
    const auto machines = state_->machines();
    return std::all_of(machines.begin(), machines.end(),
                       [](const Machine* machine) { return machine->is_empty(); });
  };
  if (!state_->run(all_ended, k_unwind_max)) {
    for (Machine* machine : state_->machines()) {
      std::fputs(machine->loop().describe_tasks().c_str(), stderr);
    }
    RONDO_ASSERT(false, "tasks of a simulated world do not end though they were cancelled");
  }
}

SimHost& SimWorld::host(std::string_view name, std::string_view address,
                        std::string_view second_address) {
  SimHost& made = host(name, address);
  const auto second = io::sim::Ip::parse(second_address);
  RONDO_ASSERT(second.has_value(), "a simulated host needs numeric addresses: \"10.0.0.1\"");
  made.state_->host->addresses.push_back(*second);
  return made;
}

SimHost& SimWorld::host(std::string_view name, std::string_view address, std::size_t loops) {
  RONDO_ASSERT(loops >= 1, "a process has at least one loop");
  auto state = std::make_unique<SimHost::State>();
  state->loops = loops;
  state->world = &state_->world;
  state->host = &state_->world.add_host(std::string(name), {std::string(address)});
  state_->boot(*state);
  return state_->hosts.emplace_back(std::move(state));
}

void SimWorld::name(std::string_view name, const SimName& answers) {
  io::sim::HostName known{.name = std::string(name),
                          .addresses = {},
                          .v4_delay = answers.v4_delay,
                          .v6_delay = answers.v6_delay};
  for (const std::string_view text : answers.addresses) {
    const auto ip = io::sim::Ip::parse(text);
    RONDO_ASSERT(ip.has_value(), "a simulated name needs numeric addresses: \"10.0.0.1\"");
    known.addresses.push_back(*ip);
  }
  state_->world.add_name(std::move(known));
}

SimHost& SimWorld::host(std::string_view name) {
  SimHost* found = state_->find(name);
  RONDO_ASSERT(found, "there is no simulated host of that name");
  return *found;
}

void SimWorld::run_for(Duration time) {
  state_->run([] { return false; }, time);
}

bool SimWorld::run_until(MoveFn<bool()> done, Duration limit) {
  return state_->run([&] { return done(); }, limit);
}

Duration SimWorld::now() const noexcept { return Duration(state_->world.now()); }
std::uint64_t SimWorld::seed() const noexcept { return state_->world.seed(); }
std::uint64_t SimWorld::trace_hash() const noexcept { return state_->world.trace_hash(); }

std::uint64_t SimWorld::choose(std::string_view site, std::uint64_t n) {
  return state_->world.choose(Random::k_workload, site, n);
}

void SimWorld::partition(std::string_view a, std::string_view b) {
  state_->world.network().partition(state_->index(a), state_->index(b), true);
}

void SimWorld::partition_one_way(std::string_view from, std::string_view to) {
  state_->world.network().partition(state_->index(from), state_->index(to), false);
}

void SimWorld::cut(std::string_view a, std::string_view b) {
  partition(a, b);
  reset_connections(a, b);
}

void SimWorld::heal() { state_->world.network().heal(); }

void SimWorld::heal(std::string_view a, std::string_view b) {
  state_->world.network().heal(state_->index(a), state_->index(b));
}

void SimWorld::reset_connections(std::string_view a, std::string_view b) {
  for (const auto& connection : state_->between(a, b)) connection->reset();
}

void SimWorld::half_close(std::string_view from, std::string_view to) {
  for (const auto& connection : state_->between(from, to)) {
    connection->shut_write(connection->host(0) == state_->index(from) ? 0 : 1);
  }
}

void SimWorld::stall(std::string_view a, std::string_view b, Duration time) {
  for (const auto& connection : state_->between(a, b)) connection->stall(time);
}

void SimWorld::black_hole(std::string_view from, std::string_view to) {
  for (const auto& connection : state_->between(from, to)) {
    connection->black_hole(connection->host(0) == state_->index(from) ? 0 : 1);
  }
}

void SimWorld::set_link(std::string_view a, std::string_view b, const io::SimLink& link) {
  state_->world.network().set_link(state_->index(a), state_->index(b), link);
}

void SimWorld::set_faults(const io::SimFaults& faults) { state_->world.set_faults(faults); }

void SimWorld::calm() {
  state_->world.network().clear_links();
  state_->world.set_faults({});
  heal();
  for (SimHost& host : state_->hosts) {
    if (!host.is_up()) restart(host.name());
  }
}

void SimWorld::crash(std::string_view name) { state_->crash(name, SimDriver::Crash::process); }
void SimWorld::power_off(std::string_view name) { state_->crash(name, SimDriver::Crash::power); }

void SimWorld::restart(std::string_view name) {
  SimHost& up = host(name);
  RONDO_ASSERT(!up.is_up(), "a simulated host is restarted while it is up: crash it first");
  up.state_->host->down = false;
  state_->world.network().kick();
  state_->boot(*up.state_);
}

}  // namespace rondo::testing
