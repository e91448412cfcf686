// SPDX-License-Identifier: Apache-2.0
// The server over HTTP/2: streams, their ends and their bounds.
#include <gtest/gtest.h>

#include "http2_talk.hpp"
#include "rondo/core/when.hpp"

namespace rondo::testing {
namespace {

using namespace rondo::literals;
using http::Request;
using http::Response;

/// Tells when a handler's frame has gone.
struct Note {
  bool& gone;
  ~Note() { gone = true; }
};

http::Router hello() {
  http::Router router;
  router.get("/", [](Request&, Response& out) { out.content_type("text/plain").send("Hello"); });
  router.post("/echo", [](Request& in, Response& out) -> Task<> {
    auto body = co_await in.read_all();
    if (!body) co_return out.send_error(http::status_of(body.error()));
    out.send(*body);
  });
  router.get("/slow", [](Request&, Response& out) -> Task<> {
    co_await sleep_for(3s);
    out.send("late");
  });
  router.get("/large", [](Request&, Response& out) { out.send_owned(std::string(200'000, 'x')); });
  router.post("/ignore", [](Request&, Response& out) { out.send("ignored"); });
  router.get("/stream", [](Request&, Response& out) -> Task<> {
    const std::string piece(10'000, 's');
    for (int i = 0; i < 20; ++i) {
      if (!co_await out.write(std::string_view(piece))) co_return;
    }
  });
  router.get("/throws", [](Request&, Response&) { throw std::runtime_error("told in a test"); });
  router.get("/throws-late", [](Request&, Response& out) -> Task<> {
    (void)co_await out.write(std::string_view("part"));
    throw std::runtime_error("told in a test");
  });
  return router;
}

bool ended(h2::Heard& heard, std::uint32_t first, std::uint32_t last) {
  for (std::uint32_t id = first; id <= last; id += 2)
    if (!heard[id].ended) return false;
  return true;
}

TEST(Http2Server, answersWithDateLengthAndTheHandlersFields) {
  const Outcome outcome = play2({.router = hello(), .client = [](Http2Client& c) -> Task<> {
    co_await c.say(h2::preface() + h2::get(1, "/"));
    co_await c.hear_answer(1);
    auto& answer = c.heard[1];
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.fields.count("date"), 1U);
    EXPECT_EQ(answer.fields["content-type"], "text/plain");
    EXPECT_EQ(answer.fields["content-length"], "5");
    EXPECT_EQ(answer.fields.size(), 3U);
    EXPECT_EQ(answer.body, "Hello");
    EXPECT_EQ(answer.data_frames, 1);
  }});
  EXPECT_EQ(outcome.statistics.requests, 1U);
  EXPECT_EQ(outcome.statistics.http2, 1U);
}

TEST(Http2Server, allAnswersOfAnIterationLeaveInOneSend) {
  const Outcome outcome = play2({.router = hello(), .client = [](Http2Client& c) -> Task<> {
    std::string many = h2::preface();
    for (std::uint32_t id = 1; id < 33; id += 2)
      many += id % 4 == 1 ? h2::get(id, "/") : h2::post(id, "/echo", "ping");
    co_await c.say(many);
    EXPECT_TRUE(co_await c.hear([](h2::Heard& all) { return ended(all, 1, 31); }));
    EXPECT_EQ(c.heard[1].body, "Hello");
    EXPECT_EQ(c.heard[3].body, "ping");
  }});
  EXPECT_EQ(outcome.sends, 1U);
  EXPECT_EQ(outcome.statistics.requests, 16U);
}

TEST(Http2Server, thePrefaceIsRecognisedInAnyCutAndAPostIsNotTakenForIt) {
  for (std::size_t piece : {1U, 2U, 3U, 23U, 24U, 25U}) {
    const Outcome outcome =
        play2({.router = hello(),
               .pair = {.piece_max = piece},
               .client = [](Http2Client& c) -> Task<> {
                 co_await c.say(h2::preface() + h2::get(1, "/"));
                 co_await c.hear_answer(1);
                 EXPECT_EQ(c.heard[1].body, "Hello");
               }});
    EXPECT_EQ(outcome.statistics.accepted, 1U);
    const Outcome post = ask(hello(),
                             "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nping", {},
                             {.piece_max = piece});
    EXPECT_TRUE(post.heard.ends_with("ping")) << piece << post.heard;
  }
  const Outcome off = ask(hello(), h2::preface(), {.http2 = false});
  EXPECT_TRUE(off.heard.starts_with("HTTP/1.1 505"));
}

TEST(Http2Server, aSlowHandlerHoldsNoOtherAnswerBack) {
  play2({.router = hello(), .client = [](Http2Client& c) -> Task<> {
    co_await c.say(h2::preface() + h2::get(1, "/slow") + h2::get(3, "/"));
    co_await c.hear_answer(3);
    EXPECT_LT(now().time_since_epoch(), 1s);
    EXPECT_FALSE(c.heard[1].ended);
    co_await c.hear_answer(1);
    EXPECT_EQ(c.heard[1].body, "late");
  }});
}

TEST(Http2Server, aResetCancelsTheHandlerAndNoOther) {
  bool gone = false, other_gone = false;
  http::Router router = hello();
  router.get("/wait", [&](Request& in, Response& out) -> Task<> {
    Note note{in.query() == "a" ? gone : other_gone};
    co_await sleep_for(10s);
    out.send("done");
  });
  play2({.router = std::move(router), .client = [&](Http2Client& c) -> Task<> {
    co_await c.say(h2::preface() + h2::get(1, "/wait?a") + h2::get(3, "/wait?b"));
    co_await sleep_for(1s);
    co_await c.say(h2::reset(1));
    co_await sleep_for(1s);
    EXPECT_TRUE(gone);
    EXPECT_FALSE(other_gone);
    co_await c.hear_answer(3);
    EXPECT_EQ(c.heard[3].body, "done");
  }});
}

TEST(Http2Server, aLostConnectionCancelsEveryHandler) {
  for (const bool hard : {false, true}) {
    int gone = 0;
    http::Router router;
    router.get("/wait", [&](Request& in, Response&) -> Task<> {
      struct Count {
        int& n;
        ~Count() { ++n; }
      } count{gone};
      co_await in.disconnected();
      ADD_FAILURE();
    });
    SimLoop sim;
    sim.run([&]() -> Task<> {
      http::Server server(std::move(router));
      MemoryPair pair;
      co_await with_scope([&](Scope& scope) -> Task<> {
        scope.start([&]() -> Task<> { co_await server.serve(pair.first()); });
        std::string text = h2::preface();
        for (std::uint32_t id = 1; id < 20; id += 2) text += h2::get(id, "/wait");
        (void)co_await pair.second().write_all(std::string_view(text));
        co_await sleep_for(1s);
        EXPECT_EQ(server.statistics().idle, 0U);
        if (hard) pair.reset();
        else pair.second().shutdown_write();
      });
      EXPECT_EQ(gone, 10);
      EXPECT_LT(now().time_since_epoch(), 10s);
    });
  }
}

TEST(Http2Server, aHandlerThatHasAnsweredMayGoOn) {
  bool finished = false;
  http::Router router;
  router.get("/", [&](Request&, Response& out) -> Task<> {
    out.send("early");
    co_await sleep_for(1s);
    finished = true;
  });
  play2({.router = std::move(router), .client = [&](Http2Client& c) -> Task<> {
    co_await c.say(h2::preface() + h2::get(1, "/"));
    co_await c.hear_answer(1);
    EXPECT_FALSE(finished);
    co_await c.say(h2::reset(1));
    co_await sleep_for(2s);
    EXPECT_TRUE(finished);
  }});
}

TEST(Http2Server, moreStreamsThanAllowedAreRefused) {
  const Outcome outcome = play2(
      {.router = hello(), .options = {.streams_max = 4}, .client = [](Http2Client& c) -> Task<> {
        std::string text = h2::preface();
        for (std::uint32_t id = 1; id < 13; id += 2) text += h2::get(id, "/slow");
        co_await c.say(text);
        EXPECT_TRUE(co_await c.hear([](h2::Heard& all) { return ended(all, 1, 7); }));
        EXPECT_EQ(c.heard.settings[3], 4U);
        EXPECT_EQ(c.heard[9].reset, 7);
        EXPECT_EQ(c.heard[11].reset, 7);
        co_await c.say(h2::get(13, "/"));
        co_await c.hear_answer(13);
        EXPECT_EQ(c.heard[13].status, 200);
      }});
  EXPECT_EQ(outcome.statistics.exchanges, 4U + 1U) << "and one that HTTP/1 began with";
}

TEST(Http2Server, handlersThatOutliveTheirStreamsCountAsStreams) {
  int running = 0, most = 0;
  http::Router router;
  router.get("/", [&](Request&, Response&) -> Task<> {
    most = std::max(most, ++running);
    co_await finally(sleep_for(100s), [&]() -> Task<> {
      co_await sleep_for(2s);
      --running;
    });
  });
  const auto client = [](Http2Client& c) -> Task<> {
    co_await c.say(h2::preface());
    for (std::uint32_t id = 1; id < 60; id += 2) {
      co_await c.say(h2::get(id, "/") + h2::reset(id));
      co_await sleep_for(1ms);
      co_await c.say(h2::get(id + 100, "/"));
      co_await sleep_for(1ms);
      co_await c.say(h2::reset(id + 100));
    }
  };
  play2({.router = std::move(router), .options = {.streams_max = 5}, .client = client});
  EXPECT_LE(most, 5);
  EXPECT_EQ(running, 0);
}

// --- Bodies -----------------------------------------------------------------------------------

TEST(Http2Server, anAnswerWaitsForTheClientsWindows) {
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

TEST(Http2Server, aBodyNobodyReadsStaysWithTheClient) {
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

TEST(Http2Server, theRestOfABodyNobodyWantsIsRefusedBehindTheAnswer) {
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

TEST(Http2Server, aBodyOverItsLimitIs413WhateverWasSaid) {
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

TEST(Http2Server, trailersOfARequestAreKeptApartAndBounded) {
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
                   h2::headers(3, h2::head_of("POST", "/echo"), false) + h2::headers(3, many));
    co_await c.hear_answer(1);
    EXPECT_EQ(c.heard[1].body, "ping1");
    co_await c.hear_answer(3);
    EXPECT_GE(c.heard[3].reset, 0);
  }});
}

TEST(Http2Server, aReadAllThatWasCancelledGivesNothingBackTwice) {
  http::Router router;
  router.post("/", [](Request& in, Response&) -> Task<> {
    EXPECT_FALSE(co_await with_timeout(1s, in.read_all())) << "the body goes on";
    EXPECT_EQ((co_await in.read()).or_throw().size(), 10'000U);
    EXPECT_EQ((co_await in.read()).or_throw().size(), 10'000U);
    co_await sleep_for(1h);
  });
  play2({.router = std::move(router), .options = {.stream_window = 16'000},
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

TEST(Http2Server, headsBeyondALimitAreAnsweredAndMalformedOnesReset) {
  const Outcome outcome = play2({.router = hello(), .client = [](Http2Client& c) -> Task<> {
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

// --- Failures ---------------------------------------------------------------------------------

TEST(Http2Server, aHandlerThatThrowsCostsItsStreamOnly) {
  const Outcome outcome = play2({.router = hello(), .client = [](Http2Client& c) -> Task<> {
    co_await c.say(h2::preface() + h2::get(1, "/throws") + h2::get(3, "/throws-late") +
                   h2::get(5, "/"));
    co_await c.hear_answer(3);
    co_await c.hear_answer(5);
    EXPECT_EQ(c.heard[1].status, 500);
    EXPECT_EQ(c.heard[3].reset, 2);
    EXPECT_FALSE(c.heard[3].ended);
    EXPECT_EQ(c.heard[5].body, "Hello");
    EXPECT_EQ(c.heard.goaway, -1);
  }});
  EXPECT_EQ(outcome.statistics.handler_errors, 2U);
}

TEST(Http2Server, aWriteCancelledInItsMiddleResetsItsStream) {
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

TEST(Http2Server, lessThanItsContentLengthResetsTheStream) {
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

TEST(Http2Server, brokenFramesEndTheConnectionWithAReason) {
  const Outcome outcome = play2({.router = hello(), .client = [](Http2Client& c) -> Task<> {
    co_await c.say(h2::preface() + h2::get(1, "/slow") + h2::frame(h2::k_data, 0, 0, "x"));
    co_await c.hear_end();
    EXPECT_EQ(c.heard.goaway, 1);
  }});
  EXPECT_TRUE(outcome.server_closed);
}

// --- The end ----------------------------------------------------------------------------------

TEST(Http2Server, aSoftStopClosesIdleConnectionsAndServesBusyOnes) {
  SimLoop sim;
  sim.run([&]() -> Task<> {
    http::Server server(hello());
    MemoryPair idle_pair, busy_pair;
    co_await with_scope([&](Scope& scope) -> Task<> {
      for (MemoryPair* pair : {&idle_pair, &busy_pair})
        scope.start([&server, pair]() -> Task<> { co_await server.serve(pair->first()); });
      Http2Client idle{idle_pair.second()};
      Http2Client busy{busy_pair.second()};
      co_await idle.say(h2::preface() + h2::get(1, "/"));
      co_await idle.hear_answer(1);
      co_await busy.say(h2::preface() + h2::get(1, "/slow"));
      co_await sleep_for(1s);
      loop().request_stop();
      co_await idle.hear_end();
      EXPECT_LT(sim.now(), 2s);
      EXPECT_EQ(idle.heard.goaway, 0);
      EXPECT_EQ(idle.heard.goaways.back(), 1U);
      EXPECT_EQ(server.statistics().connections, 1U);
      co_await busy.hear([](h2::Heard& all) { return !all.pings.empty(); });
      EXPECT_EQ(busy.heard.goaways.at(0), 0x7FFFFFFFU);
      // What was on its way is served, then the line is drawn.
      co_await busy.say(h2::get(3, "/") + h2::frame(h2::k_ping, h2::k_ack, 0, busy.heard.pings[0]));
      co_await busy.hear_end();
      EXPECT_EQ(busy.heard[1].body, "late");
      EXPECT_EQ(busy.heard[3].body, "Hello");
      EXPECT_EQ(busy.heard.goaways.back(), 3U);
    });
  });
}

TEST(Http2Server, closeOfAnAnswerDrainsTheConnection) {
  http::Router router = hello();
  router.get("/close", [](Request&, Response& out) { out.close().send("bye"); });
  const auto client = [](Http2Client& c) -> Task<> {
    co_await c.say(h2::preface() + h2::get(1, "/slow") + h2::get(3, "/close"));
    co_await c.hear_end();
    EXPECT_EQ(c.heard[1].body, "late");
    EXPECT_EQ(c.heard[3].body, "bye");
    EXPECT_EQ(c.heard.goaway, 0);
  };
  const Outcome outcome = play2({.router = std::move(router), .client = client});
  EXPECT_TRUE(outcome.server_closed);
}

struct Quiet {
  const char* what;
  std::string text;
  Duration ends_after;
  Duration ends_before;
};

TEST(Http2Timeouts, quietClientsAreClosed) {
  const std::string half_head = h2::get(1, "/").substr(0, 15);
  const std::string next_half = h2::get(3, "/").substr(0, 15);
  const Quiet clients[] = {
      {"half a preface", h2::preface().substr(0, 12), 10s, 13s},
      {"a preface only", h2::preface(), 10s, 11s},
      {"half a head", h2::preface() + half_head, 10s, 11s},
      {"a head without its end",
       h2::preface() + h2::frame(h2::k_headers, 0, 1, h2::pack(h2::head_of("GET", "/"))), 10s, 11s},
      {"idle", h2::preface() + h2::get(1, "/"), 60s, 61s},
      {"half of the next head", h2::preface() + h2::get(1, "/") + next_half, 10s, 11s},
  };
  for (const Quiet& quiet : clients) {
    const Outcome outcome = play2({.router = hello(), .client = [&](Http2Client& c) -> Task<> {
      co_await c.say(quiet.text);
      co_await c.hear_end();
    }});
    EXPECT_TRUE(outcome.server_closed) << quiet.what;
    EXPECT_GE(outcome.took, quiet.ends_after) << quiet.what;
    EXPECT_LE(outcome.took, quiet.ends_before) << quiet.what;
    EXPECT_EQ(outcome.statistics.timeouts, 1U) << quiet.what;
  }
}

TEST(Http2Timeouts, inputThatAlwaysEndsInAHeadIsNotOneSlowHead) {
  play2({.router = hello(), .client = [](Http2Client& c) -> Task<> {
    std::string rest = h2::preface();
    for (std::uint32_t id = 1; id < 100; id += 2) {
      const std::string head = h2::get(id, "/");
      co_await c.say(rest + head.substr(0, 15));
      rest = head.substr(15);
      co_await sleep_for(1s);
    }
    co_await c.say(rest);
    co_await c.hear_answer(99);
    EXPECT_EQ(c.heard[99].body, "Hello");
  }});
}

TEST(Http2Timeouts, pingsDoNotKeepAConnectionAndARequestDoes) {
  const Outcome outcome = play2({.router = hello(), .client = [](Http2Client& c) -> Task<> {
    co_await c.say(h2::preface() + h2::get(1, "/"));
    co_await sleep_for(50s);
    co_await c.say(h2::get(3, "/"));
    for (int i = 0; i < 10; ++i) {
      co_await c.say(h2::frame(h2::k_ping, 0, 0, "12345678"));
      co_await sleep_for(10s);
    }
    co_await c.hear_end();
    EXPECT_TRUE(c.heard[3].ended);
    EXPECT_GE(c.heard.acks, 4);
    EXPECT_LE(c.heard.acks, 8);
  }});
  EXPECT_TRUE(outcome.server_closed);
}

TEST(Http2Timeouts, aBodyThatStopsIs408) {
  play2({.router = hello(), .client = [](Http2Client& c) -> Task<> {
    co_await c.say(h2::preface() + h2::headers(1, h2::head_of("POST", "/echo"), false) +
                   h2::data(1, "abc"));
    co_await sleep_for(20s);
    co_await c.say(h2::data(1, "def"));
    co_await c.hear_answer(1);
    EXPECT_EQ(c.heard[1].status, 408);
    EXPECT_GE(now().time_since_epoch(), 50s);
    EXPECT_LE(now().time_since_epoch(), 51s);
    co_await c.say(h2::get(3, "/"));
    co_await c.hear_answer(3);
    EXPECT_EQ(c.heard[3].body, "Hello");
  }});
}

TEST(Http2Timeouts, aClientThatOpensNoWindowIsToldToCalmDown) {
  for (const char* path : {"/large", "/stream", "/"}) {
    const Outcome outcome = play2({.router = hello(), .client = [path](Http2Client& c) -> Task<> {
      co_await c.say(h2::preface(h2::setting(4, 0)) + h2::get(1, path));
      co_await c.hear_end();
      EXPECT_EQ(c.heard.goaway, 11);
      EXPECT_EQ(c.heard[1].body, "");
    }});
    EXPECT_TRUE(outcome.server_closed);
    EXPECT_EQ(outcome.statistics.timeouts, 1U);
    EXPECT_GE(outcome.took, 30s);
    EXPECT_LE(outcome.took, 61s);
  }
}

TEST(Http2Timeouts, aStreamThatIsNotTakenWhileOthersAreIsReset) {
  play2({.router = hello(), .client = [](Http2Client& c) -> Task<> {
    co_await c.say(h2::preface(h2::setting(4, 0)) + h2::get(1, "/large"));
    std::uint32_t id = 3;
    for (; id < 30; id += 2) {
      co_await c.say(h2::get(id, "/") + h2::window(id, 100));
      co_await sleep_for(5s);
    }
    co_await c.hear([](h2::Heard& all) { return ended(all, 3, 29); });
    EXPECT_EQ(c.heard[1].reset, 8);
    EXPECT_EQ(c.heard.goaway, -1);
  }});
}

TEST(Http2Timeouts, aClientThatReadsNothingIsCutOff) {
  Duration gone{};
  SimLoop sim;
  sim.run([&]() -> Task<> {
    http::Server server(hello());
    MemoryPair pair({.capacity = 10'000});
    co_await with_scope([&](Scope& scope) -> Task<> {
      scope.start([&]() -> Task<> {
        co_await server.serve(pair.first());
        gone = now().time_since_epoch();
      });
      const std::string text = h2::preface(h2::setting(4, 1'000'000)) + h2::get(1, "/large");
      (void)co_await pair.second().write_all(std::string_view(text));
    });
    EXPECT_EQ(server.statistics().timeouts, 1U);
    EXPECT_EQ(server.statistics().connections, 0U);
  });
  EXPECT_GE(gone, 30s);
  EXPECT_LE(gone, 61s);
}

TEST(Http2Timeouts, aClientThatTakesSlowlyIsServed) {
  play2({.router = hello(), .client = [](Http2Client& c) -> Task<> {
    co_await c.say(h2::preface(h2::setting(4, 0)) + h2::window(0, 1'000'000) +
                   h2::get(1, "/large"));
    for (int i = 0; i < 20; ++i) {
      co_await sleep_for(20s);
      co_await c.say(h2::window(1, 10'000));
      const std::size_t size = 10'000U * static_cast<std::size_t>(i + 1);
      co_await c.hear([size](h2::Heard& all) { return all[1].body.size() >= size; });
    }
    co_await c.hear_answer(1);
    EXPECT_EQ(c.heard[1].body.size(), 200'000U);
  }});
}

// --- Floods -----------------------------------------------------------------------------------

struct Flood {
  const char* what;
  std::string before;
  std::string (*each)(std::uint32_t id);
};

const Flood k_floods[] = {
    {"rapid resets", "", [](std::uint32_t id) { return h2::get(id, "/slow") + h2::reset(id); }},
    {"resets that we are made to send", "",
     [](std::uint32_t id) { return h2::get(id, "/slow") + h2::window(id, 0x7FFFFFFF); }},
    {"continuations", h2::frame(h2::k_headers, 0, 1),
     [](std::uint32_t) { return h2::frame(h2::k_continuation, 0, 1); }},
    {"settings", "", [](std::uint32_t) { return h2::frame(h2::k_settings, 0, 0); }},
    {"pings", "", [](std::uint32_t) { return h2::frame(h2::k_ping, 0, 0, "12345678"); }},
    {"priorities", "",
     [](std::uint32_t id) { return h2::frame(h2::k_priority, 0, id, std::string(5, '\1')); }},
    {"empty data", h2::headers(1, h2::head_of("POST", "/echo"), false),
     [](std::uint32_t) { return h2::data(1, ""); }},
    {"small windows", h2::get(1, "/large"), [](std::uint32_t) { return h2::window(1, 1); }},
    {"a head that unpacks for ever", "",
     [](std::uint32_t id) {
       std::string packed = h2::pack(h2::head_of("GET", "/")) + "\x40" + h2::packed_length(1) +
                            "x" + h2::packed_length(4'000) + std::string(4'000, 'v');
       return h2::frame(h2::k_headers, 5, id, packed.append(1'000, '\xBE'));
     }},
};

TEST(Http2Floods, endTheConnectionAndCostBoundedMemory) {
  for (const Flood& flood : k_floods) {
    const Outcome outcome = play2({.router = hello(), .client = [&](Http2Client& c) -> Task<> {
      co_await c.say(h2::preface() + flood.before);
      std::string part;
      for (std::uint32_t id = 3; id < 20'000; id += 2) {
        part += flood.each(id);
        if (part.size() < 4'000) continue;
        const std::string piece = std::exchange(part, {});
        // Nobody reads on when the connection has ended.
        if (!co_await with_timeout(1s, c.stream.write_all(std::string_view(piece)))) break;
        // One that does not wait for answers, but sees a goodbye.
        if (c.stream.readable()) co_await c.hear([](h2::Heard&) { return true; });
        co_await checkpoint();
        if (c.heard.goaway >= 0) break;
      }
      co_await c.hear_end();
      EXPECT_EQ(c.heard.goaway, 11) << flood.what;
    }});
    EXPECT_TRUE(outcome.server_closed) << flood.what;
    EXPECT_EQ(outcome.statistics.floods, 1U) << flood.what;
    EXPECT_LE(outcome.statistics.exchanges, limits::http2_streams_max.value + 1) << flood.what;
  }
}

TEST(Http2Floods, aClientThatAsksAndReadsNothingIsNotReadFurther) {
  std::size_t asked = 0;
  http::Router router;
  router.get("/", [&](Request&, Response& out) {
    ++asked;
    out.send("x");
  });
  SimLoop sim;
  sim.run([&]() -> Task<> {
    http::Server server(std::move(router));
    MemoryPair pair({.capacity = 100});
    co_await with_scope([&](Scope& scope) -> Task<> {
      scope.start([&]() -> Task<> { co_await server.serve(pair.first()); });
      (void)co_await pair.second().write_all(std::string_view(h2::preface()));
      for (std::uint32_t id = 1; id < 100'000; id += 2) {
        const std::string text = h2::get(id, "/");
        auto sent = co_await with_timeout(5s, pair.second().write_all(std::string_view(text)));
        if (!sent) break;
      }
    });
    // What a stream accepts (cork_max), in answers of 31 bytes, and the frames held back.
    EXPECT_LT(asked, 3'000U);
    EXPECT_EQ(server.statistics().connections, 0U);
  });
}

TEST(Http2Server, cancelledAtAnyMomentLeavesNothingBehind) {
  std::string all = h2::preface(h2::setting(4, 5'000));
  const char* paths[] = {"/", "/slow", "/stream", "/large", "/throws-late", "/nowhere"};
  std::uint32_t id = 1;
  for (int i = 0; i < 18; ++i, id += 2) {
    if (i % 3 == 0) all += h2::post(id, "/echo", std::string(6'000, 'e'));
    else all += h2::get(id, paths[i % 6]);
    if (i % 4 == 1) all += h2::reset(id);
    if (i % 5 == 2) all += h2::window(id, 3'000);
  }
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    const long frames = rondo::detail::FramePool::live;
    {
      SimLoop sim{{.seed = seed, .order = SimOrder::by_seed}};
      sim.run([&]() -> Task<> {
        http::Server server(hello());
        MemoryPair pair({.capacity = 50 + seed * 37 % 5'000, .piece_max = 1 + seed * 131 % 900});
        const auto limit = std::chrono::microseconds(seed * seed % 7'000'000 * (seed % 3 ? 1 : 0));
        co_await move_on_after(limit, [&](Scope& scope) -> Task<> {
          scope.start([&]() -> Task<> { co_await server.serve(pair.first()); });
          scope.start([&]() -> Task<> {
            Http2Client client{pair.second()};
            co_await client.hear_end();
          });
          (void)co_await pair.second().write_all(std::string_view(all));
          co_await sleep_for(seed % 2 ? 1h : 1us);
          if (seed % 5 == 0) pair.reset();
          pair.second().shutdown_write();
        });
        EXPECT_EQ(server.statistics().connections, 0U) << seed;
        EXPECT_EQ(server.statistics().idle, 0U) << seed;
      });
    }
    EXPECT_EQ(rondo::detail::FramePool::live, frames) << seed;
  }
}

}  // namespace
}  // namespace rondo::testing
