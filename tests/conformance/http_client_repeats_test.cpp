// SPDX-License-Identifier: Apache-2.0
// What an HTTP client asks again, on every driver: redirects and refusals.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "http_client_fixture.hpp"

namespace rondo::testing {
namespace {

using ::testing::HasSubstr;

class HttpClientRepeats : public HttpClientFixture {};

TEST_P(HttpClientRepeats, follows_redirects_as_their_status_says) {
  beside_server([](std::string url) -> Task<> {
    Client client({.user_agent = "test"});
    auto got = co_await client.get(url + "/a/../go").or_throw();
    EXPECT_EQ(got.url(), url + "/agent");
    EXPECT_EQ(got.redirects(), 1u);
    auto posted = co_await client.send({.method = "POST", .url = url + "/go", .body = "x"});
    EXPECT_EQ((co_await posted->read_all()).or_throw(), "test||") << "303: a GET, without a body";
    auto kept = co_await client.send({.method = "POST", .url = url + "/keep", .body = "again"});
    EXPECT_EQ((co_await kept->read_all()).or_throw(), "again") << "307: the same once more";
    EXPECT_EQ((co_await client.get(url + "/round")).error(), Errc::bad_message);
    Client still({.redirects_max = 0});
    EXPECT_EQ((co_await still.get(url + "/go").or_throw()).status(), 302);
  });
}

TEST_P(HttpClientRepeats, secrets_do_not_go_to_another_host) {
  run([]() -> Task<> {
    auto listener = tcp::listen({.address = "127.0.0.1:0"}).or_throw();
    auto other = tcp::listen({.address = "127.0.0.1:0"}).or_throw();
    std::string heard;
    co_await with_scope([&](Scope& scope) -> Task<> {
      scope.start([&]() -> Task<> {
        auto peer = co_await listener.accept().or_throw();
        EXPECT_THAT(co_await hear(peer), HasSubstr("Authorization: Basic QWRhOjE4MTU="));
        (void)co_await peer.write_all(
            "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:" + std::to_string(other.port()) +
            "/x\r\nContent-Length: 0\r\n\r\n");
      });
      scope.start([&]() -> Task<> {
        auto peer = co_await other.accept().or_throw();
        heard = co_await hear(peer);
        (void)co_await peer.write_all("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
      });
      Client client;
      auto answer = co_await client.send(
          {.url = "http://127.0.0.1:" + std::to_string(listener.port()),
           .headers = {{"Authorization", http::basic_authorization("Ada", "1815")},
                       {"Cookie", "a=b"},
                       {"X-Own", "kept"}}});
      EXPECT_TRUE(answer.has_value());
    });
    EXPECT_THAT(heard, HasSubstr("X-Own: kept"));
    EXPECT_THAT(heard, ::testing::Not(HasSubstr("Authorization")));
    EXPECT_THAT(heard, ::testing::Not(HasSubstr("Cookie")));
  });
}

TEST_P(HttpClientRepeats, refusals_are_repeated_after_a_while_and_posts_are_not) {
  int seen = 0;
  beside(
      [&](tcp::Stream peer, int) -> Task<> {
        while (!(co_await hear(peer)).empty()) {
          ++seen;
          const bool good = seen % 3 == 0;
          (void)co_await peer.write_all(good ? "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
                                             : "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n");
        }
      },
      [&](std::string url) -> Task<> {
        Client client({.retry_delay = 1ms});
        EXPECT_EQ(co_await text_of(client, url), "ok");
        EXPECT_EQ(seen, 3);
        EXPECT_EQ(client.statistics().opened, 1u);
        auto posted = co_await client.send({.method = "POST", .url = url, .body = "x"});
        EXPECT_EQ(posted->status(), 503);
        EXPECT_EQ(seen, 4);
      });
}

ON_EVERY_DRIVER(HttpClientRepeats);

}  // namespace
}  // namespace rondo::testing
