// SPDX-License-Identifier: Apache-2.0
#include "io/kernel.hpp"

#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <memory>

#include "io/kernel_child.hpp"
#include "io/kernel_messages.hpp"
#include "rondo/base/error.hpp"

namespace rondo::io::kernel {

static_assert(k_working_directory == AT_FDCWD);

namespace {

static_assert(k_working_directory == AT_FDCWD);

static_assert(sizeof(msghdr) <= sizeof(SendMessageOp::header_storage));
static_assert(sizeof(ByteView) == sizeof(iovec) && alignof(ByteView) == alignof(iovec));
static_assert(sizeof(iovec) == 2 * sizeof(void*) && offsetof(iovec, iov_len) == sizeof(void*));
static_assert(k_readable == POLLIN && k_writable == POLLOUT && k_hang_up == POLLHUP);

std::int32_t checked(int result) noexcept { return result < 0 ? -errno : result; }

int set_flag(int fd, int level, int option) noexcept {
  const int on = 1;
  return ::setsockopt(fd, level, option, &on, sizeof on);
}

bool is_ip(const Address& address) noexcept {
  const auto family = name_of(address)->sa_family;
  return family == AF_INET || family == AF_INET6;
}

int new_socket(const Address& address, Sockets sockets) noexcept {
  return ::socket(name_of(address)->sa_family,
                  SOCK_STREAM | SOCK_CLOEXEC | static_cast<int>(sockets), 0);
}

bool configure(int fd, const ListenOp& op) noexcept {
  if (is_ip(op.address)) {
    if (set_flag(fd, SOL_SOCKET, SO_REUSEADDR) < 0) return false;
    // Accepted sockets inherit it: Rondo batches output itself.
    if (set_flag(fd, IPPROTO_TCP, TCP_NODELAY) < 0) return false;
  }
  if (op.reuse_port && set_flag(fd, SOL_SOCKET, SO_REUSEPORT) < 0) return false;
  if (name_of(op.address)->sa_family != AF_INET6) return true;
  const int only = op.v6_only ? 1 : 0;
  return ::setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only) == 0;
}

std::int32_t try_listen(const ListenOp& op, Sockets sockets) noexcept {
  UniqueFd fd(new_socket(op.address, sockets));
  if (!fd || !configure(fd.get(), op)) return -errno;
  if (::bind(fd.get(), name_of(op.address), op.address.size) < 0) return -errno;
  if (::listen(fd.get(), op.backlog) < 0) return -errno;
  return fd.release();
}

std::int32_t listen(const ListenOp& op, Sockets sockets) noexcept {
  // A killed process's ring is torn down some 10 ms after the process is gone, and until then
  // its listening socket holds the port: a quick restart waits for it. A port that is really in
  // use costs 200 ms before the error, once, at start-up. A Unix path does not free itself.
  constexpr timespec k_pause{.tv_sec = 0, .tv_nsec = 20'000'000};
  std::int32_t result = try_listen(op, sockets);
  for (int left = 10; result == -EADDRINUSE && is_ip(op.address) && left > 0; --left) {
    ::nanosleep(&k_pause, nullptr);
    result = try_listen(op, sockets);
  }
  return result;
}

std::int32_t socket_name(SocketNameOp& op) noexcept {
  auto* name = reinterpret_cast<sockaddr*>(op.address.storage);
  socklen_t size = sizeof op.address.storage;
  const int result =
      op.peer ? ::getpeername(op.fd, name, &size) : ::getsockname(op.fd, name, &size);
  if (result < 0) return -errno;
  op.address.size = std::min<socklen_t>(size, sizeof op.address.storage);
  return 0;
}

std::int32_t watch(const WatchOp& op) noexcept {
  switch (op.action) {
    case WatchOp::Action::open:
      return checked(::inotify_init1(IN_CLOEXEC));
    case WatchOp::Action::add:
      return checked(::inotify_add_watch(op.fd, op.path, op.mask));
    case WatchOp::Action::remove:
      return checked(::inotify_rm_watch(op.fd, op.watch));
  }
  return -EINVAL;
}

}  // namespace

std::int32_t run_immediate(Operation& op, Sockets sockets, Reserve& reserve) noexcept {
  switch (op.kind) {
    case OpKind::listen:
      return listen(static_cast<ListenOp&>(op), sockets);
    case OpKind::shutdown: {
      auto& shutdown = static_cast<ShutdownOp&>(op);
      return checked(::shutdown(shutdown.fd, shutdown.both ? SHUT_RDWR : SHUT_WR));
    }
    case OpKind::socket_name:
      return socket_name(static_cast<SocketNameOp&>(op));
    case OpKind::socket_option:
      return socket_option(static_cast<SocketOptionOp&>(op), sockets);
    case OpKind::datagram_socket:
      return datagram_socket(static_cast<DatagramSocketOp&>(op), sockets);
    case OpKind::refuse:
      return reserve.refuse(static_cast<RefuseOp&>(op));
    case OpKind::watch:
      return watch(static_cast<const WatchOp&>(op));
    default:
      return run_child_op(op);
  }
}

std::int32_t open_socket(const ConnectOp& op, Sockets sockets) noexcept {
  UniqueFd fd(new_socket(op.address, sockets));
  if (!fd) return -errno;
  if (is_ip(op.address) && set_flag(fd.get(), IPPROTO_TCP, TCP_NODELAY) < 0) return -errno;
  return fd.release();
}

bool is_unix_socket(int fd) noexcept {
  int domain = 0;
  socklen_t size = sizeof domain;
  return ::getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_UNIX;
}

