// SPDX-License-Identifier: Apache-2.0
// Group commit. States of an item: queued -> in the batch that commits -> told.
#include "chat/server/log.hpp"

#include <memory>

#include "chat/server/random.hpp"
#include "rondo/base/log.hpp"
#include "rondo/base/simulation.hpp"
#include "rondo/core/cancel.hpp"
#include "rondo/core/sleep.hpp"

namespace rondo::chat {

Task<Result<std::unique_ptr<EventLog>>> EventLog::open(std::string path, std::string vfs) {
  const bool early = planted(PlantedBug::ack_before_commit);
  auto writer = co_await sqlite::Connection::open(
      {.path = path,
       .durability = early ? sqlite::Durability::normal : sqlite::Durability::full,
       .vfs = vfs},
      "chat-writer");
  if (!writer) co_return writer.error();
  const std::string epoch = random_hex(8);
  auto made = co_await writer->run(
      [&](sqlite::Database& db) -> Result<> { return Store::create_schema(db, epoch); });
  if (!made) co_return made.error();
  auto reader = co_await sqlite::Connection::open(
      {.path = std::move(path), .mode = sqlite::Mode::read_only, .vfs = std::move(vfs)},
      "chat-reader");
  if (!reader) co_return reader.error();
  std::unique_ptr<EventLog> log(new EventLog(std::move(*writer), std::move(*reader)));
  auto loaded = co_await log->writer_.run([&](sqlite::Database& db) -> Result<> {
    log->store_.emplace(db);
    auto known = log->store_->epoch();
    if (!known) return known.error();
    auto rooms = log->store_->rooms();
    if (!rooms) return rooms.error();
    log->epoch_ = std::move(*known);
    log->rooms_ = std::move(*rooms);
    return {};
  });
  if (!loaded) co_return loaded.error();
  co_return std::move(log);
}

Task<> EventLog::run() {
  while (!closed_ || !queue_.empty()) {
    if (queue_.empty()) {
      // A thread between its look and its sleep: what is queued meanwhile wakes nobody.
      if (planted(PlantedBug::lost_wake_up)) co_await sleep_for(std::chrono::milliseconds(20));
      wake_.reset();
      co_await wake_.wait();
      continue;
    }
    co_await commit_batch();
  }
}

void EventLog::close() noexcept {
  closed_ = true;
  wake_.set();
}

bool EventLog::enqueue(Item item) {
  if (closed_ || queue_.size() >= k_queue_max) {
    ++statistics_.refused;
    return false;
  }
  queue_.push_back(std::move(item));
  wake_.set();
  return true;
}

void EventLog::append(Append what, Done done) {
  if (closed_ || queue_.size() >= k_queue_max) {
    ++statistics_.refused;
    done(what, Error(Errc::try_again, "append", "too much waits to be stored"));
    return;
  }
  Item item;
  item.append = std::move(what);
  item.done = std::move(done);
  (void)enqueue(std::move(item));
}

Task<> EventLog::commit_batch() {
  const std::size_t count = std::min(queue_.size(), k_batch_max);
  for (std::size_t i = 0; i < count; ++i) {
    batch_.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  const std::int64_t now_ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(loop().wall_time().time_since_epoch())
          .count();
  const Result<> committed = co_await writer_.run(
      [this, now_ms](sqlite::Database& db) { return apply_batch(db, now_ms); });
  settle_batch(committed);
}

/// On the writer's thread. Whatever fails takes the whole batch back.
Result<> EventLog::apply_batch(sqlite::Database& db, std::int64_t now_ms) {
  Result<> failed = [&]() -> Result<> {
    auto tx = db.begin();
    if (!tx) return tx.error();
    for (Item& item : batch_) {
      if (item.job) {
        if (auto done = item.job(*store_, now_ms); !done) return done.error();
        continue;
      }
      item.outcome = store_->append(item.append, now_ms);
      if (!item.outcome) return item.outcome.error();
    }
    return tx->commit();
  }();
  if (!failed) store_->forget();
  return failed;
}

void EventLog::settle_batch(const Result<>& committed) {
  if (committed) {
    ++statistics_.commits;
  } else {
    ++statistics_.failed_commits;
    rondo::log(LogLevel::error, "nothing was stored: " + committed.error().message());
  }
  const Result<Appended> refused(
      committed ? Error(Errc::try_again)
                : Error(Errc::try_again, "append", committed.error().message()));
  // Callbacks may append; they never touch the batch.
  for (Item& item : batch_) {
    if (item.job) {
      if (item.job_done) item.job_done(committed ? committed : Result<>(refused.error()));
      continue;
    }
    if (committed) ++(item.outcome->dup ? statistics_.duplicates : statistics_.appended);
    item.done(item.append, committed ? item.outcome : refused);
    if (committed && !item.outcome->dup && listener_) listener_(item.append, *item.outcome);
  }
  batch_.clear();
}

LogStatistics EventLog::statistics() const noexcept {
  LogStatistics now = statistics_;
  now.queued = queue_.size();
  return now;
}

}  // namespace rondo::chat
