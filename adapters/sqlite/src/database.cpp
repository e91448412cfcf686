// SPDX-License-Identifier: Apache-2.0
// The blocking half of the adapter: statements, values, transactions, SQLite's errors as ours.
#include "rondo/sqlite/database.hpp"

#include <sqlite3.h>

#include <list>
#include <memory>

namespace rondo::sqlite {

namespace {

Errc code_of(int extended) noexcept {
  switch (extended & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return Errc::try_again;
    case SQLITE_FULL:
      return Errc::no_space;
    case SQLITE_NOMEM:
      return Errc::no_memory;
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_READONLY:
      return Errc::access_denied;
    case SQLITE_CANTOPEN:
      return Errc::no_such_file;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return Errc::bad_message;
    case SQLITE_CONSTRAINT:
      return Errc::exists;
    case SQLITE_INTERRUPT:
      return Errc::operation_cancelled;
    case SQLITE_TOOBIG:
      return Errc::too_large;
    case SQLITE_IOERR:
      return Errc::io_error;
    default:
      return Errc::invalid_argument;
  }
}

Error error_of(sqlite3* handle, const char* operation, std::string_view about) {
  std::string text(handle ? sqlite3_errmsg(handle) : "out of memory");
  if (!about.empty()) text.append(" (").append(about.substr(0, 120)).append(")");
  const int code = handle ? sqlite3_extended_errcode(handle) : SQLITE_NOMEM;
  return {code_of(code), operation, text};
}

int flags_of(Mode mode) noexcept {
  constexpr int k_common = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  switch (mode) {
    case Mode::create:
      return k_common | SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    case Mode::read_write:
      return k_common | SQLITE_OPEN_READWRITE;
    case Mode::read_only:
      return k_common | SQLITE_OPEN_READONLY;
  }
  return k_common;
}

std::string pragmas_of(const Options& options) {
  std::string sql = "PRAGMA foreign_keys=ON;PRAGMA trusted_schema=OFF;";
  if (options.mode != Mode::read_only) sql += "PRAGMA journal_mode=WAL;";
  sql += options.durability == Durability::full ? "PRAGMA synchronous=FULL;"
                                                : "PRAGMA synchronous=NORMAL;";
  // A process killed within a commit leaves a whole transaction that was never synced: the next
  // one would show it, and lose it with the power. rondo-sim found that (chat-crash). A checkpoint
  // syncs the log first, then the database.
  if (options.mode != Mode::read_only && options.durability == Durability::full) {
    sql += "PRAGMA wal_checkpoint(PASSIVE);";
  }
  return sql;
}

}  // namespace

struct Database::State {
  struct Cached {
    std::string sql;
    sqlite3_stmt* statement = nullptr;
    bool in_use = false;
  };
  sqlite3* handle = nullptr;
  std::list<Cached> cache;  // Most recently used first; a few dozen: found by looking.
  std::size_t statements_max = 64;

  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    for (Cached& cached : cache) sqlite3_finalize(cached.statement);
    sqlite3_close_v2(handle);
  }
  void trim() noexcept {
    while (cache.size() > statements_max && !cache.back().in_use) {
      sqlite3_finalize(cache.back().statement);
      cache.pop_back();
    }
  }
};

Database::Database(std::unique_ptr<State> state) noexcept : state_(std::move(state)) {}
Database::Database(Database&&) noexcept = default;
Database& Database::operator=(Database&&) noexcept = default;
Database::~Database() = default;

