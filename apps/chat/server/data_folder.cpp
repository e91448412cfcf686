// SPDX-License-Identifier: Apache-2.0
// The lock file: its content is for people, the lock itself is flock's.
#include "chat/server/data_folder.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

namespace rondo::chat {

Result<DataFolder> DataFolder::open(const std::string& path) {
  std::error_code made;
  std::filesystem::create_directories(path, made);
  if (made) return Error::from_errno(made.value(), "--data", path);
  std::filesystem::permissions(path, std::filesystem::perms::owner_all, made);
  const std::string name = path + "/lock";
  UniqueFd lock(::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!lock) return Error::from_errno(errno, "--data", name);
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    char pid[16] = {};
    const ssize_t size = ::pread(lock.get(), pid, sizeof pid - 1, 0);
    const std::string who(pid, size > 0 ? static_cast<std::size_t>(size) : 0);
    return Error(Errc::exists, "--data", path + " is in use by the server with PID " + who);
  }
  const std::string pid = std::to_string(::getpid());
  if (::ftruncate(lock.get(), 0) != 0 ||
      ::pwrite(lock.get(), pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size())) {
    return Error::from_errno(errno, "--data", name);
  }
  return DataFolder(path, std::move(lock));
}

}  // namespace rondo::chat
