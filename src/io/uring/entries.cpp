// SPDX-License-Identifier: Apache-2.0
#include "io/uring/entries.hpp"

#include <fcntl.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <limits>

#include "io/kernel.hpp"
#include "io/kernel_messages.hpp"
#include "io/uring/abi.hpp"
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

void fill_link(const LinkOp& op, io_uring_sqe& sqe) noexcept {
  if (op.symbolic)
    io_uring_prep_symlinkat(&sqe, op.target, AT_FDCWD, op.path);
  else
    io_uring_prep_linkat(&sqe, AT_FDCWD, op.target, AT_FDCWD, op.path, 0);
}

void fill_truncate(const TruncateOp& op, io_uring_sqe& sqe) noexcept {
  io_uring_prep_nop(&sqe);
  sqe.opcode = abi::k_op_ftruncate;
  sqe.fd = op.fd;
  sqe.off = op.size;
}

void fill_file_entry(Operation& op, io_uring_sqe& sqe) noexcept {
  switch (op.kind) {
    case OpKind::open: {
      auto& open = static_cast<OpenOp&>(op);
      if (open.beneath >= 0) {
        io_uring_prep_openat2(&sqe, open.beneath, open.path, &kernel::open_how_of(open));
        return;
      }
      io_uring_prep_openat(&sqe, AT_FDCWD, open.path, open.flags | O_CLOEXEC, open.permissions);
      return;
    }
    case OpKind::fsync: {
      auto& sync = static_cast<FsyncOp&>(op);
      io_uring_prep_fsync(&sqe, sync.fd, sync.data_only ? IORING_FSYNC_DATASYNC : 0U);
      return;
    }
    case OpKind::stat: {
      auto& stat = static_cast<StatOp&>(op);
      io_uring_prep_statx(&sqe, stat.path ? AT_FDCWD : stat.fd, stat.path ? stat.path : "",
                          kernel::statx_flags(stat), STATX_BASIC_STATS | STATX_BTIME,
                          &kernel::statx_of(stat));
      return;
    }
    case OpKind::rename: {
      auto& rename = static_cast<RenameOp&>(op);
      io_uring_prep_renameat(&sqe, rename.from_in, rename.from, rename.to_in, rename.to,
                             rename.replace ? 0U : abi::k_rename_noreplace);
      return;
    }
    case OpKind::unlink: {
      auto& unlink = static_cast<UnlinkOp&>(op);
      io_uring_prep_unlinkat(&sqe, unlink.in, unlink.path, unlink.directory ? AT_REMOVEDIR : 0);
      return;
    }
    case OpKind::make_directory: {
      auto& make = static_cast<MakeDirectoryOp&>(op);
      io_uring_prep_mkdirat(&sqe, make.in, make.path, make.permissions);
      return;
    }
    case OpKind::link: return fill_link(static_cast<LinkOp&>(op), sqe);
    case OpKind::truncate: return fill_truncate(static_cast<TruncateOp&>(op), sqe);
    default: RONDO_ASSERT(false, "this kind of operation has no submission entry");
  }
}

}  // namespace

void fill_chain_entry(ReadWholeFileOp& op, unsigned number, io_uring_sqe& sqe) noexcept {
  switch (number) {
    case 0:
      // No O_CLOEXEC: what has no descriptor is not inherited, and the kernel refuses it.
      io_uring_prep_openat_direct(&sqe, AT_FDCWD, op.path, O_RDONLY | O_NOCTTY, 0, op.slot);
      sqe.flags |= IOSQE_IO_LINK;
      return;
    case 1:
      io_uring_prep_read(&sqe, op.slot, op.into.data(), length_of(op.into.size()),
                         static_cast<std::uint64_t>(-1));
      sqe.flags |= IOSQE_FIXED_FILE | IOSQE_IO_HARDLINK;
      return;
    case 2:
      io_uring_prep_read(&sqe, op.slot, &op.beyond, 1, static_cast<std::uint64_t>(-1));
      sqe.rw_flags = RWF_NOWAIT;
      sqe.flags |= IOSQE_FIXED_FILE | IOSQE_IO_HARDLINK;
      return;
    default: io_uring_prep_close_direct(&sqe, op.slot); return;
  }
}

bool take_chain_answer(ReadWholeFileOp& op, std::int32_t result) noexcept {
  switch (op.answered++) {
    case 0:
      op.outcome = std::min(result, 0);
      return false;
    case 1:
      if (op.outcome == 0) op.outcome = result;
      return false;
    case 2: {
      const auto size = static_cast<std::int64_t>(op.into.size());
      const bool short_read = op.outcome >= 0 && op.outcome < size;
      // Only a 0 proves the end: some file systems refuse to answer at once.
      if (short_read && result != 0) op.outcome = -EAGAIN;
      return false;
    }
    default: return true;
  }
}

std::uint64_t file_kinds(const io_uring_probe& probe, bool newer) noexcept {
  struct Need {
    OpKind kind;
    int opcode;
  };
  constexpr Need k_needs[] = {
      {OpKind::open, IORING_OP_OPENAT},       {OpKind::fsync, IORING_OP_FSYNC},
      {OpKind::stat, IORING_OP_STATX},        {OpKind::rename, IORING_OP_RENAMEAT},
      {OpKind::unlink, IORING_OP_UNLINKAT},   {OpKind::make_directory, IORING_OP_MKDIRAT},
      {OpKind::truncate, abi::k_op_ftruncate}};
  const auto supported = [&](int op) { return io_uring_opcode_supported(&probe, op) != 0; };
  std::uint64_t kinds = 0;
  for (const Need& need : k_needs) {
    if (need.opcode == abi::k_op_ftruncate && !newer) continue;
    if (need.kind == OpKind::open && !supported(IORING_OP_OPENAT2)) continue;
    if (supported(need.opcode)) kinds |= std::uint64_t{1} << static_cast<unsigned>(need.kind);
  }
  if (supported(IORING_OP_LINKAT) && supported(IORING_OP_SYMLINKAT))
    kinds |= std::uint64_t{1} << static_cast<unsigned>(OpKind::link);
  return kinds;
}

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
      if (is_file_op(op.kind)) fill_file_entry(op, sqe);
      else fill_message_entry(op, sqe);
  }
}

}  // namespace rondo::io::uring
