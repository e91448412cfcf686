// SPDX-License-Identifier: Apache-2.0
// Watching: what a Watcher knows: its watches, the changes not yet returned, the scans to come.
// It makes changes of the kernel's events and suspends nowhere; notify.cpp waits and scans.
//
// Rules:
//  1. Events are taken only while no scan runs: a scan's watches are noted before their events.
//  2. `position` counts the bytes of events taken; a scan ends at some position (what was taken,
//     and what the kernel held). Events of names that a scan found, up to its end, were told by
//     the scan: they are dropped.
//  3. A moved_from waits in the queue for its other half, and what is behind it waits, too. It is
//     settled by that half, by settle() when nothing more came, and by an overflow. Meanwhile
//     the watches of a directory are parked under no path.
//  4. What cannot be known (a rename while the directory was being scanned, an overflow) is found
//     out by scanning the root anew: a refresh gives every watch its path.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fs/watch_scan.hpp"
#include "fs/watch_tree.hpp"
#include "rondo/base/bytes.hpp"
#include "rondo/base/time.hpp"
#include "rondo/base/unique_fd.hpp"
#include "rondo/core/event.hpp"
#include "rondo/fs/notify.hpp"

struct inotify_event;

namespace rondo::fs::detail {

class Watching {
 public:
  /// A path to be scanned: the one given to add(), or, when next() comes to it, one below.
  struct Pending {
    std::string path;
    WatchRootRef root;
    bool is_refresh = false;  ///< of a root
    bool is_silent = false;  ///< what it finds is not told: the user looks himself
  };

  explicit Watching(UniqueFd inotify);
  ~Watching();
  Watching(const Watching&) = delete;
  Watching& operator=(const Watching&) = delete;

  int fd() const noexcept { return fd_.get(); }
  bool is_empty() const noexcept { return tree_.size() == 0; }
  WatcherStatistics statistics() const noexcept;

  // ---- Changes

  /// The next change, unless it waits for its other half.
  std::optional<Change> pop();
  bool has_unsettled() const noexcept { return unsettled_ > 0; }
  bool is_full() const noexcept;
  /// The other halves do not come: these names left for where nobody watches.
  void settle();
  /// Takes what was read from the descriptor.
  void take(ByteView events);
  /// Takes what the kernel has, without waiting: bytes read, or a negated errno.
  std::int32_t read_events();
  /// When settle() is due; asked while something is unsettled.
  TimePoint settle_at() const noexcept { return settle_at_; }

  // ---- Scans

  ScanRequest request_of(const Pending& pending) const;
  /// Notes what a scan of a path given to add() found; its error undoes it.
  Result<> added(const WatchRootRef& root, const Scan& scan);
  /// Notes what a scan of `pending` found.
  void scanned(const Pending& pending, const Scan& scan);
  Result<> remove(const std::string& path);

  std::deque<Pending> pending;   ///< to be scanned, in this order
  std::optional<Error> failure;  ///< not yet returned by next()
  int scans = 0;                 ///< that run
  Event idle;                    ///< set while none runs
  Event ready;                   ///< always set: awaiting it is a checkpoint that goes on at once
  bool has_reader = false;

 private:
  struct Item {
    Change change;
    WatchRootRef root;
    std::uint32_t cookie = 0;  ///< of a moved_from that waits for its other half
    bool is_shown = true;
  };
  using Known = std::pair<int, std::string>;  ///< a directory's watch and a name in it

  void take(const inotify_event& event, std::string_view name);
  void take_of_itself(const WatchTree::Node& node, std::uint32_t mask);
  void take_name(int wd, const WatchTree::Node& node, const inotify_event& event,
                 std::string_view name);
  void created(ChangeKind kind, const WatchRootRef& root, std::string path, bool is_directory);
  void moved_from(const WatchRootRef& root, std::string path, const inotify_event& event);
  void moved_to(const WatchRootRef& root, std::string path, const inotify_event& event,
                bool is_known);
  void follow(const Item& item, const WatchRootRef& to_root, const std::string& to);
  void push(ChangeKind kind, const WatchRootRef& root, std::string path, bool is_directory);
  void settle(Item& item);
  void overflow();
  void report(const Pending& at, const Scan& scan, std::uint64_t end,
              const std::set<int>& only);
  std::deque<Item>::iterator place_of(const std::string& directory);
  void refreshed(const Pending& at, const Scan& scan, std::uint64_t end);
  void leave(const WatchRootRef& root, std::uint32_t cookie);
  void drop_pending(const WatchRootRef& root, const std::string& path);
  void ask_refresh(const WatchRootRef& root, bool is_silent);
  void end_root(const WatchRootRef& root);
  void unwatch(const std::vector<int>& wds) const noexcept;
  /// The name was told by a scan that came after this event; tells it only once.
  bool forget_known(int wd, std::string_view name);

  /// Not found at its path by a scan that ended at `end`: its event, or that of a directory above
  /// it, is still to come.
  struct Missed {
    Pending at;
    std::uint64_t end = 0;
  };

  UniqueFd fd_;
  WatchTree tree_;
  std::vector<WatchRootRef> roots_;
  std::deque<Item> queue_;
  std::vector<Missed> missed_;
  std::size_t unsettled_ = 0;  ///< items with a cookie
  TimePoint settle_at_{};      ///< of the first of them
  std::uint64_t position_ = 0;
  std::map<Known, std::uint64_t> known_;  ///< names that scans found, until that position
  std::uint64_t known_until_ = 0;         ///< the last of these positions
  std::uint64_t overflows_ = 0;
};

}  // namespace rondo::fs::detail
