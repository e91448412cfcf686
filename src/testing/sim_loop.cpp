// SPDX-License-Identifier: Apache-2.0
#include "rondo/testing/sim_loop.hpp"

#include <memory>

#include "io/sim/sim_driver.hpp"
#include "testing/ready_order.hpp"
#include "testing/sim_programs.hpp"

namespace rondo::testing {

struct SimLoop::State {
  explicit State(const SimLoopOptions& options)
      : world(options.seed, options.faults),
        host(world.add_host("local", {"10.0.0.1", "fd00::1"})) {
    auto made = std::make_unique<io::sim::SimDriver>(
        world, host,
        io::sim::SimDriverSetup{.buffer_count = options.buffer_count,
                                .buffer_size = options.buffer_size});
    driver = made.get();
    programs.attach(*driver);
    LoopOptions with;
    with.own_driver = std::move(made);
    with.ready_order = make_ready_order(options.order, world);
    loop = std::make_unique<Loop>(std::move(with));
  }

  io::sim::World world;
  io::sim::Host& host;
  io::sim::SimDriver* driver;
  SimPrograms programs;
  std::unique_ptr<Loop> loop;  // Last: goes first, with its driver.
};

SimLoop::SimLoop(SimLoopOptions options) : state_(std::make_unique<State>(options)) {}
SimLoop::~SimLoop() = default;

Loop& SimLoop::loop() noexcept { return *state_->loop; }
Duration SimLoop::now() const noexcept { return Duration(state_->world.now()); }
std::uint64_t SimLoop::seed() const noexcept { return state_->world.seed(); }
std::uint64_t SimLoop::trace_hash() const noexcept { return state_->world.trace_hash(); }
void SimLoop::set_faults(const io::SimFaults& faults) { state_->world.set_faults(faults); }
void SimLoop::raise(int signal) { state_->driver->raise(signal); }
void SimLoop::program(std::string name, SimProgram play) {
  state_->programs.add(std::move(name), std::move(play));
}
void SimLoop::jump_wall_clock(Duration by) { state_->host.wall_offset += by; }

SimDisk SimLoop::disk() noexcept { return {state_->world, state_->host}; }

void SimLoop::reset_connections() {
  for (const auto& connection : state_->world.network().connections(-1, -1)) connection->reset();
}

SimLoop::Descriptors SimLoop::make_pipe() {
  int fds[2] = {-1, -1};
  const int error = state_->driver->make_pipe(fds);
  RONDO_ASSERT(error == 0, "the simulated process has no descriptor left");
  return {fds[0], fds[1]};
}

SimLoop::Descriptors SimLoop::make_pair() {
  int fds[2] = {-1, -1};
  const int error = state_->driver->make_pair(fds);
  RONDO_ASSERT(error == 0, "the simulated process has no descriptor left");
  return {fds[0], fds[1]};
}

}  // namespace rondo::testing
