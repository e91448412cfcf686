// SPDX-License-Identifier: Apache-2.0
// The HTTP client over TLS: which version both agree on, and what waits for that.
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
using http::Versions;
using ::testing::HasSubstr;

class Http2ClientTls : public EveryDriver {
 protected:
  /// Runs `body(context, url)` beside our server over TLS, which offers `alpn`.
  void beside(std::vector<std::string> alpn,
              std::function<Task<>(tls::Context, std::string)> body) {
    run([&]() -> Task<> {
      Certificates made;
      const auto site = made.sign("site", {.names = {"localhost"}, .addresses = {"127.0.0.1"}});
      auto context = tls::Context::server({.identities = {site}, .alpn = alpn}).or_throw();
      http::Router router;
      router.get("/", [](http::Request& in, http::Response& out) { out.send(in.version()); });
      router.get("/ws", [](http::Request& in, http::Response& out) -> Task<> {
        auto socket = co_await ws::accept(in, out);
        if (socket) (void)co_await socket->send_text(in.version());
        if (socket) (void)co_await socket->receive();
      });
      http::Server server(std::move(router));
      auto listener = tcp::listen({.address = "127.0.0.1:0"}).or_throw();
      co_await with_scope([&](Scope& scope) -> Task<> {
        scope.start([&]() -> Task<> { (void)co_await server.run(listener, context); });
        // Its own names are not looked at.
        auto client =
            tls::Context::client({.authorities_file = made.authority(), .alpn = {"http/1.1"}});
        co_await body(client.or_throw(), "https://127.0.0.1:" + std::to_string(listener.port()));
        scope.cancel();
      });
      statistics_ = server.statistics();
    });
  }
  http::ServerStatistics statistics_;
};

TEST_P(Http2ClientTls, a_fresh_origin_is_asked_once_which_version_it_speaks) {
  beside({"h2", "http/1.1"}, [](tls::Context context, std::string url) -> Task<> {
    Client client({.tls = context});
    std::vector<int> numbers(20);
    for (const std::string& each : co_await map_concurrent(
             numbers, 20,
             [&](int) -> Task<std::string> { co_return co_await text_of(client, url); }))
      EXPECT_EQ(each, "HTTP/2");
    EXPECT_EQ(client.statistics().opened, 1u);
  });
  EXPECT_EQ(statistics_.accepted, 1u);
}

TEST_P(Http2ClientTls, a_server_of_http1_has_the_pool_it_always_had) {
  for (const std::vector<std::string>& alpn :
       {std::vector<std::string>{"http/1.1"}, std::vector<std::string>{}}) {
    beside(alpn, [](tls::Context context, std::string url) -> Task<> {
      Client client({.tls = context, .per_origin_max = 3});
      std::vector<int> numbers(20);
      for (const std::string& each : co_await map_concurrent(
               numbers, 20,
               [&](int) -> Task<std::string> { co_return co_await text_of(client, url); }))
        EXPECT_EQ(each, "HTTP/1.1");
      EXPECT_LE(client.statistics().opened, 3u);
      EXPECT_EQ(client.statistics().http2, 0u);
    });
  }
}

TEST_P(Http2ClientTls, a_version_can_be_demanded_or_forbidden) {
  beside({"h2", "http/1.1"}, [](tls::Context context, std::string url) -> Task<> {
    Client old({.tls = context, .versions = Versions::http1});
    EXPECT_EQ(co_await text_of(old, url), "HTTP/1.1");
    Client demanding({.tls = context, .versions = Versions::http2});
    EXPECT_EQ(co_await text_of(demanding, url), "HTTP/2");
  });
  beside({}, [](tls::Context context, std::string url) -> Task<> {
    Client demanding({.tls = context, .versions = Versions::http2, .retries_max = 0});
    EXPECT_THAT(co_await text_of(demanding, url), HasSubstr("does not speak HTTP/2"));
  });
}

TEST_P(Http2ClientTls, all_who_wait_for_a_handshake_that_fails_fail_with_it) {
  beside({"h2"}, [](tls::Context, std::string url) -> Task<> {
    Client stranger({.retries_max = 0});
    std::vector<int> numbers(5);
    for (const std::string& each : co_await map_concurrent(
             numbers, 5,
             [&](int) -> Task<std::string> { co_return co_await text_of(stranger, url); }))
      EXPECT_THAT(each, HasSubstr("127.0.0.1"));
    EXPECT_EQ(stranger.statistics().opened, 0u);
  });
  EXPECT_EQ(statistics_.accepted, 0u);
}

TEST_P(Http2ClientTls, who_waits_goes_on_when_the_one_that_connects_is_cancelled) {
  beside({"h2", "http/1.1"}, [](tls::Context context, std::string url) -> Task<> {
    Client client({.tls = context});
    co_await with_scope([&](Scope& scope) -> Task<> {
      auto first = scope.start([&]() -> Task<> { (void)co_await client.get(url); });
      auto second = scope.start([&]() -> Task<std::string> { return text_of(client, url); });
      co_await checkpoint();
      first.cancel();
      EXPECT_EQ((co_await second).or_throw(), "HTTP/2");
    });
  });
}

TEST_P(Http2ClientTls, websockets_choose_their_version) {
  beside({"h2", "http/1.1"}, [](tls::Context context, std::string url) -> Task<> {
    Client client({.tls = context});
    for (const bool http2 : {false, true}) {
      auto socket = (co_await ws::connect(client, url + "/ws", {.http2 = http2})).or_throw();
      EXPECT_EQ((co_await socket.receive()).or_throw().text(), http2 ? "HTTP/2" : "HTTP/1.1");
    }
    EXPECT_EQ(co_await text_of(client, url), "HTTP/2");
    EXPECT_EQ(client.statistics().opened, 2u);
  });
}

ON_EVERY_DRIVER(Http2ClientTls);

}  // namespace
}  // namespace rondo::testing
