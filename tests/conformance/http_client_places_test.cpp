// SPDX-License-Identifier: Apache-2.0
// Where the requests of an HTTP client go, on every driver: connections that are kept, limits,
// proxies, TLS, Unix sockets.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "certificates.hpp"
#include "http_client_fixture.hpp"
#include "rondo/core/map_concurrent.hpp"
#include "rondo/tls/stream.hpp"

namespace rondo::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class HttpClientPlaces : public HttpClientFixture {};

TEST_P(HttpClientPlaces, requests_beyond_the_limit_wait_for_their_turn) {
  beside_server([](std::string url) -> Task<> {
    Client client({.per_origin_max = 3});
    const std::vector<int> many(20);
    auto texts = co_await map_concurrent(many, 20, [&](int) { return text_of(client, url); });
    EXPECT_THAT(texts, ::testing::Each("Hello"));
    EXPECT_LE(client.statistics().opened, 3u);
    EXPECT_EQ(client.statistics().requests, 20u);
  });
}

TEST_P(HttpClientPlaces, idle_connections_make_room_for_new_ones) {
  run([]() -> Task<> {
    Client client({.connections_max = 2});
    std::vector<net::Listener> listeners;
    for (int i = 0; i < 4; ++i)
      listeners.push_back(tcp::listen({.address = "127.0.0.1:0"}).or_throw());
    http::Server server(pages());
    co_await with_scope([&](Scope& scope) -> Task<> {
      for (net::Listener& listener : listeners)
        scope.start([&]() -> Task<> { (void)co_await server.run(listener); });
      for (int round = 0; round < 2; ++round) {
        for (net::Listener& listener : listeners) {
          const std::string url = "http://127.0.0.1:" + std::to_string(listener.port());
          EXPECT_EQ(co_await text_of(client, url), "Hello");
          EXPECT_LE(client.statistics().connections, 2u);
        }
      }
      scope.cancel();
    });
  });
}

TEST_P(HttpClientPlaces, an_answer_dropped_in_the_middle_closes_its_connection) {
  beside_server([](std::string url) -> Task<> {
    Client client({.per_origin_max = 1});
    {
      auto half = co_await client.get(url + "/stream").or_throw();
      EXPECT_FALSE((co_await half.read()).or_throw().empty());
    }
    EXPECT_EQ(client.statistics().connections, 0u);
    EXPECT_EQ(co_await text_of(client, url), "Hello") << "its place is free";
  });
}

TEST_P(HttpClientPlaces, idle_connections_are_closed_in_time) {
  beside_server([](std::string url) -> Task<> {
    Client client({.keep_alive = 20ms});
    EXPECT_EQ(co_await text_of(client, url), "Hello");
    EXPECT_EQ(client.statistics().idle, 1u);
    while (client.statistics().idle > 0) co_await sleep_for(5ms);
    EXPECT_EQ(client.statistics().connections, 0u);
  });
}

TEST_P(HttpClientPlaces,
       a_connection_that_its_server_gave_up_is_replaced_for_what_may_be_repeated) {
  int connections = 0;
  beside(
      [&](tcp::Stream peer, int number) -> Task<> {
        connections = number;
        (void)co_await hear(peer);
        (void)co_await peer.write_all("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        if (number == 1) {
          (void)co_await hear(peer);  // Takes the second request, and says nothing.
          co_return;
        }
        (void)co_await peer.read();
      },
      [&](std::string url) -> Task<> {
        Client client;
        EXPECT_EQ(co_await text_of(client, url), "ok");
        EXPECT_EQ(co_await text_of(client, url), "ok");
        EXPECT_EQ(connections, 2);
        EXPECT_EQ(client.statistics().retries, 1u);
      });
}

