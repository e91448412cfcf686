// SPDX-License-Identifier: Apache-2.0
// The client's dialogue. States of a connection: hello -> auth -> joined (sending) -> lost.
#include "chat/join/client.hpp"

#include <algorithm>
#include <boost/json.hpp>

#include "chat/server/json.hpp"
#include "chat/server/random.hpp"
#include "chat/server/text.hpp"
#include "cli/text.hpp"
#include "rondo/core/cancel.hpp"
#include "rondo/core/scope.hpp"
#include "rondo/core/sleep.hpp"
#include "rondo/core/when.hpp"
#include "rondo/proto/url.hpp"

namespace rondo::chat {

namespace {

namespace bj = boost::json;

constexpr Duration k_connect_timeout = std::chrono::seconds(10);
constexpr Duration k_answer_timeout = std::chrono::seconds(15);
constexpr Duration k_silence_max = std::chrono::seconds(130);  // Two of the server's pings.
constexpr Duration k_pause_min = std::chrono::milliseconds(200);
constexpr Duration k_pause_max = std::chrono::seconds(5);
constexpr std::int64_t k_tail = 10;            // Messages shown to who comes in.
constexpr std::size_t k_names_told_max = 12;

std::string text_of(const bj::object& object, std::string_view name) {
  const auto* value = object.if_contains({name.data(), name.size()});
  const auto* text = value ? value->if_string() : nullptr;
  return text ? std::string(text->data(), text->size()) : std::string();
}
std::int64_t number_of(const bj::object& object, std::string_view name) {
  const auto* value = object.if_contains({name.data(), name.size()});
  const auto* number = value ? value->if_int64() : nullptr;
  return number ? *number : 0;
}
const bj::object* object_of(const bj::object& object, std::string_view name) {
  const auto* value = object.if_contains({name.data(), name.size()});
  return value ? value->if_object() : nullptr;
}

/// "Rahul, Mira and 3 more", without us.
std::string others_here(const bj::object& joined, std::string_view our_id) {
  const auto* members = joined.if_contains("members");
  if (!members || !members->is_array()) return {};
  std::string names;
  std::size_t count = 0;
  for (const bj::value& member : members->get_array()) {
    if (!member.is_object() || text_of(member.get_object(), "id") == our_id) continue;
    if (++count > k_names_told_max) continue;
    names.append(names.empty() ? "" : ", ");
    names.append(cli::terminal_text(text_of(member.get_object(), "name")));
  }
  if (count > k_names_told_max)
    names.append(" and " + std::to_string(count - k_names_told_max) + " more");
  return names;
}

/// Why there is no connection, for whoever started us.
std::string connecting_failed(const Error& error) {
  switch (error.code()) {
    case Errc::untrusted: return error.message() + " (--ca FILE names whom to believe)";
    case Errc::protocol_error: return std::string(error.object()) + " (that is no `rondo chat`)";
    default: return describe(error.code()) + " (is `rondo chat` running there?)";
  }
}

}  // namespace

Client::Client(JoinOptions options, Output output)
    : options_(std::move(options)), output_(std::move(output)) {}

Task<> Client::say(std::string body) {
  while (outbox_.size() >= k_outbox_max) {
    room_.reset();
    co_await room_.wait();
  }
  if (!is_body(body)) {
    if (body.size() > k_body_bytes_max) {
      output_.warn("a line of more than 16384 bytes was not sent");
      status_ = 1;
    }
    co_return;
  }
  outbox_.push_back({random_hex(16), std::move(body)});
  changed_.set();
}

void Client::end_input() {
  input_ended_ = true;
  changed_.set();
}

Task<int> Client::run() {
  auto url = proto::parse_url(options_.url);
  const std::string host(url->authority.host);
  const bool secure = url->scheme == "https";
  where_ = host + ":" + std::to_string(url->authority.port.value_or(secure ? 443 : 80));
  std::optional<tls::Context> tls;
  if (secure) {
    auto context = tls::Context::client({.authorities_file = options_.ca, .alpn = {"http/1.1"}});
    if (!context) {
      output_.warn(context.error().message());
      co_return 1;
    }
    tls = std::move(*context);
  }
  Duration pause = k_pause_min;
  bool connected = false;
  while (!fatal_ && !(connected && done())) {
    auto link = co_await with_timeout(k_connect_timeout, Link::open(where_, tls));
    if (link) {
      connected = true;
      if (co_await session(*link)) pause = k_pause_min;
    } else if (!connected) {
      output_.warn("cannot connect to " + where_ + ": " + connecting_failed(link.error()));
      co_return 1;
    }
    if (fatal_ || done()) break;
    if (pause == k_pause_min) output_.warn("the connection is lost; trying again");
    co_await sleep_for(pause);
    pause = std::min(pause * 2, k_pause_max);
  }
  co_return status_;
}

/// One connection, to its end. True when it came as far as the room.
Task<bool> Client::session(Link& link) {
  hello_ = joined_ = false;
  user_.clear();
  for (Entry& entry : outbox_) entry.waiting = false;
  co_await when_any(receive(link), send(link));
  co_return joined_;
}

Task<> Client::receive(Link& link) {
  while (!fatal_) {
    auto text = co_await with_timeout(k_silence_max, link.receive());
    if (!text) co_return;
    bj::error_code error;
    const bj::value frame = bj::parse(bj::string_view(text->data(), text->size()), error);
    if (error || !frame.is_object()) continue;
    take(frame.get_object());
  }
}

std::string Client::greeting() const {
  Json auth;
  auth.open().text("t", "auth");
  if (token_.empty())
    auth.text("guest", options_.name);
  else
    auth.text("token", token_);
  return auth.close().take();
}

/// The frames of signing in and joining, after each other; nothing when there is none to say now.
std::string Client::next_step(Step& step) const {
  if (step == Step::hello && hello_) {
    step = Step::welcome;
    return greeting();
  }
  if (step == Step::welcome && !user_.empty()) {
    step = Step::resume;
    if (seen_ >= 0) {
      Json frame;
      frame.open().text("t", "resume").text("epoch", epoch_).name("cursors").open();
      return frame.number(options_.room, seen_).close().close().take();
    }
  }
  if (step == Step::resume) {
    step = Step::join;
    Json frame;
    frame.open().text("t", "join").text("room", options_.room).flag("create", true);
    return frame.close().take();
  }
  if (step == Step::join && joined_ && tail_ >= 0) {
    step = Step::tail;
    Json frame;
    frame.open().text("t", "sync").text("room", options_.room).number("after", tail_);
    return frame.close().take();
  }
  return {};
}

/// Everything this client says on a connection.
Task<> Client::send(Link& link) {
  Step step = Step::hello;
  while (!done()) {
    changed_.reset();
    if (const std::string frame = next_step(step); !frame.empty()) {
      if (!co_await link.send(frame)) co_return;
      continue;
    }
    Entry* entry = joined_ && !outbox_.empty() ? &outbox_.front() : nullptr;
    if (!entry || entry->waiting) {
      auto answered = co_await with_timeout(k_answer_timeout, changed_.wait());
      if (!answered && (entry || !joined_))
        co_return;  // No answer: on another connection, the same cid.
      continue;
    }
    if (entry->not_before > now()) co_await sleep_until(entry->not_before);
    entry->waiting = true;
    Json frame;
    frame.open().text("t", "send").text("room", options_.room).text("cid", entry->cid);
    if (!co_await link.send(frame.text("body", entry->body).close().take())) co_return;
  }
}

void Client::settle_front() {
  outbox_.pop_front();
  changed_.set();
  room_.set();
}

void Client::take_answer(const bj::object& frame, bool stored) {
  if (outbox_.empty() || outbox_.front().cid != text_of(frame, "cid")) return;
  if (stored) return settle_front();
  const std::string code = text_of(frame, "code");
  if (code == "rate_limited" || code == "retry") {
    outbox_.front().waiting = false;
    outbox_.front().not_before =
        now() + std::chrono::seconds(std::max<std::int64_t>(1, number_of(frame, "retry_after")));
    changed_.set();
    return;
  }
  output_.warn("a message was refused: " + cli::terminal_text(code));
  status_ = 1;
  settle_front();
}

void Client::take_event(const bj::object& event) {
  const std::int64_t seq = number_of(event, "seq");
  if (seq <= seen_) return;
  seen_ = seq;
  const bj::object* from = object_of(event, "from");
  if (!from || text_of(*from, "id") == user_) return;
  output_.show(cli::terminal_text(text_of(*from, "name")) + ": " +
               cli::terminal_text(text_of(event, "body")));
}

void Client::greet(const bj::object& joined) {
  if (std::exchange(greeted_, true)) return output_.show("Connected again.");
  output_.show("#" + options_.room + " on " + where_ + ", you are " + cli::terminal_text(name_) +
               ".");
  const std::string others = others_here(joined, user_);
  output_.show(others.empty() ? "Nobody else is here." : "Here: " + others + ".");
  output_.show("A line and Enter says it; Ctrl+D leaves.");
}

void Client::take_joined(const bj::object& frame) {
  tail_ = -1;
  if (seen_ < 0) {
    seen_ = number_of(frame, "head");
    const std::int64_t oldest = std::max<std::int64_t>(1, number_of(frame, "oldest"));
    // The log brings the last messages in order, and what is said meanwhile behind them.
    if (options_.greet && seen_ >= oldest)
      seen_ = tail_ = std::max(seen_ - k_tail, oldest - 1);
  }
  if (options_.greet) greet(frame);
  joined_ = true;
  changed_.set();
}

void Client::take(const bj::object& frame) {
  const std::string kind = text_of(frame, "t");
  if (kind == "hello") {
    hello_ = true;
    changed_.set();
    const std::string epoch = text_of(frame, "epoch");
    if (epoch != epoch_) seen_ = -1;
    epoch_ = epoch;
  } else if (kind == "welcome") {
    if (const bj::object* user = object_of(frame, "user")) {
      user_ = text_of(*user, "id");
      name_ = text_of(*user, "name");
    }
    if (const std::string token = text_of(frame, "token"); !token.empty()) token_ = token;
    changed_.set();
  } else if (kind == "joined") {
    take_joined(frame);
  } else if (kind == "ev") {
    // While the last messages are on their way, what was said meanwhile comes behind them.
    if (tail_ < 0 || number_of(frame, "prev") <= seen_) take_event(frame);
  } else if (kind == "resumed") {
    tail_ = -1;
  } else if (kind == "page") {
    const auto* events = frame.if_contains("events");
    if (!events || !events->is_array()) return;
    for (const bj::value& event : events->get_array()) {
      if (event.is_object()) take_event(event.get_object());
    }
  } else if (kind == "reset") {
    seen_ = number_of(frame, "snapshot_seq");
  } else if (kind == "ack" || kind == "nack") {
    take_answer(frame, kind == "ack");
  } else if (kind == "presence") {
    const bj::object* user = object_of(frame, "user");
    if (user)
      output_.show("* " + cli::terminal_text(text_of(*user, "name")) + " " +
                   cli::terminal_text(text_of(frame, "state")));
  } else if (kind == "error") {
    tail_ = -1;
    const std::string detail = text_of(frame, "detail");
    output_.warn("the server says: " +
                 cli::terminal_text(detail.empty() ? text_of(frame, "code") : detail));
    if (user_.empty() || !joined_) {
      fatal_ = true;
      status_ = 1;
      changed_.set();
    }
  }
}

}  // namespace rondo::chat
