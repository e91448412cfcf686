// SPDX-License-Identifier: Apache-2.0
// Event: a flag that tasks wait for.
//
//   Event ready;
//   co_await ready.wait();      // ... elsewhere on the same loop: ready.set();
//
// set() wakes every waiter and stays set until reset(). To hand over one item use a Channel; to
// be told by another thread use a Promise.
// Lifetime: outlives its waiters (checked). Thread rule: the loop's thread.
#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdint>

#include "rondo/base/intrusive_list.hpp"
#include "rondo/core/loop.hpp"
#include "rondo/core/task.hpp"

namespace rondo {

namespace detail {

class WaiterList;

/// A waiter in a list of its kind: what events, locks and channels queue.
struct ListedWaiter : Waiter, ListLink {
  /// Parks in `list`; a cancel unlinks and strikes.
  void park_in(WaiterList& list) noexcept;
};

/// Those who wait in an event, a lock, a channel, first in first out. It belongs to the loop on
/// whose thread it is first used while a loop runs there; debug builds check that it stays so.
class WaiterList {
 public:
  WaiterList() = default;
  WaiterList(const WaiterList&) = delete;
  WaiterList& operator=(const WaiterList&) = delete;
  ~WaiterList() {
    RONDO_ASSERT(list_.empty(),
                 "an event, lock or channel was destroyed while a task waits in it: declare it "
                 "above the scope of the tasks that use it, or end these tasks first");
  }

  bool empty() const noexcept { return list_.empty(); }
  std::size_t count() const noexcept { return list_.count(); }
  ListedWaiter& front() noexcept { return list_.front(); }
  ListedWaiter* first() noexcept { return list_.first(); }
  void push_back(ListedWaiter& waiter) noexcept {
    assert_here();
    list_.push_back(waiter);
  }
  ListedWaiter* pop_front() noexcept {
    assert_here();
    return list_.pop_front();
  }
  /// Free in release builds.
  void assert_here() noexcept {
#ifndef NDEBUG
    if (!home_ && t_core) home_ = this_thread_tag();
    RONDO_ASSERT(!home_ || home_ == this_thread_tag(),
                 "an event, lock or channel was used on two threads: it belongs to the tasks of "
                 "one loop; between threads use post(), a Promise, a ThreadChannel or on()");
#endif
  }

 private:
  IntrusiveList<ListedWaiter> list_;
  /// In release builds too: both kinds are linked together.
  [[maybe_unused]] const void* home_ = nullptr;
};

inline void ListedWaiter::park_in(WaiterList& list) noexcept {
  list.push_back(*this);
  park(*this, [](Waiter& waiter) noexcept {
    static_cast<ListedWaiter&>(waiter).unlink();
    strike(waiter);
  });
}

}  // namespace detail

struct EventStatistics {
  bool set = false;
  std::size_t waiting = 0;
  std::uint64_t wakes = 0;  ///< waiters woken so far
};

class Event {
  struct Awaiter : detail::ListedWaiter {
    Event& event;
    Awaiter(Event& e, detail::PromiseBase& parent) noexcept : event(e) { frame = &parent; }
    bool await_ready() const noexcept {
      return !detail::cancelled(*this) && event.set_ && detail::spend_await();
    }
    void await_suspend(std::coroutine_handle<>) noexcept {
      if (detail::cancelled(*this)) return detail::strike(*this);
      if (event.set_) return detail::wake(*this);
      park_in(event.waiters_);
    }
    void await_resume() const noexcept {}
  };
  struct [[nodiscard("co_await it")]] Wait {
    Event& event;
    Awaiter awaiter(detail::PromiseBase& parent) && noexcept { return {event, parent}; }
  };

 public:
  Event() = default;
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  void set() noexcept {
    set_ = true;
    while (detail::ListedWaiter* waiter = waiters_.pop_front()) {
      ++wakes_;
      detail::wake(*waiter);
    }
  }
  void reset() noexcept { set_ = false; }
  bool is_set() const noexcept { return set_; }

  /// Waits until the event is set.
  /// - **Completes** at once when it is set. **Returns** nothing. **Errors** none.
  /// - **Cancel** stops waiting. **Lifetime** the event outlives the wait.
  /// - **Concurrency** any number of waiters, all woken. **Thread** the loop's.
  Wait wait() noexcept { return {*this}; }

  EventStatistics statistics() const noexcept { return {set_, waiters_.count(), wakes_}; }

 private:
  detail::WaiterList waiters_;
  std::uint64_t wakes_ = 0;
  bool set_ = false;
};

}  // namespace rondo
