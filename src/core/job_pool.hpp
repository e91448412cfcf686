// SPDX-License-Identifier: Apache-2.0
// JobPool: threads that take jobs from one queue, first in first out, for one lane or for many.
//
// Grows on demand: a job that no idle thread is there for starts one, up to `threads`. A thread
// that has waited `idle_max` for work ends; who starts the next one joins it.
// One thread is woken at a time: who takes a job wakes the next one if jobs are left. A burst of
// short jobs is then done by the threads that have a CPU; waking one thread for each job costs two
// switches a job more. Invariant: while jobs and idle threads are there, a woken thread is on its
// way, so that jobs that block never keep others waiting that an idle thread could do.
// Who may touch what: everything behind `mutex_`, except the job itself, which belongs to the
// thread from pop to post_entry (then to its loop's thread), and is unlinked meanwhile.
// Lifetime: outlives its lanes' jobs; lanes share it. Thread rule: submit and take_back on any
// loop's thread.
#pragma once

#include <condition_variable>
#include <list>
#include <memory>
#include <mutex>
#include <thread>

#include "rondo/core/worker.hpp"

namespace rondo::detail {

class JobPool {
 public:
  struct Options {
    const char* name;
    std::size_t threads;
    Duration idle_max;  ///< zero: threads stay until the pool ends
  };
  explicit JobPool(const Options& options) : options_(options) {}
  JobPool(const JobPool&) = delete;
  JobPool& operator=(const JobPool&) = delete;
  ~JobPool();

  /// The one pool for computations of this process, while some loop holds it.
  static std::shared_ptr<JobPool> of_process();

  /// False when `queue_max` jobs of this source wait, or the system gives not even one thread.
  bool submit(Job& job, std::size_t queue_max);
  bool take_back(Job& job) noexcept;
  std::size_t threads() const noexcept;
  std::size_t queued(const JobSource& source) const noexcept;

 private:
  void run_thread();
  bool wait_for_work(std::unique_lock<std::mutex>& lock);
  bool shall_wake_locked() noexcept;
  bool start_thread_locked();
  void leave_locked();

  const Options options_;
  mutable std::mutex mutex_;
  std::condition_variable work_;
  IntrusiveList<Job> queue_;
  std::size_t queued_ = 0;
  std::size_t live_ = 0;  ///< threads that may still take a job
  std::size_t idle_ = 0;  ///< of these, waiting
  bool waking_ = false;   ///< one of these was notified and has not looked yet
  bool closing_ = false;
  std::list<std::thread> threads_;  // Lists: a thread that leaves moves its node, and allocates
  std::list<std::thread> ended_;    // nothing. Those in ended_ take no job: a join is short.
};

}  // namespace rondo::detail
