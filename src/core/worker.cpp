// SPDX-License-Identifier: Apache-2.0
// Lanes: queues of jobs with threads of their own, or, under simulation, with job operations.
#include "rondo/core/worker.hpp"

#include <pthread.h>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string_view>
#include <thread>
#include <vector>

#include "rondo/core/offload.hpp"

namespace rondo::detail {

struct Lane::State {
  /// Under simulation: the turn of one would-be thread. It takes the oldest job when its
  /// operation completes, at an instant drawn from the seed.
  struct Turn : io::JobOp {
    State* state = nullptr;
  };

  State(Loop& at, const Options& given)
      : loop(at), options(given), has_threads(loop.driver().probe().has_threads) {
    if (!has_threads) turns = std::vector<Turn>(options.threads);
    for (Turn& turn : turns) {
      turn.state = this;
      turn.lane = next_lane++;
      turn.on_complete = [](io::Operation& op, const io::Completion&) noexcept {
        static_cast<Turn&>(op).state->take_turn();
      };
    }
  }

  // Real threads.
  void run_thread() {
    std::unique_lock lock(mutex);
    while (true) {
      ++idle;
      work.wait(lock, [this] { return queued > 0 || closing; });
      --idle;
      if (queued == 0) return;
      Job* job = queue.pop_front();
      --queued;
      lock.unlock();
      job->execute(*job);
      loop.post_entry(*job);  // From here on the job is the loop's again.
      lock.lock();
    }
  }
  void start_thread() {
    threads.reserve(options.threads);  // Then a refused thread leaves the others as they are.
    threads.emplace_back([this] { run_thread(); });
    char name[16] = {};  // What the kernel keeps: 15 characters.
    std::string_view(options.name).copy(name, sizeof name - 1);
    pthread_setname_np(threads.back().native_handle(), name);
  }
  /// Wakes an idle thread or starts one. False when the queue is full or no thread can be had.
  bool enqueue(Job& job) {
    std::unique_lock lock(mutex);
    if (queued >= options.queue_max) return false;
    queue.push_back(job);
    ++queued;
    const bool needs_thread = idle < queued && threads.size() < options.threads;
    lock.unlock();
    if (needs_thread) return start_thread_for(job);
    work.notify_one();
    return true;
  }
  /// The system may refuse another thread: those that run are enough, none is not.
  bool start_thread_for(Job& job) {
    try {
      start_thread();
    } catch (...) {
      if (!threads.empty()) {
        work.notify_one();
        return true;
      }
      job.unlink();  // Nobody else can have taken it.
      --queued;
      return false;
    }
    return true;
  }

  // Simulation.
  bool enqueue_simulated(Job& job) {
    if (queued >= options.queue_max) return false;
    queue.push_back(job);
    ++queued;
    for (Turn& turn : turns) {
      if (turn.in_flight()) continue;
      loop.driver().submit(turn);
      break;
    }
    return true;
  }
  void take_turn() noexcept {
    Job* job = queue.pop_front();
    if (job) {
      --queued;
      job->execute(*job);
      core().ready.push_back(*job);
    }
    for (Turn& turn : turns) {
      if (queued > 0 && !turn.in_flight()) return loop.driver().submit(turn);
    }
  }

  static void run_done(Ready& entry) {
    auto& job = static_cast<Job&>(entry);
    auto& self = *static_cast<State*>(job.lane_state);
    --self.outstanding;
    ++self.counters.finished;
    job.finished(job);
  }

  // Lane numbers only have to differ within one loop's simulation; they start anew per thread.
  static inline thread_local std::uint32_t next_lane = 0;

  Loop& loop;
  const Options options;
  const bool has_threads;

  // Guarded by mutex.
  std::mutex mutex;
  std::condition_variable work;
  IntrusiveList<Job> queue;
  std::size_t queued = 0;
  std::size_t idle = 0;
  bool closing = false;

  // The loop's thread only.
  std::vector<std::thread> threads;
  std::vector<Turn> turns;
  std::size_t outstanding = 0;
  WorkerStatistics counters;
};

Lane::Lane(Loop& loop, const Options& options)
    : state_(std::make_unique<State>(loop, options)) {}

Lane::~Lane() {
  {
    std::unique_lock lock(state_->mutex);
    RONDO_ASSERT(state_->outstanding == 0, "a Worker was destroyed while tasks await it");
    state_->closing = true;
  }
  state_->work.notify_all();
  for (std::thread& thread : state_->threads) thread.join();
  for (State::Turn& turn : state_->turns) {
    if (turn.in_flight()) state_->loop.driver().cancel(turn);
    while (turn.in_flight()) state_->loop.driver().wait(io::Wait::poll, TimePoint{});
  }
}

bool Lane::submit(Job& job) {
  job.lane_state = state_.get();
  job.run = &State::run_done;
  const bool taken = state_->has_threads ? state_->enqueue(job) : state_->enqueue_simulated(job);
  if (taken) ++state_->outstanding;
  else ++state_->counters.rejected;
  return taken;
}

bool Lane::take_back(Job& job) noexcept {
  std::unique_lock lock(state_->mutex);
  if (!job.linked()) return false;
  job.unlink();
  --state_->queued;
  --state_->outstanding;
  return true;
}

std::size_t Lane::outstanding() const noexcept { return state_->outstanding; }

WorkerStatistics Lane::statistics() const noexcept {
  std::unique_lock lock(state_->mutex);
  WorkerStatistics now = state_->counters;
  now.queued = state_->queued;
  now.running = state_->outstanding - state_->queued;
  now.threads = state_->threads.size();
  return now;
}

namespace {

/// The loop's blocking pool; keeps the loop alive while an abandoned function runs.
class BlockingPool final : public LoopService {
 public:
  explicit BlockingPool(Loop& loop)
      : lane(loop, {.name = "rondo-blocking", .threads = limits::blocking_threads.value}) {}
  bool drained() const noexcept override { return lane.outstanding() == 0; }
  Lane lane;
};

}  // namespace

Lane& blocking_lane() { return Loop::current().service<BlockingPool>().lane; }

}  // namespace rondo::detail

namespace rondo {

WorkerStatistics blocking_statistics() { return detail::blocking_lane().statistics(); }

}  // namespace rondo
