// SPDX-License-Identifier: Apache-2.0
// Ring: the two queues shared with the kernel and the one system call that moves both.
//
// A thin owner around liburing's struct io_uring. It knows nothing about operations.
// Thread rule: the thread that calls open(): the kernel takes entries from no other.
#pragma once

#include <liburing.h>

#include <cstdint>
#include <string>

#include "rondo/base/time.hpp"
#include "rondo/io/buffer_pool.hpp"

namespace rondo::io::uring {

/// Places in the ring's table of open files: read_whole_file operations under way at a time.
inline constexpr unsigned k_file_slots = 64;

class Ring {
 public:
  Ring() = default;
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;
  ~Ring();

  /// Makes the ring, proves that entering it is allowed and registers the pool's buffers.
  /// 0 or a negated errno. The CQ has 16 times as many entries, or as many as the kernel takes.
  int open(unsigned entries, BufferPool& buffers);

  /// A free submission entry, or null when the queue is full.
  io_uring_sqe* try_entry() noexcept { return io_uring_get_sqe(&ring_); }
  /// Entries that can be had before the queue is full.
  unsigned room() const noexcept { return io_uring_sq_space_left(&ring_); }
  /// Entries that the kernel has not taken yet.
  unsigned pending() const noexcept {
    return ring_.sq.sqe_tail - __atomic_load_n(ring_.sq.khead, __ATOMIC_ACQUIRE);
  }
  /// The kernel has completions that an enter would bring into the queue.
  bool kernel_has_work() const noexcept {
    return (__atomic_load_n(ring_.sq.kflags, __ATOMIC_RELAXED) &
            (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0;
  }

  /// Takes in completions without submitting.
  int enter_to_collect() noexcept { return enter(0, 0); }
  /// Submits all entries, takes in completions, does not wait.
  int enter_to_submit() noexcept { return enter(publish(), 0); }
  /// Submits all entries and waits for a completion or the deadline.
  int enter_to_wait(TimePoint deadline) noexcept;

  /// Calls f(user_data, result, flags) for each completion in the queue. Completions that come
  /// in meanwhile (f may submit, and a full queue enters) are left for the next time.
  template <class F>
  void reap(F&& f) {
    unsigned head = *ring_.cq.khead;
    const unsigned tail = __atomic_load_n(ring_.cq.ktail, __ATOMIC_ACQUIRE);
    const unsigned mask = *ring_.cq.kring_mask;
    while (head != tail) {
      const io_uring_cqe& cqe = ring_.cq.cqes[head & mask];
      const std::uint64_t data = cqe.user_data;
      const std::int32_t result = cqe.res;
      const std::uint32_t flags = cqe.flags;
      // Given back at once, so that entering from inside f() finds room.
      __atomic_store_n(ring_.cq.khead, ++head, __ATOMIC_RELEASE);
      f(data, result, flags);
    }
  }

  /// The kernel adds to this eventfd with each completion and each task work that brings one.
  int register_event(int fd) noexcept { return io_uring_register_eventfd(&ring_, fd); }
  /// There are completions that reap() would take.
  bool has_completions() const noexcept {
    return *ring_.cq.khead != __atomic_load_n(ring_.cq.ktail, __ATOMIC_ACQUIRE);
  }
  /// In a child process: closes its copy of the descriptor. Its queues were not inherited.
  void abandon() noexcept;

  bool is_open() const noexcept { return open_; }
  bool has_absolute_timeouts() const noexcept { return absolute_timeouts_; }
  /// Bits (1 << kind) of the file operations that the kernel's ring does.
  std::uint64_t file_kinds() const noexcept { return file_kinds_; }
  unsigned entries() const noexcept { return *ring_.sq.kring_entries; }

 private:
  int setup(unsigned entries);
  int check_operations();
  int register_buffers(BufferPool& buffers);
  void probe_newer_features();
  void register_file_slots();
  unsigned publish() noexcept;
  int enter(unsigned submit, unsigned wait) noexcept;

  io_uring ring_{};
  bool open_ = false;
  bool absolute_timeouts_ = false;
  std::uint64_t file_kinds_ = 0;
  unsigned enter_flags_ = IORING_ENTER_GETEVENTS;
};

}  // namespace rondo::io::uring
