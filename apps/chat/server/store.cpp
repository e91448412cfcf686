// SPDX-License-Identifier: Apache-2.0
// Every SQL statement of the chat.
#include "chat/server/store.hpp"

#include <algorithm>

#include "rondo/base/simulation.hpp"

namespace rondo::chat {

namespace {

constexpr std::int64_t k_schema = 1;

constexpr const char* k_tables = R"sql(
CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE user(
  id INTEGER PRIMARY KEY,
  kind INTEGER NOT NULL,
  name TEXT NOT NULL,
  token_hash BLOB UNIQUE,
  created INTEGER NOT NULL);
CREATE UNIQUE INDEX user_classic ON user(name) WHERE kind = 2;
CREATE TABLE room(
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  created INTEGER NOT NULL);
CREATE TABLE event(
  room INTEGER NOT NULL REFERENCES room(id),
  seq INTEGER NOT NULL,
  kind TEXT NOT NULL,
  target_seq INTEGER,
  sender INTEGER NOT NULL REFERENCES user(id),
  cid TEXT NOT NULL,
  ts INTEGER NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY(room, seq)) WITHOUT ROWID;
CREATE UNIQUE INDEX event_cid ON event(sender, cid);
CREATE TABLE member(
  user INTEGER NOT NULL REFERENCES user(id),
  room INTEGER NOT NULL REFERENCES room(id),
  joined INTEGER NOT NULL DEFAULT 1,
  read INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY(user, room)) WITHOUT ROWID;
INSERT INTO user(id, kind, name, created) VALUES(1, 0, 'Server', 0);
INSERT INTO room(id, name, created) VALUES(1, 'lobby', 0);
)sql";

Account account_of(const std::tuple<std::int64_t, int, std::string>& row) {
  return {{std::get<0>(row), std::get<2>(row)}, static_cast<UserKind>(std::get<1>(row))};
}

Event event_of(const sqlite::Row& row, RoomId room) {
  Event event;
  event.room = room;
  event.seq = row.integer(0);
  event.kind.assign(row.text(1));
  event.from = {row.integer(2), std::string(row.text(3))};
  event.cid.assign(row.text(4));
  event.ts = row.integer(5);
  event.body.assign(row.text(6));
  return event;
}

}  // namespace

Result<> Store::create_schema(sqlite::Database& db, std::string_view new_epoch) {
  auto version = db.first<std::int64_t>("PRAGMA user_version");
  if (!version) return version.error();
  const std::int64_t found = std::get<0>(**version);
  if (found == k_schema) return {};
  if (found != 0) {
    return Error(Errc::bad_message, "open", "the data was written by a later version of rondo");
  }
  auto tx = db.begin();
  if (!tx) return tx.error();
  if (auto made = db.script(k_tables); !made) return made;
  if (planted(PlantedBug::no_id_check)) {
    if (auto gone = db.script("DROP INDEX event_cid"); !gone) return gone;
  }
  auto epoch = db.run("INSERT INTO meta(key, value) VALUES('epoch', ?)", new_epoch);
  if (!epoch) return epoch.error();
  if (auto set = db.script("PRAGMA user_version=1"); !set) return set;
  return tx->commit();
}

Result<std::string> Store::epoch() {
  auto row = db_->first<std::string>("SELECT value FROM meta WHERE key = 'epoch'");
  if (!row) return row.error();
  if (!*row) return Error(Errc::bad_message, "open", "the database holds no epoch");
  return std::get<0>(**row);
}

Result<std::vector<RoomRow>> Store::rooms() {
  auto rows = db_->all<std::int64_t, std::string>("SELECT id, name FROM room ORDER BY id");
  if (!rows) return rows.error();
  std::vector<RoomRow> rooms;
  for (auto& [id, name] : *rows) {
    auto head = head_of(id);
    if (!head) return head.error();
    auto oldest =
        db_->first<std::int64_t>("SELECT seq FROM event WHERE room = ? ORDER BY seq LIMIT 1", id);
    if (!oldest) return oldest.error();
    rooms.push_back({id, std::move(name), head->seq, *oldest ? std::get<0>(**oldest) : 1});
  }
  return rooms;
}

Result<Store::Head> Store::head_of(RoomId room) {
  if (auto known = heads_.find(room); known != heads_.end()) return known->second;
  auto row = db_->first<std::int64_t, std::int64_t>(
      "SELECT seq, ts FROM event WHERE room = ? ORDER BY seq DESC LIMIT 1", room);
  if (!row) return row.error();
  const Head head = *row ? Head{std::get<0>(**row), std::get<1>(**row)} : Head{};
  heads_[room] = head;
  return head;
}

Result<Appended> Store::append(const Append& append, std::int64_t now_ms) {
  auto before = db_->first<std::int64_t, std::int64_t, std::int64_t>(
      "SELECT room, seq, ts FROM event WHERE sender = ? AND cid = ?", append.from.id, append.cid);
  if (!before) return before.error();
  if (*before && !planted(PlantedBug::no_id_check)) {
    const auto& [room, seq, ts] = **before;
    return Appended{room, seq, ts, true};
  }
  auto head = head_of(append.room);
  if (!head) return head.error();
  const bool by_wall_clock = planted(PlantedBug::order_by_wall_clock);
  const Head next{head->seq + 1, by_wall_clock ? now_ms : std::max(now_ms, head->ts + 1)};
  auto in = db_->run(
      "INSERT INTO event(room, seq, kind, sender, cid, ts, body) VALUES(?, ?, 'message', ?, ?, ?, "
      "?)",
      append.room, next.seq, append.from.id, append.cid, next.ts, append.body);
  if (!in) return in.error();
  heads_[append.room] = next;
  return Appended{append.room, next.seq, next.ts, false};
}

