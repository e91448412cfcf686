// SPDX-License-Identifier: Apache-2.0
// The server over HTTP/2: heads and bodies, whole, broken and beyond their bounds.
#include <gtest/gtest.h>

#include "http2_talk.hpp"

namespace rondo::testing {
namespace {

using namespace rondo::literals;
using http::Request;
using http::Response;

TEST(Http2Messages, thePrefaceIsRecognisedInAnyCutAndAPostIsNotTakenForIt) {
  for (std::size_t piece : {1U, 2U, 3U, 23U, 24U, 25U}) {
    const Outcome outcome = play2(
        {.router = hello(), .pair = {.piece_max = piece}, .client = [](Http2Client& c) -> Task<> {
           co_await c.say(h2::preface() + h2::get(1, "/"));
           co_await c.hear_answer(1);
           EXPECT_EQ(c.heard[1].body, "Hello");
         }});
    EXPECT_EQ(outcome.statistics.accepted, 1U);
    const Outcome post =
        ask(hello(), "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nping", {},
            {.piece_max = piece});
    EXPECT_TRUE(post.heard.ends_with("ping")) << piece << post.heard;
  }
  const Outcome off = ask(hello(), h2::preface(), {.http2 = false});
  EXPECT_TRUE(off.heard.starts_with("HTTP/1.1 505"));
}

TEST(Http2Messages, anAnswerWaitsForTheClientsWindows) {
  for (const char* path : {"/large", "/stream"}) {
    play2({.router = hello(), .client = [path](Http2Client& c) -> Task<> {
             co_await c.say(h2::preface(h2::setting(4, 1'000)) + h2::get(1, path));
             co_await sleep_for(1s);
             co_await c.hear([](h2::Heard& all) { return all[1].body.size() >= 1'000; });
             EXPECT_EQ(c.heard[1].body.size(), 1'000U);
             co_await c.say(h2::window(1, 500'000));
             co_await c.hear([](h2::Heard& all) { return all[1].body.size() >= 65'535; });
             EXPECT_EQ(c.heard[1].body.size(), 65'535U) << "the connection's own window";
             co_await c.say(h2::window(0, 500'000));
             co_await c.hear_answer(1);
             EXPECT_EQ(c.heard[1].body.size(), 200'000U);
             EXPECT_TRUE(c.heard[1].ended);
           }});
  }
}

TEST(Http2Messages, aBodyNobodyReadsStaysWithTheClient) {
  http::Router router;
  std::size_t read = 0;
  router.post("/", [&](Request& in, Response& out) -> Task<> {
    co_await sleep_for(5s);
    while (true) {
      auto piece = co_await in.read();
      if (!piece || piece->empty()) break;
      read += piece->size();
    }
    out.send("thanks");
  });
  play2({.router = std::move(router),
         .options = {.stream_window = 30'000, .connection_window = 100'000},
         .client = [&](Http2Client& c) -> Task<> {
           co_await c.say(h2::preface() + h2::frame(h2::k_settings, h2::k_ack, 0) +
                          h2::headers(1, h2::head_of("POST", "/"), false));
           co_await c.say(h2::data(1, std::string(15'000, 'b')) +
                          h2::data(1, std::string(15'000, 'b')));
           co_await c.hear([](h2::Heard& all) { return !all.settings.empty(); });
           co_await sleep_for(1s);
           EXPECT_EQ(c.heard.windows[1], 0U);
           co_await c.hear([](h2::Heard& all) { return all.windows[1] >= 30'000; });
           EXPECT_EQ(read, 30'000U);
           co_await c.say(h2::data(1, std::string(10'000, 'b'), true));
           co_await c.hear_answer(1);
           EXPECT_EQ(read, 40'000U);
           EXPECT_EQ(c.heard[1].body, "thanks");
         }});
}

TEST(Http2Messages, theRestOfABodyNobodyWantsIsRefusedBehindTheAnswer) {
  play2({.router = hello(), .client = [](Http2Client& c) -> Task<> {
           co_await c.say(h2::preface() + h2::headers(1, h2::head_of("POST", "/ignore"), false) +
                          h2::data(1, "some"));
           co_await c.hear_answer(1);
           EXPECT_EQ(c.heard[1].body, "ignored");
           EXPECT_EQ(c.heard[1].reset, -1) << "clients that stop by themselves need no reset";
           co_await c.hear([](h2::Heard& all) { return all[1].reset >= 0; });
           EXPECT_EQ(c.heard[1].reset, 0);
           EXPECT_GE(now().time_since_epoch(), 2s);
           EXPECT_LE(now().time_since_epoch(), 4s);
           // What was on its way gives its room back.
           for (int i = 0; i < 50; ++i) co_await c.say(h2::data(1, std::string(15'000, 'x')));
           co_await c.say(h2::post(3, "/echo", "ping"));
           co_await c.hear_answer(3);
           EXPECT_EQ(c.heard[3].body, "ping");
           EXPECT_GE(c.heard.windows[0], 500'000U);
           EXPECT_EQ(c.heard.windows[1], 0U);
         }});
}

TEST(Http2Messages, aBodyOverItsLimitIs413WhateverWasSaid) {
  const Outcome outcome = play2(
      {.router = hello(), .options = {.body_max = 1'000}, .client = [](Http2Client& c) -> Task<> {
         const auto head = h2::head_of("POST", "/echo", {{"content-length", "5000"}});
         co_await c.say(h2::preface() + h2::headers(1, head, false));
         co_await c.hear_answer(1);
         EXPECT_EQ(c.heard[1].status, 413);
         co_await c.say(h2::post(3, "/echo", std::string(1'001, 'x')));
         co_await c.hear_answer(3);
         EXPECT_EQ(c.heard[3].status, 413);
         co_await c.say(h2::post(5, "/echo", std::string(1'000, 'x')));
         co_await c.hear_answer(5);
         EXPECT_EQ(c.heard[5].status, 200);
         EXPECT_EQ(c.heard.goaway, -1);
       }});
  EXPECT_EQ(outcome.statistics.requests, 3U);
}

TEST(Http2Messages, trailersOfARequestAreKeptApartAndBounded) {
  http::Router router;
  router.post("/echo", [](Request& in, Response& out) -> Task<> {
    auto body = co_await in.read_all();
    if (!body) co_return;
    EXPECT_FALSE(in.head().has("x-sum"));
    out.send(std::string(*body) + std::string(in.trailers().get("X-Sum")));
  });
  play2({.router = std::move(router), .client = [](Http2Client& c) -> Task<> {
           h2::Fields many;
           for (int i = 0; i < 101; ++i) many.push_back({"x" + std::to_string(i), "1"});
           co_await c.say(h2::preface() + h2::headers(1, h2::head_of("POST", "/echo"), false) +
                          h2::data(1, "ping") + h2::headers(1, {{"x-sum", "1"}}) +
                          h2::headers(3, h2::head_of("POST", "/echo"), false) +
                          h2::headers(3, many));
           co_await c.hear_answer(1);
           EXPECT_EQ(c.heard[1].body, "ping1");
           co_await c.hear_answer(3);
           EXPECT_GE(c.heard[3].reset, 0);
         }});
}

TEST(Http2Messages, aReadAllThatWasCancelledGivesNothingBackTwice) {
  http::Router router;
  router.post("/", [](Request& in, Response&) -> Task<> {
    EXPECT_FALSE(co_await with_timeout(1s, in.read_all())) << "the body goes on";
    EXPECT_EQ((co_await in.read()).or_throw().size(), 10'000U);
    EXPECT_EQ((co_await in.read()).or_throw().size(), 10'000U);
    co_await sleep_for(1h);
  });
  play2({.router = std::move(router),
         .options = {.stream_window = 16'000},
         .client = [](Http2Client& c) -> Task<> {
           co_await c.say(h2::preface() + h2::frame(h2::k_settings, h2::k_ack, 0) +
                          h2::headers(1, h2::head_of("POST", "/"), false));
           const std::string piece = h2::data(1, std::string(10'000, 'b'));
           for (int i = 0; i < 3; ++i) {
             co_await c.say(piece);
             co_await sleep_for(2s);
           }
           co_await c.say(h2::frame(h2::k_ping, 0, 0, "12345678"));
           co_await c.hear([](h2::Heard& all) { return all.acks == 2; });
           EXPECT_EQ(c.heard.windows[1], 10'000U) << "one piece was read away, two were not yet";
         }});
}

TEST(Http2Messages, headsBeyondALimitAreAnsweredAndMalformedOnesReset) {
  const Outcome outcome =
      play2({.router = hello(), .client = [](Http2Client& c) -> Task<> {
               co_await c.say(h2::preface() + h2::get(1, "/" + std::string(9'000, 'a')) +
                              h2::get(3, "/", h2::Fields(120, {"x", "y"})) +
                              h2::get(5, "/", {{"x", "a\nb"}}) + h2::get(7, "/"));
               co_await c.hear_answer(7);
               EXPECT_EQ(c.heard[1].status, 414);
               EXPECT_EQ(c.heard[3].status, 431);
               EXPECT_EQ(c.heard[5].reset, 1);
               EXPECT_EQ(c.heard[7].status, 200);
             }});
  EXPECT_EQ(outcome.statistics.refused, 2U);
  EXPECT_EQ(outcome.statistics.requests, 3U);
}

TEST(Http2Messages, aWriteCancelledInItsMiddleResetsItsStream) {
  for (const bool has_length : {false, true}) {
    bool went_on = false;
    http::Router router = hello();
    router.get("/cut", [&](Request&, Response& out) -> Task<> {
      const std::string large(200'000, 'x');
      if (has_length) out.content_length(large.size() + 5);
      auto cut = co_await with_timeout(10ms, out.write(std::string_view(large)));
      EXPECT_EQ(cut.error().code(), Errc::timed_out);
      co_await sleep_for(1s);
      auto after = co_await out.write(std::string_view("after"));
      EXPECT_EQ(after.error().code(), Errc::broken);
      went_on = true;
    });
    play2({.router = std::move(router), .client = [&](Http2Client& c) -> Task<> {
             co_await c.say(h2::preface() + h2::get(1, "/cut"));
             co_await c.hear_answer(1);
             EXPECT_EQ(c.heard[1].reset, 2);
             EXPECT_FALSE(c.heard[1].ended);
             co_await c.say(h2::window(0, 100'000) + h2::get(3, "/"));
             co_await c.hear_answer(3);
             EXPECT_EQ(c.heard[3].body, "Hello");
             co_await sleep_for(2s);
             EXPECT_TRUE(went_on);
           }});
  }
}

TEST(Http2Messages, lessThanItsContentLengthResetsTheStream) {
  http::Router router;
  router.get("/", [](Request&, Response& out) -> Task<> {
    out.content_length(10);
    (void)co_await out.write(std::string_view("short"));
  });
  play2({.router = std::move(router), .client = [](Http2Client& c) -> Task<> {
           co_await c.say(h2::preface() + h2::get(1, "/"));
           co_await c.hear_answer(1);
           EXPECT_EQ(c.heard[1].reset, 2);
         }});
}

TEST(Http2Messages, brokenFramesEndTheConnectionWithAReason) {
  const Outcome outcome = play2({.router = hello(), .client = [](Http2Client& c) -> Task<> {
                                   co_await c.say(h2::preface() + h2::get(1, "/slow") +
                                                  h2::frame(h2::k_data, 0, 0, "x"));
                                   co_await c.hear_end();
                                   EXPECT_EQ(c.heard.goaway, 1);
                                 }});
  EXPECT_TRUE(outcome.server_closed);
}

}  // namespace
}  // namespace rondo::testing
