// SPDX-License-Identifier: Apache-2.0
// File operations as blocking system calls, for a worker's thread.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <string_view>

#include "io/kernel.hpp"
#include "rondo/base/unique_fd.hpp"

namespace rondo::io {
namespace {

/// A call that a signal interrupted has not begun: again.
template <class F>
std::int32_t retried(F call) noexcept {
  while (true) {
    const std::int64_t result = call();
    if (result >= 0) return static_cast<std::int32_t>(result);
    if (errno != EINTR) return -errno;
  }
}

/// A call moves at most 2 GiB anyway.
std::size_t clamped(std::size_t size) noexcept { return std::min<std::size_t>(size, INT32_MAX); }

std::int32_t open_file(OpenOp& op) noexcept {
  if (op.beneath >= 0) {
    const open_how& how = kernel::open_how_of(op);
    return retried([&] { return ::syscall(SYS_openat2, op.beneath, op.path, &how, sizeof how); });
  }
  return retried([&] { return ::open(op.path, op.flags | O_CLOEXEC, op.permissions); });
}

std::int32_t read_at(int fd, ByteSpan into, std::int64_t offset) noexcept {
  return retried([&] { return ::pread(fd, into.data(), clamped(into.size()), offset); });
}

std::int32_t write_at(const WriteOp& op) noexcept {
  return retried(
      [&] { return ::pwrite(op.fd, op.from.data(), clamped(op.from.size()), op.offset); });
}

std::int32_t status_of(StatOp& op) noexcept {
  struct statx& found = kernel::statx_of(op);
  const int result = ::statx(op.path ? AT_FDCWD : op.fd, op.path ? op.path : "",
                             kernel::statx_flags(op), STATX_BASIC_STATS | STATX_BTIME, &found);
  if (result < 0) return -errno;
  kernel::take_statx(op);
  return 0;
}

std::int32_t list(ListDirectoryOp& op) noexcept {
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(op.path), &::closedir);
  if (!directory) return -errno;
  std::int32_t count = 0;
  try {
    while (true) {
      errno = 0;
      const dirent* entry = ::readdir(directory.get());
      if (!entry) return errno != 0 ? -errno : count;
      const std::string_view name = entry->d_name;
      if (name == "." || name == "..") continue;
      if (op.entries->size() >= op.entries_max) return -E2BIG;
      op.entries->push_back({std::string(name),
                             kernel::type_of(std::uint32_t{entry->d_type} << 12),  // DTTOIF
                             entry->d_ino});
      ++count;
    }
  } catch (...) {
    return -ENOMEM;
  }
}

std::int32_t read_whole(const ReadWholeFileOp& op) noexcept {
  const std::int32_t opened =
      retried([&] { return ::open(op.path, O_RDONLY | O_CLOEXEC | O_NOCTTY); });
  if (opened < 0) return opened;
  const UniqueFd fd(opened);
  std::size_t done = 0;
  while (done < op.into.size()) {
    const std::int32_t got =
        read_at(fd.get(), op.into.subspan(done), static_cast<std::int64_t>(done));
    if (got < 0) return got;
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  return static_cast<std::int32_t>(done);
}

std::int32_t make_link(const LinkOp& op) noexcept {
  return retried([&] {
    return op.symbolic ? ::symlink(op.target, op.path) : ::link(op.target, op.path);
  });
}

}  // namespace

std::int32_t perform(Operation& op) noexcept {
  switch (op.kind) {
    case OpKind::open: return open_file(static_cast<OpenOp&>(op));
    case OpKind::read: {
      auto& read = static_cast<ReadOp&>(op);
      return read_at(read.fd, read.into, read.offset);
    }
    case OpKind::write: return write_at(static_cast<WriteOp&>(op));
    case OpKind::fsync: {
      auto& sync = static_cast<FsyncOp&>(op);
      return retried([&] { return sync.data_only ? ::fdatasync(sync.fd) : ::fsync(sync.fd); });
    }
    case OpKind::stat: return status_of(static_cast<StatOp&>(op));
    case OpKind::rename: {
      auto& rename = static_cast<RenameOp&>(op);
      const unsigned flags = rename.replace ? 0U : RENAME_NOREPLACE;
      return retried([&] {
        return ::renameat2(rename.from_in, rename.from, rename.to_in, rename.to, flags);
      });
    }
    case OpKind::unlink: {
      auto& unlink = static_cast<UnlinkOp&>(op);
      return retried([&] {
        return ::unlinkat(unlink.in, unlink.path, unlink.directory ? AT_REMOVEDIR : 0);
      });
    }
    case OpKind::make_directory: {
      auto& make = static_cast<MakeDirectoryOp&>(op);
      return retried([&] { return ::mkdirat(make.in, make.path, make.permissions); });
    }
    case OpKind::link: return make_link(static_cast<LinkOp&>(op));
    case OpKind::truncate: {
      auto& cut = static_cast<TruncateOp&>(op);
      return retried([&] { return ::ftruncate(cut.fd, static_cast<off_t>(cut.size)); });
    }
    case OpKind::list_directory: return list(static_cast<ListDirectoryOp&>(op));
    case OpKind::read_whole_file: return read_whole(static_cast<ReadWholeFileOp&>(op));
    default: return -ENOTSUP;
  }
}

}  // namespace rondo::io
