// SPDX-License-Identifier: Apache-2.0
// Connection: a Database on a thread of its own, awaited from a loop.
//
//   auto db = co_await sqlite::Connection::open({.path = "chat.db"}).or_return();
//   auto names = co_await db.run([&](sqlite::Database& d) {
//     return d.all<std::string>("SELECT name FROM room WHERE id = ?", id);
//   });                                                   // Result<vector<tuple<string>>>
//
// What is handed over runs as one piece, after everything handed over before: a transaction is
// one function that begins, works and commits; none stays open between two of them (asserted).
// Several connections to one file give readers beside one writer (WAL).
// Under simulation the function runs on the loop's thread at a seeded instant.
// Lifetime: outlives its runs. The destructor waits for the function that runs.
// Thread rule: the loop's thread; functions run on the connection's.
#pragma once

#include <memory>
#include <type_traits>
#include <utility>

#include "rondo/core/task.hpp"
#include "rondo/core/worker.hpp"
#include "rondo/sqlite/database.hpp"

namespace rondo::sqlite {

class [[nodiscard("keep it: its end closes the database")]] Connection {
 public:
  /// Opens a database on a new thread.
  /// - **Completes** when it is open. **Returns** the connection. **Errors** Database::open's.
  /// - **Cancel** waits for the open, then drops it. **Lifetime** options are copied.
  /// - **Concurrency** any number. **Thread** the loop's.
  static Task<Result<Connection>> open(Options options, const char* thread_name = "sqlite") {
    auto state = std::make_unique<State>(thread_name);
    auto opened = co_await state->worker.run([&options] { return Database::open(options); });
    if (!opened) co_return opened.error();
    state->database = std::make_unique<Database>(std::move(*opened));
    co_return Connection(std::move(state));
  }
  Connection(Connection&&) noexcept = default;
  Connection& operator=(Connection&&) noexcept = default;

  /// Runs `f(Database&)`, which returns a Result or a plain value, on the connection's thread.
  /// - **Completes** when f has returned. **Returns** its value, as a Result.
  /// - **Errors** f's; would_exceed when too much is queued (limits::blocking_queue).
  /// - **Cancel** takes f back if it has not begun, else waits for it and delivers its value.
  /// - **Lifetime** captures by reference are safe while it is awaited.
  /// - **Concurrency** any number, in order. **Thread** the loop's.
  template <class F>
  auto run(F f) {
    return state_->worker.run([database = state_->database.get(), f = std::move(f)]() mutable {
      auto result = f(*database);
      RONDO_ASSERT(!database->in_transaction(), "a transaction ends in the function that began it");
      return result;
    });
  }
  WorkerStatistics statistics() const noexcept { return state_->worker.statistics(); }

 private:
  struct State {
    explicit State(const char* name) : worker(name) {}
    std::unique_ptr<Database> database;
    Worker worker;  // Ends first: nothing runs any more when the database closes.
  };
  explicit Connection(std::unique_ptr<State> state) noexcept : state_(std::move(state)) {}
  std::unique_ptr<State> state_;
};

}  // namespace rondo::sqlite
