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

/// A waiter in a list of its kind: what events, locks and channels queue.
struct ListedWaiter : Waiter, ListLink {
  /// Parks in `list`; a cancel unlinks and strikes.
  void park_in(IntrusiveList<ListedWaiter>& list) noexcept {
    list.push_back(*this);
    park(*this, [](Waiter& waiter) noexcept {
      static_cast<ListedWaiter&>(waiter).unlink();
      strike(waiter);
    });
  }
};

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
  IntrusiveList<detail::ListedWaiter> waiters_;
  std::uint64_t wakes_ = 0;
  bool set_ = false;
};

}  // namespace rondo
