// SPDX-License-Identifier: Apache-2.0
// Delivering completions, and the clock of a host that is alone in its world.
#include "io/sim/sim_driver.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <utility>

#include "io/sim/descriptor.hpp"
#include "rondo/base/assert.hpp"

namespace rondo::io {

std::unique_ptr<Driver> make_sim_driver(const SimDriverOptions& options) {
  return std::make_unique<sim::SimDriver>(options);
}

namespace sim {
namespace {

constexpr std::uint8_t k_settled = 1;  // driver_flags: the terminal completion is due
constexpr int k_first_fd = 1 << 20;
constexpr int k_fds_per_host = 1 << 16;
constexpr int k_fds_per_loop_index = 1 << 26;  // Beyond those of a thousand hosts.
// A loop that turns so often without time moving waits for something that never comes.
constexpr std::uint64_t k_idle_turns_max = 5'000'000;

}  // namespace

SimDriver::SimDriver(World& world, Host& host, const SimDriverSetup& setup)
    : Driver(setup.buffer_count, setup.buffer_size),
      world_(world),
      host_(host),
      setup_(setup),
      user_random_(world.seed() + static_cast<std::uint64_t>(host.index) + (host.boots++ << 32),
                   Random::k_user),
      first_fd_(k_first_fd + host.index * k_fds_per_host +
                setup.loop_index * k_fds_per_loop_index),
      self_(std::make_shared<SimDriver*>(this)) {
  handle_files();
}

SimDriver::SimDriver(const SimDriverOptions& options)
    : Driver(options.buffer_count, options.buffer_size),
      own_world_(std::make_unique<World>(options.seed, options.faults)),
      world_(*own_world_),
      host_(world_.add_host(options.host, options.addresses)),
      user_random_(options.seed, Random::k_user),
      first_fd_(k_first_fd),
      self_(std::make_shared<SimDriver*>(this)) {
  handle_files();
}

SimDriver::~SimDriver() {
  RONDO_ASSERT(in_flight_ == 0 || inherited(),
               "a simulated driver was destroyed with operations in flight");
  close_all(false);
}

/// By the kind's name, not its number: a replay's hash stays when a kind is added to the list.
void SimDriver::record(OpKind kind, std::int32_t result) {
  std::uint64_t name = 14'695'981'039'346'656'037ULL;  // FNV-1a
  for (const char* at = op_name(kind); *at != '\0'; ++at) {
    name = (name ^ static_cast<unsigned char>(*at)) * 1'099'511'628'211ULL;
  }
  world_.record(static_cast<std::uint64_t>(host_.index), name, static_cast<std::uint64_t>(result));
}

void SimDriver::submit(Operation& op) {
  RONDO_ASSERT(op.state == OpState::idle, "an operation was submitted twice");
  RONDO_ASSERT(op.on_complete, "an operation was submitted without on_complete");
  ++op.generation;
  note_submitted(op);
  if (is_immediate(op.kind)) {
    const std::int32_t result = void_ ? void_result(op.kind) : immediate(op);
    record(op.kind, result);
    const Completion done{.result = result};
    note_completed(op, done);
    return op.on_complete(op, done);
  }
  op.state = OpState::submitted;
  op.driver_flags = 0;
  ++in_flight_;
  if (void_) {
    finish(op, void_result(op.kind));
  } else {
    start(op);
  }
}

void SimDriver::cancel(Operation& op) {
  if (op.state != OpState::submitted) return;  // Ended already, or asked already.
  op.state = OpState::cancelling;
  if (op.driver_flags & k_settled) return;
  // Both may have come at one instant: the data first, unless the seed says otherwise.
  const bool request_first =
      world_.faults().cancel_races && world_.choose(Random::k_scheduler, "cancel first", 2) == 1;
  if (!request_first) progress();
  if (op.driver_flags & k_settled) return;
  if (withdraw(op)) finish(op, -ECANCELED);
}

// The terminal completion of `op`; true, for those who say whether an operation has left.
bool SimDriver::finish(Operation& op, std::int32_t result, std::uint16_t buffer) {
  RONDO_ASSERT(!(op.driver_flags & k_settled), "sim: an operation would complete twice");
  op.driver_flags |= k_settled;
  due_.push_back({&op, {.result = result, .buffer = buffer, .more = false}});
  return true;
}

void SimDriver::give(Operation& op, std::int32_t result, std::uint16_t buffer) {
  due_.push_back({&op, {.result = result, .buffer = buffer, .more = true}});
}

// A drawn order in which the completions of one operation keep theirs.
void SimDriver::shuffle(std::vector<Due>& batch) {
  std::vector<Operation*> order;
  for (const Due& due : batch) order.push_back(due.op);
  for (std::size_t left = order.size(); left > 1; --left) {
    std::swap(order[left - 1], order[world_.choose(Random::k_scheduler, "order", left)]);
  }
  std::vector<Due> shuffled;
  for (Operation* op : order) {
    const auto first =
        std::find_if(batch.begin(), batch.end(), [&](const Due& due) { return due.op == op; });
    shuffled.push_back(*first);
    first->op = nullptr;
  }
  batch = std::move(shuffled);
}

std::size_t SimDriver::deliver() {
  if (due_.empty()) return 0;
  std::vector<Due> batch(due_.begin(), due_.end());
  due_.clear();
  if (world_.faults().shuffle && batch.size() > 1) {
    shuffle(batch);
    // The rest comes with the next wait, as if it had completed a moment later.
    const std::size_t now = 1 + world_.choose(Random::k_scheduler, "part", batch.size());
    due_.insert(due_.end(), batch.begin() + static_cast<std::ptrdiff_t>(now), batch.end());
    batch.resize(now);
  }
  for (const Due& due : batch) {
    Operation& op = *due.op;
    record(op.kind, due.done.result);
    note_completed(op, due.done);
    if (!due.done.more) {
      op.state = OpState::idle;
      op.driver_flags = 0;
      --in_flight_;
    }
    op.on_complete(op, due.done);
  }
  return batch.size();
}

bool SimDriver::has_work() const noexcept {
  return !due_.empty() || !touched_.empty() || woken_.load(std::memory_order_acquire);
}

std::size_t SimDriver::wait(Wait how, TimePoint deadline) {
  count_turn();
  if (!setup_.stepped) world_.run_due();
  progress();
  // A stepped loop never blocks: each of its turns is what a wake-up asks for.
  if (how != Wait::block && !setup_.stepped) return deliver();
  // A wake that came before counts for this wait, whatever else there is.
  const bool woken = woken_.exchange(false, std::memory_order_acquire);
  if (!due_.empty() || woken || setup_.stepped) return deliver();
  return wait_alone(deadline);
}

std::size_t SimDriver::wait_alone(TimePoint deadline) {
  const bool has_deadline = deadline != k_no_deadline;
  const std::int64_t until = deadline.time_since_epoch().count();
  while (due_.empty()) {
    if (woken_.exchange(false, std::memory_order_acquire)) return 0;
    const std::int64_t event = world_.next_event();
    if (event == EventQueue::k_never && !has_deadline) deadlock();
    if (has_deadline && until < event) {
      world_.advance_to(std::max(until, world_.now()));
      return 0;
    }
    world_.advance_to(event);
    world_.run_due();
    progress();
  }
  return deliver();
}

void SimDriver::count_turn() {
  if (world_.now() != last_turn_) idle_turns_ = 0;
  last_turn_ = world_.now();
  RONDO_ASSERT(++idle_turns_ < k_idle_turns_max,
               "livelock: the loop turned 5,000,000 times and virtual time stood still");
}

void SimDriver::deadlock() {
  std::fprintf(stderr, "sim: seed %llu, host %s, at %lld ns; operations in flight: %zu\n",
               static_cast<unsigned long long>(world_.seed()), host_.name.c_str(),
               static_cast<long long>(world_.now()), in_flight_);
  for (const auto& descriptor : descriptors_) {
    if (!descriptor) continue;
    for (const Operation* op : descriptor->ops) {
      std::fprintf(stderr, "sim:   %s on descriptor %d\n", op_name(op->kind), descriptor->fd);
    }
  }
  for (std::size_t i = 0; i < signals_.size(); ++i) std::fprintf(stderr, "sim:   signal\n");
  assertion_failed("something to wait for", "deadlock: nothing is ready and no timer is armed",
                   __FILE__, __LINE__);
}

std::int64_t SimDriver::time(Clock clock) noexcept {
  if (clock == Clock::monotonic) return world_.now();
  return world_.wall_time(host_);
}

void SimDriver::random(ByteSpan into) noexcept {
  while (!into.empty()) {
    const std::uint64_t word = user_random_.next();
    const std::size_t size = std::min(into.size(), sizeof(word));
    for (std::size_t i = 0; i < size; ++i) into[i] = static_cast<std::byte>(word >> (8 * i));
    into = into.subspan(size);
  }
}

Probe SimDriver::probe() const {
  return {.name = "sim",
          .features = "virtual time, seeded order, in-memory network and disk, fault injection",
          .has_threads = false,
          .has_names = true};
}

}  // namespace sim
}  // namespace rondo::io
