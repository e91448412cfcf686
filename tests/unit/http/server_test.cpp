// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "hello.hpp"
#include "rondo/core/when.hpp"
#include "rondo/http/sse.hpp"
#include "talk.hpp"

namespace rondo::testing {
namespace {

using namespace rondo::literals;
using http::Request;
using http::Response;

constexpr std::string_view k_get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

TEST(HttpServer, answersWithDateLengthAndTheHandlersFields) {
  auto [heard, statistics, sends, closed, took] = ask(hello(), std::string(k_get));
  EXPECT_EQ(undated(heard),
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nHello");
  EXPECT_EQ(count(heard, "Date: "), 1);
  EXPECT_TRUE(closed);
  EXPECT_EQ(statistics.requests, 1U);
  EXPECT_EQ(statistics.connections, 0U);
}

TEST(HttpServer, answersAPipelineInOneSend) {
  std::string many;
  for (int i = 0; i < 16; ++i) many.append(k_get);
  const Outcome outcome = ask(hello(), many);
  EXPECT_EQ(count(outcome.heard, "Hello"), 16);
  EXPECT_EQ(outcome.sends, 1U);
  EXPECT_EQ(outcome.statistics.exchanges, 1U);
}

TEST(HttpServer, flushesAfterPipelineMaxAnswersAndLosesNone) {
  std::string many;
  for (int i = 0; i < 200; ++i) many.append(k_get);
  const Outcome outcome = ask(hello(), many, {.pipeline_max = 8});
  EXPECT_EQ(count(outcome.heard, "Hello"), 200);
  EXPECT_GE(outcome.sends, 200U / 8);
}

TEST(HttpServer, keepsAtMostPipelineMaxAnswersForAClientThatDoesNotRead) {
  std::size_t asked = 0;
  http::Router router;
  router.get("/", [&asked](Request&, Response& out) {
    ++asked;
    out.send("x");
  });
  play({.router = std::move(router),
        .options = {.pipeline_max = 64, .write_timeout = 5s},
        .pair = {.capacity = 100},
        .client = [&](ByteStream& peer, std::string&) -> Task<> {
          std::string many;
          for (int i = 0; i < 100; ++i) many.append(k_get);
          for (int i = 0; i < 20; ++i) {
            auto sent = co_await with_timeout(100ms, peer.write_all(std::string_view(many)));
            if (!sent) break;
          }
          co_await sleep_for(1s);
          EXPECT_LE(asked, 64U + 1U);
          EXPECT_GE(asked, 1U);
        }});
}

TEST(HttpServer, aWriteCancelledInItsMiddleCutsTheConnection) {
  for (const bool has_length : {false, true}) {
    http::Router router;
    router.get("/", [&](Request&, Response& out) -> Task<> {
      const std::string large(200'000, 'x');
      if (has_length) out.content_length(large.size() + 5);
      auto cut = co_await with_timeout(10ms, out.write(std::string_view(large)));
      EXPECT_EQ(cut.error().code(), Errc::timed_out);
      auto after = co_await out.write(std::string_view("after"));
      EXPECT_EQ(after.error().code(), Errc::broken);
    });
    const Outcome outcome =
        play({.router = std::move(router),
              .pair = {.capacity = 1'000},
              .client = [](ByteStream& peer, std::string&) -> Task<> {
                (void)co_await peer.write_all(k_get);
                (void)co_await peer.write_all(k_get);
                co_await sleep_for(1s);
              }});
    EXPECT_EQ(count(outcome.heard, "200 OK"), 1) << "nothing follows half an answer";
    EXPECT_FALSE(outcome.heard.ends_with("0\r\n\r\n"));
    EXPECT_EQ(outcome.heard.find("after"), std::string::npos);
  }
}

TEST(HttpServer, anEarlierAnswerDoesNotWaitForASlowHandler) {
  const Outcome outcome =
      play({.router = hello(), .client = [](ByteStream& peer, std::string& heard) -> Task<> {
              std::string both(k_get);
              both.append("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
              (void)co_await peer.write_all(std::string_view(both));
              const TimePoint start = now();
              auto got = co_await peer.read();
              EXPECT_LT(now() - start, 1s);
              heard.append(got->text());
              peer.shutdown_write();
            }});
  EXPECT_EQ(count(outcome.heard, "200 OK"), 2);
  EXPECT_TRUE(outcome.heard.ends_with("late"));
}

TEST(HttpServer, givesTheSameAnswersForAnyCutOfTheInput) {
  const std::string three =
      std::string(k_get) + "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nping" +
      "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
      "3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n";
  const std::string whole = undated(ask(hello(), three).heard);
  EXPECT_EQ(count(whole, "200 OK"), 3);
  EXPECT_TRUE(whole.ends_with("abcde"));
  for (std::size_t piece : {1U, 2U, 3U, 7U, 64U}) {
    EXPECT_EQ(undated(ask(hello(), three, {}, {.piece_max = piece}).heard), whole) << piece;
  }
}

TEST(HttpServer, answersHeadWithoutABody) {
  const Outcome outcome = ask(hello(), "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_TRUE(outcome.heard.ends_with("Content-Length: 5\r\n\r\n"));
}

TEST(HttpServer, streamsInChunksAndHeadOfAStreamHasNone) {
  const Outcome outcome = ask(hello(), "GET /two-pieces HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_TRUE(outcome.heard.ends_with("\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"));
  EXPECT_EQ(count(outcome.heard, "Transfer-Encoding: chunked"), 1);
  const Outcome head = ask(hello(), "HEAD /two-pieces HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_TRUE(head.heard.ends_with("Transfer-Encoding: chunked\r\n\r\n"));
}

TEST(HttpServer, streamsToHttp10UntilTheEndOfTheConnection) {
  const Outcome outcome = ask(hello(), "GET /two-pieces HTTP/1.0\r\n\r\n");
  EXPECT_TRUE(outcome.heard.ends_with("\r\n\r\nonetwo"));
  EXPECT_EQ(count(outcome.heard, "chunked"), 0);
  EXPECT_EQ(count(outcome.heard, "Connection: close"), 1);
}

TEST(HttpServer, keepsAHttp10ConnectionOnlyWhenAsked) {
  const Outcome closed = ask(hello(), "GET / HTTP/1.0\r\n\r\nGET / HTTP/1.0\r\n\r\n");
  EXPECT_EQ(count(closed.heard, "200 OK"), 1);
  const Outcome kept = ask(hello(), "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
                                    "GET / HTTP/1.0\r\n\r\n");
  EXPECT_EQ(count(kept.heard, "200 OK"), 2);
  EXPECT_EQ(count(kept.heard, "Connection: keep-alive"), 1);
}

TEST(HttpServer, closesAfterConnectionClose) {
  const Outcome outcome =
      ask(hello(), "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" + std::string(k_get));
  EXPECT_EQ(count(outcome.heard, "200 OK"), 1);
  EXPECT_EQ(count(outcome.heard, "Connection: close"), 1);
}

TEST(HttpServer, sendsLargeBodiesWhole) {
  const std::string large(300'000, 'x');
  for (std::string path : {"/owned", "/shared", "/copied", "/length"}) {
    const Outcome outcome =
        play({.router = [&] {
                http::Router r;
                r.get("/owned", [&](Request&, Response& out) { out.send_owned(large); });
                r.get("/shared",
                      [&](Request&, Response& out) { out.send(SharedBytes::copy(large)); });
                r.get("/copied", [&](Request&, Response& out) { out.send(large); });
                r.get("/length", [&](Request&, Response& out) -> Task<> {
                  (void)co_await out.content_length(large.size()).write(large);
                });
                return r;
              }(),
              .client = [&](ByteStream& peer, std::string&) -> Task<> {
                const std::string get = "GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n";
                (void)co_await peer.write_all(std::string_view(get));
                (void)co_await peer.write_all(k_get);  // 404: the next answer is in its place.
                peer.shutdown_write();
              }});
    const std::size_t body = outcome.heard.find("\r\n\r\n") + 4;
    ASSERT_GE(outcome.heard.size(), body + large.size()) << path;
    EXPECT_EQ(outcome.heard.compare(body, large.size(), large), 0) << path;
    EXPECT_EQ(outcome.heard.compare(body + large.size(), 12, "HTTP/1.1 404"), 0) << path;
    EXPECT_EQ(count(outcome.heard, "Content-Length: 300000"), 1) << path;
  }
}

TEST(HttpServer, aHandlerThatThrowsIs500AndTheConnectionCloses) {
  const Outcome outcome =
      ask(hello(), "GET /throws-later HTTP/1.1\r\nHost: a\r\n\r\n" + std::string(k_get));
  EXPECT_TRUE(outcome.heard.starts_with("HTTP/1.1 500 Internal Server Error\r\n"));
  EXPECT_EQ(count(outcome.heard, "HTTP/1.1 "), 1);
  EXPECT_EQ(outcome.statistics.handler_errors, 1U);
}

TEST(HttpServer, anIllegalFieldOfAHandlerBecomes500) {
  http::Router router;
  router.get("/", [](Request&, Response& out) {
    out.header("X-User", "a\r\nSet-Cookie: b").send("secret");
  });
  const Outcome outcome = ask(std::move(router), std::string(k_get));
  EXPECT_TRUE(outcome.heard.starts_with("HTTP/1.1 500"));
  EXPECT_EQ(count(outcome.heard, "Set-Cookie"), 0);
  EXPECT_EQ(count(outcome.heard, "secret"), 0);
}

TEST(HttpServer, answers100ContinueWhenTheHandlerReads) {
  const Outcome outcome =
      play({.router = hello(), .client = [](ByteStream& peer, std::string& heard) -> Task<> {
              (void)co_await peer.write_all(std::string_view(
                  "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n"
                  "Expect: 100-continue\r\n\r\n"));
              heard.append((co_await peer.read())->text());
              EXPECT_EQ(heard, "HTTP/1.1 100 Continue\r\n\r\n");
              (void)co_await peer.write_all(std::string_view("ok"));
              peer.shutdown_write();
            }});
  EXPECT_TRUE(outcome.heard.ends_with("\r\n\r\nok"));
}

TEST(HttpServer, doesNotAskForABodyThatNobodyReads) {
  const Outcome outcome =
      play({.router = hello(), .client = [](ByteStream& peer, std::string&) -> Task<> {
              (void)co_await peer.write_all(std::string_view(
                  "POST /ignore HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n"
                  "Expect: 100-continue\r\n\r\n"));
            }});
  EXPECT_EQ(count(outcome.heard, "100 Continue"), 0);
  EXPECT_EQ(count(outcome.heard, "Connection: close"), 1);
  EXPECT_TRUE(outcome.server_closed);
}

TEST(HttpServer, readsAnIgnoredBodyAwayForTheNextRequest) {
  const std::string body(10'000, 'b');
  const Outcome outcome = ask(hello(), "POST /ignore HTTP/1.1\r\nHost: a\r\nContent-Length: 10000"
                                       "\r\n\r\n" + body + std::string(k_get));
  EXPECT_EQ(count(outcome.heard, "200 OK"), 2);
}

TEST(HttpServer, closesInsteadOfReadingALargeIgnoredBodyAway) {
  const std::string body(100'000, 'b');
  const Outcome outcome = ask(hello(), "POST /ignore HTTP/1.1\r\nHost: a\r\nContent-Length: 100000"
                                       "\r\n\r\n" + body + std::string(k_get));
  EXPECT_EQ(count(outcome.heard, "200 OK"), 1);
  EXPECT_EQ(count(outcome.heard, "Connection: close"), 1);
}

TEST(HttpServer, pushesBackWhileAHandlerDoesNotReadTheBody) {
  std::size_t received = 0;
  http::Router router;
  router.post("/", [&](Request& in, Response& out) -> Task<> {
    while (true) {
      auto piece = co_await in.read();
      if (!piece || piece->empty()) break;
      received += piece->size();
      co_await sleep_for(10ms);
    }
    out.send(std::to_string(received));
  });
  const Outcome outcome = play(
      {.router = std::move(router),
       .pair = {.capacity = 8'192},
       .client = [&](ByteStream& peer, std::string&) -> Task<> {
         const std::string piece(50'000, 'p');
         (void)co_await peer.write_all(std::string_view(
             "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 500000\r\n\r\n"));
         for (std::size_t sent = 50'000; sent <= 500'000; sent += 50'000) {
           (void)co_await peer.write_all(std::string_view(piece));
           EXPECT_GE(received + 8'192 + 4'096 * 3, sent);
         }
         peer.shutdown_write();
       }});
  EXPECT_TRUE(outcome.heard.ends_with("500000"));
}

TEST(HttpServer, tellsAHandlerThatAsksWhenTheClientHasGone) {
  bool gone = false;
  http::Router router;
  router.get("/", [&](Request& in, Response& out) -> Task<> {
    auto first = co_await when_any(sleep_for(1h), in.disconnected());
    gone = first.index == 1;
    out.send("nobody hears this");
  });
  const Outcome outcome = ask(std::move(router), std::string(k_get));
  EXPECT_TRUE(gone);
  EXPECT_LT(outcome.took, 1s);
}

TEST(HttpServer, servesWhatArrivedWhileAHandlerWatchedTheConnection) {
  http::Router router;
  router.get("/", [&](Request& in, Response& out) -> Task<> {
    co_await when_any(sleep_for(1s), in.disconnected());
    out.send("watched");
  });
  const Outcome outcome = play(
      {.router = std::move(router), .client = [](ByteStream& peer, std::string& heard) -> Task<> {
         (void)co_await peer.write_all(k_get);
         co_await sleep_for(10ms);
         (void)co_await peer.write_all(k_get);
         while (count(heard, "watched") < 2) heard.append((co_await peer.read())->text());
         peer.shutdown_write();
       }});
  EXPECT_EQ(count(outcome.heard, "watched"), 2);
}

TEST(HttpServer, asksFiltersFirstAndFallsBackToOtherwise) {
  const auto router = [] {
    http::Router made;
    made.filter([](Request& in, Response& out) {
      if (in.authority() == "a") return true;
      out.send_error(421);
      return false;
    });
    made.get("/q", [](Request& in, Response& out) {
      out.send(in.query_value("x").value_or("none") + " " + std::string(in.peer()));
    });
    made.get("/old", [](Request&, Response& out) { out.redirect("/q?x=1", 308); });
    made.otherwise([](Request&, Response& out) { out.status(404).send("the page itself"); });
    return made;
  };
  const auto get = [&](std::string path, std::string host) {
    return ask(router(), "GET " + path + " HTTP/1.1\r\nHost: " + host + "\r\n\r\n").heard;
  };
  EXPECT_TRUE(get("/q?x=a%20b+c", "a").ends_with("a b c test:1"));
  EXPECT_TRUE(get("/q", "a").ends_with("none test:1"));
  EXPECT_TRUE(get("/q", "evil").starts_with("HTTP/1.1 421 "));
  EXPECT_TRUE(get("/nothing", "a").ends_with("the page itself"));
  EXPECT_NE(get("/old", "a").find("Location: /q?x=1\r\n"), std::string::npos);
}

TEST(HttpServer, sendsServerSentEvents) {
  http::Router router;
  router.get("/", [](Request&, Response& out) -> Task<> {
    http::EventStream events(out);
    (void)co_await events.send({.data = "a\nb", .event = "note", .id = "7", .retry = 2s});
    (void)co_await events.keep_alive();
    auto bad = co_await events.send({.data = "x", .event = "two\nlines"});
    EXPECT_EQ(bad.error().code(), Errc::bad_message);
  });
  const Outcome outcome = ask(std::move(router), std::string(k_get));
  EXPECT_NE(outcome.heard.find("id: 7\nevent: note\nretry: 2000\ndata: a\ndata: b\n\n"),
            std::string::npos);
  EXPECT_NE(outcome.heard.find("Content-Type: text/event-stream\r\n"), std::string::npos);
}

TEST(HttpServer, aSoftStopClosesIdleConnectionsAtOnceAndLetsBusyOnesAnswer) {
  SimLoop sim;
  sim.run([&]() -> Task<> {
    http::Server server(hello());
    MemoryPair idle, busy;
    co_await with_scope([&](Scope& scope) -> Task<> {
      scope.start([&]() -> Task<> { co_await server.serve(idle.first()); });
      scope.start([&]() -> Task<> { co_await server.serve(busy.first()); });
      (void)co_await busy.second().write_all(
          std::string_view("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n"));
      co_await sleep_for(1s);
      loop().request_stop();
      std::string heard;
      EXPECT_TRUE(co_await hear_all(idle.second(), heard));
      EXPECT_LT(sim.now(), 2s);
      EXPECT_EQ(server.statistics().connections, 1U);
      heard.clear();
      EXPECT_TRUE(co_await hear_all(busy.second(), heard));
      EXPECT_EQ(count(heard, "Connection: close"), 1);
      EXPECT_TRUE(heard.ends_with("late"));
      busy.second().shutdown_write();
    });
    EXPECT_EQ(server.statistics().connections, 0U);
  });
}

TEST(HttpServer, cancellingServeEndsTheHandlerFirst) {
  bool unwound = false;
  http::Router router;
  router.get("/", [&](Request&, Response&) -> Task<> {
    struct Note {
      bool& told;
      ~Note() { told = true; }
    } note{unwound};
    co_await sleep_for(1h);
  });
  SimLoop sim;
  sim.run([&]() -> Task<> {
    http::Server server(std::move(router));
    MemoryPair pair;
    auto served = co_await move_on_after(5s, [&](Scope& scope) -> Task<> {
      scope.start([&]() -> Task<> { co_await server.serve(pair.first()); });
      (void)co_await pair.second().write_all(k_get);
      co_return;
    });
    EXPECT_TRUE(served.cancelled);
    EXPECT_TRUE(unwound);
    EXPECT_EQ(server.statistics().connections, 0U);
  });
  EXPECT_EQ(sim.now(), 5s);
}

TEST(HttpServer, cancelledAtAnyMomentLeavesNothingBehind) {
  const std::string all = std::string(k_get) +
                          "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 6000\r\n\r\n" +
                          std::string(6'000, 'e') + "GET /two-pieces HTTP/1.1\r\nHost: a\r\n\r\n" +
                          "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n" + "nonsense\r\n\r\n";
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
            std::string heard;
            co_await hear_all(pair.second(), heard);
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
