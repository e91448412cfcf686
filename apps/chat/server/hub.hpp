// SPDX-License-Identifier: Apache-2.0
// Hub: the rooms, who is in them, and what is said; independent of the doors.
//
//   Hub hub(*log, {.send_limit = 20});
//   auto& user = hub.sign_in(session, account);
//   hub.join(session, *hub.find_room("lobby"));
//   hub.send(session, {room.id, user.user, cid, body}, ...);
//
// Everything durable goes through the EventLog first: an event is told to members only after its
// commit, and its sender is answered before.
// Bounds: rooms_max rooms, users are as many as there are sessions, send_limit messages a user in
// 10 s; presence is told in rooms of at most k_presence_max members.
// Lifetime: outlives its sessions. Thread rule: the loop's thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "chat/server/log.hpp"
#include "chat/server/session.hpp"
#include "rondo/base/time.hpp"
#include "rondo/core/callback.hpp"
#include "rondo/core/event.hpp"

namespace rondo::chat {

inline constexpr std::size_t k_presence_max = 256;
inline constexpr std::size_t k_members_told_max = 500;
inline constexpr Duration k_send_window = std::chrono::seconds(10);

struct Room {
  RoomId id = 0;
  std::string name;
  Seq head = 0;
  Seq oldest = 1;
  std::vector<Subscription*> members;
  std::map<UserId, std::size_t> present;  ///< sessions of each user in it
  rondo::Event changed;                   ///< wakes those who wait for the next event
};

/// Somebody with at least one session.
struct OnlineUser {
  Account account;
  std::vector<Session*> sessions;
  std::unordered_map<RoomId, MemberRow> rooms;  ///< as stored
  const User& user() const noexcept { return account.user; }
};

/// When a user sent: a ring of the last `limit` times.
class SendWindow {
 public:
  /// Zero when one more may be sent now (which is noted), else how long to wait.
  Duration take(TimePoint now, std::size_t limit);
  bool idle(TimePoint now) const noexcept { return now - last_ > k_send_window; }

 private:
  std::vector<TimePoint> times_;
  std::size_t at_ = 0;
  TimePoint last_{};
};

struct HubOptions {
  std::size_t send_limit = 20;  ///< messages of a user in 10 s; 0: no limit
  std::size_t rooms_max = 10'000;
  bool guests = true;
  std::string node = "n1";
};

struct HubStatistics {
  std::uint64_t events = 0;
  std::uint64_t deliveries = 0;
  std::uint64_t behind = 0;  ///< times a session fell behind in a room
  std::uint64_t answers_dropped = 0;
  std::uint64_t pages = 0;
};

class Hub {
 public:
  Hub(EventLog& log, HubOptions options);
  Hub(const Hub&) = delete;
  Hub& operator=(const Hub&) = delete;
  ~Hub();

  EventLog& log() noexcept { return log_; }
  const HubOptions& options() const noexcept { return options_; }
  HubStatistics& statistics() noexcept { return statistics_; }
  std::size_t session_count() const noexcept { return sessions_.size(); }
  std::size_t user_count() const noexcept { return online_.size(); }
  std::size_t room_count() const noexcept { return rooms_.size(); }

  Room* find_room(std::string_view name) noexcept;
  Room* find_room(RoomId id) noexcept;
  /// The room of that name, made when missing. Errors: bad_message (name), too_large (rooms_max).
  Task<Result<Room*>> make_room(std::string name);
  std::vector<RoomLine> room_lines(const OnlineUser* user, bool only_joined) const;

  /// A new guest or classic user whose name is taken by nobody who is here.
  struct NewUser {
    Account account;
    std::string token;
  };
  Task<Result<NewUser>> make_guest(std::string name);
  Task<Result<Account>> make_classic(std::string name);
  Task<Result<std::optional<Account>>> user_of_token(std::string token);
  /// Binds a session to a user; `memberships` as stored.
  OnlineUser& sign_in(Session& session, const Account& account, std::vector<MemberRow> memberships);

  /// Puts a session into a room, live from now on; tells the others.
  Subscription& join(Session& session, Room& room);
  void leave(Session& session, Room& room, bool for_good);

  /// May this user send now? Zero, or how long to wait.
  Duration may_send(UserId user);
  /// Stores a message and tells the room's members; `done` first.
  void send(Append what, EventLog::Done done);
  void read(Session& session, Room& room, Seq seq);
  void typing(Session& session, Room& room);
  /// Says something to everybody in the room but one.
  void tell(Room& room, Outbound& out, const Session* but = nullptr);
  /// The session that has this id, if it is still here.
  Session* find_session(std::uint64_t id) noexcept;
  /// Wakes everybody who waits for events; stopping() is true from now on.
  void stop() noexcept;
  bool stopping() const noexcept { return stopping_; }
  /// Hands the read markers that were moved to the log; they are gathered for a while.
  void flush_reads();

 private:
  friend Session;
  std::uint64_t add(Session& session);
  void remove(Session& session) noexcept;
  void tell_presence(Room& room, const User& user, bool joined, const Session* but);
  void publish(const Append& what, const Appended& where);
  std::string free_name(std::string_view name, UserId mine) const;
  Room& add_room(const RoomRow& row);

  EventLog& log_;
  HubOptions options_;
  HubStatistics statistics_;
  std::map<std::string, std::unique_ptr<Room>, std::less<>> rooms_;
  std::unordered_map<RoomId, Room*> rooms_by_id_;
  std::unordered_map<std::uint64_t, Session*> sessions_;
  std::unordered_map<UserId, std::unique_ptr<OnlineUser>> online_;
  std::unordered_map<std::string, UserId> names_;  ///< folded, of those online
  std::unordered_map<UserId, SendWindow> windows_;
  std::map<std::pair<UserId, RoomId>, Seq> moved_reads_;
  CallbackHandle read_timer_;
  std::uint64_t next_session_ = 1;
  bool stopping_ = false;
};

}  // namespace rondo::chat
