// SPDX-License-Identifier: Apache-2.0
#include "fs/watching.hpp"

#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <memory>
#include <utility>

#include "fs/operations.hpp"
#include "rondo/base/limits.hpp"

namespace rondo::fs::detail {
namespace {

bool is_shown(ChangeKind kind, const WatchOptions& options) noexcept {
  switch (kind) {
    case ChangeKind::created: return options.created;
    case ChangeKind::modified: return options.modified;
    case ChangeKind::removed: return options.removed;
    case ChangeKind::renamed:
    case ChangeKind::moved_from:
    case ChangeKind::moved_to: return options.moved;
    case ChangeKind::attributes: return options.attributes;
    case ChangeKind::closed_after_write: return options.closed_after_write;
    case ChangeKind::overflow: return true;
  }
  return true;
}

std::uint32_t mask_of(const WatchOptions& options) noexcept {
  // Ends of the path itself are always wanted; names are where directories below are followed.
  std::uint32_t mask = IN_DELETE_SELF | IN_MOVE_SELF | IN_EXCL_UNLINK;
  if (options.recursive || options.created) mask |= IN_CREATE;
  if (options.recursive || options.removed) mask |= IN_DELETE;
  if (options.recursive || options.moved) mask |= IN_MOVED_FROM | IN_MOVED_TO;
  if (options.modified) mask |= IN_MODIFY;
  if (options.attributes) mask |= IN_ATTRIB;
  if (options.closed_after_write) mask |= IN_CLOSE_WRITE;
  return mask;
}

std::string joined(const std::string& directory, std::string_view name) {
  std::string path(directory);
  if (!path.ends_with('/')) path += '/';
  return path.append(name);
}

/// Where the watches of a directory stand that has left its path and not come to another: no event
/// of theirs is told, and no rename of what it left moves them.
std::string parking_of(std::uint32_t cookie) { return '\0' + std::to_string(cookie); }
bool is_parked(const std::string& path) noexcept { return path.front() == '\0'; }

/// Ending watches waits for the kernel's readers, some 10 ms: a thread does it.
void close_elsewhere(UniqueFd fd) {
  struct Closing : rondo::detail::Job {
    UniqueFd fd;
  };
  auto job = std::make_unique<Closing>();
  job->fd = std::move(fd);
  job->execute = [](rondo::detail::Job& self) noexcept { static_cast<Closing&>(self).fd.reset(); };
  job->finished = [](rondo::detail::Job& self) noexcept { delete &static_cast<Closing&>(self); };
  // Refused (limits::blocking_queue): closed here and now.
  if (rondo::detail::offload_lane(rondo::detail::Pool::blocking).submit(*job)) (void)job.release();
}

}  // namespace

Watching::Watching(UniqueFd inotify) : fd_(std::move(inotify)) {
  idle.set();
  ready.set();
}

Watching::~Watching() {
  RONDO_ASSERT(!has_reader && scans == 0, "a Watcher was destroyed while a task waits in it");
  if (!is_empty() && Loop::current_or_null()) close_elsewhere(std::move(fd_));
}

WatcherStatistics Watching::statistics() const noexcept {
  return {tree_.size(), queue_.size(), overflows_};
}

// ---- Changes

std::optional<Change> Watching::pop() {
  while (!queue_.empty() && queue_.front().cookie == 0) {
    Item item = std::move(queue_.front());
    queue_.pop_front();
    if (item.is_shown) return std::move(item.change);
  }
  return std::nullopt;
}

bool Watching::is_full() const noexcept { return queue_.size() >= limits::watch_queue_max.value; }

void Watching::push(ChangeKind kind, const WatchRootRef& root, std::string path,
                    bool is_directory) {
  Change change{kind, std::move(path), {}, is_directory};
  if (!is_shown(kind, root->options)) return;
  if (!queue_.empty() && queue_.back().cookie == 0 && queue_.back().change == change) return;
  queue_.push_back({std::move(change), root, 0, true});
}

void Watching::settle() {
  for (Item& item : queue_) {
    if (item.cookie != 0) settle(item);
  }
}

void Watching::settle(Item& item) {
  const std::uint32_t cookie = std::exchange(item.cookie, 0);
  --unsettled_;
  if (item.change.is_directory) leave(item.root, cookie);
}

/// A directory is where nobody watches: neither do we any more.
void Watching::leave(const WatchRootRef& root, std::uint32_t cookie) {
  unwatch(tree_.cut(*root, parking_of(cookie)));
}

void Watching::overflow() {
  ++overflows_;
  // Where these went the refresh finds out.
  for (Item& item : queue_) item.cookie = 0;
  unsettled_ = 0;
  known_.clear();
  queue_.push_back({Change{}, nullptr, 0, true});
  for (const WatchRootRef& root : roots_) ask_refresh(root, true);
}

std::int32_t Watching::read_events() {
  std::array<std::byte, 16'384> events;
  const ssize_t got = ::read(fd_.get(), events.data(), events.size());
  if (got < 0) return -errno;
  take(ByteView(events).first(static_cast<std::size_t>(got)));
  return static_cast<std::int32_t>(got);
}

void Watching::take(ByteView events) {
  while (events.size() >= sizeof(inotify_event)) {
    inotify_event event;
    std::memcpy(&event, events.data(), sizeof event);
    const std::string_view padded = as_text(events.subspan(sizeof event, event.len));
    const std::size_t size = sizeof event + event.len;
    position_ += size;
    take(event, padded.substr(0, padded.find('\0')));
    events = events.subspan(size);
  }
  if (position_ >= known_until_) known_.clear();
  std::erase_if(missed_, [&](const Missed& missed) { return position_ >= missed.end; });
}

void Watching::take(const inotify_event& event, std::string_view name) {
  if (event.mask & IN_Q_OVERFLOW) return overflow();
  const WatchTree::Node* found = tree_.find(event.wd);
  if (!found) return;  // Of a watch that we have ended.
  if (event.mask & IN_IGNORED) return tree_.forget(event.wd);
  if (is_parked(found->path)) return;
  const WatchTree::Node node = *found;
  if (name.empty())
    take_of_itself(node, event.mask);
  else
    take_name(event.wd, node, event, name);
}

/// What happened to a watched file or directory itself. Those below a path given to add() are
/// told by the directory above them.
void Watching::take_of_itself(const WatchTree::Node& node, std::uint32_t mask) {
  if (node.path != node.root->path) return;
  const bool is_directory = mask & IN_ISDIR;
  const auto tell = [&](ChangeKind kind) { push(kind, node.root, node.path, is_directory); };
  if (mask & IN_MODIFY) tell(ChangeKind::modified);
  if (mask & IN_ATTRIB) tell(ChangeKind::attributes);
  if (mask & IN_CLOSE_WRITE) tell(ChangeKind::closed_after_write);
  if (!(mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT))) return;
  const bool has_moved = mask & IN_MOVE_SELF;
  Change change{has_moved ? ChangeKind::moved_from : ChangeKind::removed, node.path, {},
                node.root->is_directory};
  queue_.push_back({std::move(change), node.root, 0, true});
  end_root(node.root);
}

