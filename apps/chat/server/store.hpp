// SPDX-License-Identifier: Apache-2.0
// Store: the chat's database, blocking. `event` is the truth; heads are read from it.
//
//   auto store = Store::open(database).or_throw();
//   auto tx = database.begin();                       // the writer's, around a whole batch
//   auto appended = store.append(append, now_ms);     // dense seq, unique(sender, cid) for ever
//   tx.commit();   or   store.forget();               // after a roll-back: heads are read anew
//
// Several threads have several Stores on several connections; one of them writes.
// Lifetime: the database outlives it. Thread rule: its connection's thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "chat/server/protocol.hpp"
#include "rondo/base/result.hpp"
#include "rondo/sqlite/database.hpp"

namespace rondo::chat {

/// Who a user is. Classic users have no token: their name is their identity.
enum class UserKind : std::uint8_t { server = 0, guest = 1, classic = 2 };

struct Account {
  User user;
  UserKind kind = UserKind::guest;
};

struct Append {
  RoomId room = 0;
  User from;
  std::string cid;
  std::string body;
};

/// Where a message stands. `dup`: it stood there before.
struct Appended {
  RoomId room = 0;
  Seq seq = 0;
  std::int64_t ts = 0;
  bool dup = false;
};

struct RoomRow {
  RoomId id = 0;
  std::string name;
  Seq head = 0;
  Seq oldest = 1;
};

struct MemberRow {
  RoomId room = 0;
  Seq read = 0;
  bool joined = false;
};

/// Which events of a room: after `after`, oldest first, or before `before`, oldest first too.
struct PageQuery {
  RoomId room = 0;
  std::optional<Seq> after;
  std::optional<Seq> before;
  std::int64_t limit = 100;
  std::size_t bytes = 65'536;  ///< of JSON; at least one event comes
};

class Store {
 public:
  /// Prepares a connection. The writer's makes or checks the schema first.
  /// Errors: SQLite's; bad_message for a schema of a later version.
  static Result<> create_schema(sqlite::Database& database, std::string_view new_epoch);
  explicit Store(sqlite::Database& database) noexcept : db_(&database) {}

  Result<std::string> epoch();
  Result<std::vector<RoomRow>> rooms();

  // What only the writer does, inside of its transaction.

  Result<Appended> append(const Append& append, std::int64_t now_ms);
  Result<RoomRow> make_room(std::string_view name, std::int64_t now_ms);
  Result<Account> make_user(const Account& account, ByteView token_hash, std::int64_t now_ms);
  Result<> rename_user(UserId id, std::string_view name);
  Result<> set_joined(UserId user, RoomId room, bool joined);
  /// Moves the read marker forward, never back.
  Result<> set_read(UserId user, RoomId room, Seq seq);
  /// The transaction was rolled back: what is remembered of it is wrong.
  void forget() noexcept { heads_.clear(); }

  // What readers do.

  Result<std::optional<Account>> user_of_token(ByteView token_hash);
  Result<std::optional<Account>> classic_user(std::string_view name);
  Result<std::vector<MemberRow>> memberships(UserId user);
  Result<std::vector<Event>> page(const PageQuery& query);

 private:
  struct Head {
    Seq seq = 0;
    std::int64_t ts = 0;
  };
  Result<Head> head_of(RoomId room);

  sqlite::Database* db_;
  std::unordered_map<RoomId, Head> heads_;
};

}  // namespace rondo::chat
