// SPDX-License-Identifier: Apache-2.0
// What has no operation of its own: blocking calls on a worker's thread, on real drivers only.
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <memory>
#include <utility>

#include "fs/operations.hpp"
#include "rondo/fs/dir.hpp"

namespace rondo::fs {
namespace {

/// Runs `call(path)`, a Result, on a thread; not_supported where there are none (simulation).
template <class T, class F>
Task<Result<T>> on_thread(const char* name, std::string path, F call) {
  if (!is_path(path)) co_return bad_path(name, path);
  if (!Loop::current().driver().probe().has_threads)
    co_return Error(Errc::not_supported, name, path);
  auto done = co_await run_blocking([&] { return call(path.c_str()); });
  if (!done) co_return done.error().about(path);
  co_return std::move(done);
}

Error failed(const char* name) { return Error::from_errno(errno, name); }

}  // namespace

Task<Result<std::string>> read_link(std::string path) {
  return on_thread<std::string>("read_link", std::move(path),
                                [](const char* at) -> Result<std::string> {
    char target[PATH_MAX];
    const ssize_t size = ::readlink(at, target, sizeof target);
    if (size < 0) return failed("read_link");
    return std::string(target, static_cast<std::size_t>(size));
  });
}

Task<Result<std::string>> canonical(std::string path) {
  return on_thread<std::string>("canonical", std::move(path),
                                [](const char* at) -> Result<std::string> {
    const std::unique_ptr<char, decltype(&std::free)> found(::realpath(at, nullptr), &std::free);
    if (!found) return failed("canonical");
    return std::string(found.get());
  });
}

Task<Result<>> set_permissions(std::string path, std::uint32_t permissions) {
  return on_thread<void>("set_permissions", std::move(path),
                         [permissions](const char* at) -> Result<> {
    if (::chmod(at, permissions & 07777U) < 0) return failed("set_permissions");
    return {};
  });
}

Task<Result<>> set_times(std::string path, std::int64_t accessed_ns, std::int64_t modified_ns) {
  return on_thread<void>("set_times", std::move(path),
                         [accessed_ns, modified_ns](const char* at) -> Result<> {
    constexpr std::int64_t k_second = 1'000'000'000;
    const auto spec = [](std::int64_t ns) {
      const std::int64_t rest = ((ns % k_second) + k_second) % k_second;
      return timespec{.tv_sec = (ns - rest) / k_second, .tv_nsec = rest};
    };
    const timespec times[2] = {spec(accessed_ns), spec(modified_ns)};
    if (::utimensat(AT_FDCWD, at, times, 0) < 0) return failed("set_times");
    return {};
  });
}

Task<Result<DiskSpace>> disk_space(std::string path) {
  return on_thread<DiskSpace>("disk_space", std::move(path),
                              [](const char* at) -> Result<DiskSpace> {
    struct statvfs found{};
    if (::statvfs(at, &found) < 0) return failed("disk_space");
    const std::uint64_t block = found.f_frsize;
    return DiskSpace{found.f_blocks * block, found.f_bfree * block, found.f_bavail * block};
  });
}

}  // namespace rondo::fs
