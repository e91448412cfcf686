// SPDX-License-Identifier: Apache-2.0
#include "rondo/fs/directory.hpp"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <utility>
#include <vector>

#include "fs/open_flags.hpp"
#include "fs/operations.hpp"
#include "rondo/core/detail/entry.hpp"
#include "rondo/fs/dir.hpp"

namespace rondo::fs {
namespace {

constexpr int k_open_attempts = 16;

/// Whether the text of a name stays inside: relative, and never above where it began.
bool stays_inside(std::string_view name) noexcept {
  if (name.starts_with('/')) return false;
  int depth = 0;
  while (!name.empty()) {
    const std::size_t end = std::min(name.find('/'), name.size());
    const std::string_view part = name.substr(0, end);
    if (part == "..")
      --depth;
    else if (!part.empty() && part != ".")
      ++depth;
    if (depth < 0) return false;
    name.remove_prefix(std::min(end + 1, name.size()));
  }
  return true;
}

}  // namespace

Directory& Directory::operator=(Directory&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(path_, other.path_);
  return *this;
}

Directory::~Directory() { detail::close_later(std::move(fd_)); }

Task<Result<Directory>> Directory::open(std::string path) {
  if (!is_path(path)) co_return bad_path("open", path);
  if (!Loop::current().driver().probe().has_threads) {
    auto found = co_await status(path);
    if (!found) co_return found.error();
    if (found->type != FileType::directory)
      co_return Error(static_cast<Errc>(ENOTDIR), "open", path);
    co_return Directory(UniqueFd(), std::move(path));
  }
  const std::int32_t opened = co_await file_operation<io::OpenOp>([&](io::OpenOp& op) {
    op.path = path.c_str();
    op.flags = O_PATH | O_DIRECTORY;
  });
  if (opened < 0) co_return error_of(opened, "open", path);
  co_return Directory(UniqueFd(opened), std::move(path));
}

Task<Result<File>> Directory::open_file(std::string name, OpenOptions options) const {
  const std::int32_t flags = flags_of(options);
  if (flags < 0 || !is_path(name)) co_return bad_path("open", name);
  std::string path = path_of(name);
  if (!stays_inside(name)) co_return Error(Errc::access_denied, "open", path);
  if (!fd_) co_return co_await File::open(std::move(path), options);
  std::int32_t opened = -EAGAIN;
  // A rename anywhere makes the kernel unsure about a name with ".." in it: again (openat2(2)).
  for (int attempt = 0; opened == -EAGAIN && attempt < k_open_attempts; ++attempt) {
    opened = co_await file_operation<io::OpenOp>([&](io::OpenOp& op) {
      op.path = name.c_str();
      op.flags = flags;
      op.permissions = options.permissions;
      op.beneath = fd_.get();
    });
  }
  if (opened == -EXDEV) co_return Error(Errc::access_denied, "open", path);
  if (opened < 0) co_return error_of(opened, "open", path);
  co_return File::adopt(UniqueFd(opened), std::move(path));
}

Task<Result<OpenedFile>> Directory::open_with_status(std::string name) const {
  co_await rondo::detail::Entry{};
  if (fd_ && is_path(name) && stays_inside(name) && Loop::current().driver().reads_caches()) {
    io::OpenOp op;
    io::StatOp about;
    op.path = name.c_str();
    op.flags = flags_of({});
    op.beneath = fd_.get();
    if (UniqueFd opened(io::open_cached(op, about)); opened) {
      co_return OpenedFile{File::adopt(std::move(opened), path_of(name)), about.found};
    }
  }
  auto file = co_await open_file(std::move(name));
  if (!file) co_return file.error();
  auto about = co_await file->status();
  if (!about) co_return about.error();
  co_return OpenedFile{std::move(*file), *about};
}

std::string Directory::path_of(std::string_view name) const {
  return std::string(path_).append(path_.ends_with('/') ? "" : "/").append(name);
}

Task<Result<UniqueFd>> Directory::open_beneath(const char* operation, std::string name) const {
  if (!fd_) {
    auto found = co_await status(path_of(name));
    if (!found) co_return found.error();
    if (found->type == FileType::directory) co_return UniqueFd();
    co_return error_of(-ENOTDIR, operation, path_of(name));
  }
  const std::int32_t opened = co_await file_operation<io::OpenOp>([&](io::OpenOp& op) {
    op.path = name.c_str();
    op.flags = O_PATH | O_DIRECTORY;
    op.beneath = fd_.get();
  });
  if (opened == -EXDEV) co_return Error(Errc::access_denied, operation, path_of(name));
  if (opened < 0) co_return error_of(opened, operation, path_of(name));
  co_return UniqueFd(opened);
}

// The system calls that rename, remove and make know no "beneath", but they do not follow the last
// name. So all before it is opened by the one that does.
Task<Result<UniqueFd>> Directory::open_parent(const char* operation, std::string name) const {
  if (!is_path(name)) co_return bad_path(operation, name);
  const std::string_view last = name_of(name);
  if (!stays_inside(name) || last.empty() || last == "." || last == "..")
    co_return Error(Errc::access_denied, operation, path_of(name));
  co_return co_await open_beneath(operation, parent_of(name));
}

Task<Result<>> Directory::make_one(std::string name, std::uint32_t permissions) const {
  constexpr const char* k_operation = "make_directory";
  auto parent = co_await open_parent(k_operation, name);
  if (!parent) co_return parent.error();
  const std::string path = fd_ ? std::string(name_of(name)) : path_of(name);
  const std::int32_t result =
      co_await file_operation<io::MakeDirectoryOp>([&](io::MakeDirectoryOp& op) {
        op.path = path.c_str();
        if (fd_) op.in = parent->get();
        op.permissions = permissions;
      });
  if (result != -EEXIST) co_return outcome_of(result, k_operation, path_of(name));
  // Fine when it is a directory, and not a link to one elsewhere.
  auto found = co_await open_beneath(k_operation, std::move(name));
  if (!found) co_return found.error();
  co_return Result<>();
}

Task<Result<>> Directory::make_directories(std::string name, std::uint32_t permissions) const {
  std::vector<std::string> missing{name};
  // Each folder above is missing once; somebody may remove one meanwhile, but not for ever.
  auto turns = std::ranges::count(name, '/') + 4;
  while (!missing.empty()) {
    auto made = co_await make_one(missing.back(), permissions);
    if (made) {
      missing.pop_back();
      continue;
    }
    std::string above = parent_of(missing.back());
    const bool is_missing = made.error() == Errc::no_such_file && above != ".";
    if (!is_missing || --turns < 0) co_return made;
    missing.push_back(std::move(above));
  }
  co_return Result<>();
}

Task<Result<>> Directory::rename(std::string from, std::string to, RenameOptions options) const {
  auto from_in = co_await open_parent("rename", from);
  if (!from_in) co_return from_in.error();
  auto to_in = co_await open_parent("rename", to);
  if (!to_in) co_return to_in.error();
  const std::string from_name = fd_ ? std::string(name_of(from)) : path_of(from);
  const std::string to_name = fd_ ? std::string(name_of(to)) : path_of(to);
  const std::int32_t result = co_await file_operation<io::RenameOp>([&](io::RenameOp& op) {
    op.from = from_name.c_str();
    op.to = to_name.c_str();
    if (fd_) op.from_in = from_in->get(), op.to_in = to_in->get();
    op.replace = options.replace;
  });
  co_return outcome_of(result, "rename", path_of(from));
}

Task<Result<>> Directory::remove(std::string name) const {
  auto parent = co_await open_parent("remove", name);
  if (!parent) co_return parent.error();
  const std::string last = fd_ ? std::string(name_of(name)) : path_of(name);
  const std::int32_t result = co_await file_operation<io::UnlinkOp>([&](io::UnlinkOp& op) {
    op.path = last.c_str();
    if (fd_) op.in = parent->get();
  });
  co_return outcome_of(result, "remove", path_of(name));
}

}  // namespace rondo::fs
