// SPDX-License-Identifier: Apache-2.0
// The server over HTTP/2: clients that say nothing, take nothing, or too much of everything.
#include <gtest/gtest.h>

#include "http2_talk.hpp"

namespace rondo::testing {
namespace {

using namespace rondo::literals;
using http::Request;
using http::Response;

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

}  // namespace
}  // namespace rondo::testing
