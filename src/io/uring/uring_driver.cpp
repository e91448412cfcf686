// SPDX-License-Identifier: Apache-2.0
#include "io/uring/uring_driver.hpp"

#include <unistd.h>

#include <cerrno>
#include <memory>
#include <utility>

#include "io/uring/entries.hpp"
#include "io/uring/make.hpp"

namespace rondo::io::uring {
namespace {

constexpr std::uint8_t k_in_backlog = 1;
constexpr std::uint8_t k_start_queued = 2;
constexpr std::uint8_t k_stop_queued = 4;
constexpr std::uint8_t k_stop_open = 8;
constexpr std::uint8_t k_result_held = 16;

}  // namespace

UringDriver::UringDriver(const DriverOptions& options)
    : Driver(options.buffer_count, options.buffer_size), wake_(0) {
  kernel::set_precise_timeouts();
}

UringDriver::~UringDriver() {
  RONDO_ASSERT(in_flight_ == 0, "a driver was destroyed with operations in flight: drain it first");
}

// --- submitting ---

void UringDriver::submit(Operation& op) {
  RONDO_ASSERT(!op.in_flight(), "an operation was submitted twice: wait for its completion");
  RONDO_ASSERT(op.on_complete, "an operation needs on_complete before it is submitted");
  ++op.generation;
  ++statistics_.submissions;
  if (is_immediate(op.kind)) {
    ++statistics_.kernel_entries;
    ++statistics_.completions;
    op.on_complete(op, {.result = kernel::run_immediate(op, kernel::Sockets::blocking)});
    return;
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
    case OpKind::job:
    case OpKind::resolve:
      return fail(op, -ENOTSUP);
    default:
      if (!handles(op.kind)) return fail(op, -ENOTSUP);
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
  op.state = OpState::cancelling;
  const bool ended_already = op.driver_flags == k_in_backlog;
  if (ended_already) return;
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

void UringDriver::put_off(Operation& op, std::uint8_t what) noexcept {
  op.driver_flags |= static_cast<std::uint8_t>(k_in_backlog | what);
  backlog_.push(op);
}

void UringDriver::drain_backlog() noexcept {
  while (Operation* op = backlog_.head) {
    // An operation may need two entries; it leaves the backlog with its last one.
    if (op->driver_flags & k_start_queued) {
      io_uring_sqe* sqe = ring_.try_entry();
      if (!sqe) return;
      prepare_start(*op, *sqe);
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

void UringDriver::prepare_start(Operation& op, io_uring_sqe& sqe) noexcept {
  if (op.kind == OpKind::signal)
    io_uring_prep_poll_add(&sqe, signals_.fd(), k_readable);
  else
    fill_entry(op, sqe);
  sqe.user_data = data_of(op, Tag::operation);
}

void UringDriver::prepare_stop(Operation& op, io_uring_sqe& sqe) noexcept {
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
  if (tag == Tag::wake) [[unlikely]] {
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
    on_stopped(op);
}

void UringDriver::on_result(Operation& op, std::int32_t result, std::uint32_t flags) {
  const std::uint16_t buffer = take_buffer(result, flags);
  if (flags & IORING_CQE_F_MORE) {
    // Data of a multishot operation is never held back, not even while it is being cancelled.
    return deliver(op, {.result = result, .buffer = buffer, .more = true});
  }
  if (!(op.driver_flags & k_stop_open)) [[likely]]
    return finish(op, result, buffer);
  op.driver_result = result;
  op.driver_buffer = buffer;
  op.driver_flags |= k_result_held;
}

/// The cancel request was answered. Its own result does not matter: the operation's counts.
void UringDriver::on_stopped(Operation& op) {
  op.driver_flags &= static_cast<std::uint8_t>(~k_stop_open);
  if (op.driver_flags & k_result_held) finish(op, op.driver_result, op.driver_buffer);
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
    case OpKind::poll:
      if (result >= 0) result = kernel::poll_result(static_cast<std::uint32_t>(result));
      break;
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
    default:
      break;
  }
  op.state = OpState::idle;
  --in_flight_;
  deliver(op, {.result = result, .buffer = buffer});
}

void UringDriver::deliver(Operation& op, const Completion& done) {
  ++statistics_.completions;
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
