// SPDX-License-Identifier: Apache-2.0
// Database: one SQLite connection, used by one thread at a time. Blocking: run it on a worker
// (sqlite/connection.hpp), or call it directly in tools that have no loop.
//
//   auto db = sqlite::Database::open({.path = "chat.db"}).or_throw();
//   auto tx = db.begin().or_throw();
//   db.run("INSERT INTO room(name) VALUES(?)", name).or_throw();
//   tx.commit().or_throw();                              // without it: rolled back
//   auto heads = db.all<std::int64_t, std::string>("SELECT id, name FROM room WHERE id > ?", 7);
//
// Statements are compiled once and kept (statements_max, least recently used go). Values are
// always bound, never pasted into the text. Every Error carries SQLite's own message.
// Lifetime: text and blobs of a Row are views, valid until its callback returns.
// Thread rule: one thread at a time; it need not be always the same.
#pragma once

#include <concepts>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "rondo/base/bytes.hpp"
#include "rondo/base/result.hpp"
#include "rondo/base/time.hpp"

struct sqlite3;
struct sqlite3_stmt;

namespace rondo::sqlite {

enum class Mode : std::uint8_t { create, read_write, read_only };

/// What a commit waits for.
enum class Durability : std::uint8_t {
  /// WAL, synchronous=FULL: a commit that returned survives a power loss, and so does what a
  /// connection finds when it opens.
  full,
  normal,  ///< WAL, synchronous=NORMAL: a power loss may take the last commits, never a part
};

struct Options {
  std::string path;  ///< ":memory:" for one that lives in memory
  Mode mode = Mode::create;
  Durability durability = Durability::full;
  /// How long a statement waits for another connection's lock before it fails with try_again.
  Duration busy_timeout = std::chrono::seconds(5);
  /// Compiled statements kept.
  std::size_t statements_max = 64;
  /// The sqlite3_vfs that reaches the files; empty: the system's.
  std::string vfs = {};
};

/// The row a statement stands on. Columns count from 0; types convert as SQLite converts them.
class Row {
 public:
  explicit Row(sqlite3_stmt* statement) noexcept : statement_(statement) {}
  std::int64_t integer(int column) const noexcept;
  double real(int column) const noexcept;
  std::string_view text(int column) const noexcept;
  ByteView blob(int column) const noexcept;
  bool is_null(int column) const noexcept;

  /// integers and bool, double, std::string, std::vector<std::byte>, optional of these (NULL).
  template <class T>
  T get(int column) const {
    if constexpr (requires {
                    typename T::value_type;
                    requires std::same_as<T, std::optional<typename T::value_type>>;
                  }) {
      if (is_null(column)) return std::nullopt;
      return get<typename T::value_type>(column);
    } else if constexpr (std::is_integral_v<T>) {
      return static_cast<T>(integer(column));
    } else if constexpr (std::is_floating_point_v<T>) {
      return static_cast<T>(real(column));
    } else if constexpr (std::is_same_v<T, std::string>) {
      return std::string(text(column));
    } else {
      static_assert(std::is_same_v<T, std::vector<std::byte>>, "no column has this type");
      const ByteView view = blob(column);
      return {view.begin(), view.end()};
    }
  }

 private:
  sqlite3_stmt* statement_;
};

class Database;

/// A transaction that holds the write lock. Rolled back unless commit() was called: clean-up by
/// exception, by return or by cancellation of a task all end it the same way.
class [[nodiscard("keep it, and commit(): its end rolls back")]] Transaction {
 public:
  Transaction(Transaction&& other) noexcept : database_(std::exchange(other.database_, nullptr)) {}
  Transaction& operator=(Transaction&&) = delete;
  ~Transaction();

  /// Makes it durable. After an error nothing of it is kept.
  Result<> commit();

 private:
  friend Database;
  explicit Transaction(Database& database) noexcept : database_(&database) {}
  Database* database_;
};

class [[nodiscard("keep it: its end closes the database")]] Database {
 public:
  /// Errors: no_such_file, access_denied, bad_message (not a database, or damaged), ...
  static Result<Database> open(const Options& options);
  Database(Database&&) noexcept;
  Database& operator=(Database&&) noexcept;
  ~Database();

  /// Executes one statement; rows it yields are dropped. Returns the number of rows changed.
  template <class... A>
  Result<std::int64_t> run(std::string_view sql, const A&... values) {
    auto on_row = [](Row&) { return true; };
    auto done = each(on_row, sql, values...);
    if (!done) return done.error();
    return changes();
  }

