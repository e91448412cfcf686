// SPDX-License-Identifier: Apache-2.0
#include "core/job_pool.hpp"

#include <algorithm>
#include <utility>

#include "core/thread_start.hpp"
#include "rondo/core/offload.hpp"

namespace rondo::detail {

JobPool::~JobPool() {
  std::list<std::thread> all;
  {
    std::unique_lock lock(mutex_);
    RONDO_ASSERT(queue_.empty(), "a pool ended while jobs were waiting in it");
    closing_ = true;
    all.swap(threads_);
  }
  work_.notify_all();
  for (std::thread& thread : all) thread.join();
  for (std::thread& thread : ended_) thread.join();
}

std::shared_ptr<JobPool> JobPool::of_process() {
  static std::mutex guard;
  static std::weak_ptr<JobPool> shared;
  std::unique_lock lock(guard);
  std::shared_ptr<JobPool> pool = shared.lock();
  if (!pool) {
    const std::size_t threads = std::min<std::size_t>(usable_cpus(), limits::cpu_threads_max.value);
    // Its idle threads cost nothing but their stacks, and computations come in bursts: they stay
    // as long as a loop that has used them.
    pool = std::make_shared<JobPool>(
        Options{.name = "rondo-cpu", .threads = threads, .idle_max = Duration::zero()});
    shared = pool;
  }
  return pool;
}

bool JobPool::submit(Job& job, std::size_t queue_max) {
  std::list<std::thread> joinable;
  bool wakes = false;
  {
    std::unique_lock lock(mutex_);
    if (job.source->queued >= queue_max) return false;
    const bool short_of_threads = idle_ < queued_ + 1 && live_ < options_.threads;
    if (short_of_threads && !start_thread_locked() && live_ == 0) return false;
    queue_.push_back(job);
    ++queued_;
    ++job.source->queued;
    joinable.swap(ended_);
    wakes = shall_wake_locked();
  }
  if (wakes) work_.notify_one();
  for (std::thread& thread : joinable) thread.join();
  return true;
}

/// The system may refuse another thread: those that run are enough, none is not.
bool JobPool::start_thread_locked() {
  try {
    threads_.push_back(start_thread(options_.name, [this] { run_thread(); }));
  } catch (...) {
    return false;
  }
  ++live_;
  return true;
}

bool JobPool::take_back(Job& job) noexcept {
  std::unique_lock lock(mutex_);
  if (!job.linked()) return false;
  job.unlink();
  --queued_;
  --job.source->queued;
  return true;
}

std::size_t JobPool::threads() const noexcept {
  std::unique_lock lock(mutex_);
  return live_;
}

std::size_t JobPool::queued(const JobSource& source) const noexcept {
  std::unique_lock lock(mutex_);
  return source.queued;
}

/// True when the caller has to notify a thread, which is on its way from here on.
bool JobPool::shall_wake_locked() noexcept {
  if (queued_ == 0 || idle_ == 0 || waking_) return false;
  return waking_ = true;
}

/// False when this thread shall end.
bool JobPool::wait_for_work(std::unique_lock<std::mutex>& lock) {
  const bool for_ever = options_.idle_max == Duration::zero();
  const auto end = std::chrono::steady_clock::now() + options_.idle_max;
  ++idle_;
  bool timed_out = false;
  while (queued_ == 0 && !closing_ && !timed_out) {
    if (for_ever)
      work_.wait(lock);
    else
      timed_out = work_.wait_until(lock, end) == std::cv_status::timeout;
    // Whoever was notified has come, also when a busy thread has taken the job meanwhile. Cleared
    // by one that was not (it timed out), it costs one wake-up too many.
    waking_ = false;
  }
  --idle_;
  return queued_ > 0;
}

void JobPool::leave_locked() {
  --live_;
  const auto self = std::this_thread::get_id();
  const auto own = std::find_if(threads_.begin(), threads_.end(),
                                [self](const std::thread& t) { return t.get_id() == self; });
  if (own == threads_.end()) return;  // The pool ends, and joins them all itself.
  ended_.splice(ended_.end(), threads_, own);
}

void JobPool::run_thread() {
  std::unique_lock lock(mutex_);
  while (wait_for_work(lock)) {
    Job* job = queue_.pop_front();
    --queued_;
    --job->source->queued;
    Loop& home = *job->home;
    const bool wakes = shall_wake_locked();
    lock.unlock();
    if (wakes) work_.notify_one();
    job->begun_at = home.driver().time(io::Clock::monotonic);
    job->execute(*job);
    job->ended_at = home.driver().time(io::Clock::monotonic);
    home.post_entry(*job);  // From here on the job is the loop's again.
    lock.lock();
  }
  leave_locked();
}

}  // namespace rondo::detail
