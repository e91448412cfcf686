// SPDX-License-Identifier: Apache-2.0
// Driver: the part of a loop that talks to the kernel, or plays one.
//
//   Owned<io::Driver> driver = io::make_driver({});      // best available
//   driver->submit(op);                                            // queued
//   driver->wait(io::Wait::block, deadline);                       // submits, waits, completes
//
// Three of them behave the same: `uring` (io_uring), `epoll`, and `sim` (virtual time, seeded,
// an in-memory network). Clock, randomness and the kernel enter a loop only through here. Loops
// own their driver; nobody else calls it. The rules about operations stand in io/operation.hpp.
// Completions are delivered by calling the operation's on_complete inside of wait().
// Thread rule: the thread that runs the loop, except wake() and time().
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "rondo/base/assert.hpp"
#include "rondo/base/bytes.hpp"
#include "rondo/base/memory.hpp"
#include "rondo/base/time.hpp"
#include "rondo/io/buffer_pool.hpp"
#include "rondo/io/operation.hpp"

namespace rondo {
class TraceRing;
}

namespace rondo::io {

/// How wait() behaves.
enum class Wait : std::uint8_t {
  peek,   ///< takes what has completed; no system call unless the kernel has said there is work
  poll,   ///< submits what is queued and takes what has completed; does not wait
  block,  ///< submits, then waits for a completion, a wake() or the deadline
  host,   ///< delivers nothing: submits, and sees to it that pollable_fd() becomes readable with
          ///< the next completion or wake(), at the deadline, or at once if something is queued
};

enum class Clock : std::uint8_t { monotonic, wall };

/// What a driver is and can.
struct Probe {
  std::string_view name;         ///< "uring", "epoll" or "sim"
  std::string features;          ///< for people: "multishot recv, buffer ring, ..."
  bool has_threads = true;       ///< false: worker threads are not started, jobs are operations
  bool has_names = false;        ///< true: resolve operations are answered by the driver
};

/// Counters for tests and the inspector; they only grow.
struct DriverStatistics {
  std::uint64_t kernel_entries = 0;   ///< system calls made by wait() and submit()
  std::uint64_t submissions = 0;
  std::uint64_t completions = 0;
  std::uint64_t late_completions = 0;  ///< of an old generation: dropped
  std::uint64_t out_of_buffers = 0;    ///< receives ended by an empty pool
};

namespace detail {

/// How many forks lie between the process that made its first driver and this one.
inline constinit std::atomic<std::uint32_t> forks{0};
/// The same, counted from this call on.
std::uint32_t count_forks() noexcept;

}  // namespace detail

class Driver {
 public:
  explicit Driver(std::uint32_t buffer_count, std::uint32_t buffer_size)
      : buffers_(buffer_count, buffer_size), made_after_forks_(detail::count_forks()) {}
  Driver(const Driver&) = delete;
  Driver& operator=(const Driver&) = delete;
  virtual ~Driver();

  /// Takes an idle operation. Immediate kinds complete inside; others are started at the latest
  /// by the next wait(), and may be started at once. Never fails: errors are completions.
  virtual void submit(Operation& op) = 0;

  /// Asks for an operation in flight to end early. Idempotent. It completes exactly once all the
  /// same, with its own result if that came first, with -ECANCELED if nothing happened.
  virtual void cancel(Operation& op) = 0;

  /// Delivers completions; with Wait::block returns at the latest at `deadline`
  /// (k_no_deadline: waits for ever). Returns the number delivered.
  virtual std::size_t wait(Wait how, TimePoint deadline) = 0;

  /// Makes a wait() that blocks, or the next one to block, return. Any thread. Coalesced.
  virtual void wake() noexcept = 0;

  /// Nanoseconds: since an arbitrary start (monotonic), since 1970 (wall). Any thread.
  virtual std::int64_t time(Clock clock) noexcept = 0;

  /// Fills `into` with random bytes: from the kernel, or from the seed.
  virtual void random(ByteSpan into) noexcept = 0;

  virtual Probe probe() const = 0;

