// SPDX-License-Identifier: Apache-2.0
// Reading what the kernel has in memory: four calls that give up rather than wait for a disk.
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
#include <optional>
#include <string>

#include "rondo/base/unique_fd.hpp"
#include "rondo/io/file_ops.hpp"

namespace rondo::io {
namespace {

/// What is copied out of the kernel's caches at once: it takes some 3 us.
constexpr std::size_t k_cached_max = 16'384;

/// False once the kernel (before Linux 5.12) or a sandbox has refused the call itself. Relaxed:
/// nothing else depends on it.
constinit std::atomic<bool> openat2_works{true};

/// A descriptor if every name on the way is in the kernel's cache; none for any other reason too.
/// O_NONBLOCK as the ring does it: a pipe or a device may not hold up the loop either.
UniqueFd open_cached(const char* path) noexcept {
  open_how how{};
  how.flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
  how.resolve = RESOLVE_CACHED;
  const auto fd = static_cast<int>(::syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how));
  if (fd < 0 && (errno == EINVAL || errno == ENOSYS || errno == EPERM)) {
    openat2_works.store(false, std::memory_order_relaxed);
  }
  return UniqueFd(fd);
}

}  // namespace

std::optional<std::string> read_cached_file(const char* path, std::size_t max) {
  if (!openat2_works.load(std::memory_order_relaxed)) return std::nullopt;
  const UniqueFd fd = open_cached(path);
  if (!fd) return std::nullopt;
  std::array<char, k_cached_max + 1> bytes;  // Not set to zero.
  const iovec part{bytes.data(), std::min(max, k_cached_max) + 1};
  const ssize_t got = ::preadv2(fd.get(), &part, 1, 0, RWF_NOWAIT);
  // Nothing by its first page: so are the files of /proc, which are not empty.
  if (got <= 0) return std::nullopt;
  // Less than there is: the rest is on the disk. After the read, which only files take whose size
  // is at hand (not FUSE's); lseek costs a third of fstat.
  if (::lseek(fd.get(), 0, SEEK_END) != got) return std::nullopt;
  if (static_cast<std::size_t>(got) == part.iov_len) return std::nullopt;
  return std::string(bytes.data(), static_cast<std::size_t>(got));
}

}  // namespace rondo::io
