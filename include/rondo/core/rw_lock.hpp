// SPDX-License-Identifier: Apache-2.0
// RwLock: many readers or one writer, over an await.
//
//   RwLock lock;
//   {
//     auto reading = co_await lock.read();         // together with other readers
//   }
//   auto writing = co_await lock.write();          // alone
//   auto reading = std::move(writing).downgrade(); // no writer gets in between
//
// Fair: one queue, first in first out. A reader that comes after a waiting writer waits behind
// it, so that a stream of readers never starves a writer. A ReadGuard cannot become a WriteGuard:
// two readers that both want it would wait for each other for ever; the type refuses it.
// It refuses to be recursive. Between two awaits a loop needs no lock.
// Lifetime: outlives its guards and waiters (checked). Thread rule: the loop's thread.
#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

#include "rondo/core/event.hpp"

namespace rondo {

struct RwLockStatistics {
  std::size_t readers = 0;  ///< guards alive
  bool writing = false;
  std::size_t waiting = 0;  ///< readers and writers in the queue
  std::uint64_t read_locks = 0;
  std::uint64_t write_locks = 0;
};

class RwLock {
 public:
  class WriteGuard;

  /// Reads together with others; leaves when destroyed.
  class [[nodiscard("keep it: its end unlocks")]] ReadGuard {
   public:
    ReadGuard(ReadGuard&& other) noexcept : owner_(std::exchange(other.owner_, nullptr)) {}
    ReadGuard& operator=(ReadGuard&& other) noexcept {
      std::swap(owner_, other.owner_);
      return *this;
    }
    ~ReadGuard() { release(); }
    void release() noexcept {
      if (owner_) std::exchange(owner_, nullptr)->end_read();
    }
    /// Does not compile, with the reason.
    template <class Self = ReadGuard>
    WriteGuard upgrade() {
      static_assert(!sizeof(Self),
                    "a ReadGuard cannot be upgraded: two readers would wait for each other; "
                    "release it, take write() and look again");
    }

   private:
    friend RwLock;
    explicit ReadGuard(RwLock& owner) noexcept : owner_(&owner) {}
    RwLock* owner_;
  };

  /// Writes alone; leaves when destroyed.
  class [[nodiscard("keep it: its end unlocks")]] WriteGuard {
   public:
    WriteGuard(WriteGuard&& other) noexcept : owner_(std::exchange(other.owner_, nullptr)) {}
    WriteGuard& operator=(WriteGuard&& other) noexcept {
      std::swap(owner_, other.owner_);
      return *this;
    }
    ~WriteGuard() { release(); }
    void release() noexcept {
      if (owner_) std::exchange(owner_, nullptr)->end_write();
    }
    /// Goes on as a reader. Readers at the head of the queue come in; no writer does in between.
    ReadGuard downgrade() && noexcept {
      RONDO_ASSERT(owner_, "a WriteGuard that was released or moved from cannot be downgraded");
      RwLock& lock = *std::exchange(owner_, nullptr);
      lock.writing_ = false;
      lock.take(false);
      lock.admit();
      return ReadGuard(lock);
    }

   private:
    friend RwLock;
    explicit WriteGuard(RwLock& owner) noexcept : owner_(&owner) {}
    RwLock* owner_;
  };

  RwLock() = default;
  RwLock(const RwLock&) = delete;
  RwLock& operator=(const RwLock&) = delete;
  ~RwLock() {
    RONDO_ASSERT(readers_ == 0 && !writing_, "an RwLock was destroyed while a guard lives");
  }

