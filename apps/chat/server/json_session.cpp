// SPDX-License-Identifier: Apache-2.0
// The protocol's answers, one function for each kind of frame.
#include "chat/server/json_session.hpp"

#include <algorithm>

#include "chat/server/json.hpp"
#include "chat/server/text.hpp"

namespace rondo::chat {

namespace {

constexpr Duration k_typing_pause = std::chrono::seconds(1);
constexpr std::int64_t k_history_limit_max = 200;
constexpr std::size_t k_history_bytes = 196'608;

std::int64_t whole_seconds(Duration wait) noexcept {
  return std::chrono::ceil<std::chrono::seconds>(wait).count();
}

}  // namespace

void JsonSession::greet() {
  const std::string name = "s" + std::to_string(id());
  answer(encode_hello({hub().log().epoch(), hub().options().node, name, hub().options().guests}));
}

bool JsonSession::refuse(std::string_view code, std::string_view detail, std::string_view room) {
  answer(encode_error(code, detail, room));
  return false;
}

Task<bool> JsonSession::receive(std::string_view text) {
  // Who does not take answers is not heard: every answer has its place.
  while (crowded() || sending_ >= k_sending_max) {
    calm().reset();
    co_await calm().wait();
  }
  auto frame = decode(text);
  if (!frame) {
    const Refusal why = refusal_of(frame.error());
    refuse(why.code, why.detail);
    co_return ++bad_frames_ < k_bad_frames_max;
  }
  if (!user() && frame->kind != FrameKind::auth && frame->kind != FrameKind::ping) {
    refuse("unauthorized", "auth first");
    co_return ++bad_frames_ < k_bad_frames_max;
  }
  co_await act(*frame);
  co_return true;
}

Task<> JsonSession::settle() {
  while (!given_up() && (sending_ > 0 || pumping())) {
    calm().reset();
    co_await calm().wait();
  }
  // It hears no more of its rooms: what waits to be written now has an end.
  while (!subscriptions().empty()) hub().leave(*this, subscriptions().back()->room, false);
}

Task<> JsonSession::act(ClientFrame& frame) {
  switch (frame.kind) {
    case FrameKind::auth:
      co_await on_auth(frame);
      co_return;
    case FrameKind::join:
      co_await on_join(frame);
      co_return;
    case FrameKind::send:
      on_send(frame);
      co_return;
    case FrameKind::resume:
      on_resume(frame);
      co_return;
    case FrameKind::sync:
      on_sync(frame);
      co_return;
    case FrameKind::history:
      on_history(frame);
      co_return;
    case FrameKind::rooms:
      answer(encode_rooms(hub().room_lines(user(), false)));
      co_return;
    case FrameKind::ping:
      answer("{\"t\":\"pong\"}");
      co_return;
    case FrameKind::leave:
      if (Room* room = joined_room(frame)) hub().leave(*this, *room, true);
      answer(encode_room_only("left", frame.room));
      co_return;
    case FrameKind::read:
      if (Room* room = joined_room(frame)) hub().read(*this, *room, frame.seq);
      co_return;
    case FrameKind::typing:
      if (now() - typed_at_ < k_typing_pause) co_return;
      typed_at_ = now();
      if (Room* room = joined_room(frame)) hub().typing(*this, *room);
      co_return;
  }
}

Room* JsonSession::joined_room(const ClientFrame& frame) {
  Room* room = hub().find_room(frame.room);
  if (room && in(*room)) return room;
  refuse("not_a_member", "join the room first", frame.room);
  return nullptr;
}

Task<> JsonSession::on_auth(ClientFrame& frame) {
  if (user()) {
    refuse("already_signed_in", "open another connection for another user");
    co_return;
  }
  if (!frame.name.empty()) {
    refuse("bad_credentials", "this server knows guests only");
    co_return;
  }
  if (frame.guest.empty()) {
    auto known = co_await hub().user_of_token(std::move(frame.token));
    if (!known)
      refuse("unavailable", "try again");
    else if (!*known)
      refuse("bad_token", "no such token");
    else
      co_await welcome(**known, {});
    co_return;
  }
  if (!hub().options().guests) {
    refuse("guests_off", "this server takes no guests");
    co_return;
  }
  auto made = co_await hub().make_guest(std::move(frame.guest));
  if (made)
    co_await welcome(made->account, std::move(made->token));
  else if (made.error() == Errc::bad_message)
    refuse("bad_name", made.error().object());
  else
    refuse("unavailable", "try again");
}

Task<> JsonSession::welcome(Account account, std::string token) {
  const UserId id = account.user.id;
  auto rows = co_await hub().log().read([id](Store& store) { return store.memberships(id); });
  if (!rows) {
    refuse("unavailable", "try again");
    co_return;
  }
  // Everybody is in the lobby; who left it comes back by joining.
  Room& lobby = *hub().find_room("lobby");
  const bool knows_lobby =
      std::ranges::any_of(*rows, [&](const MemberRow& row) { return row.room == lobby.id; });
  if (!knows_lobby) {
    const MemberRow row{lobby.id, lobby.head, true};
    rows->push_back(row);
    hub().log().write_later([id, row](Store& store, std::int64_t) -> Result<> {
      if (auto joined = store.set_joined(id, row.room, true); !joined) return joined;
      return store.set_read(id, row.room, row.read);
    });
  }
  OnlineUser& signed_in = hub().sign_in(*this, account, std::move(*rows));
  answer(encode_welcome(signed_in.user(), token, hub().room_lines(&signed_in, true)));
}

std::string JsonSession::members_of(const Room& room) const {
  std::string list("[");
  std::vector<UserId> told;
  for (const Subscription* member : room.members) {
    const User& who = member->session.user()->user();
    if (told.size() >= k_members_told_max) break;
    const auto at = std::ranges::lower_bound(told, who.id);
    if (at != told.end() && *at == who.id) continue;
    told.insert(at, who.id);
    Json item;
    item.open().text("id", user_id(who.id)).text("name", who.name).close();
    if (list.size() > 1) list.push_back(',');
    list.append(item.take());
  }
  list.push_back(']');
  return list;
}

Task<> JsonSession::on_join(ClientFrame& frame) {
  Room* room = hub().find_room(frame.room);
  if (!room && !frame.create) {
    refuse("no_such_room", "there is no such room", frame.room);
    co_return;
  }
  if (subscriptions().size() >= k_rooms_per_session) {
    refuse("too_many_rooms", "leave a room first", frame.room);
    co_return;
  }
  if (!room) {
    auto made = co_await hub().make_room(frame.room);
    if (!made) {
      const bool named = made.error() == Errc::bad_message;
      refuse(named ? "bad_room" : "unavailable",
             named ? k_room_name_rule : "try again", frame.room);
      co_return;
    }
    room = *made;
  }
  hub().join(*this, *room);
  Json out;
  out.open().text("t", "joined").text("room", room->name).number("head", room->head);
  out.number("oldest", room->oldest).number("read", user()->rooms[room->id].read);
  answer(out.raw("members", members_of(*room)).close().take());
}

void JsonSession::on_send(ClientFrame& frame) {
  if (!is_cid(frame.cid)) {
    refuse("bad_frame", "`cid` is 1 to 64 visible ASCII characters");
    return;
  }
  Room* room = hub().find_room(frame.room);
  if (!room || !in(*room)) return answer(encode_nack(frame.cid, "not_a_member"));
  if (frame.body.size() > k_body_bytes_max) return answer(encode_nack(frame.cid, "too_large"));
  if (!is_body(frame.body)) return answer(encode_nack(frame.cid, "bad_body"));
  if (const Duration wait = hub().may_send(user()->user().id); wait > Duration::zero()) {
    return answer(encode_nack(frame.cid, "rate_limited", whole_seconds(wait)));
  }
  Append what{room->id, user()->user(), std::move(frame.cid), std::move(frame.body)};
  ++sending_;
  hub().send(std::move(what),
             [hub = &hub(), id = id()](const Append& stored, const Result<Appended>& where) {
               // Only JSON sessions send this way; ids are not used twice.
               if (auto* session = static_cast<JsonSession*>(hub->find_session(id)))
                 session->sent(stored, where);
             });
}

void JsonSession::sent(const Append& what, const Result<Appended>& where) {
  --sending_;
  calm().set();
  if (!where) return answer(encode_nack(what.cid, "retry", 1));
  const Room* stored_in = hub().find_room(where->room);
  answer(encode_ack(what.cid, stored_in ? stored_in->name : "", where->seq, where->ts, where->dup));
}

void JsonSession::replay(Room& room, Seq after) {
  if (after + 1 < room.oldest || after > room.head) {
    return answer(encode_reset(room.name, room.head, room.oldest));
  }
  catch_up(*in(room), after);
}

void JsonSession::on_resume(const ClientFrame& frame) {
  const bool same_epoch = frame.epoch == hub().log().epoch();
  for (const auto& [name, after] : frame.cursors) {
    Room* room = hub().find_room(name);
    if (!room || subscriptions().size() >= k_rooms_per_session) {
      answer(encode_room_only("gone", name));
      continue;
    }
    hub().join(*this, *room);
    if (same_epoch)
      replay(*room, after);
    else
      answer(encode_reset(room->name, room->head, room->oldest));
  }
}

void JsonSession::on_sync(const ClientFrame& frame) {
  if (Room* room = joined_room(frame)) replay(*room, frame.seq);
}

void JsonSession::on_history(const ClientFrame& frame) {
  Room* room = joined_room(frame);
  if (!room) return;
  if (histories_.size() >= k_history_waiting_max) {
    refuse("busy", "too many questions at once", frame.room);
    return;
  }
  histories_.push_back(
      {room->id, frame.seq, std::clamp<std::int64_t>(frame.limit, 1, k_history_limit_max)});
  wake_pump();
}

Task<bool> JsonSession::pump_more() {
  if (histories_.empty()) co_return false;
  const History asked = histories_.front();
  histories_.pop_front();
  PageQuery query{
      .room = asked.room, .before = asked.before, .limit = asked.limit, .bytes = k_history_bytes};
  auto events = co_await hub().log().read([query](Store& store) { return store.page(query); });
  Room* room = hub().find_room(asked.room);
  if (!events) {
    refuse("unavailable", "the history cannot be read now", room->name);
    co_return true;
  }
  std::string list;
  for (const Event& event : *events) {
    list.append(list.empty() ? "{" : ",{");
    append_event(list, event, room->name);
  }
  const Seq from = events->empty() ? 0 : events->front().seq;
  const Seq to = events->empty() ? 0 : events->back().seq;
  Outbound out(encode_page(room->name, from, to, list));
  if (!co_await push_slowly(out)) give_up();
  co_return true;
}

}  // namespace rondo::chat
