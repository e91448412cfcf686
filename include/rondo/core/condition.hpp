// SPDX-License-Identifier: Apache-2.0
// Condition: waiting, with a Mutex unlocked meanwhile, until something has changed.
//
//   Mutex mutex;  Condition changed;
//   auto lock = co_await mutex.lock();
//   co_await changed.wait(lock, [&] { return !jobs.empty(); });   // locked again here
//   ... elsewhere, with the mutex locked:  jobs.push_back(job);  changed.notify_one();
//
// Where no lock is held over an await, an Event or a Channel is simpler.
// A waiter that is cancelled locks nothing: its guard stays empty, and a notification that was on
// its way to it goes to the next waiter. A notification without a waiter is not kept: wait for a
// predicate. It refuses waiting without a locked guard (checked).
// Lifetime: outlives its waiters (checked), as the Mutex does. Thread rule: the loop's thread.
#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "rondo/core/detail/entry.hpp"
#include "rondo/core/mutex.hpp"

namespace rondo {

struct ConditionStatistics {
  std::size_t waiting = 0;      ///< for a notification; those that wait for the mutex are its own
  std::uint64_t notified = 0;   ///< waiters that were given a notification
  std::uint64_t passed_on = 0;  ///< notifications of a cancelled waiter that went to the next
};

class Condition {
  // States: in waiters_ -> notified, in the mutex's queue -> has the permit, woken.
  struct Awaiter : Semaphore::Awaiter {
    Condition& condition;
    Mutex::Guard& guard;
    bool notified = false;
    bool alone = false;  ///< by notify_one: must reach somebody

    Awaiter(Condition& c, Mutex::Guard& g, detail::PromiseBase& parent) noexcept
        : Semaphore::Awaiter(*g.owner_, parent), condition(c), guard(g) {}
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<>) noexcept {
      if (detail::cancelled(*this)) return detail::strike(*this);
      condition.waiters_.push_back(*this);
      detail::park(*this, [](detail::Waiter& waiter) noexcept {
        auto& self = static_cast<Awaiter&>(waiter);
        self.unlink();
        detail::strike(self);
        if (self.notified && self.alone) self.condition.pass_on();
      });
      guard.release();  // After it is listed: whoever locks now may notify it.
    }
    void await_resume() noexcept { guard = Semaphore::Awaiter::await_resume(); }
  };
  struct [[nodiscard("co_await it")]] Wait {
    Condition& condition;
    Mutex::Guard& guard;
    Awaiter awaiter(detail::PromiseBase& parent) && noexcept {
      RONDO_ASSERT(guard.owner_, "Condition::wait needs the guard of a locked Mutex");
      return {condition, guard, parent};
    }
  };

 public:
  Condition() = default;
  Condition(const Condition&) = delete;
  Condition& operator=(const Condition&) = delete;

  /// Unlocks, waits for a notification and locks again.
  /// - **Completes** once notified and locked; never without a notification. **Returns** nothing;
  ///   `guard` holds the lock again. **Errors** none.
  /// - **Cancel** waits no longer, also not for the lock: `guard` stays empty. A notification that
  ///   it had goes to the next waiter. Cancelled before the start: still locked.
  /// - **Lifetime** condition, mutex and guard outlive the wait.
  /// - **Concurrency** any number of waiters, notified first in first out. **Thread** the loop's.
  auto wait(Mutex::Guard& guard) noexcept { return Wait{*this, guard}; }

  /// Waits until `predicate()` holds; it is asked with the mutex locked, first of all at once.
  /// - **Completes** when it holds, locked. **Returns** nothing. **Errors** none; what the
  ///   predicate throws passes, with the mutex locked.
  /// - **Cancel**, **Concurrency**, **Thread** as above. **Lifetime** as above; the predicate is
  ///   kept.
  template <class P>
  Task<> wait(Mutex::Guard& guard, P predicate) {
    co_await detail::Entry{};
    while (!predicate()) co_await wait(guard);
  }

  /// Notifies who has waited longest; nobody waits: nothing. The caller should hold the mutex.
  void notify_one() noexcept {
    if (auto* waiter = static_cast<Awaiter*>(waiters_.pop_front())) notify(*waiter, true);
  }
  /// Notifies everybody who waits now.
  void notify_all() noexcept {
    while (auto* waiter = static_cast<Awaiter*>(waiters_.pop_front())) notify(*waiter, false);
  }

  ConditionStatistics statistics() const noexcept {
    return {waiters_.count(), notified_, passed_on_};
  }

 private:
  void notify(Awaiter& waiter, bool alone) noexcept {
    ++notified_;
    waiter.notified = true;
    waiter.alone = alone;
    waiter.take_or_queue();
  }
  void pass_on() noexcept {
    if (waiters_.empty()) return;
    ++passed_on_;
    notify_one();
  }

  detail::WaiterList waiters_;
  std::uint64_t notified_ = 0;
  std::uint64_t passed_on_ = 0;
};

}  // namespace rondo
