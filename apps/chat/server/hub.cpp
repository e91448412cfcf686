// SPDX-License-Identifier: Apache-2.0
// Rooms and users in memory; what lasts is in the log.
#include "chat/server/hub.hpp"

#include <algorithm>
#include <memory>

#include "chat/server/random.hpp"
#include "chat/server/text.hpp"

namespace rondo::chat {

namespace {

constexpr Duration k_read_pause = std::chrono::milliseconds(500);
constexpr std::size_t k_windows_max = 16'384;

}  // namespace

Duration SendWindow::take(TimePoint now, std::size_t limit) {
  if (limit == 0) return {};
  if (times_.size() < limit) {
    times_.push_back(now);
  } else {
    const TimePoint free_at = times_[at_] + k_send_window;
    if (free_at > now) return free_at - now;
    times_[at_] = now;
    at_ = (at_ + 1) % times_.size();
  }
  last_ = now;
  return {};
}

Hub::Hub(EventLog& log, HubOptions options) : log_(log), options_(std::move(options)) {
  for (const RoomRow& row : log_.rooms_at_start()) add_room(row);
  names_[fold_name("Server")] = k_server_user;
  log_.on_stored([this](const Append& what, const Appended& where) { publish(what, where); });
}

Hub::~Hub() { read_timer_.cancel(); }

Room& Hub::add_room(const RoomRow& row) {
  auto& slot = rooms_[row.name];
  if (slot) return *slot;
  slot = std::make_unique<Room>();
  slot->id = row.id;
  slot->name = row.name;
  slot->head = row.head;
  slot->oldest = row.oldest;
  rooms_by_id_[row.id] = slot.get();
  return *slot;
}

Room* Hub::find_room(std::string_view name) noexcept {
  const auto found = rooms_.find(name);
  return found == rooms_.end() ? nullptr : found->second.get();
}
Room* Hub::find_room(RoomId id) noexcept {
  const auto found = rooms_by_id_.find(id);
  return found == rooms_by_id_.end() ? nullptr : found->second;
}
Session* Hub::find_session(std::uint64_t id) noexcept {
  const auto found = sessions_.find(id);
  return found == sessions_.end() ? nullptr : found->second;
}

Task<Result<Room*>> Hub::make_room(std::string name) {
  if (Room* known = find_room(name)) co_return known;
  if (!is_room_name(name)) co_return Error(Errc::bad_message, "room", name);
  if (rooms_.size() >= options_.rooms_max)
    co_return Error(Errc::too_large, "room", "too many rooms");
  auto made = co_await log_.write(
      [name](Store& store, std::int64_t now_ms) { return store.make_room(name, now_ms); });
  if (!made) co_return made.error();
  co_return &add_room(*made);
}

std::vector<RoomLine> Hub::room_lines(const OnlineUser* user, bool only_joined) const {
  std::vector<RoomLine> lines;
  for (const auto& [name, room] : rooms_) {
    const MemberRow* member = nullptr;
    if (user) {
      const auto found = user->rooms.find(room->id);
      if (found != user->rooms.end()) member = &found->second;
    }
    if (only_joined && !(member && member->joined)) continue;
    lines.push_back({name, room->head, member ? member->read : 0});
  }
  return lines;
}

std::string Hub::free_name(std::string_view name, UserId mine) const {
  std::string free(name);
  for (int n = 2;; ++n) {
    const auto taken = names_.find(fold_name(free));
    if (taken == names_.end() || (mine != 0 && taken->second == mine)) return free;
    free = std::string(name) + "-" + std::to_string(n);
  }
}

Task<Result<Hub::NewUser>> Hub::make_guest(std::string name) {
  auto clean = clean_name(name);
  if (!clean) co_return clean.error();
  const std::string token = random_hex(32);
  const TokenHash hash = hash_token(token);
  Account account{{0, free_name(*clean, 0)}, UserKind::guest};
  auto made = co_await log_.write([account, hash](Store& store, std::int64_t now_ms) {
    return store.make_user(account, hash, now_ms);
  });
  if (!made) co_return made.error();
  co_return NewUser{*made, token};
}

Task<Result<Account>> Hub::make_classic(std::string name) {
  auto clean = clean_name(name);
  if (!clean) co_return clean.error();
  Account account{{0, free_name(title_case(*clean), 0)}, UserKind::classic};
  co_return co_await log_.write([account](Store& store, std::int64_t now_ms) {
    return store.make_user(account, {}, now_ms);
  });
}

Task<Result<std::optional<Account>>> Hub::user_of_token(std::string token) {
  const TokenHash hash = hash_token(token);
  co_return co_await log_.read([hash](Store& store) { return store.user_of_token(hash); });
}

OnlineUser& Hub::sign_in(Session& session, const Account& account,
                         std::vector<MemberRow> memberships) {
  auto& slot = online_[account.user.id];
  if (!slot) {
    slot = std::make_unique<OnlineUser>();
    slot->account = account;
    // Taken meanwhile by somebody who is here: this one gets another name, and keeps it.
    std::string& name = slot->account.user.name;
    const std::string free = free_name(name, account.user.id);
    if (free != name) {
      name = free;
      if (account.kind == UserKind::guest) {
        log_.write_later([id = account.user.id, free](Store& store, std::int64_t) {
          return store.rename_user(id, free);
        });
      }
    }
    names_[fold_name(name)] = account.user.id;
    for (const MemberRow& row : memberships) slot->rooms[row.room] = row;
  }
  slot->sessions.push_back(&session);
  session.user_ = slot.get();
  return *slot;
}

std::uint64_t Hub::add(Session& session) {
  const std::uint64_t id = next_session_++;
  sessions_[id] = &session;
  return id;
}

void Hub::remove(Session& session) noexcept {
  while (!session.subscriptions_.empty()) {
    leave(session, session.subscriptions_.back()->room, false);
  }
  sessions_.erase(session.id());
  OnlineUser* user = session.user_;
  if (!user) return;
  std::erase(user->sessions, &session);
  if (!user->sessions.empty()) return;
  names_.erase(fold_name(user->user().name));
  online_.erase(user->user().id);
}

Subscription& Hub::join(Session& session, Room& room) {
  if (Subscription* already = session.in(room)) return *already;
  OnlineUser& user = *session.user();
  session.subscriptions_.push_back(
      std::make_unique<Subscription>(Subscription{session, room, room.members.size(), room.head}));
  Subscription& at = *session.subscriptions_.back();
  room.members.push_back(&at);
  MemberRow& row = user.rooms[room.id];
  if (!row.joined && user.account.kind == UserKind::guest) {
    log_.write_later([id = user.user().id, room_id = room.id](Store& store, std::int64_t) {
      return store.set_joined(id, room_id, true);
    });
  }
  row.room = room.id;
  row.joined = true;
  if (room.present[user.user().id]++ == 0) tell_presence(room, user.user(), true, &session);
  return at;
}

void Hub::leave(Session& session, Room& room, bool for_good) {
  Subscription* at = session.in(room);
  if (!at) return;
  room.members.back()->index = at->index;
  std::swap(room.members[at->index], room.members.back());
  room.members.pop_back();
  std::erase_if(session.subscriptions_, [at](const auto& each) { return each.get() == at; });
  OnlineUser& user = *session.user();
  if (for_good) {
    user.rooms[room.id].joined = false;
    log_.write_later([id = user.user().id, room_id = room.id](Store& store, std::int64_t) {
      return store.set_joined(id, room_id, false);
    });
  }
  const auto count = room.present.find(user.user().id);
  if (count == room.present.end() || --count->second > 0) return;
  room.present.erase(count);
  tell_presence(room, user.user(), false, &session);
}

void Hub::tell_presence(Room& room, const User& user, bool joined, const Session* but) {
  if (room.members.size() > k_presence_max) return;
  Outbound out(encode_presence(room.name, user, joined));
  const std::string text =
      title_case(user.name) + (joined ? " has joined the group!!" : " has left the group!!");
  out.set_classic("Server", text, user.id);
  tell(room, out, but);
}

void Hub::tell(Room& room, Outbound& out, const Session* but) {
  for (Subscription* member : room.members) {
    if (&member->session != but) (void)member->session.push(out);  // Droppable by design.
  }
}

Duration Hub::may_send(UserId user) {
  if (user == k_server_user) return {};
  const TimePoint at = now();
  if (windows_.size() >= k_windows_max) {
    std::erase_if(windows_, [at](const auto& each) { return each.second.idle(at); });
  }
  return windows_[user].take(at, options_.send_limit);
}

void Hub::send(Append what, EventLog::Done done) { log_.append(std::move(what), std::move(done)); }

void Hub::publish(const Append& what, const Appended& where) {
  Room* room = find_room(where.room);
  if (!room) return;
  room->head = where.seq;
  ++statistics_.events;
  const Event event{room->id, where.seq, "message", what.from, what.cid, where.ts, what.body};
  Outbound out(encode_event(event, room->name));
  out.set_classic(title_case(what.from.name), what.body, what.from.id);
  for (Subscription* member : room->members) member->session.deliver(*member, out, where.seq);
  room->changed.set();
  room->changed.reset();
}

void Hub::read(Session& session, Room& room, Seq seq) {
  OnlineUser& user = *session.user();
  MemberRow& row = user.rooms[room.id];
  seq = std::min(seq, room.head);
  if (seq <= row.read) return;
  row.room = room.id;
  row.read = seq;
  Outbound out(encode_read(room.name, seq));
  for (Session* other : user.sessions) {
    if (other != &session) (void)other->push(out);
  }
  if (user.account.kind != UserKind::guest) return;
  moved_reads_[{user.user().id, room.id}] = seq;
  if (!read_timer_.pending()) {
    read_timer_ = loop().call_later(k_read_pause, [this] { flush_reads(); });
  }
}

void Hub::flush_reads() {
  if (moved_reads_.empty()) return;
  log_.write_later([moved = std::move(moved_reads_)](Store& store, std::int64_t) -> Result<> {
    for (const auto& [whose, seq] : moved) {
      if (auto set = store.set_read(whose.first, whose.second, seq); !set) return set;
    }
    return {};
  });
  moved_reads_.clear();
}

void Hub::stop() noexcept {
  stopping_ = true;
  for (auto& [name, room] : rooms_) room->changed.set();
}

void Hub::typing(Session& session, Room& room) {
  Outbound out(encode_typing(room.name, session.user()->user()));
  tell(room, out, &session);
}

}  // namespace rondo::chat