open_how& open_how_of(OpenOp& op) noexcept {
  static_assert(sizeof(open_how) <= sizeof op.storage);
  auto* how = std::construct_at(reinterpret_cast<open_how*>(op.storage));
  how->flags = static_cast<std::uint32_t>(op.flags) | O_CLOEXEC;
  how->mode = (op.flags & O_CREAT) != 0 ? op.permissions : 0;  // Else the kernel refuses a mode.
  how->resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  return *how;
}

msghdr& message_header(SendMessageOp& op) noexcept {
  auto* header = std::construct_at(reinterpret_cast<msghdr*>(op.header_storage));
  header->msg_iov = reinterpret_cast<iovec*>(const_cast<ByteView*>(op.slices));
  // More slices than the kernel takes at once make a short send, not an error.
  header->msg_iovlen = std::min<std::size_t>(op.count, IOV_MAX);
  return *header;
}

std::int64_t send_file(int to, int file, std::int64_t offset, std::size_t size) noexcept {
  sigset_t pipe;
  sigset_t before;
  ::sigemptyset(&pipe);
  ::sigaddset(&pipe, SIGPIPE);
  ::pthread_sigmask(SIG_BLOCK, &pipe, &before);
  const std::int64_t result = ::sendfile(to, file, &offset, size);
  const int error = errno;
  // Also after a success: what was sent in part raises it too.
  if (!::sigismember(&before, SIGPIPE)) drop_sigpipe();
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  errno = error;
  return result;
}

std::int32_t poll_result(std::uint32_t bits) noexcept {
  std::uint32_t events = bits & (k_readable | k_writable | k_hang_up);
  if (bits & POLLERR) events |= k_hang_up;
  return static_cast<std::int32_t>(events);
}

FileType type_of(std::uint32_t mode) noexcept {
  switch (mode & S_IFMT) {
    case S_IFREG: return FileType::regular;
    case S_IFDIR: return FileType::directory;
    case S_IFLNK: return FileType::symlink;
    case S_IFIFO: return FileType::fifo;
    case S_IFSOCK: return FileType::socket;
    case S_IFCHR: return FileType::character_device;
    case S_IFBLK: return FileType::block_device;
    default: return FileType::unknown;
  }
}

struct statx& statx_of(StatOp& op) noexcept {
  static_assert(sizeof(struct statx) <= sizeof op.storage);
  return *reinterpret_cast<struct statx*>(op.storage);
}

int statx_flags(const StatOp& op) noexcept {
  if (!op.path) return AT_EMPTY_PATH;
  return op.follow ? 0 : AT_SYMLINK_NOFOLLOW;
}

void take_statx(StatOp& op) noexcept {
  const struct statx& x = statx_of(op);
  const auto ns = [](const statx_timestamp& at) {
    return at.tv_sec * 1'000'000'000 + std::int64_t{at.tv_nsec};
  };
  op.found = {.type = type_of(x.stx_mode),
              .permissions = x.stx_mode & 07777U,
              .links = x.stx_nlink,
              .uid = x.stx_uid,
              .gid = x.stx_gid,
              .size = x.stx_size,
              .blocks = x.stx_blocks,
              .inode = x.stx_ino,
              .device = makedev(x.stx_dev_major, x.stx_dev_minor),
              .accessed_ns = ns(x.stx_atime),
              .modified_ns = ns(x.stx_mtime),
              .changed_ns = ns(x.stx_ctime),
              .created_ns = x.stx_mask & STATX_BTIME ? ns(x.stx_btime) : 0};
}

std::int64_t read_clock(Clock clock) noexcept {
  timespec at{};
  ::clock_gettime(clock == Clock::monotonic ? CLOCK_MONOTONIC : CLOCK_REALTIME, &at);
  return std::int64_t{at.tv_sec} * 1'000'000'000 + at.tv_nsec;
}

void fill_random(ByteSpan into) noexcept {
  while (!into.empty()) {
    const ssize_t got = ::getrandom(into.data(), into.size(), 0);
    if (got > 0) into = into.subspan(static_cast<std::size_t>(got));
    // Going on without randomness would hand out guessable secrets.
    else
      RONDO_ASSERT(errno == EINTR, "the kernel refuses getrandom: allow it in the sandbox");
  }
}

void set_precise_timeouts() noexcept { ::prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL); }

std::int32_t Signals::listen(std::uint64_t mask) noexcept {
  sigset_t set;
  ::sigemptyset(&set);
  for (int signal = 1; signal <= 64; ++signal) {
    if (mask >> (signal - 1) & 1) ::sigaddset(&set, signal);
  }
  if (const int error = ::pthread_sigmask(SIG_BLOCK, &set, nullptr)) return -error;
  const int fd = ::signalfd(fd_.get(), &set, SFD_CLOEXEC | SFD_NONBLOCK);
  if (fd < 0) return -errno;
  if (fd != fd_.get()) fd_.reset(fd);
  return fd;
}

std::int32_t Signals::take() noexcept {
  signalfd_siginfo info;
  const ssize_t got = ::read(fd_.get(), &info, sizeof info);
  return got < 0 ? -errno : static_cast<std::int32_t>(info.ssi_signo);
}

WakeFd::WakeFd(int flags) : fd_(::eventfd(0, EFD_CLOEXEC | flags)) {
  if (!fd_) throw SystemError(Error::from_errno(errno, "eventfd"));
}

void WakeFd::fire() noexcept {
  flag_.fire([this] {
    const std::uint64_t one = 1;
    // Cannot fail: the counter would have to overflow 64 bits.
    [[maybe_unused]] const ssize_t written = ::write(fd_.get(), &one, sizeof one);
  });
}

}  // namespace rondo::io::kernel
