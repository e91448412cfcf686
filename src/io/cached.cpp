// SPDX-License-Identifier: Apache-2.0
// Files that the kernel has in memory, by calls that give up rather than wait for a disk.
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "io/kernel.hpp"
#include "rondo/base/bytes.hpp"
#include "rondo/base/unique_fd.hpp"
#include "rondo/io/file_ops.hpp"

namespace rondo::io {
namespace {

/// Linux 6.5: not in the headers of the oldest system that this is built on.
constexpr long k_cachestat = 451;

/// What is copied out of the kernel's caches at once: 16 KiB take some 3 us.
constexpr std::size_t k_whole_max = 16'384;
constexpr std::size_t k_copied_max = 65'536;

/// How much of a file goes to a socket at once: some 100 us of copying.
constexpr std::size_t k_sent_max = 1'048'576;

/// False once the kernel (before Linux 5.6, 6.5) has said that there is no such call.
/// Relaxed: nothing else depends on them.
constinit std::atomic<bool> openat2_works{true};
constinit std::atomic<bool> cachestat_works{true};

/// A descriptor if every name on the way is in the kernel's cache; none for any other reason too.
/// O_NONBLOCK as the ring does it: a pipe or a device may not hold up the loop either.
UniqueFd open_cached_names(const OpenOp& op) noexcept {
  if (!openat2_works.load(std::memory_order_relaxed)) return {};
  open_how how{};
  how.flags = static_cast<std::uint32_t>(op.flags) | O_CLOEXEC | O_NONBLOCK;
  how.resolve = RESOLVE_CACHED | (op.beneath >= 0 ? std::uint64_t{RESOLVE_BENEATH} : 0);
  const int from = op.beneath >= 0 ? op.beneath : AT_FDCWD;
  const auto fd = static_cast<int>(::syscall(SYS_openat2, from, op.path, &how, sizeof how));
  if (fd < 0 && errno == ENOSYS) openat2_works.store(false, std::memory_order_relaxed);
  return UniqueFd(fd);
}

/// preadv2 that does not wait; -1 too where a kind of file cannot promise that.
std::int64_t read_now(int fd, ByteSpan into, std::int64_t offset) noexcept {
  const iovec part{into.data(), into.size()};
  return ::preadv2(fd, &part, 1, offset, RWF_NOWAIT);
}

/// Whether these bytes of a file are in memory: every page is there, and the last one is filled,
/// behind which those that are just being read come in order.
bool is_cached(int fd, std::int64_t offset, std::size_t size) noexcept {
  if (!cachestat_works.load(std::memory_order_relaxed)) return false;
  const std::uint64_t range[2] = {static_cast<std::uint64_t>(offset), size};
  std::uint64_t found[5] = {};
  if (::syscall(k_cachestat, fd, range, found, 0) != 0) {
    // EPERM is about this file: somebody else's, which we may not write.
    if (errno == ENOSYS) cachestat_works.store(false, std::memory_order_relaxed);
    return false;
  }
  const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  const std::uint64_t pages = (range[0] + size - 1) / page - range[0] / page + 1;
  std::byte last;
  return found[0] == pages &&
         read_now(fd, {&last, 1}, offset + static_cast<std::int64_t>(size) - 1) == 1;
}

}  // namespace

std::int32_t open_cached(OpenOp& op, StatOp& about) noexcept {
  UniqueFd fd = open_cached_names(op);
  std::byte first;
  // Only files that can be read without waiting have their attributes at hand for certain.
  if (!fd || read_now(fd.get(), {&first, 1}, 0) < 0) return -EAGAIN;
  about.fd = fd.get();
  if (perform(about) < 0 || about.found.type != FileType::regular) return -EAGAIN;
  // Left on, a ring would answer -EAGAIN where it should wait for the disk.
  if (::fcntl(fd.get(), F_SETFL, op.flags & ~O_NONBLOCK) != 0) return -EAGAIN;
  return fd.release();
}

std::int32_t read_cached(const ReadOp& op) noexcept {
  if (op.into.size() > k_copied_max) return -EAGAIN;
  const std::int64_t got = read_now(op.fd, op.into, op.offset);
  if (got < 0) return -EAGAIN;
  const auto size = static_cast<std::size_t>(got);
  std::byte beyond;
  // Less than asked for: at the file's end, or the rest is on the disk.
  const bool whole =
      size == op.into.size() || size == 0 || read_now(op.fd, {&beyond, 1}, op.offset + got) == 0;
  return whole ? static_cast<std::int32_t>(got) : -EAGAIN;
}

std::int64_t send_cached(int to, int file, std::int64_t offset, std::size_t size) noexcept {
  size = std::min(size, k_sent_max);
  if (size == 0 || !is_cached(file, offset, size)) return 0;
  const int flags = ::fcntl(to, F_GETFL);
  if (flags < 0) return -errno;
  // Only the flag tells sendfile not to wait. No operation of a ring starts in between.
  if (!(flags & O_NONBLOCK) && ::fcntl(to, F_SETFL, flags | O_NONBLOCK) != 0) return -errno;
  const std::int64_t sent = kernel::send_file(to, file, offset, size);
  const int error = errno;
  if (!(flags & O_NONBLOCK)) ::fcntl(to, F_SETFL, flags);
  if (sent >= 0) return sent;
  return error == EINVAL || error == ENOSYS ? 0 : -error;
}

std::optional<std::string> read_cached_file(const char* path, std::size_t max) {
  OpenOp op;
  op.path = path;
  op.flags = O_RDONLY | O_NOCTTY;
  const UniqueFd fd = open_cached_names(op);
  if (!fd) return std::nullopt;
  std::array<std::byte, k_whole_max + 1> bytes;  // Not set to zero.
  const ByteSpan into = std::span(bytes).first(std::min(max, k_whole_max) + 1);
  const std::int64_t got = read_now(fd.get(), into, 0);
  // Nothing by its first page: so are the files of /proc, which are not empty.
  if (got <= 0 || static_cast<std::size_t>(got) == into.size()) return std::nullopt;
  // Less than there is: the rest is on the disk. After the read, which only files take whose size
  // is at hand (not FUSE's); lseek costs a third of fstat.
  if (::lseek(fd.get(), 0, SEEK_END) != got) return std::nullopt;
  return std::string(as_text(ByteView(into).first(static_cast<std::size_t>(got))));
}

}  // namespace rondo::io
