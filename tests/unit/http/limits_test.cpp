// SPDX-License-Identifier: Apache-2.0
// Every bound of ServerOptions: what is answered at it, and that the connection really ends.
#include <gtest/gtest.h>

#include "talk.hpp"

namespace rondo::testing {
namespace {

using namespace rondo::literals;
using http::Request;
using http::Response;

http::Router echo() {
  http::Router router;
  router.get("/", [](Request&, Response& out) { out.send("Hello"); });
  router.post("/", [](Request& in, Response& out) -> Task<> {
    auto body = co_await in.read_all();
    if (!body) co_return out.send_error(http::status_of(body.error()));
    out.send(*body);
  });
  return router;
}

struct Bad {
  const char* what;
  std::string request;
  int status;
};

std::vector<Bad> bad_requests() {
  const std::string get = "GET / HTTP/1.1\r\nHost: a\r\n";
  const std::string post = "POST / HTTP/1.1\r\nHost: a\r\n";
  return {
      {"no host", "GET / HTTP/1.1\r\n\r\n", 400},
      {"two hosts", get + "Host: b\r\n\r\n", 400},
      {"bare LF", "GET / HTTP/1.1\nHost: a\n\n", 400},
      {"bare CR", get + "X: a\rb\r\n\r\n", 400},
      {"NUL in a value", get + "X: a" + std::string(1, '\0') + "\r\n\r\n", 400},
      {"space before the colon", get + "X : a\r\n\r\n", 400},
      {"empty name", get + ": a\r\n\r\n", 400},
      {"folded line", get + "X: a\r\n b\r\n\r\n", 400},
      {"length and chunks", post + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
      {"two lengths", post + "Content-Length: 1\r\nContent-Length: 2\r\n\r\na", 400},
      {"signed length", post + "Content-Length: +1\r\n\r\na", 400},
      {"hex length", post + "Content-Length: 0x1\r\n\r\na", 400},
      {"huge length", post + "Content-Length: 99999999999999999999\r\n\r\n", 400},
      {"length over the limit", post + "Content-Length: 2000000\r\n\r\n", 413},
      {"unknown coding", post + "Transfer-Encoding: gzip\r\n\r\n", 400},
      {"unknown coding, then chunks", post + "Transfer-Encoding: gzip, chunked\r\n\r\n", 501},
      {"half of HTTP/2's preface", "PRI * HTTP/2.0\r\n\r\nS\r\n\r\n", 505},
      {"garbage", "\x16\x03\x01\x02 hello", 400},
      {"broken chunk", post + "Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400},
      {"chunk too long", post + "Transfer-Encoding: chunked\r\n\r\n200000\r\n", 413},
      {"long target", "GET /" + std::string(9'000, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n", 414},
      {"long field", get + "X: " + std::string(40'000, 'a') + "\r\n\r\n", 431},
      {"many fields", [&] {
         std::string text = get;
         for (int i = 0; i < 120; ++i) text.append("X: a\r\n");
         return text + "\r\n";
       }(), 431},
      {"long chunk extension", post + "Transfer-Encoding: chunked\r\n\r\n1;" +
                                   std::string(5'000, 'e') + "\r\na\r\n", 413},
  };
}

TEST(HttpLimits, everyMalformedRequestIsRefusedAndNothingAfterItIsServed) {
  const std::string next = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  for (const Bad& bad : bad_requests()) {
    for (std::size_t piece : {0U, 1U}) {
      if (piece == 1 && bad.request.size() > 10'000) piece = 97;
      const Outcome outcome = ask(echo(), bad.request + next, {}, {.piece_max = piece});
      const std::string expected = "HTTP/1.1 " + std::to_string(bad.status) + " ";
      EXPECT_TRUE(outcome.heard.starts_with(expected)) << bad.what << "\n" << outcome.heard;
      EXPECT_EQ(count(outcome.heard, "HTTP/1.1 "), 1) << bad.what;
      EXPECT_EQ(count(outcome.heard, "Connection: close"), 1) << bad.what;
      EXPECT_TRUE(outcome.server_closed) << bad.what;
    }
  }
}

TEST(HttpLimits, aRefusalIsReadableByAClientThatGoesOnSending) {
  const Outcome outcome =
      play({.router = echo(),
            .options = {.drain_max = 10'000},
            .client = [](ByteStream& peer, std::string& heard) -> Task<> {
              (void)co_await peer.write_all(std::string_view("nonsense\r\n\r\n"));
              heard.append((co_await peer.read())->text());
              const std::string more(4'000, 'x');
              for (int i = 0; i < 10; ++i) {
                (void)co_await peer.write_all(std::string_view(more));
                co_await sleep_for(1ms);
              }
            }});
  EXPECT_TRUE(outcome.heard.starts_with("HTTP/1.1 400"));
  EXPECT_TRUE(outcome.server_closed);
  EXPECT_LT(outcome.took, 3s);
}

TEST(HttpLimits, drainingEndsAfterItsTimeout) {
  const Outcome outcome =
      play({.router = echo(), .client = [](ByteStream& peer, std::string&) -> Task<> {
              (void)co_await peer.write_all(std::string_view("nonsense\r\n\r\n"));
              co_await sleep_for(100s);
            }});
  EXPECT_TRUE(outcome.server_closed);
}

struct Slow {
  const char* what;
  std::string before;   // Sent at once.
  std::string then;     // One byte of it each `every`.
  Duration every;
  const char* answer;   // The beginning of what is heard.
  Duration ends_after;
  Duration ends_before;
};

TEST(HttpTimeouts, slowClientsAreClosedAndToldWhy) {
  const std::string post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n";
  const std::string drip(1'000, 'h');
  const Slow clients[] = {
      {"sends nothing", "", "", 1s, "", 10s, 11s},
      {"half a head", "GET / HT", "", 1s, "HTTP/1.1 408", 10s, 13s},
      {"a head drop by drop", "GET /", drip, 1s, "HTTP/1.1 408", 10s, 14s},
      {"no body", post, "", 1s, "HTTP/1.1 408", 30s, 33s},
      {"part of a body", post + "abc", "", 1s, "HTTP/1.1 408", 30s, 33s},
      {"idle", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "", 1s, "HTTP/1.1 200", 60s, 61s},
      {"idle, half the next", "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET", "", 1s, "HTTP/1.1 200", 10s,
       13s},
  };
  for (const Slow& slow : clients) {
    Duration ended{};
    const Outcome outcome =
        play({.router = echo(), .client = [&](ByteStream& peer, std::string& heard) -> Task<> {
                co_await with_scope([&](Scope& scope) -> Task<> {
                  scope.start([&]() -> Task<> {
                    (void)co_await peer.write_all(std::string_view(slow.before));
                    for (char c : slow.then) {
                      co_await sleep_for(slow.every);
                      if (!co_await peer.write_all(std::string_view(&c, 1))) break;
                    }
                  });
                  const TimePoint start = now();
                  co_await hear_all(peer, heard);
                  ended = now() - start;
                  scope.cancel();
                });
              }});
    EXPECT_TRUE(outcome.server_closed) << slow.what;
    EXPECT_GE(ended, slow.ends_after) << slow.what;
    EXPECT_LE(ended, slow.ends_before) << slow.what;
    EXPECT_TRUE(outcome.heard.starts_with(slow.answer)) << slow.what << "\n" << outcome.heard;
    EXPECT_EQ(outcome.statistics.connections, 0U) << slow.what;
  }
}

TEST(HttpTimeouts, aSlowBodyThatMakesProgressIsServed) {
  const Outcome outcome =
      play({.router = echo(), .client = [](ByteStream& peer, std::string&) -> Task<> {
              (void)co_await peer.write_all(std::string_view(
                  "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n"));
              for (char c : std::string("123456789")) {
                co_await sleep_for(20s);
                (void)co_await peer.write_all(std::string_view(&c, 1));
              }
              peer.shutdown_write();
            }});
  EXPECT_TRUE(outcome.heard.ends_with("123456789"));
}

TEST(HttpTimeouts, aClientThatReadsNothingIsCutOff) {
  http::Router router;
  router.get("/", [](Request&, Response& out) { out.send_owned(std::string(200'000, 'x')); });
  Duration ended{};
  SimLoop sim;
  sim.run([&]() -> Task<> {
    http::Server server(std::move(router));
    MemoryPair pair({.capacity = 10'000});
    co_await with_scope([&](Scope& scope) -> Task<> {
      scope.start([&]() -> Task<> {
        co_await server.serve(pair.first());
        ended = sim.now();
      });
      (void)co_await pair.second().write_all(
          std::string_view("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
    });
    EXPECT_EQ(server.statistics().timeouts, 1U);
  });
  EXPECT_GE(ended, 30s);
  EXPECT_LE(ended, 61s);
}

TEST(HttpTimeouts, aClientThatReadsSlowlyIsServed) {
  http::Router router;
  router.get("/", [](Request&, Response& out) { out.send_owned(std::string(50'000, 'x')); });
  const Outcome outcome =
      play({.router = std::move(router),
            .pair = {.capacity = 4'096},
            .client = [](ByteStream& peer, std::string& heard) -> Task<> {
              (void)co_await peer.write_all(std::string_view(
                  "GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
              while (heard.size() < 50'000) {
                co_await sleep_for(20s);
                auto got = co_await peer.read();
                if (!got || got->empty()) break;
                heard.append(got->text());
              }
              peer.shutdown_write();
            }});
  EXPECT_EQ(count(outcome.heard, "x"), 50'000);
}

}  // namespace
}  // namespace rondo::testing
