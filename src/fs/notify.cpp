// SPDX-License-Identifier: Apache-2.0
// Watches are numbers of the kernel; a path is kept for each, and changed when it is renamed.
//
// A new directory is watched first and listed then: what is made in it before is found by the
// listing only, what is made between the two by both. Names that a listing has reported are
// remembered until the kernel's queue has been read to its end, and not reported again.
#include "rondo/fs/notify.hpp"

#include <sys/inotify.h>

#include <cerrno>
#include <cstring>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "fs/operations.hpp"
#include "rondo/base/unique_fd.hpp"
#include "rondo/core/cancel.hpp"
#include "rondo/core/detail/immediate.hpp"
#include "rondo/core/detail/one_shot.hpp"
#include "rondo/fs/dir.hpp"

namespace rondo::fs {
namespace {

constexpr std::size_t k_read = 16'384;
constexpr std::size_t k_event_max = sizeof(inotify_event) + NAME_MAX + 1;
constexpr std::uint32_t k_names =
    IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_CLOSE_WRITE | IN_DELETE_SELF |
    IN_MOVE_SELF;

std::uint32_t mask_of(const WatchOptions& options) noexcept {
  return k_names | (options.modified ? IN_MODIFY : 0U) | (options.attributes ? IN_ATTRIB : 0U);
}

bool is_below(std::string_view path, std::string_view directory) noexcept {
  return path.size() > directory.size() && path.starts_with(directory) &&
         (directory.ends_with('/') || path[directory.size()] == '/');
}

std::string joined(std::string_view directory, std::string_view name) {
  std::string path(directory);
  if (!path.ends_with('/')) path += '/';
  return path.append(name);
}

struct [[nodiscard]] ReadEvents {
  int fd;
  ByteSpan into;
  struct Awaiter : rondo::detail::OneShotAwaiter<io::ReadOp> {
    Awaiter(rondo::detail::PromiseBase& parent, int from, ByteSpan to) : OneShotAwaiter(parent) {
      op.fd = from;
      op.into = to;
    }
    Result<std::size_t> await_resume() const {
      if (result < 0) return Error::from_errno(-result, "watch");
      return static_cast<std::size_t>(result);
    }
  };
  Awaiter awaiter(rondo::detail::PromiseBase& parent) && { return {parent, fd, into}; }
};

}  // namespace

const char* describe(ChangeKind kind) noexcept {
  switch (kind) {
    case ChangeKind::created: return "created";
    case ChangeKind::removed: return "removed";
    case ChangeKind::renamed: return "renamed";
    case ChangeKind::modified: return "modified";
    case ChangeKind::written: return "written";
    case ChangeKind::attributes: return "attributes";
    case ChangeKind::overflow: return "overflow";
  }
  return "unknown";
}

struct Watcher::State {
  struct Watched {
    std::string path;
    WatchOptions options;
    bool is_root = false;           ///< was added by the user
    std::set<std::string> listed;   ///< names reported by a listing that an event may repeat
  };
  struct Unseen {
    std::string path;
    bool report;                    ///< whether what is in it is news
  };
  struct Moved {
    std::uint32_t cookie = 0;
    std::string path;
    bool is_directory = false;
  };

  explicit State(UniqueFd opened) : fd(std::move(opened)), buffer(k_read) {}
  ~State() { detail::close_later(std::move(fd)); }

  Result<int> watch(const std::string& path, WatchOptions options, bool is_root);
  Task<Result<>> look();
  Result<> take_listing(const Unseen& at, std::span<const DirectoryEntry> entries);
  void forget(int number, bool ask) noexcept;
  void forget_below(const std::string& path);
  void rename_below(const std::string& from, const std::string& to);
  Task<Result<>> read();
  void take(const inotify_event& event, std::string_view name);
  void take_name(Watched& at, const inotify_event& event, std::string_view name);
  void take_arrival(Watched& at, const inotify_event& event, std::string path);
  void take_self(int number, const inotify_event& event);
  void settle_move();
  void report(Change change) { queue.push_back(std::move(change)); }

