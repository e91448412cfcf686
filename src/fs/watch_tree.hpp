// SPDX-License-Identifier: Apache-2.0
// WatchTree: which path each watch of an inotify descriptor has now.
//
// The kernel watches inodes, not paths: a directory that is renamed keeps its watch, and what is
// below it keeps theirs. Each watch knows how far the events had been read when its path was
// known to be right (`since`); an event from before that says nothing certain about it.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "rondo/fs/notify.hpp"

namespace rondo::fs {

/// A path given to add().
struct WatchRoot {
  std::string path;
  WatchOptions options;
  bool is_directory = false;
  bool is_ended = false;  ///< gone, or removed: only what was queued still refers to it
};
using WatchRootRef = std::shared_ptr<WatchRoot>;

class WatchTree {
 public:
  struct Node {
    std::string path;
    WatchRootRef root;
    std::uint64_t since = 0;
  };

  Node* find(int wd) {
    const auto at = nodes_.find(wd);
    return at == nodes_.end() ? nullptr : &at->second;
  }
  std::size_t size() const noexcept { return nodes_.size(); }

  /// Notes a watch, or what an old one's path is now. False when another one has that path, too.
  bool put(int wd, Node node);
  /// The kernel has ended it, or will.
  void forget(int wd);

  /// What a walk over the watches of a path and below it met. Those of other roots are left alone.
  struct Moved {
    std::size_t count = 0;
    bool is_certain = true;  ///< false: some were noted after `position`, or had the path already
  };
  /// Gives `from`, and what is below it, the path `to`, by an event that ended at `position`.
  Moved rename(const WatchRoot& root, const std::string& from, const std::string& to,
               std::uint64_t position);
  /// Forgets `path` and what is below it; returns their numbers.
  std::vector<int> cut(const WatchRoot& root, const std::string& path);
  /// The watches of a root.
  std::vector<int> of(const WatchRoot& root) const;

 private:
  /// `path` and what is below it, as noted up to `position`.
  std::vector<int> below(const WatchRoot& root, const std::string& path, std::uint64_t position,
                         Moved& met) const;

  std::unordered_map<int, Node> nodes_;
  /// Two may have one path: one that left it, and one that came before that was settled.
  std::set<std::pair<std::string, int>> by_path_;
};

/// `path` is `above`, or stands below it.
bool is_below(const std::string& path, const std::string& above) noexcept;

}  // namespace rondo::fs
