// SPDX-License-Identifier: Apache-2.0
// One connection: hello -> auth -> welcome -> join and resume -> live. Two tasks: one listens, one
// does things. Whatever is told to the server is queued on the stream; the listener notices loss.
#include "sim/chat_client.hpp"

#include <algorithm>
#include <boost/json.hpp>

#include "chat/server/json.hpp"
#include "rondo/core/cancel.hpp"
#include "rondo/core/scope.hpp"
#include "rondo/core/sleep.hpp"

namespace rondo::sim {

namespace {

namespace bj = boost::json;
using chat::Json;
using namespace std::chrono_literals;

constexpr Duration k_connect_timeout = 5s;
constexpr Duration k_silence_max = 15s;  // A ping goes out at least every k_ping_every.
constexpr Duration k_ping_every = 5s;
constexpr Duration k_answer_max = 20s;
constexpr std::size_t k_outbox_full = 16;
constexpr std::size_t k_settled_max = 8;
constexpr std::size_t k_unsent_max = 1'048'576;

std::string text_of(const bj::object& frame, std::string_view name) {
  const bj::value* value = frame.if_contains(bj::string_view(name.data(), name.size()));
  const bj::string* text = value ? value->if_string() : nullptr;
  return text ? std::string(text->data(), text->size()) : std::string();
}

std::int64_t number_of(const bj::object& frame, std::string_view name) {
  const bj::value* value = frame.if_contains(bj::string_view(name.data(), name.size()));
  const std::int64_t* number = value ? value->if_int64() : nullptr;
  return number ? *number : -1;
}

std::string id_of(const bj::object& frame, std::string_view who) {
  const bj::value* user = frame.if_contains(bj::string_view(who.data(), who.size()));
  return user && user->is_object() ? text_of(user->get_object(), "id") : std::string();
}

Json frame_of(std::string_view kind) {
  Json out;
  out.open().text("t", kind);
  return out;
}

std::string room_frame(std::string_view kind, const std::string& room) {
  return frame_of(kind).text("room", room).close().take();
}

}  // namespace

ChatClient::ChatClient(int index, ClientPlan plan, History& history)
    : index_(index),
      plan_(std::move(plan)),
      history_(history),
      dice_(plan_.seed, 100 + static_cast<std::uint64_t>(index)) {
  for (const std::string& room : plan_.rooms) views_[room].from_start = dice_.one_in(2);
}

void ChatClient::read_from_start() {
  for (auto& [name, view] : views_) view.from_start = true;
}

void ChatClient::fail(const std::string& what) const {
  history_.fail("client " + std::to_string(index_) + ": " + what);
}

// --- The connection ---

Task<> ChatClient::run() {
  while (true) {
    auto peer = co_await with_timeout(k_connect_timeout, tcp::connect("server:5556"));
    if (peer) {
      ++connections_;
      co_await session(*peer);
      peer_ = nullptr;
    }
    co_await sleep_for(dice_.moment(50ms, 2s));
  }
}

Task<> ChatClient::session(tcp::Stream& peer) {
  peer_ = &peer;
  signed_in_ = hang_up_ = false;
  for (auto& [name, view] : views_) view.joined = view.syncing = false;
  for (Entry& entry : outbox_) entry.waiting = false;
  co_await with_scope([&](Scope& scope) -> Task<> {
    scope.start([](ChatClient& self) { return self.live(); }, std::ref(*this));
    co_await listen(peer);
    scope.cancel();
  });
}

Task<> ChatClient::listen(tcp::Stream& peer) {
  std::string text;
  while (true) {
    if (!resting_ && plan_.nap_max > 0s && dice_.one_in(20)) {
      co_await sleep_for(dice_.moment(0s, plan_.nap_max));
    }
    auto got = co_await with_timeout(k_silence_max, peer.read());
    if (!got || got->empty()) co_return;
    text.append(got->text());
    std::size_t taken = 0;
    for (std::size_t end; (end = text.find('\n', taken)) != std::string::npos; taken = end + 1) {
      take_line(std::string_view(text).substr(taken, end - taken));
    }
    text.erase(0, taken);
    if (hang_up_) co_return;
  }
}

/// Does something every now and then, and pings.
Task<> ChatClient::live() {
  TimePoint pinged = now();
  while (true) {
    const Duration pause = resting_ ? Duration(500ms) : dice_.moment(10ms, plan_.pause_max);
    co_await sleep_for(std::min<Duration>(pause, k_ping_every));
    if (now() - pinged >= k_ping_every / 2) {
      tell(frame_of("ping").close().take());
      pinged = now();
    }
    if (resting_ && rests_since_ == TimePoint::max()) rests_since_ = now();
    if (!signed_in_) continue;
    resting_ ? say_farewell() : act();
    send_due();
  }
}

void ChatClient::tell(std::string json) {
  json.push_back('\n');
  // A refusal means that the connection is broken, which the listener hears too.
  if (peer_) (void)peer_->try_write(SharedBytes::copy(json), k_unsent_max);
}

// --- What it does ---

void ChatClient::act() {
  const std::uint64_t what = dice_.below(20);
  if (what < 10) return speak();
  if (what < 12) return repeat_something();
  auto view = std::next(views_.begin(), static_cast<std::ptrdiff_t>(dice_.below(views_.size())));
  if (view->second.joined) ask_something(view->first, view->second);
}

void ChatClient::speak() {
  if (!plan_.speaks || outbox_.size() >= k_outbox_full) return;
  const std::string& room = plan_.rooms[dice_.below(plan_.rooms.size())];
  Entry entry;
  entry.room = room;
  entry.cid = "c" + std::to_string(next_cid_++);  // Others use the same: it is unique per sender.
  entry.body = user_ + " says " + entry.cid + " in \"" + room + "\" ";
  entry.body.append(dice_.below(plan_.body_max), static_cast<char>('a' + dice_.below(26)));
  history_.said(user_, entry.cid, {entry.room, entry.body});
  outbox_.push_back(std::move(entry));
}

void ChatClient::say_farewell() {
  if (!plan_.speaks || farewells_left_ == 0 || !outbox_.empty()) return;
  --farewells_left_;
  speak();
}

/// Impatient or forgetful: the same message once more.
void ChatClient::repeat_something() {
  if (dice_.one_in(2) && !outbox_.empty()) {
    const Entry& entry = outbox_[dice_.below(outbox_.size())];
    if (entry.waiting) say(entry);
  } else if (!settled_.empty()) {
    const Entry& entry = settled_[dice_.below(settled_.size())];
    if (views_[entry.room].joined) say(entry);
  }
}

void ChatClient::ask_something(const std::string& room, View& view) {
  switch (dice_.below(7)) {
    case 0:
    case 1:
      if (view.last < 0) return;
      return tell(frame_of("read").text("room", room).number("seq", view.last).close().take());
    case 2:
      return tell(room_frame("typing", room));
    case 3: {
      if (view.last < 0) return;
      const auto before =
          static_cast<std::int64_t>(1 + dice_.below(static_cast<std::uint64_t>(view.last) + 1));
      Json out = frame_of("history").text("room", room).number("before", before);
      return tell(out.number("limit", dice_.between(1, 60)).close().take());
    }
    case 4: {
      if (view.last < 0 || view.syncing) return;
      const Seq after = std::max<Seq>(0, view.last - dice_.between(0, 30));
      view.syncing = true;
      return tell(frame_of("sync").text("room", room).number("after", after).close().take());
    }
    case 5:
      return tell(frame_of("rooms").close().take());
    default:
      tell(room_frame("leave", room));
      tell(frame_of("join").text("room", room).flag("create", true).close().take());
      view.syncing = false;
      return;
  }
}

void ChatClient::send_due() {
  const TimePoint at = now();
  for (Entry& entry : outbox_) {
    if (!views_[entry.room].joined || at < entry.not_before) continue;
    if (entry.waiting && at - entry.sent_at < k_answer_max) continue;
    if (entry.waiting && entry.sent_at >= rests_since_) fail("no answer, though nothing fails");
    entry.waiting = true;
    entry.sent_at = at;
    say(entry);
  }
}

void ChatClient::say(const Entry& entry) {
  Json out = frame_of("send").text("room", entry.room).text("cid", entry.cid);
  tell(out.text("body", entry.body).close().take());
}

void ChatClient::sync(const std::string& room, View& view) {
  if (view.syncing) return;
  view.syncing = true;
  tell(frame_of("sync").text("room", room).number("after", view.last).close().take());
}

/// Resumes the rooms it knows and joins the others.
void ChatClient::enter_rooms() {
  Json out = frame_of("resume").text("epoch", epoch_);
  out.name("cursors").open();
  bool any = false;
  for (auto& [name, view] : views_) {
    if (view.last < 0) {
      tell(frame_of("join").text("room", name).flag("create", true).close().take());
      continue;
    }
    out.number(name, view.last);
    view.joined = view.syncing = any = true;
  }
  if (any) tell(out.close().close().take());
}

// --- What it hears ---

void ChatClient::take_line(std::string_view line) {
  bj::error_code error;
  const bj::value value = bj::parse(bj::string_view(line.data(), line.size()), error);
  if (error || !value.is_object()) {
    return fail("a line that is no JSON object: " + std::string(line.substr(0, 80)));
  }
  take(value.get_object());
}

void ChatClient::take(const bj::object& frame) {
  const std::string kind = text_of(frame, "t");
  if (kind == "ev")
    on_event(frame);
  else if (kind == "ack")
    on_ack(frame);
  else if (kind == "nack")
    on_nack(frame);
  else if (kind == "page")
    on_page(frame);
  else if (kind == "resumed")
    on_resumed(frame);
  else if (kind == "hello")
    on_hello(frame);
  else if (kind == "welcome")
    on_welcome(frame);
  else if (kind == "joined")
    on_joined(frame);
  else if (kind == "error")
    on_error(frame);
  else if (kind == "reset" || kind == "gone")
    fail(bj::serialize(frame));
}

void ChatClient::on_error(const bj::object& frame) {
  // Too many `history` at once; and what a half closed connection carried of the last line.
  const bool busy = text_of(frame, "code") == "busy";
  const bool torn = text_of(frame, "detail") == "incomplete JSON";
  if (busy || torn) return;
  // A person whom a server tells of its trouble comes back later.
  if (plan_.disk_fails && !resting_)
    hang_up_ = true;
  else
    fail(bj::serialize(frame));
}

void ChatClient::on_hello(const bj::object& frame) {
  const std::string epoch = text_of(frame, "epoch");
  if (!epoch_.empty() && epoch != epoch_) fail("the epoch changed without a restore");
  epoch_ = epoch;
  Json out = frame_of("auth");
  if (token_.empty())
    out.text("guest", plan_.name);
  else
    out.text("token", token_);
  tell(out.close().take());
}

void ChatClient::on_welcome(const bj::object& frame) {
  const std::string id = id_of(frame, "user");
  if (!user_.empty() && id != user_) fail("the token of " + user_ + " became " + id);
  user_ = id;
  if (const std::string token = text_of(frame, "token"); !token.empty()) token_ = token;
  signed_in_ = true;
  enter_rooms();
  send_due();
}

void ChatClient::on_joined(const bj::object& frame) {
  const std::string room = text_of(frame, "room");
  View& view = views_[room];
  const Seq head = number_of(frame, "head");
  if (number_of(frame, "oldest") != 1) fail("the oldest event of " + room + " is not the first");
  if (head < view.last) fail("the head of " + room + " went back");
  if (view.last < 0) view.last = view.from_start ? 0 : head;
  view.joined = true;
  if (view.last < head) sync(room, view);
  send_due();
}

void ChatClient::on_event(const bj::object& frame) {
  const SeenEvent event{.room = text_of(frame, "room"),
                        .seq = number_of(frame, "seq"),
                        .prev = number_of(frame, "prev"),
                        .user = id_of(frame, "from"),
                        .cid = text_of(frame, "cid"),
                        .ts = number_of(frame, "ts"),
                        .body = text_of(frame, "body")};
  history_.saw(event);
  View& view = views_[event.room];
  if (view.last < 0 || event.seq <= view.last) return;
  if (event.prev == view.last)
    view.last = event.seq;
  else
    sync(event.room, view);  // Also in a page: what led up to it may have been dropped here.
}

void ChatClient::on_page(const bj::object& frame) {
  const bj::value* events = frame.if_contains("events");
  if (!events || !events->is_array()) return fail("a page without events");
  for (const bj::value& event : events->get_array()) {
    if (event.is_object()) on_event(event.get_object());
  }
}

void ChatClient::on_resumed(const bj::object& frame) {
  const std::string room = text_of(frame, "room");
  View& view = views_[room];
  view.syncing = false;
  // The server may have resumed what fell behind by itself, not what was asked for here.
  if (number_of(frame, "seq") > view.last) sync(room, view);
}

ChatClient::Entry* ChatClient::find_entry(const std::string& cid) {
  const auto found =
      std::ranges::find_if(outbox_, [&](const Entry& entry) { return entry.cid == cid; });
  return found == outbox_.end() ? nullptr : &*found;
}

void ChatClient::on_ack(const bj::object& frame) {
  const SeenAck ack{.cid = text_of(frame, "cid"),
                    .room = text_of(frame, "room"),
                    .seq = number_of(frame, "seq"),
                    .ts = number_of(frame, "ts"),
                    .dup = frame.contains("dup") && frame.at("dup") == true};
  history_.acked(user_, ack);
  Entry* entry = find_entry(ack.cid);
  if (!entry) return;
  Entry done = std::move(*entry);
  outbox_.erase(outbox_.begin() + (entry - &outbox_.front()));
  if (settled_.size() < k_settled_max)
    settled_.push_back(std::move(done));
  else
    settled_[dice_.below(k_settled_max)] = std::move(done);
  if (rests_since_ == TimePoint::max()) return;
  say_farewell();
  send_due();
}

void ChatClient::on_nack(const bj::object& frame) {
  const std::string code = text_of(frame, "code");
  if (code != "rate_limited" && code != "retry") fail("refused: " + bj::serialize(frame));
  Entry* entry = find_entry(text_of(frame, "cid"));
  if (!entry) return;
  entry->waiting = false;
  entry->not_before =
      now() + std::chrono::seconds(std::max<std::int64_t>(1, number_of(frame, "retry_after")));
}

// --- What others ask ---

bool ChatClient::is_settled() const {
  return peer_ && signed_in_ && outbox_.empty() && (farewells_left_ == 0 || !plan_.speaks) &&
         std::ranges::all_of(views_, [](const auto& each) {
           return each.second.joined && !each.second.syncing && each.second.last >= 0;
         });
}

Seq ChatClient::last(const std::string& room) const {
  const auto view = views_.find(room);
  return view == views_.end() ? -1 : view->second.last;
}

std::string ChatClient::describe() const {
  std::string text = "client " + std::to_string(index_) + (peer_ ? "" : " not connected") +
                     (signed_in_ ? "" : " not signed in") + ", outbox " +
                     std::to_string(outbox_.size());
  for (const auto& [name, view] : views_) {
    text += ", " + name + " at " + std::to_string(view.last) + (view.joined ? "" : " not joined") +
            (view.syncing ? " syncing" : "");
  }
  return text;
}

}  // namespace rondo::sim
