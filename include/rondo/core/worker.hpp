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

#include <atomic>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

#include "rondo/base/limits.hpp"
#include "rondo/base/memory.hpp"
#include "rondo/base/result.hpp"
#include "rondo/core/detail/locals.hpp"
#include "rondo/core/loop.hpp"
#include "rondo/core/task.hpp"

namespace rondo {

/// Tells a function on another thread that nobody needs its result any more: the task that awaits
/// it was cancelled, or its time-out has passed. To be looked at now and then by what runs long.
/// Lifetime: valid while the function runs. Thread: any.
class CancelToken {
 public:
  explicit CancelToken(const std::atomic<bool>& asked) noexcept : asked_(&asked) {}
  /// True from the request on. The function may return what it likes: it is awaited as ever.
  bool requested() const noexcept {
    // Relaxed: a hint to stop, which orders nothing else.
    return asked_->load(std::memory_order_relaxed);
  }

 private:
  const std::atomic<bool>* asked_;
};

/// How long many things took. `log2_us[0]` counts those under 1 us, `log2_us[i]` those of at least
/// 2^(i-1) and less than 2^i us; the last one counts everything longer.
struct DurationStatistics {
  static constexpr std::size_t k_buckets = 24;
  std::uint64_t count = 0;
  Duration total = {};
  Duration max = {};
  std::uint32_t log2_us[k_buckets] = {};

  void add(Duration time) noexcept;
};

/// Counters of one loop's use of a worker or pool. Plain numbers, copied.
struct WorkerStatistics {
  std::size_t queued = 0;  ///< jobs that wait for a thread
  std::size_t running = 0;
  std::size_t threads = 0;  ///< alive now; of a shared pool: all of its threads
  std::uint64_t finished = 0;
  std::uint64_t rejected = 0;         ///< refused because the queue was full
  std::uint64_t taken_back = 0;       ///< cancelled before a thread had begun them
  std::uint64_t abandoned = 0;        ///< left running by a caller that was cancelled
  std::uint64_t lost_exceptions = 0;  ///< thrown by abandoned functions: logged, nobody's
  DurationStatistics waited;          ///< from being handed in until a thread began
  DurationStatistics ran;             ///< from there to the end
};

namespace detail {

/// Whose jobs a pool counts: one per lane. Guarded by the pool's mutex.
struct JobSource {
  std::size_t queued = 0;
};

/// One function handed to a lane. States: queued -> running -> done (posted to the loop), or
/// queued -> taken back by a cancel. Owned by whoever awaits it, or by itself when abandoned.
struct Job : Ready, ListLink {
  void (*execute)(Job&) noexcept = nullptr;   ///< on the worker's thread
  void (*finished)(Job&) noexcept = nullptr;  ///< on the loop's thread; may free the job
  JobSource* source = nullptr;                ///< the lane's, while it is handed in
  Loop* home = nullptr;                       ///< where its end is posted
  // On the loop's clock; each written by whoever has the job at that time.
  std::int64_t queued_at = 0;
  std::int64_t begun_at = 0;
  std::int64_t ended_at = 0;
  const LocalNode* locals = nullptr;      ///< what TaskLocals the function reads
  std::atomic<bool> cancel_asked{false};  ///< what its CancelToken shows

  void ask_cancel() noexcept { cancel_asked.store(true, std::memory_order_relaxed); }
};

/// What a function handed to a lane returns, and its call: with a CancelToken if it takes one.
template <class F>
inline constexpr bool takes_token = std::is_invocable_v<F&, CancelToken>;
template <class F>
struct OffloadResult : std::invoke_result<F&> {};
template <class F>
  requires takes_token<F>
struct OffloadResult<F> : std::invoke_result<F&, CancelToken> {};
template <class F>
using OffloadResultOf = typename OffloadResult<F>::type;

/// Runs `function` on this thread and keeps what comes out of it.
template <class F, class T>
void run_offloaded(F& function, Job& job, std::optional<NonVoid<T>>& value,
                   std::exception_ptr& error) noexcept {
  const JobLocals locals(job.locals);
  const auto call = [&]() -> T {
    if constexpr (takes_token<F>)
      return function(CancelToken(job.cancel_asked));
    else
      return function();
  };
  try {
    if constexpr (std::is_void_v<T>) {
      call();
      value.emplace();
    } else {
      value.emplace(call());
    }
  } catch (...) {
    error = std::current_exception();
  }
}

/// A queue of jobs of one loop, and the threads that take from it: its own, or the process's
/// CPU pool, which all loops share. Both bound what waits, each lane for itself.
class Lane {
 public:
  enum class Threads : std::uint8_t { own, process_cpu };
  struct Options {
    const char* name = "rondo-worker";
    Threads kind = Threads::own;
    std::size_t threads = 1;
    std::size_t queue_max = limits::blocking_queue.value;
    Duration idle_max = Duration::zero();  ///< a thread without work ends after it; zero: never
  };
  Lane(Loop& loop, const Options& options);
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;
  ~Lane();

  /// False when the queue is full, or no thread can be had.
  bool submit(Job& job);
  /// Takes a job back that no thread has begun; false when one has.
  bool take_back(Job& job) noexcept;
  /// Jobs handed in and not yet finished.
  std::size_t outstanding() const noexcept;
  WorkerStatistics statistics() const noexcept;
  void note_abandoned() noexcept;
  /// An abandoned function has thrown: counted, and logged with its text.
  void note_lost(const std::exception_ptr& error) noexcept;

 private:
  struct State;
  Owned<State> state_;
};

/// Runs F on a lane; lives in the awaiting frame.
template <class F>
struct LaneAwaiter : Waiter {
  using T = OffloadResultOf<F>;

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
    job.locals = parent.chain->locals;  // It is waited for, so they live long enough.
    job.execute = [](Job& j) noexcept { static_cast<Mine&>(j).awaiter->execute(); };
    job.finished = [](Job& j) noexcept { wake(*static_cast<Mine&>(j).awaiter); };
  }
  void execute() noexcept { run_offloaded<F, T>(function, job, value, error); }
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
      if (self.lane.take_back(self.job))
        strike(self);
      else
        self.job.ask_cancel();
    });
  }
  Lifted<T> await_resume() {
    if (rejected) return Error(Errc::would_exceed, "run");
    if (error) std::rethrow_exception(std::move(error));
    if constexpr (std::is_void_v<T>)
      return {};
    else
      return std::move(*value);
  }
};

template <class F>
struct [[nodiscard("co_await it")]] LaneRun : OperationAwaitable<LaneRun<F>> {
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
      : lane_(Loop::current(), {.name = name, .queue_max = queue_max}) {}

  /// Runs `f()` on the worker, after everything handed in before.
  /// - **Completes** when f has returned. **Returns** its value as a Result.
  /// - **Errors** would_exceed: the queue is full, f did not run. f's exception is rethrown.
  /// - **Cancel** takes f back if it has not begun, else sets its CancelToken (an f that takes one
  ///   is called with it), waits for it and delivers its value.
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