  /// Locks for reading.
  /// - **Completes** when no writer is in and nobody waited longer. **Returns** a ReadGuard.
  /// - **Errors** none. **Cancel** stops waiting; nothing is locked, the turn goes to the next.
  /// - **Lifetime** the lock outlives the guard. **Concurrency** any number. **Thread** the loop's.
  auto read() noexcept { return Lock<false>{*this}; }
  /// Locks for writing.
  /// - **Completes** when nobody is in and nobody waited longer. **Returns** a WriteGuard.
  /// - **Errors** none. **Cancel** stops waiting; readers behind it come in if they may.
  /// - **Lifetime** the lock outlives the guard. **Concurrency** any number. **Thread** the loop's.
  auto write() noexcept { return Lock<true>{*this}; }
  /// A guard if that needs no waiting. Never passes one who waits.
  std::optional<ReadGuard> try_read() noexcept {
    if (!free_for(false)) return std::nullopt;
    take(false);
    return ReadGuard(*this);
  }
  std::optional<WriteGuard> try_write() noexcept {
    if (!free_for(true)) return std::nullopt;
    take(true);
    return WriteGuard(*this);
  }

  RwLockStatistics statistics() const noexcept {
    return {readers_, writing_, waiters_.count(), read_locks_, write_locks_};
  }

 private:
  struct Base : detail::ListedWaiter {
    RwLock& lock;
    const bool writes;
    bool inside = false;  ///< let in, and no guard made of it yet
    Base(RwLock& l, bool w, detail::PromiseBase& parent) noexcept : lock(l), writes(w) {
      frame = &parent;
    }
    ~Base() {
      if (inside) lock.leave(writes);
    }
    bool enter() noexcept {
      lock.take(writes);
      return inside = true;
    }
    bool await_ready() noexcept {
      if (detail::cancelled(*this) || !lock.free_for(writes)) return false;
      return detail::spend_await() && enter();
    }
    void await_suspend(std::coroutine_handle<>) noexcept {
      if (detail::cancelled(*this)) return detail::strike(*this);
      if (lock.free_for(writes)) {
        enter();
        return detail::wake(*this);
      }
      lock.waiters_.push_back(*this);
      detail::park(*this, [](detail::Waiter& waiter) noexcept {
        auto& self = static_cast<Base&>(waiter);
        self.unlink();
        detail::strike(self);
        self.lock.admit();  // Readers that waited behind a writer may be next.
      });
    }
  };
  template <bool writes_>
  struct Awaiter : Base {
    using Guard = std::conditional_t<writes_, WriteGuard, ReadGuard>;
    Awaiter(RwLock& l, detail::PromiseBase& parent) noexcept : Base(l, writes_, parent) {}
    Guard await_resume() noexcept {
      this->inside = false;
      return Guard(this->lock);
    }
  };
  template <bool writes>
  struct [[nodiscard("co_await it")]] Lock {
    RwLock& lock;
    Awaiter<writes> awaiter(detail::PromiseBase& parent) && noexcept { return {lock, parent}; }
  };

  bool fits(bool writes) const noexcept { return !writing_ && (!writes || readers_ == 0); }
  bool free_for(bool writes) const noexcept { return waiters_.empty() && fits(writes); }
  void take(bool writes) noexcept {
    waiters_.assert_here();
    if (writes) {
      writing_ = true;
      ++write_locks_;
    } else {
      ++readers_;
      ++read_locks_;
    }
  }
  void leave(bool writes) noexcept {
    if (writes)
      end_write();
    else
      end_read();
  }
  void end_read() noexcept {
    --readers_;
    admit();
  }
  void end_write() noexcept {
    writing_ = false;
    admit();
  }
  /// Lets in from the head of the queue who may be in together.
  void admit() noexcept {
    waiters_.assert_here();
    while (!waiters_.empty()) {
      auto& next = static_cast<Base&>(waiters_.front());
      if (!fits(next.writes)) return;
      next.unlink();
      next.enter();  // Handed over, so that no newcomer gets in between.
      detail::wake(next);
    }
  }

  detail::WaiterList waiters_;
  std::size_t readers_ = 0;
  bool writing_ = false;
  std::uint64_t read_locks_ = 0;
  std::uint64_t write_locks_ = 0;
};

}  // namespace rondo
