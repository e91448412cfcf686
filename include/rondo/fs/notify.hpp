// SPDX-License-Identifier: Apache-2.0
// Watcher: what happens to files and directories, as it happens.
//
//   auto watcher = fs::Watcher::open().or_throw();
//   co_await watcher.add("src", {.recursive = true}).or_throw();
//   while (auto change = co_await watcher.next()) rebuild(change->path);
//
// Recursive watching follows directories that are made, moved in, renamed and removed. What is made
// in a new directory before it could be watched is found by looking, and reported all the same.
// Nothing is dropped in silence: when the kernel's queue (fs.inotify.max_queued_events) was full,
// an `overflow` is reported, and what was watched has to be looked at again.
// It sees names, not contents, and on network file systems only what this machine does. By
// inotify(7); under simulation opening one is not_supported.
// Lifetime: next() ends before its Watcher. Thread rule: the loop's thread.
#pragma once

#include <cstdint>
#include <string>

#include "rondo/base/memory.hpp"
#include "rondo/base/result.hpp"
#include "rondo/core/task.hpp"

namespace rondo::fs {

enum class ChangeKind : std::uint8_t {
  created,     ///< a name is there: made, linked or moved in from where nobody watches
  removed,     ///< a name is gone: removed or moved to where nobody watches
  renamed,     ///< `from` became `path`, both watched
  modified,    ///< its content is being changed
  written,     ///< closed by somebody who could write: the content is whole now
  attributes,  ///< permissions, owner, times; only when asked for
  overflow,    ///< changes were lost: look again. No path
};

/// "created", "removed", ...
const char* describe(ChangeKind kind) noexcept;

struct Change {
  ChangeKind kind = ChangeKind::created;
  std::string path;  ///< below the path that was added, written as that was
  std::string from = {};  ///< renamed: the old path
  bool is_directory = false;
};

struct WatchOptions {
  bool recursive = false;  ///< a directory, with all directories below it
  bool modified = true;    ///< report `modified`: one for each write, unless they are alike
  bool attributes = false;
};

/// Plain numbers, copied.
struct WatcherStatistics {
  std::size_t watches = 0;      ///< directories and files watched now
  std::uint64_t changes = 0;    ///< reported
  std::uint64_t overflows = 0;
};

class [[nodiscard("keep it: its end stops watching")]] Watcher {
 public:
  /// Errors: too_many_descriptors (also beyond fs.inotify.max_user_instances), not_supported.
  static Result<Watcher> open();
  Watcher(Watcher&& other) noexcept;
  Watcher& operator=(Watcher&& other) noexcept;
  ~Watcher();

  /// Watches a file, or what stands directly in a directory; a path that is watched already has
  /// its options replaced.
  /// - **Completes** when it is watched, with `recursive` all below it. **Returns** nothing.
  /// - **Errors** no_such_file, access_denied, ... with the path; no_space beyond
  ///   fs.inotify.max_user_watches. What was watched before the error stays watched.
  /// - **Cancel** leaves the rest of the tree to the next next(). **Lifetime** nothing.
  /// - **Concurrency** not while next() runs. **Thread** the loop's.
  Task<Result<>> add(std::string path, WatchOptions options = {});
  /// Ends the watching of a path that was added, and of all below it. Errors: no_such_file when it
  /// was not. Changes that happened before may still be reported.
  Result<> remove(const std::string& path);

  /// Waits for the next change.
  /// - **Completes** when there is one. **Returns** it. **Errors** the kernel's; no_such_file when
  ///   nothing is watched (any more), no_space when a new directory cannot be.
  /// - **Cancel** loses no change. **Lifetime** the Watcher outlives it. **Concurrency** one call.
  /// - **Thread** the loop's.
  Task<Result<Change>> next();

  WatcherStatistics statistics() const noexcept;

 private:
  struct State;
  explicit Watcher(Owned<State> state) noexcept;
  Owned<State> state_;
};

}  // namespace rondo::fs
