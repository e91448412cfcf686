// SPDX-License-Identifier: Apache-2.0
#include "io/uring/entries.hpp"

#include <fcntl.h>

#include <algorithm>
#include <limits>

#include "io/kernel.hpp"
#include "io/kernel_messages.hpp"
#include "rondo/io/child_ops.hpp"

namespace rondo::io::uring {
namespace {

/// The kernel moves at most 2 GiB in one call anyway.
unsigned length_of(std::size_t size) noexcept {
  return static_cast<unsigned>(
      std::min<std::size_t>(size, std::numeric_limits<std::int32_t>::max()));
}

/// Full pipe to the socket, else the next part of the file into the pipe.
void fill_send_file(const SendFileOp& op, io_uring_sqe& sqe) noexcept {
  if (op.in_pipe > 0) {
    io_uring_prep_splice(&sqe, op.pipe[0], -1, op.fd, -1, op.in_pipe, SPLICE_F_MOVE);
    return;
  }
  // A pipe holds 64 KiB; more would wait for somebody to empty it.
  const auto size = static_cast<unsigned>(std::min<std::size_t>(op.size, 65'536));
  io_uring_prep_splice(&sqe, op.file, op.offset, op.pipe[1], -1, size, SPLICE_F_MOVE);
}

/// Messages, whole files and what is sent without a copy.
void fill_message_entry(Operation& op, io_uring_sqe& sqe) noexcept {
  switch (op.kind) {
    case OpKind::send_zero_copy: {
      auto& send = static_cast<SendZeroCopyOp&>(op);
      io_uring_prep_send_zc(&sqe, send.fd, send.data, length_of(send.size), MSG_NOSIGNAL, 0);
      return;
    }
    case OpKind::send_datagram: {
      auto& send = static_cast<SendDatagramOp&>(op);
      const unsigned flags = MSG_NOSIGNAL | (send.may_fail_full ? MSG_DONTWAIT : 0);
      io_uring_prep_sendmsg(&sqe, send.fd, &kernel::message_header(send), flags);
      return;
    }
    case OpKind::recv_message: {
      auto& receive = static_cast<RecvMessageOp&>(op);
      io_uring_prep_recvmsg(&sqe, receive.fd, &kernel::message_header(receive), MSG_CMSG_CLOEXEC);
      return;
    }
    case OpKind::send_file:
      fill_send_file(static_cast<SendFileOp&>(op), sqe);
      return;
    default:
      RONDO_ASSERT(false, "this kind of operation has no submission entry");
  }
}

}  // namespace

void fill_entry(Operation& op, io_uring_sqe& sqe) noexcept {
  switch (op.kind) {
    case OpKind::accept:
      io_uring_prep_multishot_accept(&sqe, static_cast<AcceptOp&>(op).fd, nullptr, nullptr,
                                     SOCK_CLOEXEC);
      return;
    case OpKind::recv:
      io_uring_prep_recv_multishot(&sqe, static_cast<RecvOp&>(op).fd, nullptr, 0, 0);
      sqe.flags = IOSQE_BUFFER_SELECT;
      return;
    case OpKind::connect: {
      auto& connect = static_cast<ConnectOp&>(op);
      io_uring_prep_connect(&sqe, connect.fd, kernel::name_of(connect.address),
                            connect.address.size);
      return;
    }
    case OpKind::send: {
      auto& send = static_cast<SendOp&>(op);
      io_uring_prep_send(&sqe, send.fd, send.data, length_of(send.size), MSG_NOSIGNAL);
      return;
    }
    case OpKind::send_message: {
      auto& send = static_cast<SendMessageOp&>(op);
      io_uring_prep_sendmsg(&sqe, send.fd, &kernel::message_header(send), MSG_NOSIGNAL);
      return;
    }
    case OpKind::read: {
      auto& read = static_cast<ReadOp&>(op);
      io_uring_prep_read(&sqe, read.fd, read.into.data(), length_of(read.into.size()),
                         static_cast<std::uint64_t>(read.offset));
      return;
    }
    case OpKind::write: {
      auto& write = static_cast<WriteOp&>(op);
      io_uring_prep_write(&sqe, write.fd, write.from.data(), length_of(write.from.size()),
                          static_cast<std::uint64_t>(write.offset));
      return;
    }
    case OpKind::poll: {
      auto& poll = static_cast<PollOp&>(op);
      io_uring_prep_poll_add(&sqe, poll.fd, poll.events);
      return;
    }
    case OpKind::wait_child:
      io_uring_prep_poll_add(&sqe, static_cast<WaitChildOp&>(op).fd, k_readable);
      return;
    case OpKind::close:
      io_uring_prep_close(&sqe, static_cast<CloseOp&>(op).fd);
      return;
    default:
      fill_message_entry(op, sqe);
  }
}

}  // namespace rondo::io::uring
