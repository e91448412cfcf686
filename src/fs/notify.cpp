// SPDX-License-Identifier: Apache-2.0
#include "rondo/fs/notify.hpp"

#include <sys/inotify.h>
#include <unistd.h>

#include <cerrno>
#include <memory>

#include "fs/operations.hpp"
#include "fs/watching.hpp"
#include "rondo/core/cancel.hpp"
#include "rondo/core/detail/one_shot.hpp"

namespace rondo::fs {

using detail::Watching;

namespace {

struct PollAwaiter : rondo::detail::OneShotAwaiter<io::PollOp> {
  PollAwaiter(int fd, rondo::detail::PromiseBase& parent) noexcept : OneShotAwaiter(parent) {
    op.fd = fd;
    op.events = io::k_readable;
  }
  Result<> await_resume() const { return outcome_of(result, "watch", {}); }
};
struct [[nodiscard]] UntilReadable : rondo::detail::OperationAwaitable<UntilReadable> {
  int fd;
  explicit UntilReadable(int descriptor) noexcept : fd(descriptor) {}
  PollAwaiter awaiter(rondo::detail::PromiseBase& parent) && noexcept { return {fd, parent}; }
};

/// Counts a scan while it runs, however it ends.
class Scanning {
 public:
  explicit Scanning(Watching& own) noexcept : own_(own) {
    if (own_.scans++ == 0) own_.idle.reset();
  }
  Scanning(const Scanning&) = delete;
  Scanning& operator=(const Scanning&) = delete;
  ~Scanning() {
    if (--own_.scans == 0) own_.idle.set();
  }

 private:
  Watching& own_;
};

class Reading {
 public:
  explicit Reading(Watching& own) noexcept : own_(own) {
    RONDO_ASSERT(!own.has_reader, "one task at a time awaits a Watcher: make another one");
    own_.has_reader = true;
  }
  Reading(const Reading&) = delete;
  Reading& operator=(const Reading&) = delete;
  ~Reading() { own_.has_reader = false; }

 private:
  Watching& own_;
};

Task<Result<>> add_path(Watching& own, std::string path, WatchOptions options) {
  if (!is_path(path)) co_return bad_path("watch", path);
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  const auto root = std::make_shared<WatchRoot>(path, options);
  const ScanRequest request =
      own.request_of({.path = path, .root = root, .is_refresh = false, .is_silent = true});
  const Scanning running(own);
  auto found = co_await run_blocking([&request] { return scan(request); });
  if (!found) co_return found.error().about(path);
  root->is_directory = found->is_directory;
  co_return own.added(root, *found);
}

/// Scans the directory that has waited longest. A scan that never ran is still the next.
Task<Result<>> scan_next(Watching& own) {
  const Watching::Pending at = own.pending.front();
  const ScanRequest request = own.request_of(at);
  const Scanning running(own);
  own.pending.pop_front();
  bool has_run = false;
  struct PutBack {
    ~PutBack() {
      if (!has_run) own.pending.push_front(at);
    }
    Watching& own;
    const Watching::Pending& at;
    const bool& has_run;
  } const put_back{own, at, has_run};
  auto found = co_await run_blocking([&request] { return scan(request); });
  if (!found) co_return found.error().about(at.path);
  has_run = true;
  own.scanned(at, *found);
  co_return Result<>();
}

/// Takes what the kernel has, or waits until it has something, or until nothing more has come
/// for the names that left.
Task<Result<>> read_more(Watching& own) {
  if (own.is_full()) own.settle();
  const std::int32_t got = own.read_events();
  if (got >= 0 || got == -EINTR) co_return Result<>();
  if (got != -EAGAIN) co_return error_of(got, "watch", {});
  if (!own.has_unsettled()) co_return co_await UntilReadable(own.fd());
  const auto more = co_await with_deadline(own.settle_at(), UntilReadable(own.fd()));
  if (more || more.error() != Errc::timed_out) co_return more;
  own.settle();
  co_return Result<>();
}

Task<Result<std::optional<Change>>> next_change(Watching& own) {
  const Reading reading(own);
  co_await own.ready.wait();
  while (true) {
    if (own.failure) co_return *std::exchange(own.failure, std::nullopt);
    if (!own.pending.empty()) {
      auto scanned = co_await scan_next(own);
      if (!scanned) co_return scanned.error();
      continue;
    }
    if (auto change = own.pop()) co_return std::move(change);
    if (own.scans > 0) {
      co_await own.idle.wait();
      continue;
    }
    if (own.is_empty() && !own.has_unsettled()) co_return std::optional<Change>();
    auto read = co_await read_more(own);
    if (!read) co_return read.error();
  }
}

const char* name_of(ChangeKind kind) noexcept {
  switch (kind) {
    case ChangeKind::created: return "created";
    case ChangeKind::modified: return "modified";
    case ChangeKind::removed: return "removed";
    case ChangeKind::renamed: return "renamed";
    case ChangeKind::moved_from: return "moved from";
    case ChangeKind::moved_to: return "moved to";
    case ChangeKind::attributes: return "attributes";
    case ChangeKind::closed_after_write: return "closed after write";
    case ChangeKind::overflow: return "overflow";
  }
  return "";
}

}  // namespace

std::string Change::describe() const {
  std::string text = name_of(kind);
  const char* end = is_directory ? "/" : "";
  if (!from.empty()) text.append(" ").append(from).append(end).append(" ->");
  if (!path.empty()) text.append(" ").append(path).append(end);
  return text;
}

Result<Watcher> Watcher::open() {
  if (!Loop::current().driver().probe().has_threads) return Error(Errc::not_supported, "watch");
  UniqueFd fd(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!fd && errno == EMFILE)
    return Error(Errc::too_many_descriptors, "watch",
                 "(the process's descriptors, or the user's fs.inotify.max_user_instances)");
  if (!fd) return Error::from_errno(errno, "watch");
  return Watcher(*new Watching(std::move(fd)));
}

Watcher::~Watcher() { delete own_; }

Task<Result<>> Watcher::add(std::string path, WatchOptions options) {
  return add_path(*own_, std::move(path), options);
}

Result<> Watcher::remove(const std::string& path) { return own_->remove(path); }

Task<Result<std::optional<Change>>> Watcher::next() { return next_change(*own_); }

WatcherStatistics Watcher::statistics() const noexcept { return own_->statistics(); }

}  // namespace rondo::fs
