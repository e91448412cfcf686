// SPDX-License-Identifier: Apache-2.0
#include "rondo/core/thread_channel.hpp"

#include <condition_variable>
#include <memory>
#include <mutex>
#include <stop_token>
#include <utility>

namespace rondo::detail {

struct ThreadGate::State {
  std::mutex mutex;
  /// Tasks of other loops that are to be told; always empty while the mutex is free.
  IntrusiveQueue<Ready> told;
};

ThreadGate::ThreadGate() : state_(std::make_unique<State>()) {}
ThreadGate::~ThreadGate() = default;

void ThreadGate::lock() noexcept { state_->mutex.lock(); }

void ThreadGate::unlock() noexcept {
  Ready* next = state_->told.take_all();
  state_->mutex.unlock();
  // Posted only now: a post may be a system call, and the first task that runs may be the one
  // that ends the channel. A settled task's awaiter stays until its post has run.
  while (next) {
    auto& posted = static_cast<GateAwaiter::Posted&>(*next);
    next = next->queue_next;
    posted.awaiter->home->post_entry(posted);
  }
}

namespace {
/// A stop callback, or nothing.
template <class Stop, class F>
struct OnStop : std::stop_callback<F> {
  OnStop(const Stop& stop, F ask) : std::stop_callback<F>(stop, std::move(ask)) {}
};
template <class F>
struct OnStop<NeverStops, F> {
  OnStop(NeverStops, const F&) {}
};
}  // namespace

template <class Stop>
bool ThreadGate::sleep(GateWaiter& waiter, const Stop& stop) {
  std::condition_variable settled;  // One of its own: nobody else is woken with it.
  waiter.sleeper = &settled;
  bool stopped = false;
  const auto ask = [&] {
    const std::lock_guard held(state_->mutex);
    stopped = true;
    settled.notify_one();
  };
  // A stop callback may run at once, on this thread, and its destructor waits for one that runs:
  // both without the lock.
  state_->mutex.unlock();
  bool told;
  {
    const OnStop<Stop, decltype(ask)> on_stop(stop, ask);
    std::unique_lock held(state_->mutex);
    settled.wait(held, [&] { return waiter.settled || stopped; });
    told = waiter.settled;
    if (!told) waiter.unlink();
  }
  state_->mutex.lock();
  return told;
}
template bool ThreadGate::sleep(GateWaiter&, const NeverStops&);
template bool ThreadGate::sleep(GateWaiter&, const std::stop_token&);

void ThreadGate::settle(GateWaiter& waiter) noexcept {
  waiter.settled = true;
  if (!waiter.task) {
    // While the lock is held: the sleeper cannot be gone before it is told.
    static_cast<std::condition_variable*>(waiter.sleeper)->notify_one();
  } else if (waiter.task->home == Loop::current_or_null()) {
    wake(*waiter.task);
  } else {
    state_->told.push_back(waiter.task->posted);
  }
}

void GateAwaiter::wait_in(IntrusiveList<GateWaiter>& list) noexcept {
  home = &Loop::current();
  posted.awaiter = this;
  posted.run = [](Ready& entry) { wake(*static_cast<Posted&>(entry).awaiter); };
  place.task = this;
  list.push_back(place);
  park(*this, [](Waiter& waiter) noexcept {
    auto& self = static_cast<GateAwaiter&>(waiter);
    const ThreadGate::Lock lock(self.gate);
    if (self.place.settled) return;  // The post is on its way: data wins.
    self.place.unlink();
    strike(self);
  });
}

}  // namespace rondo::detail
