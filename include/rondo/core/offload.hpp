// SPDX-License-Identifier: Apache-2.0
// run_blocking, run_cpu: a function that blocks or computes, away from the loop.
//
//   auto text = co_await run_blocking([path] { return read_whole_file(path); });
//   auto hash = co_await run_cpu([text](CancelToken stop) { return digest(text, stop); });
//
// Two pools, so that neither starves the other. run_blocking has up to limits::blocking_threads
// threads per loop, started as they are needed, ended when idle (limits::blocking_idle): they
// mostly wait. run_cpu has one thread per usable CPU for the whole process, shared by all loops:
// more would only take turns. For work that needs one thread or an order use a Worker.
// Lifetime: the loop waits at its end for functions that still run.
// Thread rule: called on the loop's thread; the function must not touch the loop.
#pragma once

#include <utility>

#include "rondo/core/worker.hpp"

namespace rondo {

struct OffloadOptions {
  /// A cancelled caller does not wait for a function that runs: its result is dropped. The
  /// function must own everything it uses.
  bool abandon = false;
};
using BlockingOptions = OffloadOptions;
using CpuOptions = OffloadOptions;

/// CPUs this process may use: its affinity mask (as it was at the first call) and its cgroup's
/// quota (rounded up), at least 1. Any thread.
std::size_t usable_cpus() noexcept;

namespace detail {

enum class Pool : std::uint8_t { blocking, cpu };
/// The running loop's lane into a pool; made at the first use.
Lane& offload_lane(Pool pool);

/// A job that outlives an awaiter that was cancelled: both hold it.
template <class F>
struct OwnedRun : Job {
  using T = OffloadResultOf<F>;
  F function;
  std::optional<NonVoid<T>> value;
  std::exception_ptr error;
  Waiter* waiter = nullptr;
  Lane* lane = nullptr;

  OwnedRun(F&& f, const LocalNode* values) : function(std::move(f)) {
    locals = hold_locals(values);
    execute = [](Job& job) noexcept {
      auto& self = static_cast<OwnedRun&>(job);
      run_offloaded<F, T>(self.function, self, self.value, self.error);
    };
    finished = [](Job& job) noexcept {
      auto& self = static_cast<OwnedRun&>(job);
      if (self.waiter) return wake(*self.waiter);
      if (self.error) self.lane->note_lost(self.error);
      delete &self;
    };
  }
  OwnedRun(const OwnedRun&) = delete;
  OwnedRun& operator=(const OwnedRun&) = delete;
  ~OwnedRun() {
    if (locals) drop_locals(locals);
  }
};

template <class F>
struct OffloadAwaiter : Waiter {
  using T = OffloadResultOf<F>;
  OwnedRun<F>* run_;
  Pool pool;
  bool abandon;
  bool rejected = false;

  OffloadAwaiter(F&& f, Pool where, bool may_abandon, PromiseBase& parent)
      : run_(new OwnedRun<F>(std::move(f), parent.chain->locals)),
        pool(where),
        abandon(may_abandon) {
    frame = &parent;
  }
  OffloadAwaiter(const OffloadAwaiter&) = delete;
  ~OffloadAwaiter() { delete run_; }

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<>) {
    if (detail::cancelled(*this)) return strike(*this);
    run_->waiter = this;
    run_->lane = &offload_lane(pool);
    if (!run_->lane->submit(*run_)) {
      rejected = true;
      return wake(*this);
    }
    park(*this, [](Waiter& waiter) noexcept { static_cast<OffloadAwaiter&>(waiter).ask(); });
  }
  void ask() noexcept {
    if (run_->lane->take_back(*run_)) return strike(*this);
    run_->ask_cancel();
    if (!abandon) return;  // Waits for it: by default nothing outlives its scope.
    run_->lane->note_abandoned();
    run_->waiter = nullptr;
    run_ = nullptr;  // Frees itself when it has ended.
    strike(*this);
  }
  Lifted<T> await_resume() {
    if (rejected) return Error(Errc::would_exceed, name());
    if (run_->error) std::rethrow_exception(std::move(run_->error));
    if constexpr (std::is_void_v<T>)
      return {};
    else
      return std::move(*run_->value);
  }
  const char* name() const noexcept { return pool == Pool::cpu ? "run_cpu" : "run_blocking"; }
};

template <class F>
struct [[nodiscard("co_await it")]] Offload : OperationAwaitable<Offload<F>> {
  F function;
  Pool pool;
  bool abandon;
  Offload(F&& f, Pool where, bool may_abandon)
      : function(std::move(f)), pool(where), abandon(may_abandon) {}
  OffloadAwaiter<F> awaiter(PromiseBase& parent) && {
    return {std::move(function), pool, abandon, parent};
  }
};

}  // namespace detail

/// Runs `f()`, or `f(CancelToken)`, on a thread of the blocking pool.
/// - **Completes** when f has returned. **Returns** its value as a Result.
/// - **Errors** would_exceed: limits::blocking_queue jobs wait already. f's exception is rethrown.
/// - **Cancel** takes f back if it has not begun; else sets its token, waits for it and delivers
///   its value, or, with `abandon`, ends at once and drops the value.
/// - **Lifetime** f is kept as long as it runs. **Concurrency** any number, in no order.
/// - **Thread** called on the loop's, runs on the pool's.
template <class F>
auto run_blocking(F f, BlockingOptions options = {}) {
  return detail::Offload<F>(std::move(f), detail::Pool::blocking, options.abandon);
}

/// Runs `f()`, or `f(CancelToken)`, on a thread of the CPU pool: for what computes, not waits.
/// - **Errors** would_exceed: limits::cpu_queue jobs of this loop wait already.
/// - **Cancel** as run_blocking; what runs longer than a caller should wait looks at its token.
/// - Otherwise as run_blocking; first in, first out over all loops.
template <class F>
auto run_cpu(F f, CpuOptions options = {}) {
  return detail::Offload<F>(std::move(f), detail::Pool::cpu, options.abandon);
}

/// Counters of the running loop's blocking pool.
WorkerStatistics blocking_statistics();
/// Counters of the running loop's jobs in the CPU pool; `threads` are the whole pool's.
WorkerStatistics cpu_statistics();

}  // namespace rondo