  UniqueFd fd;
  std::vector<std::byte> buffer;
  std::map<int, Watched> watches;
  std::map<std::string, int, std::less<>> numbers;
  std::deque<Change> queue;                ///< of one read, and of one listing
  std::deque<Unseen> unseen;               ///< directories, watched and not yet listed
  std::optional<Moved> moved;              ///< the first half of a rename
  bool lost = false;                       ///< after an overflow: directories may be unwatched
  WatcherStatistics counts;
};

// ---- Watches

Result<int> Watcher::State::watch(const std::string& path, WatchOptions options, bool is_root) {
  rondo::detail::Immediate<io::WatchOp> op;
  op.action = io::WatchOp::Action::add;
  op.fd = fd.get();
  op.path = path.c_str();
  op.mask = mask_of(options);
  if (!is_root) op.mask |= IN_ONLYDIR | IN_DONT_FOLLOW;
  if (op.ask() == -ENOSPC) {
    return Error(Errc::no_space, "watch (fs.inotify.max_user_watches)", path);
  }
  if (op.result < 0) return error_of(op.result, "watch", path);
  const int number = op.result;
  // The same file by another path: the kernel has one watch for both, and so have we.
  auto [at, fresh] = watches.try_emplace(number);
  if (!fresh) numbers.erase(at->second.path);
  at->second.path = path;
  at->second.options = options;
  at->second.is_root = is_root || (!fresh && at->second.is_root);
  numbers[path] = number;
  return number;
}

void Watcher::State::forget(int number, bool ask) noexcept {
  const auto at = watches.find(number);
  if (at == watches.end()) return;
  if (const auto named = numbers.find(at->second.path);
      named != numbers.end() && named->second == number) {
    numbers.erase(named);
  }
  watches.erase(at);
  if (!ask) return;
  rondo::detail::Immediate<io::WatchOp> op;
  op.action = io::WatchOp::Action::remove;
  op.fd = fd.get();
  op.watch = number;
  (void)op.ask();  // It may be gone by itself: its file is removed.
}

void Watcher::State::forget_below(const std::string& path) {
  std::vector<int> gone;
  for (const auto& [number, at] : watches) {
    if (at.path == path || is_below(at.path, path)) gone.push_back(number);
  }
  for (const int number : gone) forget(number, true);
}

void Watcher::State::rename_below(const std::string& from, const std::string& to) {
  for (auto& [number, at] : watches) {
    if (at.path != from && !is_below(at.path, from)) continue;
    numbers.erase(at.path);
    at.path = to + at.path.substr(from.size());
    numbers[at.path] = number;
  }
  for (Unseen& at : unseen) {
    if (at.path == from || is_below(at.path, from)) at.path = to + at.path.substr(from.size());
  }
}

/// Lists directories that are watched and were not listed yet, and watches those in them. What is
/// left to do stands in `unseen` at every moment, so that a cancellation loses nothing.
Task<Result<>> Watcher::State::look() {
  if (std::exchange(lost, false)) {
    for (const auto& [number, at] : watches) {
      if (at.is_root && at.options.recursive) unseen.push_back({at.path, false});
    }
  }
  while (!unseen.empty()) {
    auto entries = co_await list(unseen.front().path);
    const Unseen at = std::move(unseen.front());
    unseen.pop_front();
    if (entries) {
      if (auto taken = take_listing(at, *entries); !taken) co_return taken;
      continue;
    }
    // What is made can be removed again, or replaced, before it is looked at.
    const Errc why = entries.error().code();
    if (why != Errc::no_such_file && why != static_cast<Errc>(ENOTDIR)) co_return entries.error();
  }
  co_return Result<>();
}

Result<> Watcher::State::take_listing(const Unseen& at, std::span<const DirectoryEntry> entries) {
  const auto number = numbers.find(at.path);
  if (number == numbers.end()) return {};  // Removed or renamed while it was listed.
  Watched& watched = watches[number->second];
  const WatchOptions options = watched.options;
  Result<> outcome;
  for (const DirectoryEntry& entry : entries) {
    std::string below = joined(at.path, entry.name);
    const bool is_directory = entry.type == FileType::directory;
    if (at.report) {
      watched.listed.insert(entry.name);
      report({.kind = ChangeKind::created, .path = below, .is_directory = is_directory});
    }
    if (!is_directory) continue;
    if (auto made = watch(below, options, false); made)
      unseen.push_back({std::move(below), at.report});
    else if (made.error() == Errc::no_space && outcome)
      outcome = made.error();
  }
  return outcome;
}

// ---- Events

void Watcher::State::take(const inotify_event& event, std::string_view name) {
  // The halves of a rename stand one behind the other: anything else between them is its end.
  const bool completes = moved && (event.mask & IN_MOVED_TO) && event.cookie == moved->cookie;
  if (!completes) settle_move();
  if (event.mask & IN_Q_OVERFLOW) {
    ++counts.overflows;
    lost = true;
    return report({.kind = ChangeKind::overflow, .path = {}});
  }
  const auto at = watches.find(event.wd);
  if (at == watches.end()) return;  // Of a watch that was removed meanwhile.
  if (name.empty()) return take_self(event.wd, event);
  take_name(at->second, event, name);
}

/// Of what is watched itself: a file, or a directory without the name of something in it.
void Watcher::State::take_self(int number, const inotify_event& event) {
  const Watched at = watches[number];
  const bool is_directory = (event.mask & IN_ISDIR) != 0;
  if (event.mask & IN_MODIFY) report({.kind = ChangeKind::modified, .path = at.path});
  if (event.mask & IN_CLOSE_WRITE) report({.kind = ChangeKind::written, .path = at.path});
  if (event.mask & IN_ATTRIB) {
    report({.kind = ChangeKind::attributes, .path = at.path, .is_directory = is_directory});
  }
  // Below a watched directory the parent tells of it, with the name.
  const bool gone = (event.mask & (IN_DELETE_SELF | IN_MOVE_SELF)) != 0;
  if (gone && at.is_root && !numbers.contains(parent_of(at.path))) {
    report({.kind = ChangeKind::removed, .path = at.path, .is_directory = is_directory});
    if (event.mask & IN_MOVE_SELF) forget_below(at.path);
  }
  if (event.mask & IN_IGNORED) forget(number, false);
}

void Watcher::State::take_name(Watched& at, const inotify_event& event, std::string_view name) {
  std::string path = joined(at.path, name);
  const bool is_directory = (event.mask & IN_ISDIR) != 0;
  if (event.mask & (IN_CREATE | IN_MOVED_TO)) return take_arrival(at, event, std::move(path));
  if (event.mask & (IN_DELETE | IN_MOVED_FROM)) at.listed.erase(std::string(name));
  if (event.mask & IN_MOVED_FROM) {
    moved = Moved{event.cookie, std::move(path), is_directory};
    return;
  }
  ChangeKind kind = ChangeKind::attributes;
  if (event.mask & IN_DELETE)
    kind = ChangeKind::removed;
  else if (event.mask & IN_MODIFY)
    kind = ChangeKind::modified;
  else if (event.mask & IN_CLOSE_WRITE)
    kind = ChangeKind::written;
  report({.kind = kind, .path = std::move(path), .is_directory = is_directory});
}

/// A name that is there now: made, moved in, or the second half of a rename.
void Watcher::State::take_arrival(Watched& at, const inotify_event& event, std::string path) {
  const bool is_directory = (event.mask & IN_ISDIR) != 0;
  const WatchOptions options = at.options;
  const bool told = at.listed.erase(std::string(name_of(path))) > 0;
  if (moved) {  // take() has seen that it is the other half.
    const Moved from = *std::exchange(moved, std::nullopt);
    if (is_directory) rename_below(from.path, path);
    report({ChangeKind::renamed, path, from.path, is_directory});
  } else if (!told) {
    report({.kind = ChangeKind::created, .path = path, .is_directory = is_directory});
  }
  if (!is_directory || !options.recursive || numbers.contains(path)) return;
  if (watch(path, options, false)) unseen.push_back({std::move(path), true});
}

/// The second half has not come: it was moved to where nobody watches.
void Watcher::State::settle_move() {
  if (!moved) return;
  const Moved gone = *std::exchange(moved, std::nullopt);
  if (gone.is_directory) forget_below(gone.path);
  report({.kind = ChangeKind::removed, .path = gone.path, .is_directory = gone.is_directory});
}

/// Takes in what the kernel has. Nothing is awaited between the read and the queue.
Task<Result<>> Watcher::State::read() {
  Result<std::size_t> got = std::size_t{0};
  if (moved) {
    constexpr auto k_wait = std::chrono::milliseconds(limits::watch_pair_wait.value);
    got = co_await with_timeout(k_wait, ReadEvents{fd.get(), buffer});
    if (!got && got.error() == Errc::timed_out) {
      settle_move();
      co_return Result<>();
    }
  } else {
    got = co_await ReadEvents{fd.get(), buffer};
  }
  if (!got) co_return got.error();
  const bool drained = *got + k_event_max <= buffer.size();
  for (std::size_t at = 0; at + sizeof(inotify_event) <= *got;) {
    inotify_event event;
    std::memcpy(&event, buffer.data() + at, sizeof event);
    const char* name = reinterpret_cast<const char*>(buffer.data() + at + sizeof event);
    take(event, std::string_view(name, ::strnlen(name, event.len)));
    at += sizeof event + event.len;
  }
  if (drained && unseen.empty()) {
    for (auto& [number, watched] : watches) watched.listed.clear();
  }
  co_return Result<>();
}

// ---- Watcher

Watcher::Watcher(Owned<State> state) noexcept : state_(std::move(state)) {}
Watcher::Watcher(Watcher&& other) noexcept = default;
Watcher& Watcher::operator=(Watcher&& other) noexcept = default;
Watcher::~Watcher() = default;

Result<Watcher> Watcher::open() {
  rondo::detail::Immediate<io::WatchOp> op;
  op.action = io::WatchOp::Action::open;
  if (op.ask() == -ENOTSUP) return Error(Errc::not_supported, "watch");
  if (op.result < 0) return Error::from_errno(-op.result, "watch");
  return Watcher(Owned<State>(new State(UniqueFd(op.result))));
}

Task<Result<>> Watcher::add(std::string path, WatchOptions options) {
  if (!is_path(path)) co_return bad_path("watch", path);
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  auto watched = state_->watch(path, options, true);
  if (!watched) co_return watched.error();
  if (!options.recursive) co_return Result<>();
  auto what = co_await status(path);
  if (!what) co_return what.error();
  if (what->type != FileType::directory) co_return Result<>();
  state_->unseen.push_back({std::move(path), false});
  co_return co_await state_->look();
}

Result<> Watcher::remove(const std::string& path) {
  const auto found = state_->numbers.find(path);
  if (found == state_->numbers.end() || !state_->watches[found->second].is_root)
    return Error(Errc::no_such_file, "watch", path);
  state_->forget_below(path);
  return {};
}

Task<Result<Change>> Watcher::next() {
  State& state = *state_;
  while (state.queue.empty()) {
    if (!state.unseen.empty() || state.lost) {
      auto looked = co_await state.look();
      if (!looked) co_return looked.error();
      continue;
    }
    if (state.watches.empty() && !state.moved) co_return Error(Errc::no_such_file, "watch");
    auto read = co_await state.read();
    if (!read) co_return read.error();
  }
  Change change = std::move(state.queue.front());
  state.queue.pop_front();
  ++state.counts.changes;
  co_return std::move(change);
}

WatcherStatistics Watcher::statistics() const noexcept {
  WatcherStatistics now = state_->counts;
  now.watches = state_->watches.size();
  return now;
}

}  // namespace rondo::fs