  /// A descriptor of the driver's own for a foreign loop to poll for reading, level-triggered:
  /// see Wait::host. A negated errno: -ENOTSUP without one (sim).
  virtual int pollable_fd();

  /// True in a child process: what the driver shares with the kernel belongs to the parent. It
  /// may be destroyed there, which closes the child's copies of its descriptors and does no more.
  bool inherited() const noexcept {
    // Relaxed: it changes only in a child, before anything else runs there.
    return made_after_forks_ != detail::forks.load(std::memory_order_relaxed);
  }

  /// Whether it takes operations of this kind. A file operation that it does not take is done by
  /// perform() on a worker's thread; submitted all the same it completes with -ENOTSUP.
  bool handles(OpKind kind) const noexcept {
    return !is_file_op(kind) || (file_kinds_ >> static_cast<unsigned>(kind) & 1) != 0;
  }

  /// Whether files are the kernel's, so that read_cached_file() reads the same ones. Not in a
  /// simulation, whose disk is its own.
  bool reads_caches() const noexcept { return reads_caches_; }

  /// Where submissions and completions are recorded; null: nowhere. The ring outlives it or is
  /// taken back.
  void set_trace(TraceRing* ring) noexcept { trace_ = ring; }

  BufferPool& buffers() noexcept { return buffers_; }
  const DriverStatistics& statistics() const noexcept { return statistics_; }
  TimePoint now() noexcept { return TimePoint(Duration(time(Clock::monotonic))); }

 protected:
  static constexpr std::uint64_t bit_of(OpKind kind) noexcept {
    return std::uint64_t{1} << static_cast<unsigned>(kind);
  }
  /// To be asked before anything that the parent's kernel objects would feel.
  void check_process() const noexcept {
    RONDO_ASSERT(!inherited(),
                 "this loop belongs to the parent process: after fork() make a new Loop");
  }

  BufferPool buffers_;
  DriverStatistics statistics_;
  std::uint64_t file_kinds_ = 0;  ///< bit_of() each file operation it handles
  bool reads_caches_ = false;

  /// An operation was taken; it has been given its generation.
  void note_submitted(const Operation& op) noexcept {
    ++statistics_.submissions;
    if (trace_) [[unlikely]] trace_submitted(op);
  }
  /// To be called before its on_complete, which may free it.
  void note_completed(const Operation& op, const Completion& how) noexcept {
    ++statistics_.completions;
    if (trace_) [[unlikely]] trace_completed(op, how);
  }

 private:
  void trace_submitted(const Operation& op) noexcept;
  void trace_completed(const Operation& op, const Completion& how) noexcept;

  std::uint32_t made_after_forks_;
  TraceRing* trace_ = nullptr;
};

enum class DriverKind : std::uint8_t {
  best,  ///< RONDO_DRIVER from the environment (uring or epoll), else uring, else epoll
  uring,
  epoll,
};

struct DriverOptions {
  DriverKind kind = DriverKind::best;
  /// limits::ring_entries. 4 to 32,768, to the next power of two; what is outside is taken as the
  /// bound. Without a meaning for epoll.
  std::uint32_t ring_entries = 256;
  /// limits::buffer_count. A power of two, 1 to 32,768; anything else is an assertion.
  std::uint32_t buffer_count = 4'096;
  /// limits::buffer_size. At least 1 byte (asserted); count times size is address space, memory
  /// only as far as it was used.
  std::uint32_t buffer_size = 4'096;
};

/// Makes a driver, to be called on the thread that will run its loop: the kernel takes a ring's
/// submissions from no other. With `best`, a kernel that refuses io_uring (seccomp, sysctl, memory
/// limit) costs one log line and yields the epoll driver; with `uring`, also when RONDO_DRIVER
/// says it, it throws SystemError, and so does a RONDO_DRIVER that is neither. A memory limit too
/// low for the ring asked for may halve ring_entries and buffer_count a few times.
/// RONDO_URING_FEATURES=6.1 masks what kernels after 6.1 brought.
Owned<Driver> make_driver(const DriverOptions& options);

}  // namespace rondo::io
