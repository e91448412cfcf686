// SPDX-License-Identifier: Apache-2.0
// The iteration. Phase by phase, in the order of their numbers; nothing else belongs here.
#include "rondo/core/loop.hpp"

#include <algorithm>
#include <cerrno>
#include <thread>

#include "rondo/base/trace.hpp"
#include "rondo/core/loop_ref.hpp"

namespace rondo {

struct Loop::ServiceNode {
  const void* key;
  Owned<detail::LoopService> service;
  ServiceNode* next;
};

Loop::Loop(LoopOptions options)
    : driver_(options.own_driver ? std::move(options.own_driver) : io::make_driver(options.driver)),
      anchor_(new detail::LoopAnchor(*this)),
      order_(std::move(options.ready_order)),
      ready_budget_(options.ready_budget) {
  RONDO_ASSERT(ready_budget_ > 0, "a ready_budget of at least 1, or nothing would ever run");
  // Where waiting takes no time (simulation) there is nothing to gain.
  if (driver_->probe().has_threads) spin_ = options.spin;
  wheel_.start_at(driver_->time(io::Clock::monotonic));
  if (options.record > 0) record(options.record);
}

void Loop::record(std::size_t events) {
  assert_here();
  // Virtual time is the driver's; the kernel's is the processor's counter, which costs less.
  const TraceRing::Clock virtual_time = [](void* driver) noexcept {
    return static_cast<io::Driver*>(driver)->time(io::Clock::monotonic);
  };
  const bool is_real = driver_->probe().has_threads;
  Owned<TraceRing> made(new TraceRing(events, is_real ? nullptr : virtual_time, driver_.get()));
  trace_ring_ = std::move(made);
  trace = trace_ring_.get();
  driver_->set_trace(trace);
}

void Loop::stop_recording() noexcept {
  driver_->set_trace(nullptr);
  trace = nullptr;
  trace_ring_ = nullptr;
}

Loop::~Loop() {
  Entered entered(*this);
  if (driver_->inherited()) {
    abandon();
    return;
  }
  ending_ = true;
  // What LoopRefs have posted runs in the drain below; from here on they are refused.
  anchor_->gate.close();
  while (!anchor_->gate.settled()) std::this_thread::yield();
  do {
    // Not waited for, but dropped: their captures may close what the drain then waits for.
    while (detail::CallbackNode* node = armed_callbacks_.first()) node->cancel();
    drain();
  } while (!armed_callbacks_.empty());
  RONDO_ASSERT(live_chains_ == 0, "a loop was destroyed while tasks were running on it");
  while (ServiceNode* node = services_) {
    services_ = node->next;
    delete node;
    drain();  // Its end may have closed descriptors or set promises.
  }
  // A thread whose post was the last thing waited for may not have left wake() yet.
  while (!posted_.settled()) std::this_thread::yield();
  unlink_hooks();
  anchor_->drop();
}

void Loop::unlink_hooks() noexcept {
  for (detail::HookList* list : {&prepare_, &idle_, &flush_, &check_}) list->unlink_all();
}

void Loop::abandon() noexcept {
  // In a child process: tasks, services and what they wait for are the parent's. Nothing of them
  // runs here, not even destructors, which would submit; their memory is leaked on purpose.
  while (chains_.pop_front()) {
  }
  while (detail::CallbackNode* node = armed_callbacks_.pop_front()) {
    node->state = detail::CallbackNode::State::done;  // Its handle may still be dropped.
    wheel_.disarm(*node);
  }
  while (stop_hooks_.pop_front()) {
  }
  unlink_hooks();
  anchor_->gate.close();
  anchor_->drop();
}

LoopRef Loop::ref() noexcept { return LoopRef(*anchor_); }

bool Loop::run_once() {
  Turning turning(*this);
  iterate(Block::while_work);
  return has_work();
}

bool Loop::poll() {
  Turning turning(*this);
  iterate(Block::never);
  if (hosted_) leave_to_host();
  return has_work();
}

void Loop::run_until(const bool& done) {
  Turning turning(*this);
  while (!done) iterate(Block::always);
}

void Loop::run_forever() {
  Turning turning(*this);
  while (keeps_running()) iterate(Block::while_running);
}

void Loop::iterate(Block block) {
  RONDO_ASSERT(!driver_->inherited(),
               "this loop belongs to the parent process: after fork() make a new Loop");
  ++statistics_.iterations;
  note_phase(1);
  run_timers();
  note_phase(2);
  run_pending();
  note_phase(3);
  run_ready();
  note_phase(4);
  run_prepare();
  note_phase(5);
  run_poll(block);  // Completions queue what waits for them.
  note_phase(6);
  check_.run();
  note_phase(7);
  run_closing();
  note_phase(0);
  leave_ = false;
}

/// 1 timers, 2 pending, 3 ready, 4 prepare, 5 poll, 6 check, 7 close; 0: the iteration has ended.
inline void Loop::note_phase(std::uint32_t number) noexcept {
  if (!trace) [[likely]]
    return;
  trace->tick();
  trace->put(TraceKind::phase, 0, 0, number);
}

void Loop::run_timers() {
  if (wheel_.count() > 0) wheel_.advance(driver_->time(io::Clock::monotonic));
}

void Loop::run_pending() {
  if (stop_asked_.load(std::memory_order_acquire) && !stop_seen_) note_stop();
  if (!posted_.seems_empty()) take_posted();
}

void Loop::take_posted() {
  detail::Ready* oldest_first = posted_.take_all();
  const std::uint64_t before = statistics_.posts;
  while (oldest_first) {
    detail::Ready* entry = oldest_first;
    oldest_first = entry->queue_next;
    ++statistics_.posts;
    ready.push_back(*entry);
  }
  if (trace) [[unlikely]] {
    trace->put(TraceKind::posts, 0, 0, static_cast<std::uint32_t>(statistics_.posts - before));
  }
}

void Loop::note_stop() {
  stop_seen_ = true;
  stop_end_ = deadline_after(now(), stop_grace_);
  while (detail::LoopHook* hook = stop_hooks_.pop_front()) hook->run(*hook);
}

/// The next slot before the queue; under a seeded order there is only the queue.
detail::Ready* Loop::take_ready() {
  constexpr int k_in_a_row = static_cast<int>(limits::next_in_a_row.value);
  detail::Ready* entry = std::exchange(next, nullptr);
  if (entry) {
    ++next_in_a_row_;
    ++statistics_.next_slots;
  } else {
    next_in_a_row_ = 0;
    entry = order_ ? order_->pick(ready) : ready.pop_front();
  }
  next_open = next_in_a_row_ < k_in_a_row && !order_;
  return entry;
}

void Loop::run_ready() {
  constexpr int k_peek_every = 61;  // Prime, so that it does not beat with users' own batches.
  constexpr int k_awaits = static_cast<int>(limits::ready_awaits_per_resume.value);
  int until_peek = k_peek_every;
  for (int left = ready_budget_; left > 0; --left) {
    detail::Ready* entry = take_ready();
    if (!entry) break;
    ++statistics_.resumes;
    await_budget = k_awaits;
    entry->run(*entry);
    next_open = false;  // What completions and timers wake stands in the queue.
    if (--until_peek == 0) {
      until_peek = k_peek_every;
      driver_->wait(io::Wait::peek, TimePoint{});
    }
  }
  next_open = false;
}

void Loop::run_prepare() {
  prepare_.run();
  if (!idle_.empty() && !has_ready()) idle_.run();
  flush_.run();
}

bool Loop::may_block(Block block) const noexcept {
  // Asked after the ready phase: the last task may have ended in it, and then nothing would
  // ever end the wait.
  if (leave_ || has_ready() || !idle_.empty()) return false;
  switch (block) {
    case Block::never:
      return false;
    case Block::always:
      return true;
    case Block::while_work:
      return has_work();
    case Block::while_running:
      return keeps_running();
    case Block::while_in_flight:
      return in_flight();
  }
  return false;
}

void Loop::run_poll(Block block) {
  if (!may_block(block)) {
    driver_->wait(io::Wait::poll, TimePoint{});
  } else if (spin_ <= Duration::zero() || !spin()) {
    const TimePoint due = next_deadline();
    // Awake in time to spin up to it: waking takes the kernel as long as a spin is meant to save.
    driver_->wait(io::Wait::block, due == k_no_deadline ? due : due - spin_);
  }
}

/// True when something came, or a timer is due, before the loop would have slept.
bool Loop::spin() {
  ++statistics_.spins;
  const TimePoint due = next_deadline();
  const TimePoint end = std::min(deadline_after(now(), spin_), due);
  do {
    if (driver_->wait(io::Wait::poll, TimePoint{}) > 0 || has_ready()) {
      ++statistics_.spins_hit;
      return true;
    }
  } while (now() < end);
  return end == due;
}

void Loop::run_closing() {
  detail::Ready* entry = closing_.take_all();
  while (entry) {
    detail::Ready* next = entry->queue_next;
    entry->run(*entry);
    entry = next;
  }
}

Result<int> Loop::pollable_fd() {
  Entered entered(*this);
  const int fd = driver_->pollable_fd();
  const Errc why = fd == -ENOTSUP ? Errc::not_supported : static_cast<Errc>(-fd);
  if (fd < 0) return Error(why, "pollable_fd", driver_->probe().name);
  hosted_ = true;
  leave_to_host();  // What was queued before must not wait for the first poll().
  return fd;
}

Duration Loop::poll_timeout() noexcept {
  if (!rests()) return Duration::zero();
  const TimePoint due = next_deadline();
  if (due == k_no_deadline) return Duration::max();
  return std::max(due - now(), Duration::zero());
}

/// The last word of an iteration before a host sleeps: prepare and poll may have been followed by
/// hooks and by the close phase, which submit and arm too, and a send that went through in part
/// has corked the rest of its output.
void Loop::leave_to_host() {
  flush_.run();
  driver_->wait(io::Wait::host, rests() ? next_deadline() : TimePoint::min());
}

/// Nothing is to be done before a timer or the kernel says so.
bool Loop::rests() const noexcept { return !has_ready() && !holds_output() && idle_.empty(); }

bool Loop::has_ready() const noexcept {
  return next || !ready.empty() || !closing_.empty() || !posted_.empty() ||
         (stop_asked_.load(std::memory_order_acquire) && !stop_seen_);
}

TimePoint Loop::next_deadline() const noexcept {
  return TimePoint(Duration(wheel_.next_deadline()));
}

bool Loop::has_work() const noexcept {
  return live_chains_ > 0 || wheel_.count() > 0 || in_flight();
}

bool Loop::keeps_running() const noexcept {
  // After a stop, time alone is no reason to go on.
  return stop_seen_ ? live_chains_ > 0 || in_flight() : has_work();
}

bool Loop::in_flight() const noexcept {
  if (has_ready()) return true;
  for (ServiceNode* node = services_; node; node = node->next) {
    if (!node->service->drained()) return true;
  }
  return false;
}

bool Loop::holds_output() const noexcept {
  for (ServiceNode* node = services_; node; node = node->next) {
    if (node->service->holds_output()) return true;
  }
  return false;
}

void Loop::drain() noexcept {
  // What the last tasks left: output still leaving, descriptors being closed, posted work.
  while (in_flight()) iterate(Block::while_in_flight);
}

void Loop::post_entry(detail::Ready& entry) noexcept {
  // Only the first of a batch wakes: the loop takes the whole list before it sleeps again, and
  // looks at the list once more (has_ready) after the driver has begun to listen to wake().
  posted_.push(entry, [this] {
    wakes_.fetch_add(1, std::memory_order_relaxed);
    driver_->wake();
  });
}

void Loop::request_stop() noexcept {
  posted_.waking([this] {
    if (!stop_asked_.exchange(true, std::memory_order_release)) driver_->wake();
  });
}

void Loop::cancel_all() noexcept {
  assert_here();
  for (detail::Chain* chain = chains_.first(); chain; chain = chains_.next(*chain)) {
    if (!chain->parent) detail::request_cancel(*chain);
  }
}

std::string Loop::describe_tasks() {
  std::string text;
  for (detail::Chain* chain = chains_.first(); chain; chain = chains_.next(*chain)) {
    const detail::PromiseBase* at = chain->leaf ? chain->leaf->frame : chain->frame;
    const detail::Chain* named = chain;  // A branch without a name works for its parent.
    while (!named->name && named->parent) named = named->parent;
    text.append(named->name ? named->name : "task").append(" in ");
    text.append(at->site.function_name()).append(" at ").append(at->site.file_name());
    text.append(":").append(std::to_string(at->site.line()));
    if (chain->cancelled) text.append(", cancelled");
    text.append(", started as ").append(chain->definition.function_name());
    if (const auto& by = chain->started_at; by.line() != 0)
      text.append(" by ").append(by.file_name()).append(":").append(std::to_string(by.line()));
    text.append("\n");
  }
  return text;
}

LoopStatistics Loop::statistics() const noexcept {
  LoopStatistics now = statistics_;
  now.live_tasks = live_chains_;
  now.armed_timers = wheel_.count();
  now.wakes = wakes_.load(std::memory_order_relaxed);
  for (ServiceNode* node = services_; node; node = node->next) ++now.services;
  return now;
}

void Loop::arm_callback(detail::CallbackNode& node, TimePoint when) noexcept {
  assert_here();
  node.state = detail::CallbackNode::State::armed;
  node.home = this;
  node.deadline = when.time_since_epoch().count();
  node.fire = [](detail::Timer& timer) noexcept {
    auto& due = static_cast<detail::CallbackNode&>(timer);
    due.state = detail::CallbackNode::State::queued;
    due.unlink();
    detail::core().ready.push_back(due);
  };
  wheel_.arm(node);
  armed_callbacks_.push_back(node);
}

detail::LoopService* Loop::find_service(const void* key) noexcept {
  for (ServiceNode* node = services_; node; node = node->next) {
    if (node->key == key) return node->service.get();
  }
  return nullptr;
}

void Loop::add_service(const void* key, Owned<detail::LoopService> service) {
  services_ = new ServiceNode{key, std::move(service), services_};
}

void detail::CallbackNode::trace_callback(const CallbackNode& node, bool begins) noexcept {
  TraceRing& ring = *core().trace;
  ring.tick();
  ring.put(begins ? TraceKind::callback : TraceKind::suspend,
           reinterpret_cast<std::uintptr_t>(&node));
}

void detail::CallbackNode::cancel() noexcept {
  if (state == State::done) return;
  const bool was_armed = state == State::armed;
  state = State::done;
  invoke(*this, false);
  if (!was_armed) return;  // Still queued: its turn only drops it.
  unlink();
  home->disarm(*this);
  drop();
}

}  // namespace rondo
