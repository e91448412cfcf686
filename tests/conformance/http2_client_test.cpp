// SPDX-License-Identifier: Apache-2.0
// The HTTP client over HTTP/2 on every driver, against our own server.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "certificates.hpp"
#include "every_driver.hpp"
#include "http_client_fixture.hpp"
#include "rondo/core/map_concurrent.hpp"
#include "rondo/core/when.hpp"
#include "rondo/http/client.hpp"
#include "rondo/http/server.hpp"
#include "rondo/net/tcp.hpp"
#include "rondo/tls/stream.hpp"
#include "rondo/ws/socket.hpp"

namespace rondo::testing {
namespace {

using http::Client;
using http::ClientOptions;
using http::ClientRequest;
using http::Header;
using http::Versions;
using ::testing::HasSubstr;

/// What the handlers have seen.
struct Seen {
  int sockets_ended = 0;
  int at_once = 0;
  int at_once_max = 0;
  int cancelled = 0;
};

struct Count {
  int& n;
  ~Count() { ++n; }
};

http::Router pages(Seen& seen) {
  http::Router router;
  router.get("/", [](http::Request& in, http::Response& out) {
    out.send(std::string(in.version()) + " " + std::string(in.header("User-Agent")));
  });
  router.post("/echo", [](http::Request& in, http::Response& out) -> Task<> {
    in.set_body_max(100'000'000);
    while (true) {
      auto piece = co_await in.read();
      if (!piece || piece->empty()) co_return;
      if (!co_await out.write(*piece)) co_return;
    }
  });
  router.get("/slow", [&seen](http::Request&, http::Response& out) -> Task<> {
    seen.at_once_max = std::max(seen.at_once_max, ++seen.at_once);
    co_await sleep_for(20ms);
    --seen.at_once;
    out.send("slow");
  });
  const auto never = [&seen](http::Request&, http::Response&) -> Task<> {
    const Count count{seen.cancelled};
    co_await sleep_for(1h);
  };
  router.get("/never", never).post("/never", never);
  router.get("/large", [](http::Request&, http::Response& out) -> Task<> {
    const std::string piece(10'000, 'l');
    for (int i = 0; i < 200; ++i)
      if (!co_await out.write(piece)) co_return;
  });
  router.post("/trailers", [](http::Request& in, http::Response& out) -> Task<> {
    std::size_t size = 0;
    while (true) {
      auto piece = co_await in.read();
      if (!piece || piece->empty()) break;
      size += piece->size();
    }
    out.header("Trailer", "X-Size");
    (void)co_await out.write("body");
    out.trailer("X-Size", std::to_string(size)).trailer("x-checksum", "  of what came  ");
    out.trailer("X-Came", in.trailers().get("X-Sum", "nothing"));
    out.trailer("Content-Length", "5");
  });
  router.get("/bare", [](http::Request&, http::Response& out) {
    out.header("Keep-Alive", "timeout=5").header("X-Space", " a b ").header("Upgrade", "h2c");
    out.send("bare");
  });
  router.get("/ws", [&seen](http::Request& in, http::Response& out) -> Task<> {
    auto socket = co_await ws::accept(in, out, {.protocols = {"b"}});
    if (!socket) co_return;
    while (auto message = co_await socket->receive())
      if (!co_await socket->send(*message)) break;
    ++seen.sockets_ended;  // Not cancelled: it reads how the socket ended.
  });
  router.get("/empty", [](http::Request&, http::Response& out) { out.status(204).send(); });
  return router;
}

class Http2Client : public EveryDriver {
 protected:
  using Body = std::function<Task<>(std::string url)>;
  /// Runs `body("http://127.0.0.1:PORT")` beside our server.
  void beside_server(Body body, http::ServerOptions options = {}) {
    run([&]() -> Task<> {
      http::Server server(pages(seen_), options);
      auto listener = tcp::listen({.address = "127.0.0.1:0"}).or_throw();
      co_await with_scope([&](Scope& scope) -> Task<> {
        scope.start([&]() -> Task<> { (void)co_await server.run(listener); });
        co_await body("http://127.0.0.1:" + std::to_string(listener.port()));
        scope.cancel();
      });
      statistics_ = server.statistics();
    });
  }

  Seen seen_;
  http::ServerStatistics statistics_;
};

TEST_P(Http2Client, speaks_by_prior_knowledge_and_keeps_its_connection) {
  beside_server([](std::string url) -> Task<> {
    Client client({.versions = Versions::http2, .user_agent = "test"});
    for (int i = 0; i < 3; ++i) {
      auto answer = (co_await client.get(url)).or_throw();
      EXPECT_EQ(answer.status(), 200);
      EXPECT_EQ(answer.version(), "HTTP/2");
      EXPECT_EQ(answer.header("Content-Length"), "11");
      EXPECT_EQ((co_await answer.read_all()).or_throw(), "HTTP/2 test");
      EXPECT_EQ(answer.timings().reused, i > 0);
    }
    EXPECT_EQ((co_await client.get(url + "/empty")).or_throw().status(), 204);
    EXPECT_EQ((co_await client.get(url + "/none")).or_throw().status(), 404);
    const auto statistics = client.statistics();
    EXPECT_EQ(statistics.opened, 1u);
    EXPECT_EQ(statistics.http2, 1u);
    EXPECT_EQ(statistics.failed, 0u);
    EXPECT_EQ(statistics.connections, 1u);
  });
  EXPECT_EQ(statistics_.http2, 1u);
}

TEST_P(Http2Client, many_requests_share_one_connection_and_wait_for_room) {
  beside_server(
      [&](std::string url) -> Task<> {
        Client client({.versions = Versions::http2, .per_origin_max = 1});
        std::vector<int> numbers(50);
        const auto all = co_await map_concurrent(numbers, 50, [&](int) -> Task<std::string> {
          co_return co_await text_of(client, url + "/slow");
        });
        for (const std::string& each : all) EXPECT_EQ(each, "slow");
        EXPECT_EQ(client.statistics().opened, 1u);
      },
      {.streams_max = 7});
  EXPECT_LE(seen_.at_once_max, 7);
  EXPECT_GT(seen_.at_once_max, 1);
}

TEST_P(Http2Client, more_connections_are_opened_when_one_is_full) {
  beside_server(
      [&](std::string url) -> Task<> {
        Client client({.versions = Versions::http2, .per_origin_max = 3});
        EXPECT_EQ(co_await text_of(client, url + "/slow"), "slow");  // The settings are known.
        std::vector<int> numbers(12);
        const auto all = co_await map_concurrent(numbers, 12, [&](int) -> Task<std::string> {
          co_return co_await text_of(client, url + "/slow");
        });
        for (const std::string& each : all) EXPECT_EQ(each, "slow");
        EXPECT_EQ(client.statistics().opened, 3u);
      },
      {.streams_max = 2});
}

TEST_P(Http2Client, requests_beyond_the_bound_of_waiting_are_refused) {
  beside_server(
      [&](std::string url) -> Task<> {
        for (const Versions versions : {Versions::http2, Versions::http1}) {
          Client client({.versions = versions, .per_origin_max = 1, .waiting_max = 3});
          EXPECT_EQ(co_await text_of(client, url + "/"),
                    "HTTP/" + std::string(versions == Versions::http2 ? "2" : "1.1") + " rondo");
          int refused = 0;
          std::vector<int> numbers(8);
          (void)co_await map_concurrent(numbers, 8, [&](int) -> Task<int> {
            auto answer = co_await client.get(url + "/slow");
            if (!answer && answer.error() == Errc::would_exceed) ++refused;
            co_return 0;
          });
          EXPECT_EQ(refused, 4);
        }
      },
      {.streams_max = 1});
}

TEST_P(Http2Client, bodies_flow_both_ways_at_once_beyond_every_window) {
  beside_server([](std::string url) -> Task<> {
    Client client({.versions = Versions::http2});
    const std::string whole(3'000'000, 'w');
    auto answer = (co_await client.send({.method = "POST", .url = url + "/echo", .body = whole}));
    EXPECT_EQ((co_await answer->read_all()).or_throw(), whole);
    // The server takes no more than its answer is read: the source waits meanwhile.
    std::size_t made = 0;
    ClientRequest request{.method = "POST", .url = url + "/echo"};
    request.body_source = [&]() -> Task<Result<std::string>> {
      if (made == 5'000'000) co_return std::string();
      made += 50'000;
      co_return std::string(50'000, 's');
    };
    auto streamed = (co_await client.send(std::move(request))).or_throw();
    for (int i = 0; i < 20; ++i) co_await sleep_for(1ms);
    EXPECT_LT(made, 3'000'000u) << "back-pressure";
    std::size_t read = 0;
    while (true) {
      auto piece = (co_await streamed.read()).or_throw();
      if (piece.empty()) break;
      read += piece.size();
    }
    EXPECT_EQ(read, 5'000'000u);
    EXPECT_EQ(client.statistics().opened, 1u);
  });
}

TEST_P(Http2Client, an_answer_that_is_not_read_stops_only_itself) {
  beside_server([](std::string url) -> Task<> {
    Client client({.versions = Versions::http2});
    auto large = (co_await client.get(url + "/large")).or_throw();
    for (int i = 0; i < 5; ++i) EXPECT_EQ(co_await text_of(client, url + "/slow"), "slow");
    EXPECT_EQ((co_await large.read_all()).or_throw().size(), 2'000'000u);
    EXPECT_EQ(client.statistics().opened, 1u);
  });
}

TEST_P(Http2Client, a_request_that_is_given_up_resets_its_stream_and_no_other) {
  beside_server([&](std::string url) -> Task<> {
    Client client({.versions = Versions::http2});
    EXPECT_EQ(co_await text_of(client, url + "/slow"), "slow");
    co_await when_all(
        [&]() -> Task<> {
          auto gone = co_await with_timeout(10ms, client.get(url + "/never"));
          EXPECT_EQ(gone.error(), Errc::timed_out);
        }(),
        [&]() -> Task<> { EXPECT_EQ(co_await text_of(client, url + "/slow"), "slow"); }());
    {
      auto dropped = (co_await client.get(url + "/large")).or_throw();
      EXPECT_EQ(dropped.status(), 200);
    }
    EXPECT_EQ(co_await text_of(client, url + "/slow"), "slow");
    EXPECT_EQ(seen_.cancelled, 1) << "the server was told";
    EXPECT_EQ(client.statistics().opened, 1u);
    EXPECT_EQ(client.statistics().failed, 0u);
  });
}

TEST_P(Http2Client, each_phase_has_its_time_out) {
  beside_server([&](std::string url) -> Task<> {
    Client client({.versions = Versions::http2, .retries_max = 0, .answer_timeout = 20ms});
    auto none = co_await client.get(url + "/never");
    EXPECT_EQ(none.error(), Errc::timed_out);
    EXPECT_THAT(none.error().message(), HasSubstr("http answer"));
    ClientRequest stuck{.method = "POST", .url = url + "/never", .body = std::string(900'000, 'x')};
    auto untaken = co_await client.send(std::move(stuck));
    EXPECT_EQ(untaken.error(), Errc::timed_out);
    EXPECT_THAT(untaken.error().message(), HasSubstr("http request"));
  });
}

TEST_P(Http2Client, trailers_go_both_ways_over_either_version) {
  beside_server([](std::string url) -> Task<> {
    for (const Versions versions : {Versions::http2, Versions::http1}) {
      Client client({.versions = versions});
      for (const bool streamed : {false, true}) {
        ClientRequest request{.method = "POST", .url = url + "/trailers"};
        if (!streamed) request.body = std::string(200'000, 'x');
        int left = 4;
        if (streamed) {
          request.body_source = [&]() -> Task<Result<std::string>> {
            co_return left-- > 0 ? std::string(50'000, 'x') : std::string();
          };
        }
        request.trailers = [] {
          return std::vector<Header>{{"X-Sum", "42"}, {"Host", "evil"}, {"X-Bad", "a\nb"}};
        };
        auto answer = (co_await client.send(std::move(request))).or_throw();
        EXPECT_EQ(answer.trailers().field_count(), 0u) << "not before the end";
        EXPECT_EQ((co_await answer.read_all()).or_throw(), "body");
        EXPECT_EQ(answer.trailers().get("x-size"), "200000");
        EXPECT_EQ(answer.trailers().get("X-Checksum"), "of what came");
        EXPECT_EQ(answer.trailers().get("x-came"), "42");
        EXPECT_EQ(answer.trailers().field_count(), 3u) << "none of framing";
        EXPECT_FALSE(answer.head().has("x-size"));
      }
      EXPECT_EQ(client.statistics().opened, 1u);
    }
  });
}

TEST_P(Http2Client, fields_of_http1_do_not_break_an_answer) {
  beside_server([](std::string url) -> Task<> {
    Client client({.versions = Versions::http2});
    auto answer = (co_await client.get(url + "/bare")).or_throw();
    EXPECT_EQ(answer.header("X-Space"), "a b");
    EXPECT_FALSE(answer.head().has("keep-alive"));
    EXPECT_FALSE(answer.head().has("upgrade"));
    EXPECT_EQ((co_await answer.read_all()).or_throw(), "bare");
    ClientRequest spaced{.url = url, .headers = {{"User-Agent", " me "}, {"TE", "gzip"}}};
    auto agent = (co_await client.send(std::move(spaced))).or_throw();
    EXPECT_EQ((co_await agent.read_all()).or_throw(), "HTTP/2 me");
  });
}

TEST_P(Http2Client, a_websocket_shares_the_connection) {
  beside_server([](std::string url) -> Task<> {
    Client client({.versions = Versions::http2, .per_origin_max = 1});
    EXPECT_EQ(co_await text_of(client, url), "HTTP/2 rondo");
    {
      auto socket =
          (co_await ws::connect(client, url + "/ws", {.protocols = {"a", "b"}, .http2 = true}))
              .or_throw();
      EXPECT_EQ(socket.protocol(), "b");
      for (const std::size_t size : {0u, 1u, 126u, 4'096u, 70'000u, 900'000u}) {
        const std::string text(size, 't');
        co_await when_all(
            [&]() -> Task<> { (co_await socket.send_text(text)).or_throw(); }(),
            [&]() -> Task<> { EXPECT_EQ((co_await socket.receive()).or_throw().text(), text); }());
      }
      EXPECT_EQ(co_await text_of(client, url), "HTTP/2 rondo");
      (co_await socket.close(ws::CloseCode::normal, "done")).or_throw();
    }
    {
      auto left = (co_await ws::connect(client, url + "/ws", {.http2 = true})).or_throw();
      (co_await left.send_text("x")).or_throw();
    }
    auto refused = co_await ws::connect(client, url + "/none", {.http2 = true});
    EXPECT_THAT(refused.error().message(), HasSubstr("answered 404"));
    auto other = co_await ws::connect(client, url + "/", {.http2 = true});
    EXPECT_THAT(other.error().message(), HasSubstr("answered 501")) << "a handler that is none";
    EXPECT_EQ(co_await text_of(client, url), "HTTP/2 rondo");
    EXPECT_EQ(client.statistics().opened, 1u);
  });
}

TEST_P(Http2Client, idle_connections_go_when_their_time_is_over_or_their_place_is_wanted) {
  beside_server([&](std::string url) -> Task<> {
    Client brief({.versions = Versions::http2, .keep_alive = 5ms});
    EXPECT_EQ(co_await text_of(brief, url), "HTTP/2 rondo");
    EXPECT_EQ(brief.statistics().idle, 1u);
    while (brief.statistics().connections > 0) co_await sleep_for(1ms);

    Seen other_seen;
    http::Server other(pages(other_seen));
    auto listener = tcp::listen({.address = "127.0.0.1:0"}).or_throw();
    co_await with_scope([&](Scope& scope) -> Task<> {
      scope.start([&]() -> Task<> { (void)co_await other.run(listener); });
      const std::string second = "http://127.0.0.1:" + std::to_string(listener.port());
      Client narrow({.versions = Versions::http2, .connections_max = 1});
      for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(co_await text_of(narrow, url), "HTTP/2 rondo");
        EXPECT_EQ(co_await text_of(narrow, second), "HTTP/2 rondo");
        EXPECT_EQ(narrow.statistics().connections, 1u);
      }
      // Also when it becomes idle while somebody waits for its place.
      co_await when_all(
          [&]() -> Task<> { EXPECT_EQ(co_await text_of(narrow, url + "/slow"), "slow"); }(),
          [&]() -> Task<> { EXPECT_EQ(co_await text_of(narrow, second + "/slow"), "slow"); }());
      scope.cancel();
    });
    // A connection of HTTP/1.1 to the same server, for a protocol that needs one.
    Client one({.http2_prior_knowledge = true, .per_origin_max = 1});
    EXPECT_EQ(co_await text_of(one, url), "HTTP/2 rondo");
    auto socket = (co_await ws::connect(one, url + "/ws")).or_throw();
    (co_await socket.send_text("x")).or_throw();
    EXPECT_EQ((co_await socket.receive()).or_throw().text(), "x");
  });
}

TEST_P(Http2Client, a_websocket_is_said_goodbye_to_by_a_soft_stop_and_by_whoever_drops_it) {
  beside_server([&](std::string url) -> Task<> {
    Client client({.versions = Versions::http2});
    {
      auto dropped = (co_await ws::connect(client, url + "/ws", {.http2 = true})).or_throw();
      (co_await dropped.send_text(std::string(300'000, 'x'))).or_throw();
    }
    while (seen_.sockets_ended < 1) co_await sleep_for(1ms);
    auto socket = (co_await ws::connect(client, url + "/ws", {.http2 = true})).or_throw();
    rondo::loop().request_stop();
    EXPECT_EQ((co_await socket.receive()).error(), Errc::stopping);
    while (seen_.sockets_ended < 2) co_await sleep_for(1ms);
  });
}

TEST_P(Http2Client, a_soft_stop_closes_idle_connections_and_lets_requests_end) {
  beside_server([](std::string url) -> Task<> {
    Client client({.versions = Versions::http2});
    Client busy({.versions = Versions::http2});
    EXPECT_EQ(co_await text_of(client, url), "HTTP/2 rondo");
    auto under_way = (co_await busy.get(url + "/large")).or_throw();
    rondo::loop().request_stop();
    while (client.statistics().connections > 0) co_await sleep_for(1ms);
    EXPECT_EQ(busy.statistics().connections, 1u);
    EXPECT_EQ((co_await under_way.read_all()).or_throw().size(), 2'000'000u);
    while (busy.statistics().connections > 0) co_await sleep_for(1ms);
  });
}

TEST_P(Http2Client, what_cannot_be_sent_is_an_error_before_anything_is) {
  beside_server([](std::string url) -> Task<> {
    Client client({.versions = Versions::http2, .http_proxy = url});
    EXPECT_EQ((co_await client.get("http://some.test/")).error(), Errc::not_supported)
        << "a proxy forwards HTTP/1.1";
    Client direct({.versions = Versions::http2});
    ClientRequest broken{.method = "POST", .url = url + "/echo"};
    broken.body_source = []() -> Task<Result<std::string>> {
      co_await checkpoint();
      throw std::runtime_error("told in a test");
    };
    EXPECT_EQ((co_await direct.send(std::move(broken))).error(), Errc::failed);
    ClientRequest too_short{.method = "POST", .url = url + "/echo", .body_size = 10};
    too_short.body_source = []() -> Task<Result<std::string>> { co_return std::string(); };
    EXPECT_EQ((co_await direct.send(std::move(too_short))).error(), Errc::invalid_argument);
    EXPECT_EQ(co_await text_of(direct, url), "HTTP/2 rondo");
    EXPECT_EQ(direct.statistics().opened, 1u);
  });
}

ON_EVERY_DRIVER(Http2Client);

}  // namespace
}  // namespace rondo::testing
