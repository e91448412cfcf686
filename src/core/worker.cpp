// SPDX-License-Identifier: Apache-2.0
// Lanes: one loop's way into a pool of threads, or, under simulation, job operations instead.
#include "rondo/core/worker.hpp"

#include <algorithm>
#include <bit>
#include <memory>
#include <string>
#include <vector>

#include "core/job_pool.hpp"
#include "rondo/base/log.hpp"
#include "rondo/base/trace.hpp"
#include "rondo/core/offload.hpp"

namespace rondo {

void DurationStatistics::add(Duration time) noexcept {
  ++count;
  total += time;
  max = std::max(max, time);
  const auto us = static_cast<std::uint64_t>(std::max<Duration::rep>(time.count(), 0)) / 1'000;
  ++log2_us[std::min<std::size_t>(static_cast<std::size_t>(std::bit_width(us)), k_buckets - 1)];
}

namespace detail {
namespace {

/// Under simulation: turns whose lane has ended before their operation; the loop waits for them.
struct LateTurns final : LoopService {
  explicit LateTurns(Loop&) {}
  bool drained() const noexcept override { return count == 0; }
  std::size_t count = 0;
};

}  // namespace

struct Lane::State : JobSource {
  /// Under simulation: one would-be thread. States: idle -> picking (its operation completes when
  /// the thread would have begun the oldest job) -> running (it completes when the function would
  /// have returned) -> picking or idle. Between the two instants a cancel finds the job begun. The
  /// function itself runs at the second one: there it can see what was asked of it meanwhile.
  struct Turn : io::JobOp {
    State* state = nullptr;
    Job* job = nullptr;
  };

  State(Loop& at, const Options& given) : loop(at), options(given) {
    if (!loop.driver().probe().has_threads) {
      make_turns();
      return;
    }
    pool =
        options.kind == Threads::process_cpu
            ? JobPool::of_process()
            : std::make_shared<JobPool>(JobPool::Options{
                  .name = options.name, .threads = options.threads, .idle_max = options.idle_max});
  }
  void make_turns() {
    // The same number on every machine: a seed replays everywhere.
    constexpr std::size_t k_simulated_cpus = 4;
    late = &loop.service<LateTurns>();  // Made before whatever owns this lane, so it ends after.
    turns = std::vector<Turn>(options.kind == Threads::process_cpu ? k_simulated_cpus
                                                                   : options.threads);
    for (Turn& turn : turns) {
      turn.state = this;
      turn.lane = next_lane++;
      turn.on_complete = [](io::Operation& op, const io::Completion&) noexcept {
        auto& due = static_cast<Turn&>(op);
        if (due.state->orphaned)
          due.state->drop_late();
        else
          due.state->take_turn(due);
      };
    }
  }

  bool submit(Job& job) {
    job.source = this;
    job.home = &loop;
    job.run = &run_done;
    job.queued_at = now();
    return pool ? pool->submit(job, options.queue_max) : submit_simulated(job);
  }
  bool submit_simulated(Job& job) {
    if (queued >= options.queue_max) return false;
    queue.push_back(job);
    ++queued;
    wake_turn();
    return true;
  }
  void wake_turn() {
    for (Turn& turn : turns) {
      if (turn.in_flight()) continue;
      return loop.driver().submit(turn);
    }
  }
  void take_turn(Turn& turn) noexcept {
    if (turn.job) return end_turn(turn);
    turn.job = queue.pop_front();
    if (!turn.job) return;  // Taken back before anybody began it.
    --queued;
    turn.job->begun_at = now();
    loop.driver().submit(turn);
  }
  void end_turn(Turn& turn) noexcept {
    Job& job = *std::exchange(turn.job, nullptr);
    job.execute(job);
    job.ended_at = now();
    core().ready.push_back(job);
    if (queued > 0) loop.driver().submit(turn);
  }
  /// The lane ends, without jobs. A turn that was picking may be begun, as far as the driver is
  /// concerned, and then ends in its own time: true when the state has to live on until then.
  bool orphan() noexcept {
    orphaned = true;
    for (Turn& turn : turns) {
      if (!turn.in_flight()) continue;
      ++in_flight;
      ++late->count;
    }
    const bool lives_on = in_flight > 0;
    for (Turn& turn : turns) {
      if (turn.in_flight()) loop.driver().cancel(turn);  // Completes in a later wait.
    }
    return lives_on;
  }
  void drop_late() noexcept {
    --late->count;
    if (--in_flight == 0) delete this;
  }
  bool take_back(Job& job) noexcept {
    if (pool) return pool->take_back(job);
    if (!job.linked()) return false;
    job.unlink();
    --queued;
    return true;
  }

