// SPDX-License-Identifier: Apache-2.0
#include "io/epoll/epoll_driver.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <utility>

#include "io/epoll/make.hpp"
#include "rondo/base/error.hpp"
#include "rondo/io/child_ops.hpp"

namespace rondo::io::epoll {
namespace {

// driver_flags: where the operation is; neither while it is being tried.
constexpr std::uint8_t k_queued = 1;
constexpr std::uint8_t k_waiting = 2;

/// The events that may let an operation go on; errors and hang-ups may always.
std::uint32_t events_for(const Operation& op) noexcept {
  switch (op.kind) {
    case OpKind::connect:
    case OpKind::send:
    case OpKind::send_message:
    case OpKind::send_zero_copy:
    case OpKind::send_datagram:
    case OpKind::send_file:
    case OpKind::write:
      return EPOLLOUT | EPOLLERR | EPOLLHUP;
    case OpKind::poll:
      return static_cast<const PollOp&>(op).events | EPOLLERR | EPOLLHUP;
    default:
      return EPOLLIN | EPOLLRDHUP | EPOLLERR | EPOLLHUP;
  }
}

}  // namespace

EpollDriver::EpollDriver(const DriverOptions& options, bool precise_waits)
    : Driver(options.buffer_count, options.buffer_size),
      poller_(precise_waits),
      wake_(EFD_NONBLOCK) {
  reads_caches_ = true;
  kernel::set_precise_timeouts();
  if (const int error = poller_.watch(wake_.fd(), false); error < 0) {
    throw SystemError(Error::from_errno(-error, "epoll_ctl"));
  }
}

EpollDriver::~EpollDriver() {
  RONDO_ASSERT(in_flight_ == 0 || inherited(),
               "a driver was destroyed with operations in flight: drain it first");
}

void EpollDriver::submit(Operation& op) {
  RONDO_ASSERT(!op.in_flight(), "an operation was submitted twice: wait for its completion");
  RONDO_ASSERT(op.on_complete, "an operation needs on_complete before it is submitted");
  check_process();
  ++op.generation;
  note_submitted(op);
  if (is_immediate(op.kind)) {
    const std::int32_t result = kernel::run_immediate(op, kernel::Sockets::nonblocking, reserve_);
    const bool opens = op.kind == OpKind::listen || op.kind == OpKind::datagram_socket;
    if (opens && result >= 0) reset_slot(result);
    ++statistics_.kernel_entries;
    return deliver(op, {.result = result});
  }
  op.state = OpState::submitted;
  op.driver_flags = 0;
  ++in_flight_;
  if (op.kind == OpKind::connect) static_cast<ConnectOp&>(op).fd = -1;
  if (op.kind == OpKind::signal) {
    RONDO_ASSERT(!signal_in_flight_, "one signal operation at a time on one driver");
    signal_in_flight_ = true;
    const int before = signals_.fd();
    op.driver_result = signals_.listen(static_cast<SignalOp&>(op).mask);
    if (before < 0 && op.driver_result >= 0) reset_slot(op.driver_result);
  }
  enqueue(op);
}

void EpollDriver::cancel(Operation& op) {
  if (op.state != OpState::submitted || op.kind == OpKind::close) return;
  op.state = OpState::cancelling;
  if (!(op.driver_flags & k_waiting)) return;  // Seen when it is tried, or after its callback.
  slot(descriptor_of(op)).waiting.remove(op);
  enqueue(op);
}

void EpollDriver::enqueue(Operation& op) noexcept {
  op.driver_flags = k_queued;
  queue_.push(op);
}

std::size_t EpollDriver::wait(Wait how, TimePoint deadline) {
  check_process();
  const std::uint64_t before = statistics_.completions;
  if (how == Wait::host) return leave_to_host(deadline), 0;
  if (how == Wait::peek) return 0;  // Nothing completes without a call.
  run_queue();
  const bool completed = statistics_.completions != before;
  // Not every time that something completed by itself, or busy descriptors would starve others.
  skipped_collect_ = completed && !skipped_collect_;
  if (!skipped_collect_) {
    const bool may_wait = how == Wait::block && !completed && !queue_.head;
    while (!collect(may_wait ? deadline : Poller::k_now)) {
      run_queue();
      if (!may_wait || statistics_.completions != before || queue_.head) break;
    }
  }
  return static_cast<std::size_t>(statistics_.completions - before);
}

/// Tries what is queued now; what the tries queue is left for the next time.
void EpollDriver::run_queue() {
  OpQueue now = std::exchange(queue_, {});
  while (Operation* op = now.pop()) {
    op->driver_flags = 0;
    run(*op);
  }
}

/// Takes events in. True when the wait is over: by a wake-up, a signal or the deadline.
bool EpollDriver::collect(TimePoint deadline) {
  ++statistics_.kernel_entries;
  const int count = poller_.wait(deadline);
  RONDO_ASSERT(count >= 0 || count == -EINTR, "epoll_wait failed: its descriptor was closed");
  if (count <= 0) return true;
  bool woken = false;
  for (const epoll_event& event : poller_.events(count)) {
    if (event.data.fd != wake_.fd())
      on_event(event);
    else if (event.events & EPOLLIN)
      wake_.clear(), woken = true;
  }
  // With the timerfd an event may be all there is of a deadline.
  const bool timed_out = !poller_.has_precise_waits() && deadline != k_no_deadline &&
                         deadline != Poller::k_now && now() >= deadline;
  if (woken || timed_out) run_queue();
  return woken || timed_out;
}

int EpollDriver::pollable_fd() {
  const int error = poller_.make_timer();
  return error < 0 ? error : poller_.fd();
}

void EpollDriver::leave_to_host(TimePoint deadline) noexcept {
  // What is queued is tried in a wait(): the host comes back for it.
  if (queue_.head || (deadline != k_no_deadline && deadline <= now())) return wake_.fire();
  poller_.arm_timer(deadline);
}

void EpollDriver::on_event(const epoll_event& event) {
  if (static_cast<std::size_t>(event.data.fd) >= slots_.size()) return;  // The timer's.
  Slot& at = slots_[static_cast<std::size_t>(event.data.fd)];
  if (event.events & (EPOLLIN | EPOLLRDHUP | EPOLLERR | EPOLLHUP)) at.readable = true;
  if (event.events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) at.writable = true;
  if (event.events & (EPOLLRDHUP | EPOLLERR | EPOLLHUP)) at.ended = true;
  OpQueue waiting = std::exchange(at.waiting, {});
  while (Operation* op = waiting.pop()) {
    if (events_for(*op) & event.events)
      enqueue(*op);
    else
      at.waiting.push(*op);
  }
}

EpollDriver::Slot& EpollDriver::slot(int fd) {
  const auto index = static_cast<std::size_t>(fd);
  if (index >= slots_.size()) slots_.resize(std::max(index + 1, 2 * slots_.size()));
  return slots_[index];
}

void EpollDriver::reset_slot(int fd) {
  Slot& at = slot(fd);
  RONDO_ASSERT(!at.waiting.head, "a descriptor was closed while an operation waited for it");
  at = {};
}

int EpollDriver::descriptor_of(const Operation& op) const noexcept {
  switch (op.kind) {
    case OpKind::accept:
      return static_cast<const AcceptOp&>(op).fd;
    case OpKind::recv:
      return static_cast<const RecvOp&>(op).fd;
    case OpKind::connect:
      return static_cast<const ConnectOp&>(op).fd;
    case OpKind::send:
      return static_cast<const SendOp&>(op).fd;
    case OpKind::send_message:
      return static_cast<const SendMessageOp&>(op).fd;
    case OpKind::send_zero_copy:
      return static_cast<const SendZeroCopyOp&>(op).fd;
    case OpKind::send_datagram:
      return static_cast<const SendDatagramOp&>(op).fd;
    case OpKind::recv_message:
      return static_cast<const RecvMessageOp&>(op).fd;
    case OpKind::send_file:
      return static_cast<const SendFileOp&>(op).fd;
    case OpKind::read:
      return static_cast<const ReadOp&>(op).fd;
    case OpKind::write:
      return static_cast<const WriteOp&>(op).fd;
    case OpKind::poll:
      return static_cast<const PollOp&>(op).fd;
    case OpKind::wait_child:
      return static_cast<const WaitChildOp&>(op).fd;
    case OpKind::close:
      return static_cast<const CloseOp&>(op).fd;
    case OpKind::signal:
      return signals_.fd();
    default:
      return -1;
  }
}

void EpollDriver::wait_for_readiness(Operation& op) {
  if (op.state == OpState::cancelling) return finish(op, -ECANCELED);
  const int fd = descriptor_of(op);
  Slot& at = slot(fd);
  const bool foreign = op.kind == OpKind::read || op.kind == OpKind::write ||
                       op.kind == OpKind::poll || op.kind == OpKind::wait_child;
  if (foreign || !at.watched) {
    ++statistics_.kernel_entries;
    if (const int error = poller_.watch(fd, at.seen); error < 0) return finish(op, error);
    at.seen = true;
    if (!foreign && !at.watched) {
      at.watched = true;
      ++statistics_.kernel_entries;
      at.reads_part = kernel::is_unix_socket(fd);
    }
  }
  op.driver_flags = k_waiting;
  at.waiting.push(op);
}

void EpollDriver::finish(Operation& op, std::int32_t result) {
  if (op.kind == OpKind::signal) signal_in_flight_ = false;
  if (op.kind == OpKind::connect) {
    const int fd = std::exchange(static_cast<ConnectOp&>(op).fd, -1);
    if (result >= 0) {
      result = fd;
    } else if (fd >= 0) {
      if (slot(fd).seen) poller_.forget(fd);
      reset_slot(fd);
      ::close(fd);
    }
  }
  op.state = OpState::idle;
  --in_flight_;
  deliver(op, {.result = result});
}

void EpollDriver::deliver(Operation& op, const Completion& done) {
  note_completed(op, done);
  op.on_complete(op, done);
}

Probe EpollDriver::probe() const {
  return {.name = "epoll",
          .features = std::string("epoll, edge-triggered, waits by ") +
                      (poller_.has_precise_waits() ? "epoll_pwait2" : "timerfd")};
}

std::unique_ptr<Driver> make(const DriverOptions& options) {
  return std::make_unique<EpollDriver>(options, true);
}

}  // namespace rondo::io::epoll
