// SPDX-License-Identifier: Apache-2.0
// Worker: a thread that runs functions for a loop, one after the other.
//
//   Worker disk("history");                              // one lane, one thread
//   Result<Rows> rows = co_await disk.run([&] { return query(database, text); });
//
// For what blocks and must keep its order or its thread: a database connection, a device. For a
// call that just blocks use run_blocking (core/offload.hpp), which has a pool.
// All threads of the library but loops are made here. Under simulation there is no thread: the
// function runs on the loop's thread at a seeded instant of virtual time.
// Lifetime: outlives its runs; the destructor lets the function that runs end, then joins.
// Thread rule: the loop's thread; the function runs on the worker's: it must not touch the loop,
// its tasks or streams, and what it refers to must not be used by others meanwhile.
#pragma once

#include <coroutine>
#include <cstddef>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

#include "rondo/base/limits.hpp"
#include "rondo/base/memory.hpp"
#include "rondo/base/result.hpp"
#include "rondo/core/loop.hpp"
#include "rondo/core/task.hpp"

namespace rondo {

struct WorkerStatistics {
  std::size_t queued = 0;      ///< jobs that wait for a thread
  std::size_t running = 0;
  std::size_t threads = 0;
  std::uint64_t finished = 0;
  std::uint64_t rejected = 0;  ///< refused because the queue was full
};

namespace detail {

/// One function handed to a lane. States: queued -> running -> done (posted to the loop), or
/// queued -> taken back by a cancel. Owned by whoever awaits it, or by itself when abandoned.
struct Job : Ready, ListLink {
  void (*execute)(Job&) noexcept = nullptr;   ///< on the worker's thread
  void (*finished)(Job&) noexcept = nullptr;  ///< on the loop's thread; may free the job
  void* lane_state = nullptr;                 ///< the lane's, while it is handed in
};

/// A queue of jobs with up to `threads` threads.
class Lane {
 public:
  struct Options {
    const char* name;
    std::size_t threads = 1;
    std::size_t queue_max = limits::blocking_queue.value;
  };
  Lane(Loop& loop, const Options& options);
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;
  ~Lane();

  /// False when the queue is full.
  bool submit(Job& job);
  /// Takes a job back that no thread has begun; false when one has.
  bool take_back(Job& job) noexcept;
  /// Jobs handed in and not yet finished.
  std::size_t outstanding() const noexcept;
  WorkerStatistics statistics() const noexcept;

 private:
  struct State;
  Owned<State> state_;
};

/// Runs F on a lane; lives in the awaiting frame.
template <class F>
struct LaneAwaiter : Waiter {
  using T = std::invoke_result_t<F&>;

  struct Mine : Job {
    LaneAwaiter* awaiter = nullptr;
  };
  Lane& lane;
  F function;
  Mine job;
  std::optional<NonVoid<T>> value;
  std::exception_ptr error;
  bool rejected = false;

  LaneAwaiter(Lane& at, F&& f, PromiseBase& parent) : lane(at), function(std::move(f)) {
    frame = &parent;
    job.awaiter = this;
    job.execute = [](Job& j) noexcept { static_cast<Mine&>(j).awaiter->execute(); };
    job.finished = [](Job& j) noexcept { wake(*static_cast<Mine&>(j).awaiter); };
  }
  void execute() noexcept {
    try {
      if constexpr (std::is_void_v<T>) {
        function();
        value.emplace();
      } else {
        value.emplace(function());
      }
    } catch (...) {
      error = std::current_exception();
    }
  }
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<>) {
    if (detail::cancelled(*this)) return strike(*this);
    if (!lane.submit(job)) {
      rejected = true;
      return wake(*this);
    }
    park(*this, [](Waiter& waiter) noexcept {
      auto& self = static_cast<LaneAwaiter&>(waiter);
      // One that runs is waited for: nobody can stop it, and its result is data, which wins.
      if (self.lane.take_back(self.job)) strike(self);
    });
  }
  Lifted<T> await_resume() {
    if (rejected) return Error(Errc::would_exceed, "run");
    if (error) std::rethrow_exception(std::move(error));
    if constexpr (std::is_void_v<T>) return {};
    else return std::move(*value);
  }
};

template <class F>
struct [[nodiscard]] LaneRun : OperationAwaitable<LaneRun<F>> {
  Lane& lane;
  F function;
  LaneRun(Lane& at, F&& f) : lane(at), function(std::move(f)) {}
  LaneAwaiter<F> awaiter(PromiseBase& parent) && { return {lane, std::move(function), parent}; }
};

}  // namespace detail

class Worker {
 public:
  /// `name` (a literal) names the thread; it starts with the first run, for the current loop.
  explicit Worker(const char* name, std::size_t queue_max = limits::blocking_queue.value)
      : lane_(Loop::current(), {.name = name, .threads = 1, .queue_max = queue_max}) {}

  /// Runs `f()` on the worker, after everything handed in before.
  /// - **Completes** when f has returned. **Returns** its value as a Result.
  /// - **Errors** would_exceed: the queue is full, f did not run. f's exception is rethrown.
  /// - **Cancel** takes f back if it has not begun, else waits for it and delivers its value.
  /// - **Lifetime** f lives in the awaiter: captures by reference are safe while it is awaited.
  /// - **Concurrency** any number, in order. **Thread** called on the loop's, runs on its own.
  template <class F>
  auto run(F f) {
    return detail::LaneRun<F>(lane_, std::move(f));
  }
  WorkerStatistics statistics() const noexcept { return lane_.statistics(); }

 private:
  detail::Lane lane_;
};

}  // namespace rondo
