// SPDX-License-Identifier: Apache-2.0
// Directory: a directory held open, whose files are found from it and cannot be outside of it.
//
//   auto root = co_await fs::Directory::open("public").or_throw();
//   auto file = co_await root.open_file(name_from_a_stranger);
//   co_await root.make_directories("a/b").or_throw();
//   co_await root.rename("a/b/x.part", "a/b/x").or_throw();
//
// "..", absolute paths and symbolic links that lead out are access_denied, decided by the kernel
// while it looks (openat2(2), RESOLVE_BENEATH): nobody can put a link in between. Renaming the
// directory, or what its path leads through, changes nothing. Under simulation only the text of
// the name is judged.
// Lifetime: outlives its awaits. Thread rule: the loop's thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "rondo/base/result.hpp"
#include "rondo/base/unique_fd.hpp"
#include "rondo/core/task.hpp"
#include "rondo/fs/dir.hpp"
#include "rondo/fs/file.hpp"

namespace rondo::fs {

/// A file that was opened, and what it is.
struct OpenedFile {
  File file;
  FileStatus about;
};

class [[nodiscard("keep it: its end closes the directory")]] Directory {
 public:
  /// - **Completes** when it is open. **Returns** the Directory. **Errors** no_such_file, ENOTDIR,
  ///   access_denied, ... with the path. **Cancel** closes what was opened meanwhile.
  /// - **Lifetime** nothing to keep. **Concurrency** any number. **Thread** the loop's.
  static Task<Result<Directory>> open(std::string path);
  Directory(Directory&& other) noexcept = default;
  Directory& operator=(Directory&& other) noexcept;
  ~Directory();

  /// Opens a file beneath it: "a/b.txt". As File::open; access_denied for a name that leads out.
  /// The File's path() is this directory's and the name.
  Task<Result<File>> open_file(std::string name, OpenOptions options = {}) const;

  /// open_file() for reading, and what the file is: one step where both are in the kernel's caches.
  /// A directory opens too; its `about.type` says so.
  Task<Result<OpenedFile>> open_with_status(std::string name) const;

  /// Makes a directory beneath it and those above that are missing: "a/b". One that is there
  /// already is fine.
  /// - **Completes** when it is there. **Returns** nothing. **Errors** access_denied for a name
  ///   that leads out, ENOTDIR, no_space, ... **Cancel** what was made stays.
  /// - **Lifetime** outlives the await. **Concurrency** any number. **Thread** the loop's.
  Task<Result<>> make_directories(std::string name, std::uint32_t permissions = 0777) const;
  /// Gives a file beneath it another name beneath it, as fs::rename. A symbolic link at the end of
  /// a name is renamed or replaced itself, never followed. Errors, cancel: as make_directories.
  Task<Result<>> rename(std::string from, std::string to, RenameOptions options = {}) const;
  /// Removes a file, or a symbolic link itself. Errors: no_such_file, EISDIR, access_denied, ...
  Task<Result<>> remove(std::string name) const;

  const std::string& path() const noexcept { return path_; }

 private:
  Directory(UniqueFd fd, std::string path) noexcept : fd_(std::move(fd)), path_(std::move(path)) {}
  /// A directory beneath it, open to find names from; empty under simulation.
  Task<Result<UniqueFd>> open_beneath(const char* operation, std::string name) const;
  /// The directory that `name` stands in.
  Task<Result<UniqueFd>> open_parent(const char* operation, std::string name) const;
  Task<Result<>> make_one(std::string name, std::uint32_t permissions) const;
  std::string path_of(std::string_view name) const;

  UniqueFd fd_;  ///< empty under simulation
  std::string path_;
};

}  // namespace rondo::fs
