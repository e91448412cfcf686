// SPDX-License-Identifier: Apache-2.0
// How each kind of operation is tried: calls that never wait, or k_would_block.
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "io/epoll/epoll_driver.hpp"
#include "io/kernel_child.hpp"

namespace rondo::io::epoll {
namespace {

/// One busy stream or listener gives way to the others after so many calls in one wait().
constexpr int k_receives_per_turn = 16;
constexpr int k_accepts_per_turn = 64;

std::int32_t checked(std::int64_t result) noexcept {
  return result < 0 ? -errno : static_cast<std::int32_t>(result);
}

/// A call moves at most 2 GiB anyway.
std::size_t clamped(std::size_t size) noexcept { return std::min<std::size_t>(size, INT32_MAX); }

/// What a write to `fd` may carry without waiting once the descriptor is writable.
std::size_t writable_size(int fd, std::size_t size) noexcept {
  const int flags = ::fcntl(fd, F_GETFL);
  struct stat about{};
  const bool waits =
      flags >= 0 && !(flags & O_NONBLOCK) && ::fstat(fd, &about) == 0 && !S_ISREG(about.st_mode);
  // A blocking pipe or terminal (standard output) promises room for PIPE_BUF bytes, not more.
  return waits ? std::min<std::size_t>(size, PIPE_BUF) : clamped(size);
}

}  // namespace

void EpollDriver::run(Operation& op) {
  if (op.kind == OpKind::accept) return run_accept(static_cast<AcceptOp&>(op));
  if (op.kind == OpKind::recv) return run_recv(static_cast<RecvOp&>(op));
  const std::int32_t result = attempt(op);
  if (result == k_would_block)
    wait_for_readiness(op);
  else
    finish(op, result);
}

std::int32_t EpollDriver::attempt(Operation& op) {
  if (op.kind != OpKind::connect && op.kind != OpKind::signal && descriptor_of(op) < 0) {
    const bool elsewhere =
        op.kind == OpKind::job || op.kind == OpKind::resolve || is_file_op(op.kind);
    return elsewhere ? -ENOTSUP : -EBADF;
  }
  ++statistics_.kernel_entries;
  switch (op.kind) {
    case OpKind::connect:
      return attempt_connect(static_cast<ConnectOp&>(op));
    case OpKind::send:
      return attempt_send(static_cast<SendOp&>(op));
    case OpKind::send_message:
      return attempt_send_message(static_cast<SendMessageOp&>(op));
    case OpKind::send_zero_copy:
      return attempt_send_zero_copy(static_cast<SendZeroCopyOp&>(op));
    case OpKind::send_datagram:
      return attempt_send_datagram(static_cast<SendDatagramOp&>(op));
    case OpKind::recv_message:
      return attempt_recv_message(static_cast<RecvMessageOp&>(op));
    case OpKind::send_file:
      return attempt_send_file(static_cast<SendFileOp&>(op));
    case OpKind::read:
      return attempt_read(static_cast<ReadOp&>(op));
    case OpKind::write:
      return attempt_write(static_cast<WriteOp&>(op));
    case OpKind::poll:
      return attempt_poll(static_cast<PollOp&>(op));
    case OpKind::wait_child: {
      const std::int32_t result = kernel::try_reap(static_cast<WaitChildOp&>(op));
      return result == -EAGAIN ? k_would_block : result;
    }
    case OpKind::close:
      return attempt_close(static_cast<CloseOp&>(op));
    case OpKind::signal:
      return attempt_signal(static_cast<SignalOp&>(op));
    default:
      return -ENOTSUP;
  }
}

void EpollDriver::run_accept(AcceptOp& op) {
  if (op.fd < 0) return finish(op, -EBADF);
  if (!slot(op.fd).watched) {
    // A listener that was handed to the process may be blocking: accept4 would wait.
    const int flags = ::fcntl(op.fd, F_GETFL);
    if (flags >= 0 && !(flags & O_NONBLOCK)) ::fcntl(op.fd, F_SETFL, flags | O_NONBLOCK);
  }
  for (int turn = 0; turn < k_accepts_per_turn; ++turn) {
    if (!slot(op.fd).readable) return wait_for_readiness(op);
    if (turn > 0 && op.state == OpState::cancelling) return finish(op, -ECANCELED);
    ++statistics_.kernel_entries;
    const int fd = ::accept4(op.fd, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0) {
      reset_slot(fd);
      deliver(op, {.result = fd, .more = true});
    } else if (errno == EAGAIN) {
      slot(op.fd).readable = false;
    } else if (errno != ECONNABORTED && errno != EINTR) {
      return finish(op, -errno);
    }
  }
  enqueue(op);
}

void EpollDriver::run_recv(RecvOp& op) {
  if (op.fd < 0) return finish(op, -EBADF);
  for (int turn = 0; turn < k_receives_per_turn; ++turn) {
    if (!slot(op.fd).readable) return wait_for_readiness(op);
    // The rest stays in the socket for whoever receives next.
    if (turn > 0 && op.state == OpState::cancelling) return finish(op, -ECANCELED);
    const std::uint16_t id = buffers_.take();
    if (id == k_no_buffer) {
      ++statistics_.out_of_buffers;
      return finish(op, -ENOBUFS);
    }
    ++statistics_.kernel_entries;
    const ssize_t got = ::recv(op.fd, buffers_.data(id), buffers_.buffer_size(), MSG_DONTWAIT);
    if (got > 0) {
      Slot& at = slot(op.fd);
      // A short read has emptied the socket; what comes later is a new edge. That the stream
      // has ended is not announced twice, though, and a Unix socket's read ends behind bytes that
      // descriptors came with.
      const bool is_short = static_cast<std::size_t>(got) < buffers_.buffer_size();
      if (is_short && !at.ended && !at.reads_part) at.readable = false;
      deliver(op, {.result = static_cast<std::int32_t>(got), .buffer = id, .more = true});
      continue;
    }
    const std::int32_t result = checked(got);
    buffers_.release(id);
    if (result == -EAGAIN)
      slot(op.fd).readable = false;
    else if (result != -EINTR)
      return finish(op, result);
  }
  enqueue(op);
}

std::int32_t EpollDriver::attempt_connect(ConnectOp& op) {
  if (op.fd < 0) {
    // Nothing has been asked yet, so nothing needs to be undone.
    if (op.state == OpState::cancelling) return -ECANCELED;
    op.fd = kernel::open_socket(op, kernel::Sockets::nonblocking);
    if (op.fd < 0) return op.fd;
    reset_slot(op.fd);
    if (::connect(op.fd, kernel::name_of(op.address), op.address.size) == 0) return 0;
    return errno == EINPROGRESS ? k_would_block : -errno;
  }
  const std::int32_t ready = ready_now(op.fd, POLLOUT);
  if (ready < 0) return ready;
  int error = 0;
  socklen_t size = sizeof error;
  if (::getsockopt(op.fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0) return -errno;
  return -error;
}

std::int32_t EpollDriver::sent(int fd, std::int64_t result) {
  if (result >= 0) return static_cast<std::int32_t>(result);
  if (errno != EAGAIN) return -errno;
  slot(fd).writable = false;
  return k_would_block;
}

std::int32_t EpollDriver::attempt_send(SendOp& op) {
  if (!slot(op.fd).writable) return k_would_block;
  return sent(op.fd, ::send(op.fd, op.data, clamped(op.size), MSG_NOSIGNAL | MSG_DONTWAIT));
}

std::int32_t EpollDriver::attempt_send_message(SendMessageOp& op) {
  if (!slot(op.fd).writable) return k_would_block;
  return sent(op.fd, ::sendmsg(op.fd, &kernel::message_header(op), MSG_NOSIGNAL | MSG_DONTWAIT));
}

std::int32_t EpollDriver::attempt_send_zero_copy(SendZeroCopyOp& op) {
  if (!slot(op.fd).writable) return k_would_block;
  return sent(op.fd, ::send(op.fd, op.data, clamped(op.size), MSG_NOSIGNAL | MSG_DONTWAIT));
}

std::int32_t EpollDriver::attempt_send_datagram(SendDatagramOp& op) {
  if (!op.may_fail_full && !slot(op.fd).writable) return k_would_block;
  const std::int64_t result =
      ::sendmsg(op.fd, &kernel::message_header(op), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (result < 0 && errno == EAGAIN && op.may_fail_full) return -EAGAIN;
  return sent(op.fd, result);
}

std::int32_t EpollDriver::attempt_recv_message(RecvMessageOp& op) {
  if (!slot(op.fd).readable) return k_would_block;
  const ssize_t got =
      ::recvmsg(op.fd, &kernel::message_header(op), MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (got >= 0) {
    kernel::take_message(op, static_cast<std::int32_t>(got));
    if (op.slots.size() == 1) return 1;
    ++statistics_.kernel_entries;
    return 1 + kernel::receive_more(op, 1);
  }
  if (errno != EAGAIN) return -errno;
  slot(op.fd).readable = false;
  return k_would_block;
}

std::int32_t EpollDriver::attempt_send_file(SendFileOp& op) {
  if (!slot(op.fd).writable) return k_would_block;
  // In pieces: a file that has to come from the disk holds the loop up for one of them at most.
  constexpr std::size_t k_piece = 262'144;
  const std::int64_t result =
      kernel::send_file(op.fd, op.file, op.offset, std::min(op.size, k_piece));
  if (result < 0 && (errno == EINVAL || errno == ENOSYS)) return -ENOTSUP;
  return sent(op.fd, result);
}

/// The events that hold on `fd`, or k_would_block when none of `events` does, or an error.
std::int32_t EpollDriver::ready_now(int fd, std::uint32_t events) {
  ++statistics_.kernel_entries;
  pollfd asked{.fd = fd, .events = static_cast<short>(events), .revents = 0};
  const int count = ::poll(&asked, 1, 0);
  if (count < 0) return errno == EINTR ? k_would_block : -errno;
  if (asked.revents & POLLNVAL) return -EBADF;
  return count == 0 ? k_would_block : asked.revents;
}

std::int32_t EpollDriver::attempt_read(ReadOp& op) {
  const std::size_t size = clamped(op.into.size());
  if (op.offset >= 0) return checked(::pread(op.fd, op.into.data(), size, op.offset));
  // Asked first, not tried: the descriptor may be a blocking one (standard input).
  const std::int32_t ready = ready_now(op.fd, POLLIN);
  if (ready < 0) return ready;
  const std::int32_t result = checked(::read(op.fd, op.into.data(), size));
  return result == -EAGAIN || result == -EINTR ? k_would_block : result;
}

std::int32_t EpollDriver::attempt_write(WriteOp& op) {
  const std::size_t size = op.from.size();
  if (op.offset >= 0) return checked(::pwrite(op.fd, op.from.data(), clamped(size), op.offset));
  const std::int32_t ready = ready_now(op.fd, POLLOUT);
  if (ready < 0) return ready;
  const std::int32_t result = checked(::write(op.fd, op.from.data(), writable_size(op.fd, size)));
  if (result == -EPIPE) kernel::drop_sigpipe();
  return result == -EAGAIN || result == -EINTR ? k_would_block : result;
}

std::int32_t EpollDriver::attempt_poll(PollOp& op) {
  const std::int32_t ready = ready_now(op.fd, op.events);
  return ready < 0 ? ready : kernel::poll_result(static_cast<std::uint32_t>(ready));
}

std::int32_t EpollDriver::attempt_close(CloseOp& op) {
  if (slot(op.fd).seen) {
    // Closing ends the watch only if no other process holds the description, a child say.
    ++statistics_.kernel_entries;
    poller_.forget(op.fd);
  }
  reset_slot(op.fd);
  return checked(::close(op.fd));
}

std::int32_t EpollDriver::attempt_signal(SignalOp& op) {
  if (op.driver_result < 0) return op.driver_result;  // The signalfd was refused.
  const std::int32_t result = signals_.take();
  return result == -EAGAIN ? k_would_block : result;
}

}  // namespace rondo::io::epoll