Result<RoomRow> Store::make_room(std::string_view name, std::int64_t now_ms) {
  auto in =
      db_->run("INSERT INTO room(name, created) VALUES(?, ?) ON CONFLICT DO NOTHING", name, now_ms);
  if (!in) return in.error();
  auto row = db_->first<std::int64_t>("SELECT id FROM room WHERE name = ?", name);
  if (!row) return row.error();
  const RoomId id = std::get<0>(**row);
  auto head = head_of(id);
  if (!head) return head.error();
  return RoomRow{id, std::string(name), head->seq, 1};
}

Result<Account> Store::make_user(const Account& account, ByteView token_hash, std::int64_t now_ms) {
  std::optional<std::vector<std::byte>> hash;
  if (!token_hash.empty()) hash.emplace(token_hash.begin(), token_hash.end());
  auto in = db_->run(
      "INSERT INTO user(kind, name, token_hash, created) VALUES(?, ?, ?, ?) ON CONFLICT DO NOTHING",
      static_cast<int>(account.kind), account.user.name, hash, now_ms);
  if (!in) return in.error();
  if (*in == 1) return Account{{db_->last_insert_rowid(), account.user.name}, account.kind};
  auto found = classic_user(account.user.name);  // The only conflict there can be.
  if (!found) return found.error();
  if (!*found) return Error(Errc::exists, "make_user", account.user.name);
  return **found;
}

Result<> Store::rename_user(UserId id, std::string_view name) {
  auto done = db_->run("UPDATE user SET name = ? WHERE id = ?", name, id);
  if (!done) return done.error();
  return {};
}

Result<> Store::set_joined(UserId user, RoomId room, bool joined) {
  auto done = db_->run(
      "INSERT INTO member(user, room, joined) VALUES(?, ?, ?) "
      "ON CONFLICT DO UPDATE SET joined = excluded.joined",
      user, room, joined);
  if (!done) return done.error();
  return {};
}

Result<> Store::set_read(UserId user, RoomId room, Seq seq) {
  auto done = db_->run(
      "INSERT INTO member(user, room, joined, read) VALUES(?, ?, 0, ?) "
      "ON CONFLICT DO UPDATE SET read = max(read, excluded.read)",
      user, room, seq);
  if (!done) return done.error();
  return {};
}

Result<std::optional<Account>> Store::user_of_token(ByteView token_hash) {
  auto row = db_->first<std::int64_t, int, std::string>(
      "SELECT id, kind, name FROM user WHERE token_hash = ?", token_hash);
  if (!row) return row.error();
  if (!*row) return std::optional<Account>();
  return std::optional<Account>(account_of(**row));
}

Result<std::optional<Account>> Store::classic_user(std::string_view name) {
  auto row = db_->first<std::int64_t, int, std::string>(
      "SELECT id, kind, name FROM user WHERE kind = 2 AND name = ?", name);
  if (!row) return row.error();
  if (!*row) return std::optional<Account>();
  return std::optional<Account>(account_of(**row));
}

Result<std::vector<MemberRow>> Store::memberships(UserId user) {
  auto rows = db_->all<std::int64_t, std::int64_t, bool>(
      "SELECT room, read, joined FROM member WHERE user = ?", user);
  if (!rows) return rows.error();
  std::vector<MemberRow> members;
  for (const auto& [room, read, joined] : *rows) members.push_back({room, read, joined});
  return members;
}

Result<std::vector<Event>> Store::page(const PageQuery& query) {
  constexpr std::size_t k_envelope = 200;  // JSON around a body, roughly.
  constexpr std::string_view k_forward =
      "SELECT seq, event.kind, sender, name, cid, ts, body FROM event JOIN user ON user.id = "
      "sender "
      "WHERE room = ? AND seq > ? AND seq < ? ORDER BY seq LIMIT ?";
  constexpr std::string_view k_backward =
      "SELECT seq, event.kind, sender, name, cid, ts, body FROM event JOIN user ON user.id = "
      "sender "
      "WHERE room = ? AND seq > ? AND seq < ? ORDER BY seq DESC LIMIT ?";
  std::vector<Event> events;
  std::size_t bytes = 0;
  const auto take = [&](sqlite::Row& row) {
    const std::size_t size = row.text(6).size() + k_envelope;
    if (!events.empty() && bytes + size > query.bytes) return false;
    bytes += size;
    events.push_back(event_of(row, query.room));
    return true;
  };
  const bool forward = query.after.has_value();
  const Seq after = query.after.value_or(0);
  const Seq before = query.before.value_or(std::numeric_limits<Seq>::max());
  auto done =
      db_->each(take, forward ? k_forward : k_backward, query.room, after, before, query.limit);
  if (!done) return done.error();
  if (!forward) std::reverse(events.begin(), events.end());
  return events;
}

}  // namespace rondo::chat
