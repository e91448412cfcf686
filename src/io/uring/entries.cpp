// SPDX-License-Identifier: Apache-2.0
#include "io/uring/entries.hpp"

#include <algorithm>
#include <limits>

#include "io/kernel.hpp"

namespace rondo::io::uring {
namespace {

/// The kernel moves at most 2 GiB in one call anyway.
unsigned length_of(std::size_t size) noexcept {
  return static_cast<unsigned>(
      std::min<std::size_t>(size, std::numeric_limits<std::int32_t>::max()));
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
    case OpKind::close:
      io_uring_prep_close(&sqe, static_cast<CloseOp&>(op).fd);
      return;
    default:
      RONDO_ASSERT(false, "this kind of operation has no submission entry");
  }
}

}  // namespace rondo::io::uring
