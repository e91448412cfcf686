// SPDX-License-Identifier: Apache-2.0
// The operations over HTTP, the same JSON objects as everywhere; health and metrics.
#include <algorithm>

#include <boost/json.hpp>

#include "chat/server/doors.hpp"
#include "chat/server/json.hpp"
#include "chat/server/random.hpp"
#include "chat/server/text.hpp"
#include "rondo/core/cancel.hpp"
#include "rondo/core/future.hpp"
#include "rondo/http/sse.hpp"
#include "rondo/net/endpoint.hpp"
#include "rondo/proto/url.hpp"

namespace rondo::chat {

namespace {

constexpr Duration k_sse_silence = std::chrono::seconds(15);
constexpr std::int64_t k_page_limit_max = 200;

void send_json(http::Response& response, int status, std::string json) {
  response.status(status).content_type("application/json").header("Cache-Control", "no-store");
  response.header("X-Content-Type-Options", "nosniff").send_owned(std::move(json));
}
void send_problem(http::Response& response, int status, std::string_view code,
                  std::string_view detail) {
  if (status == 401) response.header("WWW-Authenticate", "Bearer");
  send_json(response, status, encode_error(code, detail));
}

/// One text field of a JSON object in a body.
std::optional<std::string> text_field(const boost::json::object& object, std::string_view name) {
  const auto* value = object.if_contains({name.data(), name.size()});
  const auto* text = value ? value->if_string() : nullptr;
  if (!text) return std::nullopt;
  return std::string(text->data(), text->size());
}

Task<std::optional<boost::json::object>> read_object(http::Request& request,
                                                     http::Response& response) {
  request.set_body_max(k_frame_bytes_max);
  auto body = co_await request.read_all();
  if (!body) {
    send_problem(response, http::status_of(body.error()), "bad_body", body.error().message());
    co_return std::nullopt;
  }
  boost::json::error_code error;
  boost::json::parse_options options;
  options.max_depth = k_depth_max;
  auto value = boost::json::parse({body->data(), body->size()}, error, {}, options);
  if (!error && value.is_object()) co_return std::move(value.get_object());
  send_problem(response, 400, "bad_body", "the body is a JSON object");
  co_return std::nullopt;
}

/// Whose token came with the request; answers 401 when there is none.
Task<std::optional<User>> caller(Hub& hub, http::Request& request, http::Response& response) {
  constexpr std::string_view k_bearer = "Bearer ";
  const std::string_view field = request.header("Authorization");
  if (!field.starts_with(k_bearer)) {
    send_problem(response, 401, "unauthorized", "Authorization: Bearer TOKEN is missing");
    co_return std::nullopt;
  }
  auto known = co_await hub.user_of_token(std::string(field.substr(k_bearer.size())));
  if (known && *known) co_return (*known)->user;
  if (known)
    send_problem(response, 401, "bad_token", "no such token");
  else
    send_problem(response, 503, "unavailable", "try again");
  co_return std::nullopt;
}

Room* room_of(Hub& hub, http::Request& request, http::Response& response) {
  Room* room = hub.find_room(request.param("room"));
  if (!room) send_problem(response, 404, "no_such_room", "there is no such room");
  return room;
}

/// A number of the query; false (and 400) when it is none.
bool take_number(http::Request& request, http::Response& response, std::string_view name,
                 std::optional<std::int64_t>& into) {
  const auto text = request.query_value(name);
  if (!text) return true;
  std::int64_t value = 0;
  const auto end = std::from_chars(text->data(), text->data() + text->size(), value);
  if (end.ec == std::errc() && end.ptr == text->data() + text->size() && value >= 0) {
    into = value;
    return true;
  }
  send_problem(response, 400, "bad_query",
               "`" + std::string(name) + "` is a whole number from 0 on");
  return false;
}

Task<> post_guest(Hub& hub, http::Request& request, http::Response& response) {
  auto object = co_await read_object(request, response);
  if (!object) co_return;
  if (!hub.options().guests)
    co_return send_problem(response, 403, "guests_off", "this server takes no guests");
  auto made = co_await hub.make_guest(text_field(*object, "name").value_or(""));
  if (!made) {
    const bool named = made.error() == Errc::bad_message;
    co_return send_problem(response, named ? 400 : 503, named ? "bad_name" : "unavailable",
                           named ? made.error().object() : "try again");
  }
  Json out;
  out.open().name("user").open().text("id", user_id(made->account.user.id));
  out.text("name", made->account.user.name).close().text("token", made->token).close();
  send_json(response, 201, out.take());
}

Task<> post_message(Hub& hub, http::Request& request, http::Response& response) {
  const auto user = co_await caller(hub, request, response);
  if (!user) co_return;
  Room* room = room_of(hub, request, response);
  if (!room) co_return;
  auto object = co_await read_object(request, response);
  if (!object) co_return;
  const auto cid = text_field(*object, "cid");
  auto body = text_field(*object, "body");
  if (!cid || !is_cid(*cid))
    co_return send_problem(response, 400, "bad_cid", "`cid` is 1 to 64 visible ASCII characters");
  if (!body || !is_body(*body))
    co_return send_problem(response, 400, "bad_body", "`body` is a text of at most 16384 bytes");
  if (const Duration wait = hub.may_send(user->id); wait > Duration::zero()) {
    const auto seconds = std::chrono::ceil<std::chrono::seconds>(wait).count();
    response.header("Retry-After", std::to_string(seconds));
    co_return send_problem(response, 429, "rate_limited", "too many messages");
  }
  auto pair = make_promise<Appended>();
  hub.send({room->id, *user, *cid, std::move(*body)},
           [promise = std::move(pair.promise)](
               const Append&, const Result<Appended>& where) mutable { promise.set(where); });
  const Result<Appended> where = co_await pair.future;
  if (!where) {
    response.header("Retry-After", "1");
    co_return send_problem(response, 503, "retry", "nothing was stored; send the same cid again");
  }
  const Room* stored_in = hub.find_room(where->room);
  send_json(response, 200,
            encode_ack(*cid, stored_in ? stored_in->name : "", where->seq, where->ts, where->dup));
}

Task<> get_messages(Hub& hub, http::Request& request, http::Response& response) {
  if (!co_await caller(hub, request, response)) co_return;
  Room* room = room_of(hub, request, response);
  if (!room) co_return;
  PageQuery query{.room = room->id, .bytes = k_page_bytes_max - 4'096};
  std::optional<std::int64_t> limit;
  if (!take_number(request, response, "after", query.after) ||
      !take_number(request, response, "before", query.before) ||
      !take_number(request, response, "limit", limit)) {
    co_return;
  }
  query.limit = std::clamp<std::int64_t>(limit.value_or(50), 1, k_page_limit_max);
  auto events = co_await hub.log().read([query](Store& store) { return store.page(query); });
  if (!events) co_return send_problem(response, 503, "unavailable", "try again");
  std::string list;
  for (const Event& event : *events) {
    list.append(list.empty() ? "{" : ",{");
    append_event(list, event, room->name);
  }
  const Seq from = events->empty() ? 0 : events->front().seq;
  const Seq to = events->empty() ? 0 : events->back().seq;
  send_json(response, 200, encode_page(room->name, from, to, list));
}

/// Follows a room from the log: whoever reads slowly just asks for the next page later.
Task<> follow(Hub& hub, Room& room, Seq after, http::Response& response) {
  http::EventStream stream(response);
  if (!co_await response.flush()) co_return;
  while (!hub.stopping()) {
    if (after >= room.head) {
      auto news = co_await with_timeout(k_sse_silence, room.changed.wait());
      if (!news && !co_await stream.keep_alive()) co_return;
      continue;
    }
    const PageQuery query{.room = room.id, .after = after, .limit = 200};
    auto events = co_await hub.log().read([query](Store& store) { return store.page(query); });
    if (!events || events->empty()) co_return;
    for (const Event& event : *events) {
      const std::string json = encode_event(event, room.name);
      const std::string id = std::to_string(event.seq);
      if (!co_await stream.send({.data = json, .id = id})) co_return;
      after = event.seq;
    }
  }
}

Task<> get_events(Hub& hub, http::Request& request, http::Response& response) {
  if (!co_await caller(hub, request, response)) co_return;
  Room* room = room_of(hub, request, response);
  if (!room) co_return;
  std::optional<std::int64_t> after;
  if (!take_number(request, response, "after", after)) co_return;
  const std::string_view last = request.header("Last-Event-ID");
  std::int64_t seen = 0;
  if (!last.empty() &&
      std::from_chars(last.data(), last.data() + last.size(), seen).ec == std::errc()) {
    after = seen;
  }
  co_await follow(hub, *room, std::min(after.value_or(room->head), room->head), response);
}

/// Loopback by the rule of the reference: peer, Host, and nothing forwarded.
bool from_this_machine(const http::Request& request) {
  auto peer = net::Endpoint::parse(request.peer());
  if (!peer || !peer->is_loopback()) return false;
  auto host = proto::parse_authority(request.authority());
  const bool named = host && (host->host == "localhost" || host->host == "[::1]" ||
                              host->host.starts_with("127."));
  if (!named || !request.header("Forwarded").empty()) return false;
  for (const std::string_view name :
       {"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP"}) {
    if (!request.header(name).empty()) return false;
  }
  return true;
}

void metric(std::string& out, std::string_view name, std::string_view kind, std::uint64_t value) {
  out.append("# TYPE ").append(name).append(" ").append(kind).append("\n");
  out.append(name).append(" ").append(std::to_string(value)).append("\n");
}

void get_metrics(Hub& hub, http::Request& request, http::Response& response) {
  if (!from_this_machine(request))
    return send_problem(response, 403, "forbidden", "metrics are for this machine");
  std::string out;
  const LogStatistics log = hub.log().statistics();
  const HubStatistics& rooms = hub.statistics();
  metric(out, "rondo_chat_sessions", "gauge", hub.session_count());
  metric(out, "rondo_chat_users", "gauge", hub.user_count());
  metric(out, "rondo_chat_rooms", "gauge", hub.room_count());
  metric(out, "rondo_chat_messages_stored_total", "counter", log.appended);
  metric(out, "rondo_chat_duplicates_total", "counter", log.duplicates);
  metric(out, "rondo_chat_commits_total", "counter", log.commits);
  metric(out, "rondo_chat_commits_failed_total", "counter", log.failed_commits);
  metric(out, "rondo_chat_appends_refused_total", "counter", log.refused);
  metric(out, "rondo_chat_appends_queued", "gauge", log.queued);
  metric(out, "rondo_chat_deliveries_total", "counter", rooms.deliveries);
  metric(out, "rondo_chat_fell_behind_total", "counter", rooms.behind);
  metric(out, "rondo_chat_catch_up_pages_total", "counter", rooms.pages);
  metric(out, "rondo_chat_answers_dropped_total", "counter", rooms.answers_dropped);
  const LoopStatistics turned = loop().statistics();
  metric(out, "rondo_loop_iterations_total", "counter", turned.iterations);
  metric(out, "rondo_loop_resumes_total", "counter", turned.resumes);
  metric(out, "rondo_loop_tasks", "gauge", turned.live_tasks);
  response.content_type("text/plain; version=0.0.4").send_owned(std::move(out));
}

}  // namespace

void add_api(http::Router& router, Hub& hub) {
  Hub* at = &hub;
  router.post("/api/v1/guest",
              [at](http::Request& q, http::Response& a) { return post_guest(*at, q, a); });
  router.post("/api/v1/rooms/{room}/messages",
              [at](http::Request& q, http::Response& a) { return post_message(*at, q, a); });
  router.get("/api/v1/rooms/{room}/messages",
             [at](http::Request& q, http::Response& a) { return get_messages(*at, q, a); });
  router.get("/api/v1/rooms/{room}/events",
             [at](http::Request& q, http::Response& a) { return get_events(*at, q, a); });
  router.get("/healthz",
             [](http::Request&, http::Response& a) { a.content_type("text/plain").send("ok\n"); });
  router.get("/readyz", [at](http::Request&, http::Response& a) {
    if (at->stopping())
      a.send_error(503, "stopping\n");
    else
      a.content_type("text/plain").send("ready\n");
  });
  router.get("/metrics", [at](http::Request& q, http::Response& a) { get_metrics(*at, q, a); });
}

}  // namespace rondo::chat
