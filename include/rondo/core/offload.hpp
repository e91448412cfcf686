// SPDX-License-Identifier: Apache-2.0
// run_blocking: a call that blocks, away from the loop.
//
//   auto text = co_await run_blocking([path] { return read_whole_file(path); });
//
// A pool of up to limits::blocking_threads threads per loop, started as they are needed. For work
// that needs one thread or an order use a Worker.
// Lifetime: the loop waits at its end for functions that still run.
// Thread rule: called on the loop's thread; the function must not touch the loop.
#pragma once

#include <utility>

#include "rondo/core/worker.hpp"

namespace rondo {

struct BlockingOptions {
  /// A cancelled caller does not wait for a function that runs: its result is dropped. The
  /// function must own everything it uses.
  bool abandon = false;
};

namespace detail {

Lane& blocking_lane();

/// A job that outlives an awaiter that was cancelled: both hold it.
template <class F>
struct OwnedRun : Job {
  using T = std::invoke_result_t<F&>;
  F function;
  std::optional<NonVoid<T>> value;
  std::exception_ptr error;
  Waiter* waiter = nullptr;

  explicit OwnedRun(F&& f) : function(std::move(f)) {
    execute = [](Job& job) noexcept {
      auto& self = static_cast<OwnedRun&>(job);
      try {
        if constexpr (std::is_void_v<T>) {
          self.function();
          self.value.emplace();
        } else {
          self.value.emplace(self.function());
        }
      } catch (...) {
        self.error = std::current_exception();
      }
    };
    finished = [](Job& job) noexcept {
      auto& self = static_cast<OwnedRun&>(job);
      if (self.waiter) wake(*self.waiter);
      else delete &self;
    };
  }
};

template <class F>
struct BlockingAwaiter : Waiter {
  using T = std::invoke_result_t<F&>;
  OwnedRun<F>* run_;
  bool abandon;
  bool rejected = false;

  BlockingAwaiter(F&& f, bool may_abandon, PromiseBase& parent)
      : run_(new OwnedRun<F>(std::move(f))), abandon(may_abandon) {
    frame = &parent;
  }
  BlockingAwaiter(const BlockingAwaiter&) = delete;
  ~BlockingAwaiter() { delete run_; }

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<>) {
    if (detail::cancelled(*this)) return strike(*this);
    run_->waiter = this;
    if (!blocking_lane().submit(*run_)) {
      rejected = true;
      return wake(*this);
    }
    park(*this, [](Waiter& waiter) noexcept {
      auto& self = static_cast<BlockingAwaiter&>(waiter);
      if (blocking_lane().take_back(*self.run_)) return strike(self);
      if (!self.abandon) return;  // Waits for it: by default nothing outlives its scope.
      self.run_->waiter = nullptr;
      self.run_ = nullptr;  // Frees itself when it has ended.
      strike(self);
    });
  }
  Lifted<T> await_resume() {
    if (rejected) return Error(Errc::would_exceed, "run_blocking");
    if (run_->error) std::rethrow_exception(std::move(run_->error));
    if constexpr (std::is_void_v<T>) return {};
    else return std::move(*run_->value);
  }
};

template <class F>
struct [[nodiscard]] RunBlocking : OperationAwaitable<RunBlocking<F>> {
  F function;
  bool abandon;
  RunBlocking(F&& f, bool may_abandon) : function(std::move(f)), abandon(may_abandon) {}
  BlockingAwaiter<F> awaiter(PromiseBase& parent) && {
    return {std::move(function), abandon, parent};
  }
};

}  // namespace detail

/// Runs `f()` on a thread of the blocking pool.
/// - **Completes** when f has returned. **Returns** its value as a Result.
/// - **Errors** would_exceed: limits::blocking_queue jobs wait already. f's exception is rethrown.
/// - **Cancel** takes f back if it has not begun; else waits for it and delivers its value, or,
///   with `abandon`, ends at once and drops the value.
/// - **Lifetime** f is kept as long as it runs. **Concurrency** any number, in no order.
/// - **Thread** called on the loop's, runs on the pool's.
template <class F>
auto run_blocking(F f, BlockingOptions options = {}) {
  return detail::RunBlocking<F>(std::move(f), options.abandon);
}

/// Counters of the running loop's blocking pool.
WorkerStatistics blocking_statistics();

}  // namespace rondo
