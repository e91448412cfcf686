// SPDX-License-Identifier: Apache-2.0
// What sessions of every door have in common: answers, falling behind, catching up.
#include "chat/server/session.hpp"

#include "chat/server/hub.hpp"
#include "chat/server/protocol.hpp"

namespace rondo::chat {

Session::Session(Hub& hub) : hub_(hub), id_(hub.add(*this)) {}
Session::~Session() { hub_.remove(*this); }

Subscription* Session::in(const Room& room) noexcept {
  for (const auto& at : subscriptions_) {
    if (&at->room == &room) return at.get();
  }
  return nullptr;
}

void Session::answer(std::string json) {
  if (given_up_) return;
  Outbound out(std::move(json));
  if (answers_.empty() && push(out, k_answer_budget)) return;
  if (answers_.size() >= k_answers_max) {
    ++hub_.statistics().answers_dropped;
    return;
  }
  answers_.push_back(std::move(out));
  wake_pump();
}

void Session::deliver(Subscription& at, Outbound& out, Seq seq) {
  if (at.behind || given_up_) return;
  if (push(out)) {
    at.sent = seq;
    ++hub_.statistics().deliveries;
    return;
  }
  ++hub_.statistics().behind;
  at.behind = true;
  wake_pump();
}

void Session::catch_up(Subscription& at, Seq after) {
  at.sent = after;
  at.behind = true;
  wake_pump();
}

void Session::wake_pump() {
  if (pumping_ || !scope_ || given_up_) return;
  pumping_ = true;
  scope_->start(Named{"pump"}, [](Session* self) { return self->pump(); }, this);
}

Task<> Session::pump() {
  while (!given_up_) {
    if (co_await pump_answers()) continue;
    if (co_await pump_room()) continue;
    if (!co_await pump_more()) break;
  }
  pumping_ = false;
  calm_.set();
}

Task<bool> Session::pump_answers() {
  if (answers_.empty()) co_return false;
  // It stays in front until it was taken: later answers must not overtake it.
  if (!co_await push_slowly(answers_.front())) give_up();
  answers_.pop_front();
  calm_.set();
  co_return true;
}

/// One page of the first room that is behind.
Task<bool> Session::pump_room() {
  Subscription* at = nullptr;
  for (const auto& each : subscriptions_) {
    if (each->behind) {
      at = each.get();
      break;
    }
  }
  if (!at) co_return false;
  Room& room = at->room;
  if (at->sent >= room.head) {
    at->behind = false;
    caught_up(*at);
    co_return true;
  }
  PageQuery query{.room = room.id, .after = at->sent, .limit = 500, .bytes = k_page_bytes};
  auto events = co_await hub_.log().read([query](Store& store) { return store.page(query); });
  at = in(room);  // It may have left meanwhile, or asked for another place.
  if (!at || at->sent != *query.after) co_return true;
  if (!events || events->empty()) {
    answer(encode_error("unavailable", "the history cannot be read now", room.name));
    at->behind = false;
    co_return true;
  }
  ++hub_.statistics().pages;
  at->sent = events->back().seq;
  for (Outbound& out : page_of(room, *events)) {
    if (co_await push_slowly(out)) continue;
    give_up();
    break;
  }
  co_return true;
}

std::vector<Outbound> Session::page_of(const Room& room, const std::vector<Event>& events) {
  std::string list;
  for (const Event& event : events) {
    list.append(list.empty() ? "{" : ",{");
    append_event(list, event, room.name);
  }
  std::vector<Outbound> out;
  out.emplace_back(encode_page(room.name, events.front().seq, events.back().seq, list));
  return out;
}

void Session::caught_up(Subscription& at) { answer(encode_resumed(at.room.name, at.sent)); }

Task<bool> Session::pump_more() { co_return false; }

}  // namespace rondo::chat
