// SPDX-License-Identifier: Apache-2.0
// What the uring and the epoll driver share: sockets, names, options, signals, clocks.
//
// Everything here is one or two system calls that never wait. Functions that make something
// return a descriptor or a negated errno, like the operations they serve.
// Thread rule: the loop's thread, except fire() on a wake descriptor.
#pragma once

#include <linux/openat2.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <atomic>
#include <cstdint>

#include "io/wake_flag.hpp"
#include "rondo/base/bytes.hpp"
#include "rondo/base/unique_fd.hpp"
#include "rondo/io/driver.hpp"
#include "rondo/io/file_ops.hpp"
#include "rondo/io/operation.hpp"
#include "rondo/io/socket_ops.hpp"

namespace rondo::io::kernel {

/// Whether the sockets of a driver carry O_NONBLOCK. Those of io_uring must not: some kernels
/// answer -EAGAIN on such a socket instead of waiting.
enum class Sockets : int { blocking = 0, nonblocking = SOCK_NONBLOCK };

class Reserve;
/// Does an immediate operation.
std::int32_t run_immediate(Operation& op, Sockets sockets, Reserve& reserve) noexcept;
/// A socket for `op.address`, TCP_NODELAY for IP; not yet connected.
std::int32_t open_socket(const ConnectOp& op, Sockets sockets) noexcept;

inline const sockaddr* name_of(const Address& address) noexcept {
  return reinterpret_cast<const sockaddr*>(address.storage);
}
bool is_unix_socket(int fd) noexcept;
/// Writes the struct msghdr of `op` into its header_storage.
msghdr& message_header(SendMessageOp& op) noexcept;
/// The kernel's POLL bits as PollEvents. An error counts as a hang-up.
std::int32_t poll_result(std::uint32_t bits) noexcept;

/// sendfile(2), which has no MSG_NOSIGNAL: without the SIGPIPE of a peer that is gone.
/// As the call: -1 and errno.
std::int64_t send_file(int to, int file, std::int64_t offset, std::size_t size) noexcept;

FileType type_of(std::uint32_t mode) noexcept;
/// Writes the struct open_how of an operation that stays beneath a directory into its storage.
open_how& open_how_of(OpenOp& op) noexcept;
/// The struct statx in the operation's storage, and what flags it is asked with.
struct statx& statx_of(StatOp& op) noexcept;
int statx_flags(const StatOp& op) noexcept;
/// Copies what the kernel filled in into `op.found`.
void take_statx(StatOp& op) noexcept;

std::int64_t read_clock(Clock clock) noexcept;
void fill_random(ByteSpan into) noexcept;
/// Asks the kernel not to round this thread's time-outs up by its default of 50 us.
void set_precise_timeouts() noexcept;

/// A non-blocking signalfd, and the mask that its signals are blocked with.
class Signals {
 public:
  /// Blocks the signals of `mask` for this thread and listens for exactly them.
  /// The descriptor, or a negated errno.
  std::int32_t listen(std::uint64_t mask) noexcept;
  /// The number of the next signal, or -EAGAIN.
  std::int32_t take() noexcept;
  int fd() const noexcept { return fd_.get(); }

 private:
  UniqueFd fd_;
};

/// The descriptor that other threads end a wait with. The loop's thread calls clear() when it has
/// seen it readable, before it takes the list (io/wake_flag.hpp says why).
class WakeFd {
 public:
  /// `flags` for eventfd(2), besides EFD_CLOEXEC. Throws SystemError.
  explicit WakeFd(int flags);
  void fire() noexcept;
  void clear() noexcept { flag_.clear(); }
  int fd() const noexcept { return fd_.get(); }

 private:
  UniqueFd fd_;
  BasicWakeFlag<std::atomic> flag_;
};

}  // namespace rondo::io::kernel
