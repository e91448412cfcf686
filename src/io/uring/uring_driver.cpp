// SPDX-License-Identifier: Apache-2.0
#include "io/uring/uring_driver.hpp"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <memory>
#include <utility>

#include "io/kernel_child.hpp"
#include "io/uring/abi.hpp"
#include "io/uring/entries.hpp"
#include "io/uring/make.hpp"
#include "rondo/base/limits.hpp"

namespace rondo::io::uring {
namespace {

constexpr std::uint8_t k_in_backlog = 1;
constexpr std::uint8_t k_start_queued = 2;
constexpr std::uint8_t k_stop_queued = 4;
constexpr std::uint8_t k_stop_open = 8;
constexpr std::uint8_t k_result_held = 16;
constexpr std::uint8_t k_bytes_lent = 32;

/// Resets a connection: what it has not yet sent is dropped. Without this a peer that does not
/// read would hold the bytes of a cancelled zero-copy send, and whoever owns them, for ever.
void abort_connection(int fd) noexcept {
  const sockaddr nobody{.sa_family = AF_UNSPEC, .sa_data = {}};
  ::connect(fd, &nobody, sizeof nobody);
}

constexpr std::uint8_t k_slotless = 64;
static_assert(k_file_slots == 64, "free_slots_ is one word");

void signal_event(int fd) noexcept {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(fd, &one, sizeof one);
}

}  // namespace

UringDriver::UringDriver(const DriverOptions& options)
    : Driver(options.buffer_count, options.buffer_size), wake_(0) {
  kernel::set_precise_timeouts();
}

UringDriver::~UringDriver() {
  if (inherited()) ring_.abandon();
  RONDO_ASSERT(in_flight_ == 0 || inherited(),
               "a driver was destroyed with operations in flight: drain it first");
}

int UringDriver::open(unsigned entries) {
  const int error = ring_.open(entries, buffers_);
  reads_caches_ = true;
  if (error == 0) file_kinds_ = ring_.file_kinds();
  return error;
}

// --- submitting ---

void UringDriver::submit(Operation& op) {
  RONDO_ASSERT(!op.in_flight(), "an operation was submitted twice: wait for its completion");
  RONDO_ASSERT(op.on_complete, "an operation needs on_complete before it is submitted");
  check_process();
  ++op.generation;
  note_submitted(op);
  if (is_immediate(op.kind)) {
    ++statistics_.kernel_entries;
    return deliver(op,
                   {.result = kernel::run_immediate(op, kernel::Sockets::blocking, reserve_)});
  }
  op.state = OpState::submitted;
  op.driver_flags = 0;
  ++in_flight_;
  start(op);
}

void UringDriver::start(Operation& op) {
  switch (op.kind) {
    case OpKind::connect: {
      auto& connect = static_cast<ConnectOp&>(op);
      connect.fd = kernel::open_socket(connect, kernel::Sockets::blocking);
      if (connect.fd < 0) return fail(op, connect.fd);
      break;
    }
    case OpKind::signal: {
      RONDO_ASSERT(!signal_in_flight_, "one signal operation at a time on one driver");
      const std::int32_t fd = signals_.listen(static_cast<SignalOp&>(op).mask);
      if (fd < 0) return fail(op, fd);
      signal_in_flight_ = true;
      break;
    }
    case OpKind::send_file:
      if (const std::int32_t error = begin(static_cast<SendFileOp&>(op)); error < 0) {
        return fail(op, error);
      }
      break;
    case OpKind::send_zero_copy:
      static_cast<SendZeroCopyOp&>(op).taken = -1;
      break;
    case OpKind::job:
    case OpKind::resolve:
      return fail(op, -ENOTSUP);
    default:
      if (!handles(op.kind)) return fail(op, -ENOTSUP);
      if (op.kind == OpKind::read_whole_file) {
        return start_chain(static_cast<ReadWholeFileOp&>(op));
      }
      break;
  }
  if (io_uring_sqe* sqe = entry()) [[likely]]
    return prepare_start(op, *sqe);
  put_off(op, k_start_queued);
}

void UringDriver::fail(Operation& op, std::int32_t error) noexcept {
  op.driver_flags = k_in_backlog;
  op.driver_result = error;
  failed_.push(op);
}

void UringDriver::cancel(Operation& op) {
  if (op.state != OpState::submitted || op.kind == OpKind::close) return;
  check_process();
  op.state = OpState::cancelling;
  const bool ended_already = op.driver_flags == k_in_backlog;
  if (ended_already) return;
  if (op.driver_flags & k_bytes_lent) abort_connection(static_cast<SendZeroCopyOp&>(op).fd);
  if (op.driver_flags & k_slotless) {
    slotless_.remove(op);
    return fail(op, -ECANCELED);
  }
  queue_stop(op);
}

void UringDriver::queue_stop(Operation& op) noexcept {
  if (op.kind == OpKind::read_whole_file) {
    auto& chain = static_cast<ReadWholeFileOp&>(op);
    chain.stopped_at = chain.answered;
  }
  op.driver_flags |= k_stop_open;
  if (op.driver_flags & k_in_backlog)
    op.driver_flags |= k_stop_queued;
  else if (io_uring_sqe* sqe = entry())
    prepare_stop(op, *sqe);
  else
    put_off(op, k_stop_queued);
}

/// A free entry, or null when the kernel would take none: then the backlog is the place.
io_uring_sqe* UringDriver::entry() noexcept {
  if (backlog_.head) return nullptr;  // Submissions stay in order.
  if (io_uring_sqe* sqe = ring_.try_entry()) [[likely]]
    return sqe;
  ++statistics_.kernel_entries;
  ring_.enter_to_submit();
  return ring_.try_entry();
}

/// Room for `entries` that must go to the kernel together.
bool UringDriver::make_room(unsigned entries) noexcept {
  if (backlog_.head) return false;
  if (ring_.room() >= entries) [[likely]]
    return true;
  ++statistics_.kernel_entries;
  ring_.enter_to_submit();
  return ring_.room() >= entries;
}

void UringDriver::start_chain(ReadWholeFileOp& op) {
  if (free_slots_ == 0) {
    op.driver_flags = k_slotless;
    slotless_.push(op);
    return;
  }
  op.driver_flags = 0;
  op.slot = static_cast<std::uint16_t>(std::countr_zero(free_slots_));
  free_slots_ &= free_slots_ - 1;
  op.answered = 0;
  op.outcome = 0;
  if (!make_room(k_chain_links) || !try_prepare_chain(op)) put_off(op, k_start_queued);
}

bool UringDriver::try_prepare_chain(ReadWholeFileOp& op) noexcept {
  if (ring_.room() < k_chain_links) return false;
  for (unsigned link = 0; link < k_chain_links; ++link) {
    io_uring_sqe& sqe = *ring_.try_entry();
    fill_chain_entry(op, link, sqe);
    // All alike: one cancel request finds whichever is under way, and the answers are in order.
    sqe.user_data = data_of(op, Tag::operation);
  }
  return true;
}

/// Gives the slot to the next one that waits.
void UringDriver::end_chain(ReadWholeFileOp& op) {
  if (op.slot == k_no_buffer) return;  // It had none yet.
  free_slots_ |= std::uint64_t{1} << std::exchange(op.slot, k_no_buffer);
  if (Operation* next = slotless_.pop()) start_chain(static_cast<ReadWholeFileOp&>(*next));
}

void UringDriver::put_off(Operation& op, std::uint8_t what) noexcept {
  op.driver_flags |= static_cast<std::uint8_t>(k_in_backlog | what);
  backlog_.push(op);
}

void UringDriver::drain_backlog() noexcept {
  while (Operation* op = backlog_.head) {
    // An operation may need two entries; it leaves the backlog with its last one.
    if (op->driver_flags & k_start_queued) {
      if (!try_prepare_start(*op)) return;
      op->driver_flags &= static_cast<std::uint8_t>(~k_start_queued);
    }
    if (op->driver_flags & k_stop_queued) {
      io_uring_sqe* sqe = ring_.try_entry();
      if (!sqe) return;
      prepare_stop(*op, *sqe);
      op->driver_flags &= static_cast<std::uint8_t>(~k_stop_queued);
    }
    backlog_.pop();
    op->driver_flags &= static_cast<std::uint8_t>(~k_in_backlog);
  }
}

bool UringDriver::try_prepare_start(Operation& op) noexcept {
  if (op.kind == OpKind::read_whole_file) {
    return try_prepare_chain(static_cast<ReadWholeFileOp&>(op));
  }
  io_uring_sqe* sqe = ring_.try_entry();
  if (!sqe) return false;
  prepare_start(op, *sqe);
  return true;
}

void UringDriver::prepare_start(Operation& op, io_uring_sqe& sqe) noexcept {
  if (op.kind == OpKind::signal)
    io_uring_prep_poll_add(&sqe, signals_.fd(), k_readable);
  else
    fill_entry(op, sqe);
  sqe.user_data = data_of(op, Tag::operation);
}

void UringDriver::prepare_stop(Operation& op, io_uring_sqe& sqe) noexcept {
  // Of a chain one link at most is under way. Not CANCEL_ALL: it searches until nothing is
  // found, and the kernel would spin for as long as a worker of it runs the call.
  io_uring_prep_cancel64(&sqe, data_of(op, Tag::operation), 0);
  sqe.user_data = data_of(op, Tag::stop);
}

void UringDriver::arm_wake() noexcept {
  io_uring_sqe* sqe = ring_.try_entry();
  if (!sqe) return;
  io_uring_prep_read(sqe, wake_.fd(), &wake_count_, sizeof wake_count_, 0);
  sqe->user_data = static_cast<std::uint64_t>(Tag::wake);
  wake_armed_ = true;
}

// --- waiting ---

std::size_t UringDriver::wait(Wait how, TimePoint deadline) {
  check_process();
  if (how == Wait::host) [[unlikely]]
    return leave_to_host(deadline), 0;
  const std::uint64_t before = statistics_.completions;
  // What is delivered here is a reason not to wait below.
  if (failed_.head && deliver_failed() > 0 && how == Wait::block) how = Wait::poll;
  enter(how, deadline);
  ring_.reap([this](std::uint64_t data, std::int32_t result, std::uint32_t flags) {
    on_completion(data, result, flags);
  });
  return static_cast<std::size_t>(statistics_.completions - before);
}

void UringDriver::enter(Wait how, TimePoint deadline) {
  int result = 0;
  if (how == Wait::peek) {
    if (!ring_.kernel_has_work()) return;
    result = ring_.enter_to_collect();
  } else {
    if (backlog_.head) [[unlikely]] {
      // Makes room; if the queue stays too small for the backlog, wait for nothing.
      ++statistics_.kernel_entries;
      ring_.enter_to_submit();
      drain_backlog();
      if (backlog_.head) how = Wait::poll;
    }
    if (!wake_armed_) [[unlikely]]
      arm_wake();
    if (!wake_armed_) [[unlikely]]
      how = Wait::poll;  // No room: a wake-up would not be seen.
    if (how == Wait::poll) {
      if (ring_.pending() == 0 && !ring_.kernel_has_work()) return;
      result = ring_.enter_to_submit();
    } else {
      result = ring_.enter_to_wait(deadline);
    }
  }
  ++statistics_.kernel_entries;
  // Signals and deadlines end a wait; EAGAIN and EBUSY pass once completions are taken.
  RONDO_ASSERT(
      result >= 0 || result == -EINTR || result == -ETIME || result == -EAGAIN || result == -EBUSY,
      "the kernel refused to enter the ring: run a loop on the thread that made it");
}

void UringDriver::wake() noexcept {
  check_process();
  wake_.fire();
  // Linux 6.18 tells a registered eventfd only once of completions whose source is an eventfd
  // that somebody writes to, as the wake-up is: the host is told directly.
  if (const int fd = host_fd_.load(std::memory_order_acquire); fd >= 0) signal_event(fd);
}

// An eventfd that the kernel sets with each completion, and with each deferred task work that
// will bring one. The ring's own descriptor was tried: on Linux 6.18 some of its polls slept on.
int UringDriver::pollable_fd() {
  if (host_event_) return host_event_.get();
  UniqueFd made(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!made) return -errno;
  if (const int error = ring_.register_event(made.get()); error < 0) return error;
  host_event_ = std::move(made);
  host_fd_.store(host_event_.get(), std::memory_order_release);
  return host_event_.get();
}

// The eventfd is set back first: what completes from then on sets it again, and what was there
// before is looked for at the end.
void UringDriver::leave_to_host(TimePoint deadline) {
  std::uint64_t count;
  [[maybe_unused]] const ssize_t got = ::read(host_event_.get(), &count, sizeof count);
  if (!wake_armed_) arm_wake();
  bool at_once = failed_.head || backlog_.head || !set_alarm(deadline);
  ++statistics_.kernel_entries;
  if (ring_.pending() > 0) {
    ++statistics_.kernel_entries;
    ring_.enter_to_submit();
  }
  at_once |= !wake_armed_ || ring_.has_completions() || ring_.kernel_has_work();
  if (at_once) signal_event(host_event_.get());
}

/// False when it cannot be, or the deadline has come.
bool UringDriver::set_alarm(TimePoint deadline) noexcept {
  if (deadline == k_no_deadline) return true;  // One that is still armed costs one look.
  if (deadline <= now()) return false;
  if (alarm_armed_ && deadline == alarm_at_) return true;
  io_uring_sqe* sqe = ring_.try_entry();
  if (!sqe) return false;
  const std::int64_t ns = deadline.time_since_epoch().count();
  alarm_time_ = {.tv_sec = ns / 1'000'000'000, .tv_nsec = ns % 1'000'000'000};
  constexpr auto k_alarm = static_cast<std::uint64_t>(Tag::alarm);
  if (alarm_armed_) {
    // One that has gone off meanwhile cannot be moved, and its completion says so to the host.
    io_uring_prep_timeout_update(sqe, &alarm_time_, k_alarm, IORING_TIMEOUT_ABS);
    sqe->user_data = static_cast<std::uint64_t>(Tag::alarm_moved);
  } else {
    io_uring_prep_timeout(sqe, &alarm_time_, 0, IORING_TIMEOUT_ABS);
    sqe->user_data = k_alarm;
  }
  alarm_armed_ = true;
  alarm_at_ = deadline;
  return true;
}

std::size_t UringDriver::deliver_failed() {
  OpQueue now = std::exchange(failed_, {});
  std::size_t count = 0;
  while (Operation* op = now.pop()) {
    finish(*op, op->driver_result, k_no_buffer);
    ++count;
  }
  return count;
}

// --- completing ---

void UringDriver::on_completion(std::uint64_t data, std::int32_t result, std::uint32_t flags) {
  const Tag tag = tag_of(data);
  if (tag >= Tag::wake) [[unlikely]] {
    if (tag == Tag::alarm) alarm_armed_ = false;
    if (tag != Tag::wake) return;
    wake_armed_ = false;
    wake_.clear();
    return;
  }
  Operation& op = operation_of(data);
  if (op.generation != generation_of(data) || !op.in_flight()) [[unlikely]] {
    return drop_late(tag == Tag::operation ? result : 0, flags);
  }
  if (tag == Tag::operation) [[likely]]
    on_result(op, result, flags);
  else
    on_stopped(op, result);
}

void UringDriver::on_result(Operation& op, std::int32_t result, std::uint32_t flags) {
  const std::uint16_t buffer = take_buffer(result, flags);
  if (op.kind == OpKind::send_zero_copy) {
    if (!on_zero_copy(static_cast<SendZeroCopyOp&>(op), result, flags)) return;
  } else if (flags & IORING_CQE_F_MORE) {
    // Data of a multishot operation is never held back, not even while it is being cancelled.
    return deliver(op, {.result = result, .buffer = buffer, .more = true});
  }
  if (op.kind == OpKind::read_whole_file) {
    auto& chain = static_cast<ReadWholeFileOp&>(op);
    if (!take_chain_answer(chain, result)) {
      // The request struck the open and was too late for it: now the read may wait (a pipe).
      const bool again = op.state == OpState::cancelling && !(op.driver_flags & k_stop_open);
      if (again && chain_may_wait(chain)) queue_stop(op);
      return;
    }
    result = chain.outcome;
  }
  if (!(op.driver_flags & k_stop_open)) [[likely]]
    return finish(op, result, buffer);
  op.driver_result = result;
  op.driver_buffer = buffer;
  op.driver_flags |= k_result_held;
}

/// Two completions make one: the result, and the notification that the bytes are free again. A
/// send that failed may have the first only, which then says so (no MORE). True: it is over.
bool UringDriver::on_zero_copy(SendZeroCopyOp& op, std::int32_t& result, std::uint32_t flags) {
  if (flags & abi::k_cqe_notification) {
    result = op.taken;
    op.driver_flags &= static_cast<std::uint8_t>(~k_bytes_lent);
    return true;
  }
  if (!(flags & IORING_CQE_F_MORE)) return true;
  op.taken = result;
  op.driver_flags |= k_bytes_lent;
  if (op.state == OpState::cancelling) abort_connection(op.fd);
  return false;
}

/// Every splice is a call that a worker thread of the kernel makes and a slow peer holds up.
std::int32_t UringDriver::begin(SendFileOp& op) noexcept {
  op.in_pipe = op.sent = 0;
  if (splices_ == limits::splices_max.value) return -ENOTSUP;
  if (::pipe2(op.pipe, O_CLOEXEC) < 0) return -errno;
  ++splices_;
  return 0;
}

void UringDriver::end(SendFileOp& op) noexcept {
  if (op.pipe[0] < 0) return;  // It was refused.
  for (int& fd : op.pipe) ::close(std::exchange(fd, -1));
  --splices_;
}

/// One of the steps of file -> pipe -> socket has ended. True when another one was submitted.
bool UringDriver::goes_on(SendFileOp& op, std::int32_t& result) {
  const bool filled = op.in_pipe == 0;
  if (result > 0 && filled) {
    op.in_pipe = static_cast<std::uint32_t>(result);
  } else if (result > 0) {
    op.in_pipe -= static_cast<std::uint32_t>(result);
    op.sent += static_cast<std::uint32_t>(result);
  } else if (op.sent > 0) {
    result = 0;  // What was sent is told now, the error by the next one.
  }
  if (result > 0 && op.in_pipe > 0 && op.state == OpState::submitted) {
    op.driver_flags = 0;
    if (io_uring_sqe* sqe = entry()) prepare_start(op, *sqe);
    else put_off(op, k_start_queued);
    return true;
  }
  if (result >= 0) result = static_cast<std::int32_t>(op.sent);
  if (result == 0 && op.in_pipe > 0) result = -ECANCELED;
  // A file that cannot be spliced is for the caller to read.
  if (result == -EINVAL && op.sent == 0 && filled) result = -ENOTSUP;
  end(op);
  return false;
}

/// The cancel request was answered. What it says matters to a chain only: the operation's own
/// result counts.
void UringDriver::on_stopped(Operation& op, std::int32_t result) {
  op.driver_flags &= static_cast<std::uint8_t>(~k_stop_open);
  if (op.driver_flags & k_result_held) return finish(op, op.driver_result, op.driver_buffer);
  if (op.kind != OpKind::read_whole_file) return;
  // Not found: between two links. Found, and running: its end brings us to on_result.
  const auto& chain = static_cast<const ReadWholeFileOp&>(op);
  const bool missed = result == -ENOENT || chain.answered != chain.stopped_at;
  if (missed && chain_may_wait(chain)) queue_stop(op);
}

void UringDriver::finish(Operation& op, std::int32_t result, std::uint16_t buffer) {
  // A worker of the kernel that is cancelled ends its call as if by a signal.
  if (result == -EINTR && op.state == OpState::cancelling) result = -ECANCELED;
  switch (op.kind) {
    case OpKind::connect: {
      const int fd = std::exchange(static_cast<ConnectOp&>(op).fd, -1);
      if (result >= 0)
        result = fd;
      else if (fd >= 0)
        ::close(fd);
      break;
    }
    case OpKind::recv:
      if (result == -ENOBUFS) ++statistics_.out_of_buffers;
      break;
    case OpKind::recv_message:
      if (result >= 0) {
        auto& receive = static_cast<RecvMessageOp&>(op);
        kernel::take_message(receive, result);
        result = 1 + (receive.slots.size() > 1 ? kernel::receive_more(receive, 1) : 0);
      }
      break;
    case OpKind::send_file:
      if (goes_on(static_cast<SendFileOp&>(op), result)) return;
      break;
    case OpKind::poll:
      if (result >= 0) result = kernel::poll_result(static_cast<std::uint32_t>(result));
      break;
    case OpKind::write:
      if (result == -EPIPE) kernel::drop_sigpipe();
      break;
    case OpKind::wait_child: {
      if (result >= 0) result = kernel::try_reap(static_cast<WaitChildOp&>(op));
      if (result != -EAGAIN) break;
      if (op.state == OpState::submitted) return start(op);
      result = -ECANCELED;
      break;
    }
    case OpKind::signal: {
      if (result < 0 && op.driver_flags & k_in_backlog) break;  // signalfd itself was refused.
      if (result >= 0) result = signals_.take();
      signal_in_flight_ = false;
      if (result != -EAGAIN) break;
      // Another thread took it.
      if (op.state == OpState::submitted) return start(op);
      result = -ECANCELED;
      break;
    }
    case OpKind::stat:
      if (result >= 0) kernel::take_statx(static_cast<StatOp&>(op));
      break;
    case OpKind::read_whole_file:
      end_chain(static_cast<ReadWholeFileOp&>(op));
      break;
    default:
      break;
  }
  op.state = OpState::idle;
  --in_flight_;
  deliver(op, {.result = result, .buffer = buffer});
}

void UringDriver::deliver(Operation& op, const Completion& done) {
  note_completed(op, done);
  op.on_complete(op, done);
}

/// Counts the buffer that came with a completion as taken; one without data goes straight back.
std::uint16_t UringDriver::take_buffer(std::int32_t result, std::uint32_t flags) noexcept {
  if (!(flags & IORING_CQE_F_BUFFER)) return k_no_buffer;
  const auto id = static_cast<std::uint16_t>(flags >> IORING_CQE_BUFFER_SHIFT);
  buffers_.taken(id);
  if (result > 0) [[likely]]
    return id;
  buffers_.release(id);
  return k_no_buffer;
}

void UringDriver::drop_late(std::int32_t result, std::uint32_t flags) noexcept {
  ++statistics_.late_completions;
  if (const std::uint16_t id = take_buffer(result, flags); id != k_no_buffer) {
    buffers_.release(id);
  }
}

Probe UringDriver::probe() const {
  Probe found{.name = "uring", .features = {}};
  found.features = "io_uring, " + std::to_string(ring_.entries()) +
                   " entries, multishot accept, multishot recv, buffer ring of " +
                   std::to_string(buffers_.count()) + " x " +
                   std::to_string(buffers_.buffer_size()) + " bytes";
  if (ring_.has_absolute_timeouts()) found.features += ", absolute time-outs";
  return found;
}

std::unique_ptr<Driver> make(const DriverOptions& options, int& error) {
  auto driver = std::make_unique<UringDriver>(options);
  const int result = driver->open(options.ring_entries);
  error = -result;
  if (result < 0) return nullptr;
  return driver;
}

}  // namespace rondo::io::uring