Result<Database> Database::open(const Options& options) {
  auto state = std::make_unique<State>();
  state->statements_max = options.statements_max;
  const int opened = sqlite3_open_v2(options.path.c_str(), &state->handle, flags_of(options.mode),
                                     options.vfs.empty() ? nullptr : options.vfs.c_str());
  if (opened != SQLITE_OK) return error_of(state->handle, "open", options.path);
  const auto wait = std::chrono::duration_cast<std::chrono::milliseconds>(options.busy_timeout);
  sqlite3_busy_timeout(state->handle, static_cast<int>(wait.count()));
  sqlite3_db_config(state->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  Database database(std::move(state));
  // The first statement that reads the file: what is no database is found here.
  if (auto set = database.script(pragmas_of(options)); !set) return set.error();
  return database;
}

Result<> Database::script(const std::string& sql) {
  if (sqlite3_exec(state_->handle, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK) return {};
  return failure("script", sql);
}

Result<sqlite3_stmt*> Database::prepare(std::string_view sql) {
  auto& cache = state_->cache;
  for (auto at = cache.begin(); at != cache.end(); ++at) {
    if (at->in_use || at->sql != sql) continue;
    cache.splice(cache.begin(), cache, at);
    at->in_use = true;
    return at->statement;
  }
  sqlite3_stmt* statement = nullptr;
  const int compiled = sqlite3_prepare_v3(state_->handle, sql.data(), static_cast<int>(sql.size()),
                                          SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  if (compiled != SQLITE_OK) return failure("prepare", sql);
  if (!statement) return Error(Errc::invalid_argument, "prepare", "an empty statement");
  cache.push_front({std::string(sql), statement, true});
  state_->trim();
  return statement;
}

void Database::finish(sqlite3_stmt* statement) noexcept {
  sqlite3_reset(statement);  // Its error was told by step() already.
  sqlite3_clear_bindings(statement);
  for (auto& cached : state_->cache) {
    if (cached.statement == statement) cached.in_use = false;
  }
}

Result<bool> Database::step(sqlite3_stmt* statement, std::string_view sql) {
  switch (sqlite3_step(statement)) {
    case SQLITE_ROW:
      return true;
    case SQLITE_DONE:
      return false;
    default:
      return failure("execute", sql);
  }
}

Error Database::failure(const char* operation, std::string_view sql) const {
  return error_of(state_->handle, operation, sql);
}

Result<Transaction> Database::begin() {
  if (auto begun = run("BEGIN IMMEDIATE"); !begun) return begun.error();
  return Transaction(*this);
}

bool Database::in_transaction() const noexcept { return !sqlite3_get_autocommit(state_->handle); }
std::int64_t Database::changes() const noexcept { return sqlite3_changes64(state_->handle); }
std::int64_t Database::last_insert_rowid() const noexcept {
  return sqlite3_last_insert_rowid(state_->handle);
}
void Database::interrupt() noexcept { sqlite3_interrupt(state_->handle); }

Result<> Transaction::commit() {
  RONDO_ASSERT(database_, "a transaction is committed once");
  Database& database = *database_;
  auto committed = database.run("COMMIT");
  if (!committed) return committed.error();  // The destructor rolls back what is left open.
  database_ = nullptr;
  return {};
}

Transaction::~Transaction() {
  // Some errors (a full disk) have rolled back by themselves.
  if (database_ && database_->in_transaction()) (void)database_->run("ROLLBACK");
}

bool Database::bind_integer(sqlite3_stmt* statement, int index, std::int64_t value) noexcept {
  return sqlite3_bind_int64(statement, index, value) == SQLITE_OK;
}
bool Database::bind_real(sqlite3_stmt* statement, int index, double value) noexcept {
  return sqlite3_bind_double(statement, index, value) == SQLITE_OK;
}
bool Database::bind_text(sqlite3_stmt* statement, int index, std::string_view value) noexcept {
  // A null pointer would bind NULL; empty text is not NULL.
  const char* data = value.data() ? value.data() : "";
  return sqlite3_bind_text64(statement, index, data, value.size(), SQLITE_STATIC, SQLITE_UTF8) ==
         SQLITE_OK;
}
bool Database::bind_blob(sqlite3_stmt* statement, int index, ByteView value) noexcept {
  const void* data = value.data() ? static_cast<const void*>(value.data()) : "";
  return sqlite3_bind_blob64(statement, index, data, value.size(), SQLITE_STATIC) == SQLITE_OK;
}
bool Database::bind_null(sqlite3_stmt* statement, int index) noexcept {
  return sqlite3_bind_null(statement, index) == SQLITE_OK;
}

std::int64_t Row::integer(int column) const noexcept {
  return sqlite3_column_int64(statement_, column);
}
double Row::real(int column) const noexcept { return sqlite3_column_double(statement_, column); }
std::string_view Row::text(int column) const noexcept {
  const auto* data = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
  if (!data) return {};
  return {data, static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
}
ByteView Row::blob(int column) const noexcept {
  const auto* data = static_cast<const std::byte*>(sqlite3_column_blob(statement_, column));
  if (!data) return {};
  return {data, static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
}
bool Row::is_null(int column) const noexcept {
  return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}

}  // namespace rondo::sqlite
