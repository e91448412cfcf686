// SPDX-License-Identifier: Apache-2.0
#include "fs/watch_scan.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <string_view>
#include <utility>

#include "rondo/base/limits.hpp"
#include "rondo/base/unique_fd.hpp"

namespace rondo::fs {
namespace {

constexpr const char* k_operation = "watch";
constexpr int k_open_flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK;

Error watch_error(int number, const std::string& path) {
  if (number != ENOSPC) return Error::from_errno(number, k_operation, path);
  return Error::from_errno(number, k_operation,
                           path + " (the user's fs.inotify.max_user_watches are used up)");
}

using Directory = std::unique_ptr<DIR, decltype([](DIR* dir) { ::closedir(dir); })>;

bool is_directory(DIR* dir, const dirent& entry) noexcept {
  if (entry.d_type != DT_UNKNOWN) return entry.d_type == DT_DIR;
  struct stat about{};  // Some file systems do not tell in the listing.
  return ::fstatat(::dirfd(dir), entry.d_name, &about, AT_SYMLINK_NOFOLLOW) == 0 &&
         S_ISDIR(about.st_mode);
}

class Scanner {
 public:
  explicit Scanner(const ScanRequest& request) : request_(request) {
    // Added to, not replaced: another root may watch a directory below this one for more.
    mask_ = request.mask | (request.is_refresh ? IN_MASK_ADD : IN_MASK_CREATE);
  }

  Scan run() {
    // One that was found below may have become a link to anywhere meanwhile.
    UniqueFd top(::open(request_.path.c_str(),
                        k_open_flags | (request_.is_root ? 0 : O_NOFOLLOW)));
    const int error = top ? 0 : errno;
    found_.is_directory = static_cast<bool>(top);
    if (top)
      visit(std::move(top), request_.path, 0);
    else if (error == ENOTDIR && request_.is_root)
      watch_path();
    else if (must_be_there() || !is_passing(error))
      fail(watch_error(error, request_.path));
    int queued = 0;
    if (::ioctl(request_.inotify, FIONREAD, &queued) == 0)
      found_.queued = static_cast<std::uint64_t>(queued);
    return std::move(found_);
  }

 private:
  /// What is gone, or no directory any more, or may not be read: not to be watched.
  static bool is_passing(int error) noexcept {
    return error == ENOENT || error == ENOTDIR || error == ELOOP || error == EACCES;
  }
  bool must_be_there() const noexcept { return request_.is_root && !request_.is_refresh; }
  void fail(Error error) { found_.error = std::move(error); }

  /// A file, or something else that is not entered.
  void watch_path() {
    const int wd = ::inotify_add_watch(request_.inotify, request_.path.c_str(), mask_);
    if (wd >= 0) return found_.watches.push_back({wd, request_.path});
    if (must_be_there() || !is_passing(errno)) fail(watch_error(errno, request_.path));
  }

  /// A watch on the very directory that is open, or -1 with errno.
  int watch_open(int fd, const std::string& path) const {
    const std::string open = "/proc/self/fd/" + std::to_string(fd);
    const int wd = ::inotify_add_watch(request_.inotify, open.c_str(), mask_ | IN_ONLYDIR);
    if (wd >= 0 || errno != ENOENT) return wd;
    return ::inotify_add_watch(request_.inotify, path.c_str(), mask_ | IN_ONLYDIR);  // No /proc.
  }

  void visit(UniqueFd fd, const std::string& path, std::size_t depth) {
    const int wd = watch_open(fd.get(), path);
    if (wd < 0) {
      const int error = errno;
      found_.has_met_watched |= error == EEXIST;
      const bool is_fine = error == EEXIST || is_passing(error);
      if ((depth == 0 && must_be_there()) || !is_fine) fail(watch_error(error, path));
      return;
    }
    found_.watches.push_back({wd, path});
    if (!request_.recursive) return;
    if (depth > limits::walk_depth_max.value)
      return fail(Error(Errc::too_large, k_operation, path));
    const Directory dir(::fdopendir(fd.get()));
    if (!dir) return fail(watch_error(errno, path));
    (void)fd.release();
    enter(dir.get(), list(dir.get(), wd, path), path, depth);
  }

  /// Reports what stands in a directory and returns the names of the directories in it.
  std::vector<std::string> list(DIR* dir, int wd, const std::string& path) {
    std::vector<std::string> below;
    while (const dirent* entry = ::readdir(dir)) {
      const std::string_view name(entry->d_name);
      if (name == "." || name == "..") continue;
      const bool is_dir = is_directory(dir, *entry);
      if (is_dir) below.emplace_back(name);
      if (found_.entries.size() < request_.report_max)
        found_.entries.push_back({wd, joined(path, name), name.size(), is_dir});
      else
        found_.is_truncated = true;
    }
    return below;
  }

  void enter(DIR* dir, const std::vector<std::string>& below, const std::string& path,
             std::size_t depth) {
    for (const std::string& name : below) {
      UniqueFd fd(::openat(::dirfd(dir), name.c_str(), k_open_flags | O_NOFOLLOW));
      const std::string at = joined(path, name);
      if (fd)
        visit(std::move(fd), at, depth + 1);
      else if (!is_passing(errno))
        fail(watch_error(errno, at));
      if (found_.error) return;
    }
  }

  static std::string joined(const std::string& directory, std::string_view name) {
    std::string path(directory);
    if (!path.ends_with('/')) path += '/';
    return path.append(name);
  }

  const ScanRequest& request_;
  std::uint32_t mask_;
  Scan found_;
};

}  // namespace

Scan scan(const ScanRequest& request) { return Scanner(request).run(); }

}  // namespace rondo::fs
