// SPDX-License-Identifier: Apache-2.0
#include "io/uring/ring.hpp"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <string_view>
#include <utility>

#include "io/kernel.hpp"
#include "io/uring/abi.hpp"
#include "io/uring/entries.hpp"
#include "rondo/base/assert.hpp"

namespace rondo::io::uring {
namespace {

// Every operation of the driver; all are in Linux 5.6, a sandbox may still leave some out.
constexpr int k_operations[] = {
    IORING_OP_ACCEPT,  IORING_OP_RECV,         IORING_OP_CONNECT, IORING_OP_SEND,
    IORING_OP_SENDMSG, IORING_OP_READ,         IORING_OP_WRITE,   IORING_OP_POLL_ADD,
    IORING_OP_CLOSE,   IORING_OP_ASYNC_CANCEL, IORING_OP_TIMEOUT, IORING_OP_TIMEOUT_REMOVE};

// IORING_MAX_ENTRIES and IORING_MAX_CQ_ENTRIES of the kernel, which refuses more. The least is what
// one operation may need in the queue at once, with its cancel.
constexpr unsigned k_entries_min = 4;
constexpr unsigned k_entries_max = 32'768;
constexpr unsigned k_completions_max = 65'536;

__kernel_timespec to_timespec(std::int64_t ns) noexcept {
  return {.tv_sec = ns / 1'000'000'000, .tv_nsec = ns % 1'000'000'000};
}

/// Rings closed so far. A new ring's queues may stand where those of a closed one stood on another
/// thread. The kernel orders the unmapping before the mapping, but liburing makes both calls
/// itself, unseen by ThreadSanitizer, which would report the two threads' writes as a race.
constinit std::atomic<std::uint32_t> g_closed{0};

bool newer_features_masked() noexcept {
  const char* level = std::getenv("RONDO_URING_FEATURES");
  return level && std::string_view(level) == "6.1";
}

}  // namespace

int Ring::open(unsigned entries, BufferPool& buffers) {
  int error = setup(entries);
  // A sandbox may allow the set-up and refuse the enter: find out here, not in the loop.
  if (error == 0) error = std::min(enter_to_collect(), 0);
  if (error == 0) error = check_operations();
  if (error == 0) error = register_buffers(buffers);
  if (error == 0) probe_newer_features();
  if (error == 0) register_file_slots();
  return error;
}

int Ring::setup(unsigned entries) {
  io_uring_params params{};
  // DEFER_TASKRUN came with Linux 6.1: a kernel that takes these flags has multishot accept
  // (5.19) and recv (6.0) and buffer rings (5.19) too.
  params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL |
                 IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_CQSIZE;
  entries = std::clamp(entries, k_entries_min, k_entries_max);
  params.cq_entries = std::min(entries * 16, k_completions_max);
  if (const int error = io_uring_queue_init_params(entries, &ring_, &params); error < 0) {
    return error;
  }
  open_ = true;
  (void)g_closed.load(std::memory_order_acquire);  // With the release in ~Ring.
  if (!(params.features & IORING_FEAT_EXT_ARG)) return -ENOSYS;
  // publish() moves the tail only: entry n of the queue is always submission entry n.
  for (unsigned i = 0; i < params.sq_entries; ++i) ring_.sq.array[i] = i;
  // A forked child must neither see the queues nor keep their pages alive.
  if (const int error = io_uring_ring_dontfork(&ring_); error < 0) return error;
  // Spares the look-up of the descriptor at each enter.
  if (io_uring_register_ring_fd(&ring_) == 1) enter_flags_ |= IORING_ENTER_REGISTERED_RING;
  return 0;
}

int Ring::check_operations() {
  io_uring_probe* probe = io_uring_get_probe_ring(&ring_);
  if (!probe) return -ENOSYS;
  const bool complete = std::ranges::all_of(
      k_operations, [probe](int op) { return io_uring_opcode_supported(probe, op) != 0; });
  file_kinds_ = uring::file_kinds(*probe, !newer_features_masked());
  io_uring_free_probe(probe);
  return complete ? 0 : -ENOSYS;
}

int Ring::register_buffers(BufferPool& buffers) {
  io_uring_buf_reg registration{};
  registration.ring_addr = reinterpret_cast<std::uint64_t>(buffers.ring());
  registration.ring_entries = buffers.count();
  return io_uring_register_buf_ring(&ring_, &registration, 0);
}

/// Without the table (a small RLIMIT_NOFILE, a sandbox) whole files are read by workers.
void Ring::register_file_slots() {
  const auto opens = std::uint64_t{1} << static_cast<unsigned>(OpKind::open);
  if ((file_kinds_ & opens) == 0 || entries() < k_chain_links) return;
  if (io_uring_register_files_sparse(&ring_, k_file_slots) < 0) return;
  file_kinds_ |= std::uint64_t{1} << static_cast<unsigned>(OpKind::read_whole_file);
}

void Ring::probe_newer_features() {
  if (newer_features_masked()) return;
  io_uring_getevents_arg arg{};
  absolute_timeouts_ = io_uring_enter2(static_cast<unsigned>(ring_.enter_ring_fd), 0, 0,
                                       enter_flags_ | IORING_ENTER_EXT_ARG | abi::k_enter_abs_timer,
                                       reinterpret_cast<sigset_t*>(&arg), sizeof arg) >= 0;
}

Ring::~Ring() {
  if (!open_) return;
  // What is still armed (the wake-up read) writes into memory of the driver: closing the ring
  // alone would end it some time later.
  io_uring_sync_cancel_reg all{};
  all.flags = IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL;
  all.timeout = {.tv_sec = 1, .tv_nsec = 0};
  io_uring_register_sync_cancel(&ring_, &all);
  io_uring_unregister_buf_ring(&ring_, 0);
  // Release: whoever maps the same pages next has seen all that this thread did with them.
  g_closed.fetch_add(1, std::memory_order_release);
  io_uring_queue_exit(&ring_);
}

void Ring::abandon() noexcept {
  // By hand: io_uring_queue_exit() would unmap whatever stands where the queues stand in the
  // parent, and cancelling would reach the parent's operations.
  if (std::exchange(open_, false)) ::close(ring_.ring_fd);
}

unsigned Ring::publish() noexcept {
  // Release: the kernel reads the entries after it has seen the tail.
  __atomic_store_n(ring_.sq.ktail, ring_.sq.sqe_tail, __ATOMIC_RELEASE);
  ring_.sq.sqe_head = ring_.sq.sqe_tail;
  return pending();
}

int Ring::enter(unsigned submit, unsigned wait) noexcept {
  return io_uring_enter2(static_cast<unsigned>(ring_.enter_ring_fd), submit, wait, enter_flags_,
                         nullptr, 0);
}

int Ring::enter_to_wait(TimePoint deadline) noexcept {
  if (deadline == k_no_deadline) return enter(publish(), 1);
  std::int64_t ns = deadline.time_since_epoch().count();
  unsigned flags = enter_flags_ | IORING_ENTER_EXT_ARG;
  if (absolute_timeouts_)
    flags |= abi::k_enter_abs_timer;
  else
    ns -= kernel::read_clock(Clock::monotonic);
  __kernel_timespec timeout = to_timespec(std::max<std::int64_t>(ns, 0));
  io_uring_getevents_arg arg{};
  arg.ts = reinterpret_cast<std::uint64_t>(&timeout);
  return io_uring_enter2(static_cast<unsigned>(ring_.enter_ring_fd), publish(), 1, flags,
                         reinterpret_cast<sigset_t*>(&arg), sizeof arg);
}

}  // namespace rondo::io::uring