  static void trace_end(TraceRing& ring, const Job& job) noexcept {
    const auto ns = [](std::int64_t time) {
      return static_cast<std::uint64_t>(std::clamp<std::int64_t>(time, 0, UINT32_MAX));
    };
    ring.put(TraceKind::offload, reinterpret_cast<std::uintptr_t>(&job),
             ns(job.begun_at - job.queued_at) | ns(job.ended_at - job.begun_at) << 32);
  }
  static void run_done(Ready& entry) {
    auto& job = static_cast<Job&>(entry);
    auto& self = static_cast<State&>(*job.source);
    --self.outstanding;
    ++self.counters.finished;
    self.counters.waited.add(Duration(job.begun_at - job.queued_at));
    self.counters.ran.add(Duration(job.ended_at - job.begun_at));
    if (TraceRing* ring = core().trace) [[unlikely]]
      trace_end(*ring, job);
    job.finished(job);
  }
  std::int64_t now() noexcept { return loop.driver().time(io::Clock::monotonic); }

  // Lane numbers only have to differ within one loop's simulation; they start anew per thread.
  static inline thread_local std::uint32_t next_lane = 0;

  Loop& loop;
  const Options options;
  std::shared_ptr<JobPool> pool;  ///< null under simulation
  IntrusiveList<Job> queue;       ///< under simulation only
  std::vector<Turn> turns;
  LateTurns* late = nullptr;
  std::size_t in_flight = 0;  ///< turns, once orphaned
  bool orphaned = false;
  std::size_t outstanding = 0;
  WorkerStatistics counters;
};

Lane::Lane(Loop& loop, const Options& options) : state_(std::make_unique<State>(loop, options)) {}

Lane::~Lane() {
  RONDO_ASSERT(state_->outstanding == 0, "a Worker was destroyed while tasks await it");
  if (state_->orphan()) static_cast<void>(state_.release());
}

bool Lane::submit(Job& job) {
  const bool taken = state_->submit(job);
  if (taken)
    ++state_->outstanding;
  else
    ++state_->counters.rejected;
  return taken;
}

bool Lane::take_back(Job& job) noexcept {
  if (!state_->take_back(job)) return false;
  --state_->outstanding;
  ++state_->counters.taken_back;
  return true;
}

std::size_t Lane::outstanding() const noexcept { return state_->outstanding; }
void Lane::note_abandoned() noexcept { ++state_->counters.abandoned; }

void Lane::note_lost(const std::exception_ptr& error) noexcept {
  ++state_->counters.lost_exceptions;
  std::string line("an abandoned function of ");
  line.append(state_->options.name).append(" has thrown: ");
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& thrown) {
    line.append(thrown.what());
  } catch (...) {
    line.append("no std::exception");
  }
  log(LogLevel::warning, line);
}

WorkerStatistics Lane::statistics() const noexcept {
  WorkerStatistics now = state_->counters;
  now.queued = state_->pool ? state_->pool->queued(*state_) : state_->queued;
  now.running = state_->outstanding - now.queued;
  now.threads = state_->pool ? state_->pool->threads() : 0;
  return now;
}

namespace {

/// A loop's way into one pool; keeps the loop alive while an abandoned function runs.
struct PoolService : LoopService {
  PoolService(Loop& loop, const Lane::Options& options) : lane(loop, options) {}
  bool drained() const noexcept override { return lane.outstanding() == 0; }
  Lane lane;
};

struct BlockingPool final : PoolService {
  explicit BlockingPool(Loop& loop)
      : PoolService(loop, {.name = "rondo-blocking",
                           .threads = limits::blocking_threads.value,
                           .queue_max = limits::blocking_queue.value,
                           .idle_max = std::chrono::milliseconds(limits::blocking_idle.value)}) {}
};

struct CpuPool final : PoolService {
  explicit CpuPool(Loop& loop)
      : PoolService(loop, {.name = "rondo-cpu",
                           .kind = Lane::Threads::process_cpu,
                           .queue_max = limits::cpu_queue.value}) {}
};

}  // namespace

Lane& offload_lane(Pool pool) {
  Loop& loop = Loop::current();
  return pool == Pool::cpu ? loop.service<CpuPool>().lane : loop.service<BlockingPool>().lane;
}

}  // namespace detail

WorkerStatistics blocking_statistics() {
  return detail::offload_lane(detail::Pool::blocking).statistics();
}
WorkerStatistics cpu_statistics() { return detail::offload_lane(detail::Pool::cpu).statistics(); }

}  // namespace rondo
