// SPDX-License-Identifier: Apache-2.0
// Watcher: what happens to files and directories, told while it happens.
//
//   auto watcher = fs::Watcher::open().or_throw();
//   co_await watcher.add("src", {.recursive = true}).or_throw();
//   while (auto change = co_await watcher.next().or_throw()) {
//     if (change->kind == fs::ChangeKind::overflow) co_await look_at_everything();
//     else std::puts(change->describe().c_str());        // "created src/a", "renamed src/a -> b"
//   }
//
// Add first, then look at what is there: whatever happens later is told. It says that something
// changed, not what: read the file again. Changes come in the order in which they happened;
// equal ones in a row are one. Other machines' changes of a network file system, and writes
// through a memory mapping, are not told (inotify(7)).
// A file is watched, not its name: when an editor replaces it the watch is on the old one. Watch
// the directory and look at the paths.
// Not on a simulated disk (not_supported). Thread rule: the loop's thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "rondo/base/result.hpp"
#include "rondo/core/task.hpp"

namespace rondo::fs {

enum class ChangeKind : std::uint8_t {
  created,             ///< a new name; also what was found in a directory that is new here
  modified,            ///< bytes of a file were written or cut off
  removed,             ///< the name is gone; of a path given to add(): its watch has ended
  renamed,             ///< from `from` to `path`, both watched; what `path` was before is replaced
  moved_from,          ///< renamed to where nobody watches; of a path given to add(): as removed
  moved_to,            ///< renamed from where nobody watches
  attributes,          ///< permissions, owner, times, number of links
  closed_after_write,  ///< somebody who had it open for writing closed it
  overflow,            ///< changes were lost: look at what you watch yourself
};

struct Change {
  ChangeKind kind = ChangeKind::overflow;
  std::string path;  ///< as given to add(), and the names below it; "" of an overflow
  std::string from = {};  ///< of `renamed`: the path it had
  bool is_directory = false;

  /// "created src/a", "renamed src/a -> src/b"; a directory's path ends with "/".
  std::string describe() const;
  friend bool operator==(const Change&, const Change&) = default;
};

/// What is told; `overflow` always is, and that a path given to add() is gone.
struct WatchOptions {
  /// Everything below, too: directories that are made or moved in are watched, those that are
  /// moved out or removed no longer. Symbolic links are not followed, nor is what may not be read.
  bool recursive = false;
  bool created = true;
  bool removed = true;
  bool moved = true;  ///< renamed, moved_from, moved_to
  bool modified = true;
  bool closed_after_write = true;
  bool attributes = false;
};

struct WatcherStatistics {
  std::size_t watches = 0;      ///< inodes watched: one for each directory
  std::size_t queued = 0;       ///< changes read and not yet returned
  std::uint64_t overflows = 0;  ///< times that changes were lost
};

namespace detail {
class Watching;
}

class [[nodiscard]] Watcher {
 public:
  /// Makes a watcher of nothing. Errors: not_supported under simulation; too_many_descriptors:
  /// the process has too many, or the user fs.inotify.max_user_instances watchers.
  static Result<Watcher> open();

  Watcher(Watcher&& other) noexcept : own_(std::exchange(other.own_, nullptr)) {}
  Watcher& operator=(Watcher&& other) noexcept {
    std::swap(own_, other.own_);
    return *this;
  }
  /// Ends all watches. No task may wait in it (checked).
  ~Watcher();

  /// Watches a file or a directory; with `recursive` what is below it.
  /// - **Completes** when it is watched: every later change is told. **Returns** nothing.
  /// - **Errors** no_such_file, access_denied, ... with the path; exists when it is watched
  ///   already (by another name, perhaps, or below another path); no_space at the user's limit
  ///   fs.inotify.max_user_watches, which the message names; too_large below
  ///   limits::walk_depth_max. After an error nothing of it is watched.
  /// - **Cancel** what a thread has begun is waited for; then the path is watched.
  /// - **Lifetime** the Watcher outlives it. **Concurrency** any number, beside next().
  /// - **Thread** the loop's.
  Task<Result<>> add(std::string path, WatchOptions options = {});

  /// Ends the watch of a path as it was given to add(), with everything below it, and drops what
  /// was not yet returned of it. Errors: no_such_file when there is no such watch.
  Result<> remove(const std::string& path);

  /// Waits for the next change.
  /// - **Completes** when there is one; at once when nothing is watched.
  /// - **Returns** it; nullopt when nothing is watched (any more) and all was returned.
  /// - **Errors** of a directory that could not be added to a recursive watch, once: as add();
  ///   the next call goes on, without that directory. **Cancel** loses no change.
  /// - **Lifetime** the Watcher outlives it. **Concurrency** one call. **Thread** the loop's.
  Task<Result<std::optional<Change>>> next();

  WatcherStatistics statistics() const noexcept;

 private:
  explicit Watcher(detail::Watching& own) noexcept : own_(&own) {}
  detail::Watching* own_;
};

}  // namespace rondo::fs
