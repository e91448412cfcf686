// SPDX-License-Identifier: Apache-2.0
// Semaphore: permits that tasks take and give back.
//
//   Semaphore slots(8);
//   auto permit = co_await slots.acquire();     // given back when `permit` dies
//
// First in, first out: a permit given back goes to the longest waiter, never past it.
// Lifetime: outlives its permits and waiters (checked). Thread rule: the loop's thread.
#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

#include "rondo/core/event.hpp"

namespace rondo {

struct SemaphoreStatistics {
  std::size_t available = 0;
  std::size_t waiting = 0;
  std::uint64_t acquired = 0;  ///< permits handed out so far
};

class Semaphore {
 public:
  /// One permit; gives it back when destroyed.
  class [[nodiscard("keep it: its end gives the place back")]] Permit {
   public:
    explicit Permit(Semaphore& owner) noexcept : owner_(&owner) {}
    Permit(Permit&& other) noexcept : owner_(std::exchange(other.owner_, nullptr)) {}
    Permit& operator=(Permit&& other) noexcept {
      std::swap(owner_, other.owner_);
      return *this;
    }
    ~Permit() { release(); }
    void release() noexcept {
      if (owner_) std::exchange(owner_, nullptr)->give_back();
    }

   private:
    friend class Condition;  // Unlocks it while waiting.
    Semaphore* owner_;
  };

  /// `permits` tasks may be inside at once: at least 1 (asserted), as none is added later.
  explicit Semaphore(std::size_t permits) noexcept : available_(permits) {
    RONDO_ASSERT(permits > 0, "a Semaphore without a permit lets nobody in, ever: give it one");
  }
  Semaphore(const Semaphore&) = delete;
  Semaphore& operator=(const Semaphore&) = delete;

  /// Takes a permit.
  /// - **Completes** when one is free and nobody waited longer. **Returns** the Permit.
  /// - **Errors** none. **Cancel** stops waiting; no permit is lost.
  /// - **Lifetime** the semaphore outlives the permit. **Concurrency** any number.
  /// - **Thread** the loop's.
  auto acquire() noexcept { return Acquire{*this}; }
  /// A permit if one is free now.
  std::optional<Permit> try_acquire() noexcept {
    if (available_ == 0) return std::nullopt;
    take();
    return Permit(*this);
  }
  SemaphoreStatistics statistics() const noexcept {
    return {available_, waiters_.count(), acquired_};
  }

 private:
  friend class Condition;
  struct Awaiter : detail::ListedWaiter {
    Semaphore& semaphore;
    bool has_permit = false;
    Awaiter(Semaphore& s, detail::PromiseBase& parent) noexcept : semaphore(s) { frame = &parent; }
    ~Awaiter() {
      if (has_permit) semaphore.give_back();  // Struck after the permit was handed over.
    }
    bool await_ready() noexcept {
      if (detail::cancelled(*this) || semaphore.available_ == 0) return false;
      return detail::spend_await() && take();
    }
    bool take() noexcept {
      semaphore.take();
      return has_permit = true;
    }
    void await_suspend(std::coroutine_handle<>) noexcept {
      if (detail::cancelled(*this)) return detail::strike(*this);
      if (semaphore.available_ > 0) {
        take();
        return detail::wake(*this);
      }
      park_in(semaphore.waiters_);
    }
    /// For a waiter that is parked elsewhere and now wants its permit: woken with it, or queued.
    void take_or_queue() noexcept {
      if (semaphore.available_ == 0) return semaphore.waiters_.push_back(*this);
      take();
      detail::wake(*this);
    }
    Permit await_resume() noexcept {
      has_permit = false;
      return Permit(semaphore);
    }
  };
  struct [[nodiscard("co_await it")]] Acquire {
    Semaphore& semaphore;
    Awaiter awaiter(detail::PromiseBase& parent) && noexcept { return {semaphore, parent}; }
  };

  void take() noexcept {
    waiters_.assert_here();
    --available_;
    ++acquired_;
  }
  void give_back() noexcept {
    auto* next = static_cast<Awaiter*>(waiters_.pop_front());
    if (!next) {
      ++available_;
      return;
    }
    ++acquired_;
    next->has_permit = true;  // Handed over, so that no newcomer takes it in between.
    detail::wake(*next);
  }

  detail::WaiterList waiters_;
  std::size_t available_;
  std::uint64_t acquired_ = 0;
};

}  // namespace rondo
