// SPDX-License-Identifier: Apache-2.0
// The iteration. Phase by phase, in the order of their numbers; nothing else belongs here.
#include "rondo/core/loop.hpp"

#include <algorithm>
#include <thread>

namespace rondo {

struct Loop::ServiceNode {
  const void* key;
  Owned<detail::LoopService> service;
  ServiceNode* next;
};

Loop::Loop(LoopOptions options)
    : driver_(options.own_driver ? std::move(options.own_driver)
                                 : io::make_driver(options.driver)),
      order_(std::move(options.ready_order)),
      ready_budget_(options.ready_budget) {
  wheel_.start_at(driver_->time(io::Clock::monotonic));
}

Loop::~Loop() {
  Entered entered(*this);
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
  while (wakers_.load(std::memory_order_acquire) > 0) std::this_thread::yield();
}

bool Loop::run_once() {
  Entered entered(*this);
  iterate(Block::while_work);
  return has_work();
}

bool Loop::poll() {
  Entered entered(*this);
  iterate(Block::never);
  return has_work();
}

void Loop::run_forever() {
  Entered entered(*this);
  while (has_work()) iterate(Block::while_work);
}

void Loop::iterate(Block block) {
  ++statistics_.iterations;
  run_timers();         // 1 timers
  run_pending();        // 2 pending
  run_ready();          // 3 ready
  run_prepare();        // 4 prepare
  run_poll(block);      // 5 poll, 6 check: completions queue what waits for them
  run_closing();        // 7 close
  leave_ = false;
}

void Loop::run_timers() {
  if (wheel_.count() > 0) wheel_.advance(driver_->time(io::Clock::monotonic));
}

void Loop::run_pending() {
  if (stop_asked_.load(std::memory_order_acquire) && !stop_seen_) note_stop();
  if (posted_.load(std::memory_order_relaxed)) take_posted();
}

void Loop::take_posted() {
  // Acquire: what the posting threads wrote before is visible to what they posted.
  detail::Ready* newest_first = posted_.exchange(nullptr, std::memory_order_acquire);
  detail::Ready* oldest_first = nullptr;
  while (newest_first) {
    detail::Ready* entry = newest_first;
    newest_first = entry->queue_next;
    entry->queue_next = oldest_first;
    oldest_first = entry;
  }
  while (oldest_first) {
    detail::Ready* entry = oldest_first;
    oldest_first = entry->queue_next;
    ++statistics_.posts;
    ready.push_back(*entry);
  }
}

void Loop::note_stop() {
  stop_seen_ = true;
  while (detail::LoopHook* hook = stop_hooks_.pop_front()) hook->run(*hook);
}

void Loop::run_ready() {
  constexpr int k_peek_every = 61;  // Prime, so that it does not beat with users' own batches.
  constexpr int k_awaits = static_cast<int>(limits::ready_awaits_per_resume.value);
  int until_peek = k_peek_every;
  for (int left = ready_budget_; left > 0; --left) {
    detail::Ready* entry = order_ ? order_->pick(ready) : ready.pop_front();
    if (!entry) break;
    ++statistics_.resumes;
    await_budget = k_awaits;
    entry->run(*entry);
    if (--until_peek == 0) {
      until_peek = k_peek_every;
      driver_->wait(io::Wait::peek, TimePoint{});
    }
  }
}

void Loop::run_prepare() {
  for (detail::LoopHook* hook = prepare_hooks_.first(); hook;) {
    detail::LoopHook* next = prepare_hooks_.next(*hook);
    hook->run(*hook);
    hook = next;
  }
}

bool Loop::may_block(Block block) const noexcept {
  // Asked after the ready phase: the last task may have ended in it, and then nothing would
  // ever end the wait.
  if (leave_ || has_ready()) return false;
  switch (block) {
    case Block::never: return false;
    case Block::always: return true;
    case Block::while_work: return has_work();
    case Block::while_in_flight: return in_flight();
  }
  return false;
}

void Loop::run_poll(Block block) {
  if (!may_block(block)) {
    driver_->wait(io::Wait::poll, TimePoint{});
  } else {
    driver_->wait(io::Wait::block, next_deadline());
  }
}

void Loop::run_closing() {
  detail::Ready* entry = closing_.take_all();
  while (entry) {
    detail::Ready* next = entry->queue_next;
    entry->run(*entry);
    entry = next;
  }
}

bool Loop::has_ready() const noexcept {
  return !ready.empty() || !closing_.empty() || posted_.load(std::memory_order_acquire) ||
         (stop_asked_.load(std::memory_order_acquire) && !stop_seen_);
}

TimePoint Loop::next_deadline() const noexcept {
  return TimePoint(Duration(wheel_.next_deadline()));
}

bool Loop::has_work() const noexcept {
  return live_chains_ > 0 || wheel_.count() > 0 || in_flight();
}

bool Loop::in_flight() const noexcept {
  if (has_ready()) return true;
  for (ServiceNode* node = services_; node; node = node->next) {
    if (!node->service->drained()) return true;
  }
  return false;
}

void Loop::drain() noexcept {
  // What the last tasks left: output still leaving, descriptors being closed, posted work.
  while (in_flight()) iterate(Block::while_in_flight);
}

void Loop::post_entry(detail::Ready& entry) noexcept {
  detail::Ready* head = posted_.load(std::memory_order_relaxed);
  bool counted = false;
  do {
    // Counted before the entry can be seen: from then on the loop may run it and end.
    if (!head && !std::exchange(counted, true)) wakers_.fetch_add(1, std::memory_order_relaxed);
    entry.queue_next = head;
    // Release: the loop's exchange sees the entry whole.
  } while (!posted_.compare_exchange_weak(head, &entry, std::memory_order_release,
                                          std::memory_order_relaxed));
  // Only the first of a batch wakes: the loop takes the whole list before it sleeps again, and
  // looks at the list once more (has_ready) after the driver has begun to listen to wake().
  if (head == nullptr) {
    wakes_.fetch_add(1, std::memory_order_relaxed);
    driver_->wake();
  }
  if (counted) wakers_.fetch_sub(1, std::memory_order_release);
}

void Loop::request_stop() noexcept {
  wakers_.fetch_add(1, std::memory_order_relaxed);
  if (!stop_asked_.exchange(true, std::memory_order_release)) driver_->wake();
  wakers_.fetch_sub(1, std::memory_order_release);
}

void Loop::cancel_all() noexcept {
  for (detail::Chain* chain = chains_.first(); chain; chain = chains_.next(*chain)) {
    if (!chain->parent) detail::request_cancel(*chain);
  }
}

std::string Loop::describe_tasks() {
  std::string text;
  for (detail::Chain* chain = chains_.first(); chain; chain = chains_.next(*chain)) {
    const detail::PromiseBase* at = chain->leaf ? chain->leaf->frame : chain->frame;
    text.append(chain->name ? chain->name : "task").append(" in ");
    text.append(at->site.function_name()).append(" at ").append(at->site.file_name());
    text.append(":").append(std::to_string(at->site.line()));
    text.append(chain->cancelled ? ", cancelled\n" : "\n");
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
