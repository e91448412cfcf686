// SPDX-License-Identifier: Apache-2.0
// Barrier: n tasks that wait for each other, again and again.
//
//   Barrier step{3};
//   BarrierTurn turn = co_await step.arrive_and_wait();    // the third one lets all three go
//   if (turn.leader) swap_buffers();                       // one of each generation
//
// A cancelled arrival is taken back: it does not count, and the generation waits for another
// one. It is never broken for the others. A party that will not come any more says so with
// drop_party(), which may complete the generation (`~` of a guard in the party's task is a place).
// To wait once for things to be done use a Latch; for tasks to end, a scope.
// Lifetime: outlives its waiters (checked). Thread rule: the loop's thread.
#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdint>

#include "rondo/core/event.hpp"

namespace rondo {

/// What an arrival at a Barrier yields.
struct BarrierTurn {
  std::uint64_t generation = 0;  ///< 0 for the first
  bool leader = false;           ///< exactly one of a generation
};

struct BarrierStatistics {
  std::size_t parties = 0;
  std::size_t waiting = 0;
  std::uint64_t generation = 0;  ///< completed so far
  std::uint64_t withdrawn = 0;   ///< arrivals taken back by a cancel
};

class Barrier {
  struct Awaiter : detail::ListedWaiter {
    Barrier& barrier;
    BarrierTurn turn;
    Awaiter(Barrier& b, detail::PromiseBase& parent) noexcept : barrier(b) { frame = &parent; }
    bool last() const noexcept { return barrier.arrived_ + 1 == barrier.parties_; }
    void lead() noexcept {
      turn = {barrier.generation_, true};
      barrier.open(false);
    }
    bool await_ready() noexcept {
      if (detail::cancelled(*this) || !last() || !detail::spend_await()) return false;
      lead();
      return true;
    }
    void await_suspend(std::coroutine_handle<>) noexcept {
      if (detail::cancelled(*this)) return detail::strike(*this);
      if (last()) {
        lead();
        return detail::wake(*this);
      }
      RONDO_ASSERT(barrier.parties_ > 0, "somebody arrived at a Barrier whose parties all left");
      ++barrier.arrived_;
      barrier.waiters_.push_back(*this);
      detail::park(*this, [](detail::Waiter& waiter) noexcept {
        auto& self = static_cast<Awaiter&>(waiter);
        self.unlink();
        --self.barrier.arrived_;
        ++self.barrier.withdrawn_;
        detail::strike(self);
      });
    }
    BarrierTurn await_resume() const noexcept { return turn; }
  };
  struct [[nodiscard("co_await it")]] Arrive {
    Barrier& barrier;
    Awaiter awaiter(detail::PromiseBase& parent) && noexcept { return {barrier, parent}; }
  };

 public:
  explicit Barrier(std::size_t parties) noexcept : parties_(parties) {
    RONDO_ASSERT(parties > 0, "a Barrier needs at least one party");
  }
  Barrier(const Barrier&) = delete;
  Barrier& operator=(const Barrier&) = delete;

  /// Arrives and waits for the others.
  /// - **Completes** when all parties of this generation have arrived. **Returns** the generation
  ///   and whether this is its leader: the last to arrive, or who waited longest if it was
  ///   completed by drop_party. **Errors** none.
  /// - **Cancel** takes the arrival back: the others wait for another one. After the last arrival
  ///   it has completed. **Lifetime** the barrier outlives the wait.
  /// - **Concurrency** one for each party. **Thread** the loop's.
  auto arrive_and_wait() noexcept { return Arrive{*this}; }

  /// One party less, from this generation on; completes it when all others have arrived.
  void drop_party() noexcept {
    RONDO_ASSERT(parties_ > arrived_, "drop_party: every party is waiting, none can leave");
    --parties_;
    if (arrived_ > 0 && arrived_ == parties_) open(true);
  }

  BarrierStatistics statistics() const noexcept {
    return {parties_, arrived_, generation_, withdrawn_};
  }

 private:
  void open(bool first_leads) noexcept {
    const std::uint64_t generation = generation_++;
    arrived_ = 0;
    while (auto* waiter = static_cast<Awaiter*>(waiters_.pop_front())) {
      waiter->turn = {generation, first_leads};
      first_leads = false;
      detail::wake(*waiter);
    }
  }

  detail::WaiterList waiters_;
  std::size_t parties_;
  std::size_t arrived_ = 0;
  std::uint64_t generation_ = 0;
  std::uint64_t withdrawn_ = 0;
};

}  // namespace rondo
