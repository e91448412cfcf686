// SPDX-License-Identifier: Apache-2.0
// Names of files: directories, renaming, removing, copying, links, what a file is.
//
//   co_await fs::make_directories("out/a/b").or_throw();
//   for (auto& entry : co_await fs::list("out").or_throw()) use(entry.name);
//   fs::Walk walk("src");
//   while (auto entry = co_await walk.next().or_throw()) count(entry->path);   // every level
//   co_await fs::remove_tree("out").or_throw();
//
// Paths are relative to the working directory of the process. None of these follows a symbolic
// link that it finds below the path it was given.
// Cancellation: what the kernel or a thread has begun is waited for; a walk, copy or removal of
// a tree ends between two entries.
// Lifetime: arguments are copied. Thread rule: the loop's thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "rondo/base/limits.hpp"
#include "rondo/base/result.hpp"
#include "rondo/core/cancel.hpp"
#include "rondo/core/task.hpp"
#include "rondo/fs/file.hpp"
#include "rondo/io/file_ops.hpp"

namespace rondo::fs {

/// What a file is: type, size, times, ... Errors: no_such_file, access_denied, ... with the path.
Task<Result<FileStatus>> status(std::string path);
/// The same of a symbolic link itself.
Task<Result<FileStatus>> link_status(std::string path);
/// Whether there is something of that name; an error when nobody can tell (access_denied).
Task<Result<bool>> exists(std::string path);

/// Makes one directory. Errors: exists, no_such_file (its parent), ...
Task<Result<>> make_directory(std::string path, std::uint32_t permissions = 0777);
/// Makes a directory and those above it that are missing. One that is there already is fine.
Task<Result<>> make_directories(std::string path, std::uint32_t permissions = 0777);

/// Removes a file or a symbolic link. Errors: no_such_file, EISDIR for a directory, ...
Task<Result<>> remove(std::string path);
/// Removes an empty directory. Errors: ENOTEMPTY, ENOTDIR, ...
Task<Result<>> remove_directory(std::string path);
/// Removes whatever `path` is, with everything below it.
/// - **Completes** when all is gone. **Returns** how many names were removed.
/// - **Errors** the first that is met; what was removed before stays removed. too_large below
///   limits::walk_depth_max. What others make or remove meanwhile is dealt with: names that are
///   gone are skipped. Symbolic links are removed, not followed. Do not use it on a tree that an
///   enemy may change at the same time: he can put a link in the place of a directory.
/// - **Cancel** ends between two names. **Concurrency** any number. **Thread** the loop's.
Task<Result<std::size_t>> remove_tree(std::string path);

/// Gives a file or directory another name, atomically, replacing a file of that name (unless
/// `replace` is false: then Errc::exists). Errors: EXDEV between file systems (copy then), ...
struct RenameOptions {
  bool replace = true;
};
Task<Result<>> rename(std::string from, std::string to, RenameOptions options = {});

/// Makes `path` a second name of the file `target`.
Task<Result<>> hard_link(std::string target, std::string path);
/// Makes `path` a symbolic link that says `target`, which need not exist.
Task<Result<>> symbolic_link(std::string target, std::string path);

/// All entries of a directory but "." and "..", sorted by name.
/// - **Completes** when all are read. **Returns** name, type and inode of each.
/// - **Errors** no_such_file, ENOTDIR, ...; too_large beyond limits::list_entries_max.
/// - **Cancel** waits for the listing that runs. **Thread** the loop's.
Task<Result<std::vector<DirectoryEntry>>> list(std::string path);

struct WalkEntry {
  std::string path;       ///< the path walked from, and the names below it
  std::size_t depth = 0;  ///< 0 for what stands directly in it
  FileType type = FileType::unknown;
};

struct WalkOptions {
  std::size_t depth_max = limits::walk_depth_max.value;  ///< directories below are not entered
};

/// Everything below a directory: a directory first, then its entries, by name. Symbolic links are
/// reported, not followed. Directories that vanish while it walks are skipped.
class Walk {
 public:
  explicit Walk(std::string path, WalkOptions options = {});
  /// The next entry.
  /// - **Completes** when it is known. **Returns** it; nullopt at the end.
  /// - **Errors** of the directory that could not be listed (no_such_file only for the first);
  ///   the next call goes on behind it. **Cancel** loses no entry.
  /// - **Lifetime** the Walk outlives it. **Concurrency** one call. **Thread** the loop's.
  Task<Result<std::optional<WalkEntry>>> next();
  /// Does not enter the directory returned last.
  void skip() noexcept { enter_.reset(); }

