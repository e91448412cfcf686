// SPDX-License-Identifier: Apache-2.0
#include "rondo/fs/dir.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "fs/operations.hpp"

namespace rondo::fs {
namespace {

constexpr std::size_t k_copy_block = 262'144;

Task<Result<FileStatus>> stat_path(std::string path, bool follow) {
  if (!is_path(path)) co_return bad_path("stat", path);
  FileStatus found;
  const std::int32_t result = co_await stat_into(found, [&](io::StatOp& op) {
    op.path = path.c_str();
    op.follow = follow;
  });
  if (result < 0) co_return error_of(result, "stat", path);
  co_return found;
}

Task<Result<>> unlink(std::string path, bool directory) {
  if (!is_path(path)) co_return bad_path("remove", path);
  const std::int32_t result = co_await file_operation<io::UnlinkOp>([&](io::UnlinkOp& op) {
    op.path = path.c_str();
    op.directory = directory;
  });
  co_return outcome_of(result, "remove", path);
}

Task<Result<>> link(std::string target, std::string path, bool symbolic) {
  const char* name = symbolic ? "symbolic_link" : "hard_link";
  if (!is_path(path) || !is_path(target)) co_return bad_path(name, path);
  const std::int32_t result = co_await file_operation<io::LinkOp>([&](io::LinkOp& op) {
    op.target = target.c_str();
    op.path = path.c_str();
    op.symbolic = symbolic;
  });
  co_return outcome_of(result, name, path);
}

std::string joined(std::string_view directory, std::string_view name) {
  std::string path(directory);
  if (!path.ends_with('/')) path += '/';
  return path.append(name);
}

bool is_gone(const Error& error) noexcept { return error == Errc::no_such_file; }

}  // namespace

Task<Result<FileStatus>> status(std::string path) { return stat_path(std::move(path), true); }
Task<Result<FileStatus>> link_status(std::string path) { return stat_path(std::move(path), false); }

Task<Result<bool>> exists(std::string path) {
  auto found = co_await stat_path(std::move(path), true);
  if (found) co_return true;
  if (is_gone(found.error()) || found.error() == static_cast<Errc>(ENOTDIR)) co_return false;
  co_return found.error();
}

Task<Result<>> make_directory(std::string path, std::uint32_t permissions) {
  if (!is_path(path)) co_return bad_path("make_directory", path);
  const std::int32_t result =
      co_await file_operation<io::MakeDirectoryOp>([&](io::MakeDirectoryOp& op) {
        op.path = path.c_str();
        op.permissions = permissions;
      });
  co_return outcome_of(result, "make_directory", path);
}

Task<Result<>> make_directories(std::string path, std::uint32_t permissions) {
  // From the whole path upward until one can be made, then down again: few calls in the usual
  // case, and no permission to look into what is above is needed.
  std::vector<std::string> missing{path};
  // Each folder above is missing once. Somebody may remove one meanwhile; but where nothing can be
  // made (/proc) it would go on for ever.
  auto turns = std::ranges::count(path, '/') + 4;
  while (!missing.empty()) {
    auto made = co_await make_directory(missing.back(), permissions);
    if (made) {
      missing.pop_back();
    } else if (made.error() == Errc::exists) {
      auto found = co_await status(missing.back());
      if (!found) co_return found.error();
      if (found->type != FileType::directory) co_return made;
      missing.pop_back();
    } else if (is_gone(made.error())) {
      std::string above = parent_of(missing.back());
      if (above == missing.back() || above == "." || --turns < 0) co_return made;
      missing.push_back(std::move(above));
    } else {
      co_return made;
    }
  }
  co_return Result<>();
}

Task<Result<>> remove(std::string path) { return unlink(std::move(path), false); }
Task<Result<>> remove_directory(std::string path) { return unlink(std::move(path), true); }

Task<Result<>> rename(std::string from, std::string to, RenameOptions options) {
  if (!is_path(from) || !is_path(to)) co_return bad_path("rename", from);
  const std::int32_t result = co_await file_operation<io::RenameOp>([&](io::RenameOp& op) {
    op.from = from.c_str();
    op.to = to.c_str();
    op.replace = options.replace;
  });
  co_return outcome_of(result, "rename", from);
}

Task<Result<>> hard_link(std::string target, std::string path) {
  return link(std::move(target), std::move(path), false);
}
Task<Result<>> symbolic_link(std::string target, std::string path) {
  return link(std::move(target), std::move(path), true);
}

Task<Result<std::vector<DirectoryEntry>>> list(std::string path) {
  if (!is_path(path)) co_return bad_path("list", path);
  std::vector<DirectoryEntry> entries;
  const std::int32_t result =
      co_await file_operation<io::ListDirectoryOp>([&](io::ListDirectoryOp& op) {
        op.path = path.c_str();
        op.entries = &entries;
        op.entries_max = limits::list_entries_max.value;
      });
  if (result == -E2BIG) co_return Error(Errc::too_large, "list", path);
  if (result < 0) co_return error_of(result, "list", path);
  std::ranges::sort(entries, {}, &DirectoryEntry::name);
  co_return std::move(entries);
}

// ---- Walking

Walk::Walk(std::string path, WalkOptions options)
    : depth_max_(options.depth_max), enter_(std::move(path)) {}

Task<Result<>> Walk::enter() {
  auto entries = co_await list(*enter_);
  const std::string path = std::move(*enter_);
  enter_.reset();
  if (entries) {
    levels_.push_back({path, std::move(*entries)});
    co_return Result<>();
  }
  const bool vanished = !levels_.empty() && is_gone(entries.error());
  if (vanished) co_return Result<>();
  co_return entries.error();
}

Task<Result<std::optional<WalkEntry>>> Walk::next() {
  if (enter_) {
    auto entered = co_await enter();
    if (!entered) co_return entered.error();
  }
  while (!levels_.empty() && levels_.back().next == levels_.back().entries.size()) {
    levels_.pop_back();
  }
  if (levels_.empty()) co_return std::optional<WalkEntry>();
  Level& level = levels_.back();
  DirectoryEntry& entry = level.entries[level.next++];
  WalkEntry found{joined(level.path, entry.name), levels_.size() - 1, entry.type};
  if (found.type == FileType::unknown) {  // Some file systems do not tell in the listing.
    auto known = co_await link_status(found.path);
    if (known) found.type = known->type;
  }
  if (found.type == FileType::directory && levels_.size() <= depth_max_) enter_ = found.path;
  co_return std::optional<WalkEntry>(std::move(found));
}

namespace {

/// Removes what `path` is; a directory only when it is empty. Yields whether something went.
Task<Result<bool>> remove_one(std::string path, FileType type) {
  auto removed = co_await unlink(std::move(path), type == FileType::directory);
  if (removed) co_return true;
  if (is_gone(removed.error())) co_return false;
  co_return removed.error();
}

}  // namespace

Task<Result<std::size_t>> remove_tree(std::string path) {
  auto what = co_await link_status(path);
  if (!what) co_return what.error();
  std::size_t count = 0;
  // Directories wait until everything in them is gone: the deepest are removed first.
  std::vector<std::string> directories;
  if (what->type == FileType::directory) {
    Walk walk(path);
    while (true) {
      auto entry = co_await walk.next();
      if (!entry) co_return entry.error();
      if (!*entry) break;
      if ((*entry)->type == FileType::directory) {
        if ((*entry)->depth + 1 > limits::walk_depth_max.value)
          co_return Error(Errc::too_large, "remove_tree", (*entry)->path);
        directories.push_back(std::move((*entry)->path));
        continue;
      }
      auto removed = co_await remove_one(std::move((*entry)->path), (*entry)->type);
      if (!removed) co_return removed.error();
      count += *removed;
    }
  }
  directories.insert(directories.begin(), path);
  for (; !directories.empty(); directories.pop_back()) {
    const bool is_root = directories.size() == 1;
    const FileType type = is_root ? what->type : FileType::directory;
    auto removed = co_await remove_one(directories.back(), type);
    if (!removed) co_return removed.error();
    count += *removed;
  }
  co_return count;
}

// ---- Copying

namespace {

Task<Result<std::uint64_t>> copy_content(File& from, File& to) {
  std::vector<std::byte> block(k_copy_block);
  std::uint64_t copied = 0;
  while (true) {
    auto got = co_await from.read(block);
    if (!got) co_return got.error();
    if (*got == 0) co_return copied;
    auto put = co_await to.write_all(ByteView(block).first(*got));
    if (!put) co_return put.error();
    copied += *got;
  }
}

}  // namespace

Task<Result<std::uint64_t>> copy_file(std::string from, std::string to, CopyOptions options) {
  auto source = co_await File::open(std::move(from));
  if (!source) co_return source.error();
  auto about = co_await source->status();
  if (!about) co_return about.error();
  if (about->type == FileType::directory)
    co_return Error(static_cast<Errc>(EISDIR), "copy_file", source->path());
  auto target = co_await File::open(std::move(to), {.read = false,
                                                    .write = true,
                                                    .create = options.replace,
                                                    .create_new = !options.replace,
                                                    .permissions = about->permissions & 0777U});
  if (!target) co_return target.error();
  auto same = co_await target->status();
  if (same && same->inode == about->inode && same->device == about->device)
    co_return Error(Errc::invalid_argument, "copy_file onto itself", target->path());
  auto emptied = co_await target->truncate(0);  // Only now: it could have been the source.
  if (!emptied) co_return emptied.error();
  auto copied = co_await copy_content(*source, *target);
  if (!copied) co_return copied;
  if (options.sync) {
    auto synced = co_await target->sync_all();
    if (!synced) co_return synced.error();
  }
  auto closed = co_await target->close();
  if (!closed) co_return closed.error();
  co_return copied;
}

namespace {

Task<Result<std::size_t>> copy_entry(const WalkEntry& entry, std::string to, CopyOptions options) {
  switch (entry.type) {
    case FileType::directory: {
      auto made = co_await make_directory(std::move(to));
      if (!made) co_return made.error();
      co_return std::size_t{0};
    }
    case FileType::regular: {
      auto copied = co_await copy_file(entry.path, std::move(to), options);
      if (!copied) co_return copied.error();
      co_return std::size_t{1};
    }
    case FileType::symlink: {
      auto target = co_await read_link(entry.path);
      if (!target) co_return target.error();
      auto linked = co_await symbolic_link(std::move(*target), std::move(to));
      if (!linked) co_return linked.error();
      co_return std::size_t{1};
    }
    default: co_return Error(Errc::not_supported, "copy_tree", entry.path);
  }
}

}  // namespace

Task<Result<std::size_t>> copy_tree(std::string from, std::string to, CopyOptions options) {
  auto made = co_await make_directory(to);
  if (!made) co_return made.error();
  const auto itself = co_await status(to);
  std::size_t count = 0;
  Walk walk(from);
  while (true) {
    auto entry = co_await walk.next();
    if (!entry) co_return entry.error();
    if (!*entry) co_return count;
    if ((*entry)->type == FileType::directory && itself) {
      const auto here = co_await status((*entry)->path);
      // The copy inside of what is copied would be copied for ever.
      if (here && here->inode == itself->inode && here->device == itself->device) {
        walk.skip();
        continue;
      }
    }
    auto copied = co_await copy_entry(**entry, to + (*entry)->path.substr(from.size()), options);
    if (!copied) co_return copied.error();
    count += *copied;
  }
}

// ---- Temporary files and directories

Task<Result<File>> make_temporary_file(std::string prefix) {
  while (true) {
    auto made = co_await File::open(
        random_name(prefix), {.write = true, .create_new = true, .permissions = 0600});
    if (made || made.error() != Errc::exists) co_return made;
  }
}

Task<Result<File>> anonymous_file(std::string directory) {
  auto made = co_await make_temporary_file(joined(directory, "rondo-"));
  if (!made) co_return made;
  auto removed = co_await remove(made->path());
  if (!removed) co_return removed.error();
  co_return made;
}

Task<Result<std::string>> make_temporary_directory(std::string prefix) {
  while (true) {
    std::string path = random_name(prefix);
    auto made = co_await make_directory(path, 0700);
    if (made) co_return std::move(path);
    if (made.error() != Errc::exists) co_return made.error();
  }
}

Task<> detail::remove_quietly(const std::string& path) { (void)co_await remove_tree(path); }

}  // namespace rondo::fs