void Watching::take_name(int wd, const WatchTree::Node& node, const inotify_event& event,
                         std::string_view name) {
  const bool is_directory = event.mask & IN_ISDIR;
  std::string path = joined(node.path, name);
  if (event.mask & IN_CREATE) {
    if (!forget_known(wd, name))
      created(ChangeKind::created, node.root, std::move(path), is_directory);
  } else if (event.mask & IN_MOVED_TO) {
    moved_to(node.root, std::move(path), event, forget_known(wd, name));
  } else if (event.mask & IN_MOVED_FROM) {
    forget_known(wd, name);
    moved_from(node.root, std::move(path), event);
  } else if (event.mask & IN_DELETE) {
    forget_known(wd, name);
    if (is_directory) drop_pending(node.root, path);
    push(ChangeKind::removed, node.root, std::move(path), is_directory);
  } else if (event.mask & IN_MODIFY) {
    push(ChangeKind::modified, node.root, std::move(path), is_directory);
  } else if (event.mask & IN_ATTRIB) {
    push(ChangeKind::attributes, node.root, std::move(path), is_directory);
  } else if (event.mask & IN_CLOSE_WRITE) {
    push(ChangeKind::closed_after_write, node.root, std::move(path), is_directory);
  }
}

void Watching::created(ChangeKind kind, const WatchRootRef& root, std::string path,
                       bool is_directory) {
  if (is_directory && root->options.recursive) pending.push_back({path, root});
  push(kind, root, std::move(path), is_directory);
}