 private:
  struct Level {
    std::string path;
    std::vector<DirectoryEntry> entries;
    std::size_t next = 0;
  };
  Task<Result<>> enter();

  std::size_t depth_max_;
  std::optional<std::string> enter_;  ///< the directory to be listed before the next entry
  std::vector<Level> levels_;
};

struct CopyOptions {
  bool replace = true;  ///< false: Errc::exists when the target is there
  bool sync = false;    ///< complete only when the copy is on the disk
};

/// Copies the content and permissions of a file.
/// - **Completes** when all is written. **Returns** the bytes copied. **Errors** of either file.
/// - **Cancel** or an error leaves a part of the copy: remove it, or copy to a temporary name and
///   rename. **Lifetime** arguments are copied. **Concurrency** any number. **Thread** the loop's.
Task<Result<std::uint64_t>> copy_file(std::string from, std::string to, CopyOptions options = {});
/// Copies a directory with everything below it: directories, files, symbolic links (as links);
/// other kinds (sockets, devices) are not_supported. `to` must not exist. Returns files copied.
Task<Result<std::size_t>> copy_tree(std::string from, std::string to, CopyOptions options = {});

// What a simulated disk does not have (Errc::not_supported there; docs/reference/drivers.md).

/// What a symbolic link says.
Task<Result<std::string>> read_link(std::string path);
/// The absolute path without symbolic links, "." and "..". Errors: no_such_file, ELOOP, ...
Task<Result<std::string>> canonical(std::string path);
/// Changes the permissions (the low 12 bits of a mode). Follows symbolic links.
Task<Result<>> set_permissions(std::string path, std::uint32_t permissions);
/// Changes the times of access and modification, ns since 1970. Follows symbolic links.
Task<Result<>> set_times(std::string path, std::int64_t accessed_ns, std::int64_t modified_ns);

struct DiskSpace {
  std::uint64_t size = 0;       ///< bytes of the file system
  std::uint64_t free = 0;       ///< bytes nobody uses
  std::uint64_t available = 0;  ///< of them, for users without privileges
};
Task<Result<DiskSpace>> disk_space(std::string path);

/// Makes a new file "PREFIXxxxxxxxxxxxxxxxx" that only this user may read and write, opened for
/// both; its path() tells the name. Whoever makes it removes it.
Task<Result<File>> make_temporary_file(std::string prefix = "/tmp/rondo-");
/// A file without a name in `directory`, opened for reading and writing: it is gone with its File.
Task<Result<File>> anonymous_file(std::string directory = "/tmp");
/// Makes a new directory "PREFIXxxxxxxxxxxxxxxxx" that only this user may enter; returns its path.
Task<Result<std::string>> make_temporary_directory(std::string prefix = "/tmp/rondo-");

namespace detail {
Task<> remove_quietly(const std::string& path);
}

/// Runs `body(path)`, a Task, with a temporary directory that is removed with all it holds when
/// the body has ended, by whatever way.
/// - **Completes** after the removal. **Returns** the body's value. **Errors** throws SystemError
///   when the directory cannot be made; the body's exception.
/// - **Cancel** ends the body; the removal runs shielded. **Lifetime** `body` is kept.
/// - **Concurrency** any number. **Thread** the loop's.
template <class F>
auto with_temporary_directory(F body) -> decltype(body(std::string())) {
  const std::string path = (co_await make_temporary_directory()).or_throw();
  co_return co_await finally(body(path), [&] { return detail::remove_quietly(path); });
}

}  // namespace rondo::fs
