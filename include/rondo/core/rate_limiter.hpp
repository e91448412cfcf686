// SPDX-License-Identifier: Apache-2.0
// RateLimiter: so many per time, with a burst. A token bucket.
//
//   RateLimiter limiter({.tokens = 100, .per = 1s, .burst = 20});
//   co_await limiter.acquire();               // waits for its turn
//   if (!limiter.try_acquire(5)) refuse();    // or not at all
//
// The bucket starts full. Waiters are served first in, first out, each at the exact instant its
// tokens are there (in virtual time to the nanosecond, and without drift: n tokens take n times
// `per / tokens`); a small one does not overtake a large one. Nothing ticks while nobody waits.
// Lifetime: outlives its waiters (checked). Thread rule: the loop's thread.
#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdint>

#include "rondo/base/assert.hpp"
#include "rondo/core/event.hpp"

namespace rondo {

struct RateLimiterOptions {
  std::uint64_t tokens = 1;  ///< come in each period
  Duration per = std::chrono::seconds(1);
  std::uint64_t burst = 1;  ///< the most that are there at once
};

struct RateLimiterStatistics {
  std::uint64_t available = 0;
  std::size_t waiting = 0;
  std::uint64_t acquired = 0;  ///< tokens taken so far
  std::uint64_t refused = 0;   ///< calls of try_acquire that found too few
};

class RateLimiter : private detail::Timer {
  struct Awaiter : detail::ListedWaiter {
    RateLimiter& limiter;
    std::uint64_t count;
    Awaiter(RateLimiter& l, std::uint64_t n, detail::PromiseBase& parent) noexcept
        : limiter(l), count(n) {
      frame = &parent;
    }
    bool await_ready() noexcept {
      return !detail::cancelled(*this) && detail::spend_await() && limiter.take_now(count);
    }
    void await_suspend(std::coroutine_handle<>) noexcept {
      if (detail::cancelled(*this)) return detail::strike(*this);
      if (limiter.take_now(count)) return detail::wake(*this);
      limiter.waiters_.push_back(*this);
      limiter.rearm();
      detail::park(*this, [](detail::Waiter& waiter) noexcept {
        auto& self = static_cast<Awaiter&>(waiter);
        self.unlink();
        detail::strike(self);
        self.limiter.serve();  // Those behind it may have their tokens already.
      });
    }
    void await_resume() const noexcept {}
  };
  struct [[nodiscard("co_await it")]] Acquire {
    RateLimiter& limiter;
    std::uint64_t count;
    Awaiter awaiter(detail::PromiseBase& parent) && noexcept { return {limiter, count, parent}; }
  };

 public:
  explicit RateLimiter(const RateLimiterOptions& options) noexcept : options_(options) {
    RONDO_ASSERT(options.tokens > 0 && options.burst > 0 && options.per > Duration::zero(),
                 "a rate limiter needs tokens, a period and a burst above zero");
    fire = [](detail::Timer& timer) noexcept { static_cast<RateLimiter&>(timer).serve(); };
  }
  RateLimiter(const RateLimiter&) = delete;
  RateLimiter& operator=(const RateLimiter&) = delete;
  // Its timer is armed only while somebody waits, and nobody may wait any more (both checked).
  ~RateLimiter() = default;

  /// Takes `count` tokens (1..burst; more is an assertion).
  /// - **Completes** when they are there and nobody waited longer. **Returns** nothing.
  /// - **Errors** none. **Cancel** takes no token; the turn passes on. **Lifetime** outlives it.
  /// - **Concurrency** any number, first in first out. **Thread** the loop's.
  Acquire acquire(std::uint64_t count = 1) noexcept {
    RONDO_ASSERT(count > 0 && count <= options_.burst,
                 "RateLimiter::acquire(n): n is 1..burst, or it would wait for ever");
    return {*this, count};
  }
  /// Takes them if they are there now and nobody waits; else takes nothing.
  bool try_acquire(std::uint64_t count = 1) noexcept {
    if (take_now(count)) return true;
    ++refused_;
    return false;
  }

  RateLimiterStatistics statistics() noexcept {
    return {available(), waiters_.count(), acquired_, refused_};
  }

 private:
  // Credit is counted in tokens times `per`: each nanosecond adds `tokens` of it, a token costs
  // `per`. All in whole numbers, so that nothing is lost to rounding in the long run.
  using Credit = unsigned __int128;

  static std::int64_t now() noexcept { return Loop::current().now().time_since_epoch().count(); }
  Credit cost(std::uint64_t count) const noexcept {
    return Credit{static_cast<std::uint64_t>(options_.per.count())} * count;
  }
  /// Adds what has come in since the last look, up to the burst.
  void fill(std::int64_t at) noexcept {
    const Credit full = cost(options_.burst);
    if (!started_) {
      credit_ = full;
      filled_at_ = at;
      started_ = true;
    }
    if (at > filled_at_) {
      credit_ += Credit{static_cast<std::uint64_t>(at - filled_at_)} * options_.tokens;
      filled_at_ = at;
    }
    // Who waits would have taken its tokens at the very instant, a part of a nanosecond ago or
    // while the loop was busy: nothing has overflowed then.
    if (waiters_.empty() && credit_ > full) credit_ = full;
  }
  std::uint64_t available() noexcept {
    fill(now());
    const Credit whole = credit_ / static_cast<Credit>(options_.per.count());
    return whole < options_.burst ? static_cast<std::uint64_t>(whole) : options_.burst;
  }
  bool take_now(std::uint64_t count) noexcept { return waiters_.empty() && take(now(), count); }
  bool take(std::int64_t at, std::uint64_t count) noexcept {
    waiters_.assert_here();
    fill(at);
    if (credit_ < cost(count)) return false;
    credit_ -= cost(count);
    acquired_ += count;
    return true;
  }
  /// Serves whoever can be served, then waits for the first who cannot.
  void serve() noexcept {
    const std::int64_t at = now();
    while (auto* first = static_cast<Awaiter*>(waiters_.first())) {
      if (!take(at, first->count)) break;
      first->unlink();
      detail::wake(*first);
    }
    rearm();
  }
  void rearm() noexcept {
    Loop& loop = Loop::current();
    if (armed()) loop.disarm(*this);
    auto* first = static_cast<Awaiter*>(waiters_.first());
    if (!first) return;
    // Rounded up: at the instant itself the credit is there, never before.
    const Credit needed = cost(first->count);
    // It may be there already: statistics() fills the bucket while the timer is still on its way.
    const Credit lacking = needed > credit_ ? needed - credit_ : 0;
    const Credit wait = (lacking + options_.tokens - 1) / options_.tokens;
    const Credit most = static_cast<Credit>(k_no_deadline.time_since_epoch().count() - filled_at_);
    deadline = filled_at_ + static_cast<std::int64_t>(wait < most ? wait : most);
    loop.arm(*this);
  }

  RateLimiterOptions options_;
  bool started_ = false;
  std::int64_t filled_at_ = 0;  ///< on the loop's clock
  Credit credit_ = 0;           ///< at that instant
  std::uint64_t acquired_ = 0;
  std::uint64_t refused_ = 0;
  detail::WaiterList waiters_;
};

}  // namespace rondo