void Watching::moved_from(const WatchRootRef& root, std::string path,
                          const inotify_event& event) {
  const bool is_directory = event.mask & IN_ISDIR;
  if (is_directory && root->options.recursive) {
    const auto met = tree_.rename(*root, path, parking_of(event.cookie), position_);
    if (!met.is_certain) ask_refresh(root, false);
  }
  const Duration wait = std::chrono::milliseconds(limits::watch_pair_wait.value);
  if (unsettled_++ == 0) settle_at_ = deadline_after(Loop::current().now(), wait);
  queue_.push_back({Change{ChangeKind::moved_from, std::move(path), {},
                           is_directory},
                    root, event.cookie, root->options.moved});
}

void Watching::moved_to(const WatchRootRef& root, std::string path, const inotify_event& event,
                        bool is_known) {
  const auto half = unsettled_ == 0
                        ? queue_.end()
                        : std::ranges::find(queue_, event.cookie, &Item::cookie);
  if (half == queue_.end()) {
    if (is_known) return;
    // It may be one that has just left, and come back: its watch has the path that it had.
    const bool is_directory = event.mask & IN_ISDIR;
    created(ChangeKind::moved_to, root, std::move(path), is_directory);
    if (is_directory && unsettled_ > 0) ask_refresh(root, false);
    return;
  }
  if (half->change.is_directory) follow(*half, root, path);
  half->cookie = 0;
  --unsettled_;
  if (is_known) return;  // A scan has told the new name: what is left to say is moved_from.
  half->is_shown = half->root->options.moved || root->options.moved;
  half->change.from = std::exchange(half->change.path, std::move(path));
  half->change.kind = ChangeKind::renamed;
}

/// A directory got another path, and what is below it.
void Watching::follow(const Item& item, const WatchRootRef& to_root, const std::string& to) {
  const std::string& from = item.change.path;
  if (item.root != to_root) {  // Other options, perhaps not recursive: leaves one, enters another.
    leave(item.root, item.cookie);
    if (to_root->options.recursive) pending.push_back({to, to_root});
    return;
  }
  if (!to_root->options.recursive) return;
  for (Pending& at : pending) {
    if (!at.is_refresh && at.root == to_root && is_below(at.path, from))
      at.path = to + at.path.substr(from.size());
  }
  for (const Missed& missed : missed_) {
    if (missed.at.root == to_root && is_below(missed.at.path, from))
      pending.push_back({to + missed.at.path.substr(from.size()), to_root});
  }
  const auto met = tree_.rename(*to_root, parking_of(item.cookie), to, position_);
  if (!met.is_certain) return ask_refresh(to_root, false);
  // It was renamed before a scan could reach it.
  if (met.count == 0) pending.push_back({to, to_root});
}

bool Watching::forget_known(int wd, std::string_view name) {
  if (known_.empty()) return false;
  const auto at = known_.find(Known(wd, name));
  if (at == known_.end()) return false;
  const bool is_before_its_end = position_ <= at->second;
  known_.erase(at);
  return is_before_its_end;
}

// ---- Scans

ScanRequest Watching::request_of(const Pending& at) const {
  const std::size_t room =
      limits::watch_queue_max.value - std::min(queue_.size(), limits::watch_queue_max.value);
  const WatchOptions& options = at.root->options;
  return {.inotify = fd_.get(),
          .path = at.path,
          .mask = mask_of(options),
          .recursive = options.recursive,
          .is_root = at.path == at.root->path,
          .is_refresh = at.is_refresh,
          .report_max = at.is_silent ? 0 : room};
}

Result<> Watching::added(const WatchRootRef& root, const Scan& scan) {
  const std::uint64_t end = position_ + scan.queued;
  std::vector<int> wds;
  for (const Scan::Watch& watch : scan.watches) {
    wds.push_back(watch.wd);
    if (!scan.error) tree_.put(watch.wd, {watch.path, root, end});
  }
  if (scan.error) {
    unwatch(wds);
    return *scan.error;
  }
  roots_.push_back(root);
  return {};
}

void Watching::scanned(const Pending& at, const Scan& scan) {
  const std::uint64_t end = position_ + scan.queued;
  if (scan.error) failure = scan.error;
  if (at.root->is_ended) {  // By remove(), while the scan ran.
    for (const Scan::Watch& watch : scan.watches) {
      if (!tree_.find(watch.wd)) unwatch({watch.wd});
    }
    return;
  }
  if (at.is_refresh) return refreshed(at, scan, end);
  std::set<int> wds;
  for (const Scan::Watch& watch : scan.watches) {
    tree_.put(watch.wd, {watch.path, at.root, end});
    wds.insert(watch.wd);
  }
  report(at, scan, end, wds);
  if (wds.empty() && !scan.has_met_watched && !scan.error) missed_.push_back({at, end});
  // It may have come from where it was watched to a directory that was not yet: renamed, and only
  // the scan knows where to.
  if (scan.has_met_watched) ask_refresh(at.root, false);
}