TEST_P(HttpClientPlaces, proxies_are_asked_for_whole_urls_and_tunnels) {
  std::vector<std::string> heard;
  Certificates made;
  const auto site = made.sign("site", {.names = {"site.test"}});
  auto server = tls::Context::server({.identities = {site}}).or_throw();
  auto trust = tls::Context::client({.authorities_file = made.authority()}).or_throw();
  beside(
      [&](tcp::Stream peer, int) -> Task<> {
        heard.push_back(co_await hear(peer));
        if (!heard.back().starts_with("CONNECT")) {
          (void)co_await peer.write_all("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nproxied");
          co_return (void) co_await peer.read();
        }
        if (heard.back().find("forbidden") != std::string::npos) {
          (void)co_await peer.write_all("HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n");
          co_return;
        }
        (void)co_await peer.write_all("HTTP/1.1 200 Connected\r\n\r\n");
        auto inside = co_await tls::accept(server, std::move(peer));
        if (!inside) co_return;
        while (auto line = co_await inside->read_line())
          if (line->text() == "\r\n" || line->empty()) break;
        (void)co_await inside->write_all("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\ntunneled");
        (void)co_await inside->read();
      },
      [&](std::string url) -> Task<> {
        Client client({.tls = trust,
                       .http_proxy = url,
                       .https_proxy = url,
                       .proxy_authorization = http::basic_authorization("p", "q"),
                       .no_proxy = {"direct.test"}});
        EXPECT_EQ(co_await text_of(client, "http://plain.test/x?y"), "proxied");
        EXPECT_THAT(heard[0], StartsWith("GET http://plain.test/x?y HTTP/1.1\r\n"));
        EXPECT_THAT(heard[0], HasSubstr("Proxy-Authorization: Basic cDpx"));
        EXPECT_EQ(co_await text_of(client, "https://site.test/"), "tunneled");
        EXPECT_THAT(heard[1], StartsWith("CONNECT site.test:443 HTTP/1.1\r\n"));
        EXPECT_EQ((co_await client.get("https://forbidden.test/")).error(), Errc::access_denied);
      });
}

TEST_P(HttpClientPlaces, speaks_tls_with_a_server_and_believes_no_stranger) {
  run([]() -> Task<> {
    Certificates made;
    const auto site = made.sign("site", {.names = {}, .addresses = {"127.0.0.1"}});
    auto context = tls::Context::server({.identities = {site}, .alpn = {"http/1.1"}}).or_throw();
    auto listener = tcp::listen({.address = "127.0.0.1:0"}).or_throw();
    const std::string url = "https://127.0.0.1:" + std::to_string(listener.port());
    http::Router router = pages();
    router.get("/secure", [](http::Request& in, http::Response& out) {
      out.send(in.secure() && in.peer().starts_with("127.0.0.1:") ? "yes" : "no");
    });
    http::Server server(std::move(router));
    co_await with_scope([&](Scope& scope) -> Task<> {
      scope.start([&]() -> Task<> { (void)co_await server.run(listener, context); });
      Client client(
          {.tls = tls::Context::client({.authorities_file = made.authority(), .alpn = {"http/1.1"}})
                      .or_throw()});
      EXPECT_EQ(co_await text_of(client, url + "/secure"), "yes");
      auto large = co_await client.get(url + "/stream").or_throw();
      EXPECT_EQ((co_await large.read_all()).or_throw().size(), 100'000u);
      EXPECT_EQ(client.statistics().opened, 1u);
      EXPECT_TRUE(large.timings().reused);
      EXPECT_EQ(large.timings().resolved, Duration::zero());
      Client stranger({.retries_max = 0});
      EXPECT_EQ((co_await stranger.get(url)).error(), Errc::untrusted);
      // Somebody who never says a word holds nobody up: a stop ends the handshake.
      auto silent = co_await tcp::connect(listener.local()).or_throw();
      scope.cancel();
    });
    EXPECT_EQ(context.statistics().handshakes, 1u);
  });
}

TEST_P(HttpClientPlaces, one_socket_and_one_base_url_can_stand_for_everything) {
  run([]() -> Task<> {
    const std::string name = unused_name();
    auto listener = unix_stream::listen({.path = name}).or_throw();
    http::Server server(pages());
    co_await with_scope([&](Scope& scope) -> Task<> {
      scope.start([&]() -> Task<> { (void)co_await server.run(listener); });
      Client client({.base_url = "http://engine/", .unix_path = name});
      EXPECT_EQ(co_await text_of(client, "query?v=1"), "v=1");
      EXPECT_EQ(co_await text_of(client, "query?at=http://b/"), "at=http://b/") << "it is relative";
      EXPECT_EQ(co_await text_of(client, "/query?at=http://b/"), "at=http://b/");
      EXPECT_EQ(co_await text_of(client, "http://other/query?v=2"), "v=2");
      scope.cancel();
    });
  });
}

ON_EVERY_DRIVER(HttpClientPlaces);

}  // namespace
}  // namespace rondo::testing
