// SPDX-License-Identifier: Apache-2.0
// Watch<T>: the latest value of something, and waiting for it to change.
//
//   Watch<Config> config(load());
//   auto reader = config.subscribe();
//   while (const Config* now = co_await reader.changed()) apply(*now);   // null: closed
//   ... elsewhere: config.set(reloaded);
//
// A reader sees the newest value; what was replaced before it looked is skipped. To see every
// item use a Broadcast.
// Lifetime: outlives its readers (checked while they wait); the pointer is valid until the next
// set(), so do not keep it over an await. Thread rule: the loop's thread.
#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "rondo/core/event.hpp"

namespace rondo {

struct WatchStatistics {
  std::uint64_t version = 0;  ///< how often it was set
  std::size_t waiting = 0;
  bool closed = false;
};

template <class T>
class Watch {
  struct Awaiter : detail::ListedWaiter {
    Watch& watch;
    std::uint64_t& seen;
    Awaiter(Watch& w, std::uint64_t& version, detail::PromiseBase& parent) noexcept
        : watch(w), seen(version) {
      frame = &parent;
    }
    bool ready() const noexcept { return watch.closed_ || watch.version_ != seen; }
    bool await_ready() const noexcept {
      return !detail::cancelled(*this) && ready() && detail::spend_await();
    }
    void await_suspend(std::coroutine_handle<>) noexcept {
      if (detail::cancelled(*this)) return detail::strike(*this);
      if (ready()) return detail::wake(*this);
      park_in(watch.waiters_);
    }
    const T* await_resume() const noexcept {
      if (watch.version_ == seen) return nullptr;
      seen = watch.version_;
      return &watch.value_;
    }
  };
  struct [[nodiscard("co_await it")]] Changed {
    Watch& watch;
    std::uint64_t& seen;
    Awaiter awaiter(detail::PromiseBase& parent) && noexcept { return {watch, seen, parent}; }
  };

 public:
  /// One reader's place. Copyable; a copy has seen what the original has.
  class Reader {
   public:
    /// Waits for a value that this reader has not seen.
    /// - **Completes** at once when there is one. **Returns** it; null once closed and seen.
    /// - **Errors** none. **Cancel** stops waiting; nothing counts as seen.
    /// - **Lifetime** the reader stays where it is while it waits. **Concurrency** one wait of a
    ///   reader. **Thread** the loop's.
    Changed changed() noexcept { return {*watch_, seen_}; }
    /// The newest value, which counts as seen from now on.
    const T& get() noexcept {
      seen_ = watch_->version_;
      return watch_->value_;
    }
    bool has_changed() const noexcept { return seen_ != watch_->version_; }

   private:
    friend Watch;
    Reader(Watch& watch, std::uint64_t seen) noexcept : watch_(&watch), seen_(seen) {}
    Watch* watch_;
    std::uint64_t seen_;
  };

  explicit Watch(T value = T()) : value_(std::move(value)) {}
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  /// Replaces the value and wakes every waiting reader.
  void set(T value) {
    value_ = std::move(value);
    ++version_;
    wake_all();
  }
  /// Changes the value in place: `f(T&)`.
  template <class F>
  void update(F f) {
    f(value_);
    ++version_;
    wake_all();
  }
  const T& get() const noexcept { return value_; }
  /// A reader that has seen the value of now.
  Reader subscribe() noexcept { return Reader(*this, version_); }
  /// No more values come.
  void close() noexcept {
    closed_ = true;
    wake_all();
  }

  WatchStatistics statistics() const noexcept { return {version_, waiters_.count(), closed_}; }

 private:
  void wake_all() noexcept {
    while (auto* waiter = waiters_.pop_front()) detail::wake(*waiter);
  }

  T value_;
  std::uint64_t version_ = 0;
  detail::WaiterList waiters_;
  bool closed_ = false;
};

}  // namespace rondo