/// Every watch of a root gets the path at which it was found; what was not found is let go.
void Watching::refreshed(const Pending& at, const Scan& scan, std::uint64_t end) {
  if (scan.error) return;  // Half a picture is worse than the old one.
  std::vector<int> gone = tree_.of(*at.root);
  std::set<int> fresh;
  for (const Scan::Watch& watch : scan.watches) {
    const WatchTree::Node* old = tree_.find(watch.wd);
    if (old && old->root != at.root) continue;
    if (!old) fresh.insert(watch.wd);
    tree_.put(watch.wd, {watch.path, at.root, end});
    std::erase(gone, watch.wd);
  }
  for (const int wd : gone) tree_.forget(wd);
  unwatch(gone);
  if (scan.watches.empty()) {
    queue_.push_back({Change{ChangeKind::removed, at.root->path, {}, at.root->is_directory},
                      at.root, 0, true});
    return end_root(at.root);
  }
  report(at, scan, end, fresh);
}

/// Behind the change that told a directory's path, else behind all.
std::deque<Watching::Item>::iterator Watching::place_of(const std::string& directory) {
  const auto tells = [&](const Item& item) {
    return item.change.is_directory && item.change.path == directory;
  };
  const auto last = std::ranges::find_if(queue_.rbegin(), queue_.rend(), tells);
  return last == queue_.rend() ? queue_.end() : last.base();
}

/// Tells what a scan found in the directories `only`, next to what told of the scanned one.
void Watching::report(const Pending& at, const Scan& scan, std::uint64_t end,
                      const std::set<int>& only) {
  std::vector<Item> items;
  for (const Scan::Entry& entry : scan.entries) {
    if (!only.contains(entry.wd)) continue;
    std::string name = entry.path.substr(entry.path.size() - entry.name_size);
    known_.insert_or_assign(Known(entry.wd, std::move(name)), end);
    if (at.root->options.created)
      items.push_back({Change{ChangeKind::created, entry.path, {}, entry.is_directory}, at.root, 0,
                       true});
  }
  known_until_ = std::max(known_until_, end);
  if (scan.is_truncated && !at.is_silent && !only.empty()) {
    ++overflows_;
    items.push_back({Change{}, nullptr, 0, true});
  }
  // libstdc++ 12 moves what is behind onto itself when nothing is inserted: empty paths.
  if (items.empty()) return;
  queue_.insert(place_of(at.path), std::make_move_iterator(items.begin()),
                std::make_move_iterator(items.end()));
}

void Watching::drop_pending(const WatchRootRef& root, const std::string& path) {
  std::erase_if(pending, [&](const Pending& at) {
    return !at.is_refresh && at.root == root && is_below(at.path, path);
  });
}

void Watching::ask_refresh(const WatchRootRef& root, bool is_silent) {
  if (root->is_ended) return;
  for (Pending& at : pending) {
    if (at.is_refresh && at.root == root) return;
  }
  pending.push_back({root->path, root, true, is_silent});
}

void Watching::end_root(const WatchRootRef& root) {
  root->is_ended = true;
  const std::vector<int> wds = tree_.of(*root);
  for (const int wd : wds) tree_.forget(wd);
  unwatch(wds);
  std::erase_if(pending, [&](const Pending& at) { return at.root == root; });
  std::erase(roots_, root);
}

Result<> Watching::remove(const std::string& path) {
  const auto found =
      std::ranges::find_if(roots_, [&](const WatchRootRef& root) { return root->path == path; });
  if (found == roots_.end()) return Error(Errc::no_such_file, "unwatch", path);
  const WatchRootRef root = *found;
  end_root(root);
  std::erase_if(queue_, [&](const Item& item) {
    if (item.root != root) return false;
    if (item.cookie != 0) --unsettled_;
    return true;
  });
  return {};
}

void Watching::unwatch(const std::vector<int>& wds) const noexcept {
  // One that has ended by itself meanwhile is no error.
  for (const int wd : wds) ::inotify_rm_watch(fd_.get(), wd);
}

}  // namespace rondo::fs::detail
