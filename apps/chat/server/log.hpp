// SPDX-License-Identifier: Apache-2.0
// EventLog: the chat's log as the rooms see it: append, and read pages. One writer with group
// commit on one thread, one reader on another, nothing of it on the loop's.
//
//   log.append({room, user, cid, body}, [](const Append& what, const Result<Appended>& where) {});
//   auto made = co_await log.write([name](Store& s, std::int64_t now) { return s.make_room(name,
//   now); }); auto events = co_await log.read([query](Store& s) { return s.page(query); });
//
// Group commit: the writer takes everything queued (at most k_batch_max), commits once, and then
// calls the callbacks in order; what arrives meanwhile is the next batch, so under load a commit
// is shared by all who wait. A failed commit refuses the whole batch with try_again, never half.
// The queue is bounded (k_queue_max): append() refuses beyond it.
// Lifetime: run() lives in a task for as long as anybody appends; callbacks run on the loop.
// Thread rule: the loop's thread.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "chat/server/store.hpp"
#include "rondo/base/move_fn.hpp"
#include "rondo/core/event.hpp"
#include "rondo/core/future.hpp"
#include "rondo/core/task.hpp"
#include "rondo/sqlite/connection.hpp"

namespace rondo::chat {

inline constexpr std::size_t k_batch_max = 512;
inline constexpr std::size_t k_queue_max = 8'192;

struct LogStatistics {
  std::uint64_t appended = 0;
  std::uint64_t duplicates = 0;
  std::uint64_t commits = 0;
  std::uint64_t failed_commits = 0;
  std::uint64_t refused = 0;  ///< the queue was full
  std::size_t queued = 0;
};

class EventLog {
 public:
  using Done = MoveFn<void(const Append&, const Result<Appended>&)>;

  /// Opens (makes) the database at `path` with a writer and a reader, through SQLite's VFS of that
  /// name (empty: the system's).
  static Task<Result<std::unique_ptr<EventLog>>> open(std::string path, std::string vfs = {});
  EventLog(const EventLog&) = delete;
  EventLog& operator=(const EventLog&) = delete;

  const std::string& epoch() const noexcept { return epoch_; }
  const std::vector<RoomRow>& rooms_at_start() const noexcept { return rooms_; }

  /// The writer: commits until it is cancelled, or closed and empty.
  Task<> run();
  /// No more is taken; run() ends when everything queued has been committed.
  void close() noexcept;

  /// Called for every stored message that is no duplicate, after its `done`.
  void on_stored(MoveFn<void(const Append&, const Appended&)> listener) {
    listener_ = std::move(listener);
  }
  /// Queues a message. `done` is called after its commit, or at once when the queue is full.
  /// Errors it may be given: try_again (nothing was stored; the same cid may come again).
  void append(Append what, Done done);

  /// Runs `f(Store&, now_ms)`, which returns a Result, inside the next batch. An error of it that
  /// comes from SQLite refuses the whole batch. Its captures are values.
  template <class F>
  auto write(F f) -> Task<std::invoke_result_t<F&, Store&, std::int64_t>>;
  /// The same, with nobody waiting for the outcome.
  template <class F>
  void write_later(F f);
  /// Runs `f(Store&)` on the reader.
  template <class F>
  auto read(F f) {
    return reader_.run([f = std::move(f)](sqlite::Database& database) mutable {
      Store store(database);
      return f(store);
    });
  }

  LogStatistics statistics() const noexcept;

 private:
  struct Item {
    Append append;
    Done done;
    // Instead of an append:
    MoveFn<Result<>(Store&, std::int64_t)> job;
    MoveFn<void(const Result<>&)> job_done;
    Result<Appended> outcome = Errc::try_again;
  };

  EventLog(sqlite::Connection writer, sqlite::Connection reader)
      : writer_(std::move(writer)), reader_(std::move(reader)) {}
  bool enqueue(Item item);
  Task<> commit_batch();
  Result<> apply_batch(sqlite::Database& database, std::int64_t now_ms);
  void settle_batch(const Result<>& committed);

  sqlite::Connection writer_;
  sqlite::Connection reader_;
  std::optional<Store> store_;  ///< the writer's, with its heads
  std::string epoch_;
  std::vector<RoomRow> rooms_;
  MoveFn<void(const Append&, const Appended&)> listener_;
  std::deque<Item> queue_;
  std::vector<Item> batch_;
  rondo::Event wake_;
  bool closed_ = false;
  LogStatistics statistics_;
};

template <class F>
auto EventLog::write(F f) -> Task<std::invoke_result_t<F&, Store&, std::int64_t>> {
  using R = std::invoke_result_t<F&, Store&, std::int64_t>;
  struct Shared {
    F function;
    std::optional<R> result;
    Promise<R> promise;
  };
  auto pair = make_promise<R>();
  auto shared =
      std::make_shared<Shared>(Shared{std::move(f), std::nullopt, std::move(pair.promise)});
  Item item;
  item.job = [shared](Store& store, std::int64_t now_ms) -> Result<> {
    shared->result.emplace(shared->function(store, now_ms));
    if (!*shared->result) return shared->result->error();
    return {};
  };
  item.job_done = [shared](const Result<>& committed) {
    if (committed)
      shared->promise.set(std::move(*shared->result));
    else
      shared->promise.set(committed.error());
  };
  shared.reset();
  if (!enqueue(std::move(item))) co_return Error(Errc::try_again, "write");
  co_return co_await pair.future;
}

template <class F>
void EventLog::write_later(F f) {
  Item item;
  item.job = std::move(f);
  (void)enqueue(std::move(item));
}

}  // namespace rondo::chat