  /// Calls `on_row(Row&)` for every row until it returns false.
  template <class F, class... A>
    requires std::is_invocable_r_v<bool, F&, Row&>
  Result<> each(F&& on_row, std::string_view sql, const A&... values) {
    auto statement = prepare(sql);
    if (!statement) return statement.error();
    Use use(*this, *statement);
    int index = 0;
    if (!(bind(use.statement, ++index, values) && ...)) return failure("bind", sql);
    for (;;) {
      const Result<bool> more = step(use.statement, sql);
      if (!more) return more.error();
      if (!*more) return {};
      Row row(use.statement);
      if (!on_row(row)) return {};
    }
  }

  /// Every row as a tuple of the given types.
  template <class... C, class... A>
  Result<std::vector<std::tuple<C...>>> all(std::string_view sql, const A&... values) {
    std::vector<std::tuple<C...>> rows;
    auto done =
        each([&](Row& row) { return rows.push_back(tuple_of<C...>(row)), true; }, sql, values...);
    if (!done) return done.error();
    return rows;
  }
  /// The first row, if there is one.
  template <class... C, class... A>
  Result<std::optional<std::tuple<C...>>> first(std::string_view sql, const A&... values) {
    std::optional<std::tuple<C...>> found;
    auto done =
        each([&](Row& row) { return found.emplace(tuple_of<C...>(row)), false; }, sql, values...);
    if (!done) return done.error();
    return found;
  }

  /// Executes several statements separated by semicolons, without values: for schemas.
  Result<> script(const std::string& sql);

  /// Begins a transaction that holds the write lock from its start (BEGIN IMMEDIATE).
  Result<Transaction> begin();
  bool in_transaction() const noexcept;

  std::int64_t changes() const noexcept;
  std::int64_t last_insert_rowid() const noexcept;
  /// Makes what runs now, or next, fail with operation_cancelled. Any thread.
  void interrupt() noexcept;

 private:
  friend Transaction;
  struct State;
  /// A statement taken out of the cache for one execution.
  struct Use {
    Use(Database& at, sqlite3_stmt* taken) noexcept : database(at), statement(taken) {}
    Use(const Use&) = delete;
    ~Use() { database.finish(statement); }
    Database& database;
    sqlite3_stmt* statement;
  };

  explicit Database(std::unique_ptr<State> state) noexcept;
  Result<sqlite3_stmt*> prepare(std::string_view sql);
  void finish(sqlite3_stmt* statement) noexcept;
  Result<bool> step(sqlite3_stmt* statement, std::string_view sql);
  Error failure(const char* operation, std::string_view sql) const;

  static bool bind_integer(sqlite3_stmt* statement, int index, std::int64_t value) noexcept;
  static bool bind_real(sqlite3_stmt* statement, int index, double value) noexcept;
  static bool bind_text(sqlite3_stmt* statement, int index, std::string_view value) noexcept;
  static bool bind_blob(sqlite3_stmt* statement, int index, ByteView value) noexcept;
  static bool bind_null(sqlite3_stmt* statement, int index) noexcept;

  /// Values outlive the execution, so none is copied.
  template <class T>
  static bool bind(sqlite3_stmt* statement, int index, const T& value) noexcept {
    if constexpr (std::is_same_v<T, std::nullopt_t>)
      return bind_null(statement, index);
    else if constexpr (requires {
                         value.has_value();
                         *value;
                       })
      return value ? bind(statement, index, *value) : bind_null(statement, index);
    else if constexpr (std::is_integral_v<T>)
      return bind_integer(statement, index, static_cast<std::int64_t>(value));
    else if constexpr (std::is_floating_point_v<T>)
      return bind_real(statement, index, value);
    else if constexpr (std::is_convertible_v<const T&, std::string_view>)
      return bind_text(statement, index, value);
    else
      return bind_blob(statement, index, std::as_bytes(std::span(value)));
  }
  template <class... C>
  static std::tuple<C...> tuple_of(Row& row) {
    return [&]<std::size_t... I>(std::index_sequence<I...>) {
      return std::tuple<C...>{row.get<C>(static_cast<int>(I))...};
    }(std::index_sequence_for<C...>{});
  }

  std::unique_ptr<State> state_;
};

}  // namespace rondo::sqlite
