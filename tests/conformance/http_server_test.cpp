// SPDX-License-Identifier: Apache-2.0
// The HTTP server over TCP, the same on every driver.
#include "rondo/http/server.hpp"

#include <gtest/gtest.h>

#include <string>

#include "driver_fixture.hpp"
#include "rondo/core/cancel.hpp"
#include "rondo/core/scope.hpp"
#include "rondo/core/sleep.hpp"
#include "rondo/net/tcp.hpp"

namespace rondo::http {
namespace {

using namespace rondo::literals;

constexpr std::string_view k_get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

Router routes(int* running = nullptr) {
  Router router;
  router.get("/", [](Request&, Response& out) { out.send("Hello"); });
  router.post("/echo", [](Request& in, Response& out) -> Task<> {
    while (true) {
      auto piece = co_await in.read();
      if (!piece || piece->empty()) co_return;
      if (!co_await out.write(*piece)) co_return;
    }
  });
  router.get("/wait", [running](Request&, Response& out) -> Task<> {
    if (running) ++*running;
    // With a counter it runs until the stop, however slow the machine is.
    for (int turns = running ? 2'000 : 6; turns > 0; --turns) {
      co_await sleep_for(5ms);
      if (running && stop_requested()) break;
    }
    out.send("waited");
  });
  router.get("/count", [running](Request&, Response& out) -> Task<> {
    ++*running;
    co_await sleep_for(30ms);
    out.send("waited");
  });
  router.get("/peer", [](Request& in, Response& out) { out.send(in.peer()); });
  return router;
}

int count(std::string_view text, std::string_view what) {
  int found = 0;
  for (auto at = text.find(what); at != text.npos; at = text.find(what, at + 1)) ++found;
  return found;
}

/// Reads until `done(heard)` or the end of the stream.
template <class F>
Task<std::string> hear(tcp::Stream& peer, F done) {
  std::string heard;
  while (!done(heard)) {
    auto got = co_await peer.read();
    if (!got || got->empty()) break;
    heard.append(got->text());
  }
  co_return heard;
}

class HttpOverTcp : public ::testing::TestWithParam<std::string> {
 protected:
  /// Runs `client(port)` beside a server, then stops it softly.
  template <class F>
  void beside(Router router, ServerOptions options, F client) {
    LoopOptions how;
    how.own_driver = io::testing::make_named(GetParam(), {});
    Loop loop(std::move(how));
    auto main = [&]() -> Task<> {
      tcp::Listener listener = tcp::listen({.address = "127.0.0.1:0"}).or_throw();
      Server server(std::move(router), options);
      co_await with_scope([&](Scope& scope) -> Task<> {
        scope.start([&]() -> Task<> {
          EXPECT_TRUE(co_await server.run(listener));
        });
        co_await client(listener.local());
        rondo::loop().request_stop();
      });
      EXPECT_EQ(server.statistics().connections, 0U);
      statistics_ = server.statistics();
    };
    auto ended = loop.run([&]() -> Task<bool> {
      co_return (co_await with_timeout(60s, main())).has_value();
    }());
    EXPECT_TRUE(ended && *ended) << "the hang guard struck";
  }
  ServerStatistics statistics_;
};

TEST_P(HttpOverTcp, keepsAConnectionForManyRequests) {
  beside(routes(), {}, [](net::Endpoint where) -> Task<> {
    auto peer = co_await tcp::connect(where).or_throw();
    for (int i = 0; i < 50; ++i) {
      (co_await peer.write_all(k_get)).or_throw();
      const std::string heard =
          co_await hear(peer, [](const std::string& text) { return text.ends_with("Hello"); });
      EXPECT_EQ(count(heard, "200 OK"), 1);
    }
  });
  EXPECT_EQ(statistics_.accepted, 1U);
  EXPECT_EQ(statistics_.requests, 50U);
}

TEST_P(HttpOverTcp, echoesAStreamedBodyLargerThanEveryBuffer) {
  beside(routes(), {.body_max = 4'000'000}, [](net::Endpoint where) -> Task<> {
    auto peer = co_await tcp::connect(where).or_throw();
    const std::string body(2'000'000, 'z');
    std::string heard;
    co_await with_scope([&](Scope& scope) -> Task<> {
      scope.start([&]() -> Task<> {
        const std::string head = "POST /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
                                 "Content-Length: 2000000\r\n\r\n";
        (co_await peer.write_all(std::string_view(head))).or_throw();
        (co_await peer.write_all(std::string_view(body))).or_throw();
      });
      heard = co_await hear(peer, [](const std::string&) { return false; });
    });
    EXPECT_EQ(count(heard, "z"), 2'000'000);
    EXPECT_TRUE(heard.ends_with("0\r\n\r\n"));
  });
}

TEST_P(HttpOverTcp, waitsWithAcceptingAtTheConnectionLimit) {
  int running = 0;
  beside(routes(&running), {.connections_max = 2}, [&](net::Endpoint where) -> Task<> {
    co_await with_scope([&](Scope& scope) -> Task<> {
      for (int i = 0; i < 6; ++i) {
        scope.start([where]() -> Task<> {
          auto peer = co_await tcp::connect(where).or_throw();
          (co_await peer.write_all("GET /count HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"))
              .or_throw();
          const std::string heard =
              co_await hear(peer, [](const std::string&) { return false; });
          EXPECT_TRUE(heard.ends_with("waited"));
        });
      }
      co_return;
    });
  });
  EXPECT_EQ(running, 6);
  EXPECT_LE(statistics_.exchanges, 2U);
}

TEST_P(HttpOverTcp, aRefusedClientCanReadWhy) {
  beside(routes(), {.head_max = 1'000}, [](net::Endpoint where) -> Task<> {
    auto peer = co_await tcp::connect(where).or_throw();
    std::string much("GET / HTTP/1.1\r\n");
    for (int i = 0; i < 500; ++i) much.append("X-Filler: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n");
    (void)co_await peer.write_all(std::string_view(much));
    const std::string heard = co_await hear(peer, [](const std::string&) { return false; });
    EXPECT_TRUE(heard.starts_with("HTTP/1.1 431 ")) << heard;
  });
}

TEST_P(HttpOverTcp, aSoftStopAnswersWhatRunsAndClosesWhatIsIdle) {
  int running = 0;
  beside(routes(&running), {}, [&](net::Endpoint where) -> Task<> {
    auto idle = co_await tcp::connect(where).or_throw();
    (co_await idle.write_all(k_get)).or_throw();
    (void)co_await hear(idle, [](const std::string& text) { return text.ends_with("Hello"); });
    auto busy = co_await tcp::connect(where).or_throw();
    (co_await busy.write_all("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")).or_throw();
    while (running == 0) co_await sleep_for(1ms);
    loop().request_stop();
    auto rest = co_await idle.read();
    EXPECT_TRUE(rest && rest->empty());
    const std::string heard = co_await hear(busy, [](const std::string&) { return false; });
    EXPECT_TRUE(heard.ends_with("waited"));
    EXPECT_EQ(count(heard, "Connection: close"), 1);
  });
}

TEST_P(HttpOverTcp, knowsTheClientsAddress) {
  beside(routes(), {}, [](net::Endpoint where) -> Task<> {
    auto peer = co_await tcp::connect(where).or_throw();
    (co_await peer.write_all("GET /peer HTTP/1.0\r\n\r\n")).or_throw();
    const std::string heard = co_await hear(peer, [](const std::string&) { return false; });
    EXPECT_TRUE(heard.ends_with(peer.local().or_throw().to_string()));
  });
}

TEST_P(HttpOverTcp, survivesClientsThatResetInEveryState) {
  beside(routes(), {}, [](net::Endpoint where) -> Task<> {
    for (std::string_view part : {"", "GET", "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
                                  "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nab",
                                  "GET /wait HTTP/1.1\r\nHost: a\r\n\r\n"}) {
      auto peer = co_await tcp::connect(where).or_throw();
      if (!part.empty()) (co_await peer.write_all(part)).or_throw();
      co_await sleep_for(5ms);
      peer.close();  // Unread answers make it a reset.
    }
    auto peer = co_await tcp::connect(where).or_throw();
    (co_await peer.write_all(k_get)).or_throw();
    const std::string heard =
        co_await hear(peer, [](const std::string& text) { return text.ends_with("Hello"); });
    EXPECT_TRUE(heard.ends_with("Hello"));
  });
}

INSTANTIATE_TEST_SUITE_P(Drivers, HttpOverTcp,
                         ::testing::ValuesIn(io::testing::all_driver_names()),
                         [](const auto& given) { return given.param; });

}  // namespace
}  // namespace rondo::http
