// SPDX-License-Identifier: Apache-2.0
// The server over HTTP/2: streams, handlers and their ends.
#include <gtest/gtest.h>

#include "http2_talk.hpp"

namespace rondo::testing {
namespace {

using namespace rondo::literals;
using http::Request;
using http::Response;

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
