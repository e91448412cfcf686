// SPDX-License-Identifier: Apache-2.0
#include "rondo/fs/directory.hpp"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "fs/open_flags.hpp"
#include "fs/operations.hpp"
#include "rondo/core/detail/entry.hpp"
#include "rondo/fs/dir.hpp"

namespace rondo::fs {
namespace {

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
  std::string path = path_ + (path_.ends_with('/') ? "" : "/") + name;
  if (!stays_inside(name)) co_return Error(Errc::access_denied, "open", path);
  if (!fd_) co_return co_await File::open(std::move(path), options);
  const std::int32_t opened = co_await file_operation<io::OpenOp>([&](io::OpenOp& op) {
    op.path = name.c_str();
    op.flags = flags;
    op.permissions = options.permissions;
    op.beneath = fd_.get();
  });
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
      std::string path = path_ + (path_.ends_with('/') ? "" : "/") + name;
      co_return OpenedFile{File::adopt(std::move(opened), std::move(path)), about.found};
    }
  }
  auto file = co_await open_file(std::move(name));
  if (!file) co_return file.error();
  auto about = co_await file->status();
  if (!about) co_return about.error();
  co_return OpenedFile{std::move(*file), *about};
}

}  // namespace rondo::fs
