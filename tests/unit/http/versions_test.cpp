// SPDX-License-Identifier: Apache-2.0
// One table of requests, served by the same handlers over HTTP/1.1 and over HTTP/2: the answers
// are the same.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "http2_talk.hpp"
#include "rondo/http/sse.hpp"
#include "rondo/proto/http1.hpp"

namespace rondo::testing {
namespace {

using namespace rondo::literals;
using http::Request;
using http::Response;

/// Handlers that have nothing to wait for.
void add_plain(http::Router& router, std::vector<std::string>& log) {
  router.filter([&log](Request& in, Response& out) {
    log.push_back(std::string(in.method_text()) + " " + std::string(in.path()) + " " +
                  std::string(in.authority()) + " " + std::string(in.peer()));
    if (!in.path().starts_with("/secret")) return true;
    out.send_error(403);
    return false;
  });
  router.get("/", [](Request&, Response& out) { out.content_type("text/plain").send("Hello"); });
  router.get("/hello/{name}", [](Request& in, Response& out) {
    out.header("X-Query", in.query_value("q").value_or("none"))
        .header("X-Cookie", in.header("Cookie", "none"))
        .send(in.param("name"));
  });
  router.get("/empty", [](Request&, Response& out) { out.status(204).send(); });
  router.get("/same", [](Request&, Response& out) {
    out.status(304).header("ETag", "\"a\"").send();
  });
  router.get("/moved", [](Request&, Response& out) { out.redirect("/elsewhere"); });
  router.get("/large", [](Request&, Response& out) { out.send_owned(std::string(60'000, 'o')); });
  router.get("/shared", [](Request&, Response& out) {
    out.send(SharedBytes::copy(std::string(50'000, 's')));
  });
  router.post("/ignore", [](Request&, Response& out) { out.send("ignored"); });
  router.get("/illegal", [](Request&, Response& out) {
    out.header("X", "a\r\nSet-Cookie: stolen").send("no");
  });
  router.get("/upgrade", [](Request& in, Response& out) {
    out.send(in.head().upgrade().empty() ? "plain" : "upgrade");
  });
}

/// Handlers that are coroutines.
void add_tasks(http::Router& router) {
  router.get("/nothing-said", [](Request&, Response&) -> Task<> { co_return; });
  router.get("/stream", [](Request&, Response& out) -> Task<> {
    for (const std::size_t size : {3U, 5'000U, 0U, 4'096U, 1U, 30'000U}) {
      const std::string piece(size, 'p');
      if (!co_await out.write(std::string_view(piece))) co_return;
      if (size == 1) co_await sleep_for(1ms);
    }
  });
  router.get("/measured", [](Request&, Response& out) -> Task<> {
    out.content_length(8);
    (void)co_await out.write(std::string_view("four"));
    (void)co_await out.flush();
    (void)co_await out.write(std::string_view("four"));
  });
  router.get("/events", [](Request&, Response& out) -> Task<> {
    http::EventStream events(out);
    for (int i = 0; i < 3; ++i) {
      if (!co_await events.send({.data = std::to_string(i), .event = "tick"})) co_return;
      co_await sleep_for(1s);
    }
  });
  router.post("/echo", [](Request& in, Response& out) -> Task<> {
    auto body = co_await in.read_all();
    if (!body) co_return out.send_error(http::status_of(body.error()));
    out.content_type(in.header("content-type", "none")).send(*body);
  });
  router.post("/pieces", [](Request& in, Response& out) -> Task<> {
    std::size_t size = 0;
    while (true) {
      auto piece = co_await in.read();
      if (!piece) co_return out.send_error(http::status_of(piece.error()));
      if (piece->empty()) break;
      size += piece->size();
    }
    out.send(std::to_string(size));
  });
  router.post("/both-ways", [](Request& in, Response& out) -> Task<> {
    while (true) {
      auto piece = co_await in.read();
      if (!piece || piece->empty()) co_return;
      if (!co_await out.write(*piece)) co_return;
    }
  });
  router.post("/wide", [](Request& in, Response& out) -> Task<> {
    in.set_body_max(100'000);
    auto body = co_await in.read_all();
    out.send(body ? std::to_string(body->size()) : "too large");
  });
  router.get("/throws", [](Request&, Response&) -> Task<> {
    co_await sleep_for(1ms);
    throw std::runtime_error("told in a test");
  });
}

http::Router site(std::vector<std::string>& log) {
  http::Router router;
  add_plain(router, log);
  add_tasks(router);
  return router;
}

struct Question {
  std::string method = "GET";
  std::string path = {};
  h2::Fields fields = {};
  std::string body = {};
};

struct Answer {
  int status = 0;
  std::map<std::string, std::string> fields = {};
  std::string body = {};
  bool operator==(const Answer&) const = default;
};

/// What is the version's own.
void drop_own(Answer& answer) {
  for (const char* own : {"date", "connection", "transfer-encoding"}) answer.fields.erase(own);
}

constexpr http::ServerOptions k_options{.body_max = 70'000};

Answer ask_http1(http::Router router, const Question& question, std::size_t piece) {
  std::string text = question.method + " " + question.path + " HTTP/1.1\r\nHost: a\r\n";
  for (const auto& [name, value] : question.fields) text += name + ": " + value + "\r\n";
  if (question.method == "POST")
    text += "Content-Length: " + std::to_string(question.body.size()) + "\r\n";
  const Outcome outcome = ask(std::move(router), text + "\r\n" + question.body, k_options,
                              {.piece_max = piece});
  proto::ResponseParser parser;
  if (question.method == "HEAD") parser.expect_no_body();
  Answer answer;
  for (ByteView input = as_bytes(outcome.heard);;) {
    const proto::HttpEvent event = parser.next(input);
    if (event == proto::HttpEvent::body) {
      answer.body.append(as_text(parser.body()));
      continue;
    }
    if (event != proto::HttpEvent::head) break;
    answer.status = parser.head().status();
    for (std::size_t i = 0; i < parser.head().field_count(); ++i) {
      std::string name(parser.head().field(i).name);
      std::ranges::transform(name, name.begin(), [](char c) { return std::tolower(c); });
      answer.fields[name] = parser.head().field(i).value;
    }
  }
  drop_own(answer);
  return answer;
}

Answer ask_http2(http::Router router, const Question& question, std::size_t piece) {
  std::string text = h2::preface();
  const h2::Fields head = h2::head_of(question.method, question.path, question.fields);
  if (question.method != "POST") {
    text += h2::headers(1, head);
  } else {
    h2::Fields measured = head;
    measured.emplace_back("content-length", std::to_string(question.body.size()));
    text += h2::headers(1, measured, false);
    std::string_view rest = question.body;
    do {
      const std::string_view part = rest.substr(0, 16'000);
      rest.remove_prefix(part.size());
      text += h2::data(1, part, rest.empty());
    } while (!rest.empty());
  }
  Answer answer;
  play2({.router = std::move(router),
         .options = k_options,
         .pair = {.piece_max = piece},
         .client = [&](Http2Client& c) -> Task<> {
           co_await c.say(text);
           co_await c.hear_answer(1);
           answer = {c.heard[1].status, c.heard[1].fields, c.heard[1].body};
         }});
  drop_own(answer);
  return answer;
}

TEST(HttpVersions, giveTheSameAnswers) {
  const std::string large(60'000, 'b');
  const Question questions[] = {
      {.path = "/"},
      {.method = "HEAD", .path = "/"},
      {.method = "HEAD", .path = "/large"},
      {.method = "HEAD", .path = "/stream"},
      {.method = "OPTIONS", .path = "/"},
      {.method = "OPTIONS", .path = "*"},
      {.method = "DELETE", .path = "/"},
      {.path = "/hello/Ada%20L?q=a+b", .fields = {{"cookie", "a=1; b=2"}}},
      {.path = "/hello/", .fields = {{"x-y", "z"}}},
      {.path = "/secret/x"},
      {.path = "/nowhere"},
      {.path = "/bad%zz"},
      {.path = "/a\"b"},
      {.path = "/" + std::string(9'000, 'a')},
      {.path = "/", .fields = h2::Fields(120, {"x", "y"})},
      {.path = "/empty"},
      {.path = "/same"},
      {.path = "/nothing-said"},
      {.path = "/moved"},
      {.path = "/large"},
      {.path = "/shared"},
      {.path = "/stream"},
      {.path = "/measured"},
      {.method = "HEAD", .path = "/measured"},
      {.path = "/events"},
      {.method = "POST", .path = "/echo", .body = "ping"},
      {.method = "POST", .path = "/echo", .body = ""},
      {.method = "POST", .path = "/echo", .fields = {{"content-type", "x/y"}}, .body = large},
      {.method = "POST", .path = "/echo", .fields = {{"expect", "100-continue"}}, .body = "ping"},
      {.method = "POST", .path = "/echo", .body = std::string(70'001, 'b')},
      {.method = "POST", .path = "/pieces", .body = large},
      {.method = "POST", .path = "/both-ways", .body = large},
      {.method = "POST", .path = "/wide", .body = std::string(90'000, 'w')},
      {.method = "POST", .path = "/ignore", .body = "x"},
      {.path = "/throws"},
      {.path = "/illegal"},
      {.path = "/upgrade"},
  };
  for (const Question& question : questions) {
    for (const std::size_t piece : {0U, 1'000U}) {
      std::vector<std::string> first_log, second_log;
      const Answer first = ask_http1(site(first_log), question, piece);
      const Answer second = ask_http2(site(second_log), question, piece);
      const std::string what = question.method + " " + question.path.substr(0, 40);
      EXPECT_EQ(first.status, second.status) << what;
      EXPECT_EQ(first.fields, second.fields) << what;
      EXPECT_EQ(first.body.size(), second.body.size()) << what;
      EXPECT_TRUE(first.body == second.body) << what << "\n" << second.body.substr(0, 200);
      EXPECT_GE(first.status, 200) << what;
      EXPECT_EQ(first_log, second_log) << what;
    }
  }
}

}  // namespace
}  // namespace rondo::testing
