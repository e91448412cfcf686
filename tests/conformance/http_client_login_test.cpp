// SPDX-License-Identifier: Apache-2.0
// Credentials of an HTTP client, on every driver: whom they are told to, how often it asks, and
// what is not sent again. The values themselves: tests/unit/http/digest_test.cpp.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "certificates.hpp"
#include "http_client_fixture.hpp"
#include "rondo/tls/stream.hpp"

namespace rondo::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class HttpClientLogin : public HttpClientFixture {};

/// A server that writes down the Authorization of each request, "" when there is none, and answers
/// each with what it is told to challenge with; "" is 200 with the body.
struct Doorkeeper {
  std::vector<std::string> challenges;  ///< of the first, the second, ... request
  std::vector<std::string> seen = {};

  http::Router router() {
    http::Router made;
    made.otherwise([this](http::Request& in, http::Response& out) -> Task<> {
      auto body = co_await in.read_all();
      const std::size_t number = seen.size();
      seen.emplace_back(in.header("Authorization"));
      if (number < challenges.size() && !challenges[number].empty()) {
        out.header("WWW-Authenticate", challenges[number]).status(401).send("who?");
        co_return;
      }
      out.send("in:" + std::string(body.value_or("?")));
    });
    return made;
  }
};

const std::string k_digest = "Digest realm=\"r\", nonce=\"n1\", qop=\"auth\", algorithm=SHA-256";
const std::string k_later = "Digest realm=\"r\", nonce=\"n2\", qop=\"auth\", algorithm=SHA-256";

Task<std::string> ask(Client& client, ClientRequest request) {
  auto answer = (co_await client.send(std::move(request))).or_throw();
  const std::string body = (co_await answer.read_all()).or_throw();
  co_return std::to_string(answer.status()) + " " + body;
}

TEST_P(HttpClientLogin, answers_a_challenge_once_and_the_requests_behind_unasked) {
  Doorkeeper door{.challenges = {k_digest}};
  beside_router(door.router(), [&](std::string url) -> Task<> {
    Client client({.credentials = {{.origin = url, .user = "ada", .password = "p"}}});
    EXPECT_EQ(co_await ask(client, {.url = url + "/a?q=1"}), "200 in:");
    EXPECT_EQ(co_await ask(client, {.method = "POST", .url = url + "/b", .body = "x"}), "200 in:x");
    EXPECT_EQ(client.statistics().challenges, 1U);
    EXPECT_EQ(client.statistics().opened, 1U) << "the connection of the 401 is used again";
  });
  ASSERT_EQ(door.seen.size(), 3U);
  EXPECT_EQ(door.seen[0], "");
  EXPECT_THAT(door.seen[1], StartsWith("Digest username=\"ada\", realm=\"r\", nonce=\"n1\""));
  EXPECT_THAT(door.seen[1], HasSubstr("uri=\"/a?q=1\", nc=00000001, "));
  EXPECT_THAT(door.seen[2], HasSubstr("uri=\"/b\", nc=00000002, "));
}

TEST_P(HttpClientLogin, wrong_credentials_are_told_once_and_forgotten) {
  Doorkeeper door{.challenges = {k_digest, k_later, k_digest, k_later}};
  beside_router(door.router(), [&](std::string url) -> Task<> {
    Client client({.credentials = {{.origin = url, .user = "ada", .password = "wrong"}}});
    EXPECT_EQ(co_await ask(client, {.url = url}), "401 who?");
    EXPECT_EQ(door.seen.size(), 2U);
    EXPECT_EQ(co_await ask(client, {.url = url}), "401 who?");
  });
  ASSERT_EQ(door.seen.size(), 4U);
  EXPECT_EQ(door.seen[2], "");
}

TEST_P(HttpClientLogin, a_nonce_that_is_too_old_is_replaced) {
  // The first answer is too late already; the fourth request, unasked, is told so without `stale`.
  Doorkeeper door{.challenges = {k_digest, k_later + ", stale=TRUE", "", k_digest, ""}};
  beside_router(door.router(), [&](std::string url) -> Task<> {
    Client client({.credentials = {{.origin = url, .user = "ada", .password = "p"}}});
    EXPECT_EQ(co_await ask(client, {.url = url}), "200 in:");
    EXPECT_EQ(co_await ask(client, {.url = url}), "200 in:");
  });
  ASSERT_EQ(door.seen.size(), 5U);
  EXPECT_THAT(door.seen[1], HasSubstr("nonce=\"n1\""));
  EXPECT_THAT(door.seen[2], HasSubstr("nonce=\"n2\""));
  EXPECT_THAT(door.seen[3], HasSubstr("nonce=\"n2\""));
  EXPECT_THAT(door.seen[3], HasSubstr("nc=00000002"));
  EXPECT_THAT(door.seen[4], HasSubstr("nonce=\"n1\""));
}

TEST_P(HttpClientLogin, a_server_that_always_says_stale_is_not_asked_for_ever) {
  Doorkeeper door{.challenges = std::vector<std::string>(20, k_digest + ", stale=true")};
  beside_router(door.router(), [&](std::string url) -> Task<> {
    Client client({.credentials = {{.origin = url, .user = "ada", .password = "p"}}});
    EXPECT_EQ(co_await ask(client, {.url = url}), "401 who?");
  });
  EXPECT_EQ(door.seen.size(), 3U);
}

TEST_P(HttpClientLogin, the_strongest_of_all_challenges_is_answered) {
  std::vector<std::string> seen;
  http::Router router;
  router.get("/", [&](http::Request& in, http::Response& out) {
    seen.emplace_back(in.header("Authorization"));
    if (seen.size() > 1) return out.send("in");
    out.header("WWW-Authenticate", "Basic realm=\"r\", Digest nonce=a, qop=auth")
        .header("WWW-Authenticate", "Digest nonce=b, qop=auth, algorithm=SHA-256, New x=y")
        .header("WWW-Authenticate", "Digest nonce=c, qop=auth, algorithm=SHA-3")
        .send_error(401);
  });
  beside_router(std::move(router), [&](std::string url) -> Task<> {
    Client client({.credentials = {{.origin = url, .user = "ada", .password = "p"}}});
    EXPECT_EQ(co_await ask(client, {.url = url}), "200 in");
  });
  ASSERT_EQ(seen.size(), 2U);
  EXPECT_THAT(seen[1], HasSubstr("nonce=\"b\""));
}

TEST_P(HttpClientLogin, a_body_that_is_gone_is_not_sent_again_but_the_next_request_knows) {
  Doorkeeper door{.challenges = {k_digest}};
  beside_router(door.router(), [&](std::string url) -> Task<> {
    Client client({.credentials = {{.origin = url, .user = "ada", .password = "p"}}});
    const auto streamed = [&]() -> ClientRequest {
      ClientRequest request{.method = "POST", .url = url};
      request.body_source = [left = 1]() mutable -> Task<Result<std::string>> {
        co_return std::string(left-- > 0 ? "piece" : "");
      };
      return request;
    };
    EXPECT_EQ(co_await ask(client, streamed()), "401 who?");
    EXPECT_EQ(co_await ask(client, streamed()), "200 in:piece");
  });
  EXPECT_EQ(door.seen.size(), 2U);
}

TEST_P(HttpClientLogin, nobody_else_is_told_anything) {
  Doorkeeper other{.challenges = std::vector<std::string>(20, k_digest)};
  Doorkeeper own{.challenges = {k_digest}};
  beside_router(other.router(), [&](std::string other_url) -> Task<> {
    http::Router router = own.router();
    router.get("/away",
               [&](http::Request&, http::Response& out) { out.redirect(other_url + "/", 307); });
    http::Server server(std::move(router));
    auto listener = tcp::listen({.address = "127.0.0.1:0"}).or_throw();
    const std::string url = "http://127.0.0.1:" + std::to_string(listener.port());
    co_await with_scope([&](Scope& scope) -> Task<> {
      scope.start([&]() -> Task<> { (void)co_await server.run(listener); });
      Client client({.credentials = {{.origin = url, .user = "ada", .password = "p"}}});
      EXPECT_EQ(co_await ask(client, {.url = url}), "200 in:");
      EXPECT_EQ(co_await ask(client, {.url = url + "/away"}), "401 who?") << "by a redirect";
      EXPECT_EQ(co_await ask(client, {.url = other_url}), "401 who?");
      scope.cancel();
    });
  });
  EXPECT_THAT(other.seen, ElementsAre("", ""));
}

TEST_P(HttpClientLogin, a_field_of_the_requests_own_is_left_alone) {
  Doorkeeper door{.challenges = std::vector<std::string>(20, k_digest)};
  beside_router(door.router(), [&](std::string url) -> Task<> {
    Client client({.credentials = {{.origin = url, .user = "ada", .password = "p"}}});
    EXPECT_EQ(co_await ask(client, {.url = url, .headers = {{"authorization", "Bearer x"}}}),
              "401 who?");
  });
  EXPECT_THAT(door.seen, ElementsAre("Bearer x"));
}

TEST_P(HttpClientLogin, a_password_goes_over_tls_only) {
  Doorkeeper door{.challenges = {"Basic realm=\"r\"", "Basic realm=\"r\""}};
  beside_router(door.router(), [&](std::string url) -> Task<> {
    Client client({.credentials = {{.origin = url, .user = "ada", .password = "p"}}});
    EXPECT_EQ(co_await ask(client, {.url = url}), "401 who?") << "it would be read on the way";
  });
  EXPECT_THAT(door.seen, ElementsAre(""));
  Doorkeeper secure{.challenges = {"Basic realm=\"r\""}};
  run([&]() -> Task<> {
    Certificates made;
    const auto site = made.sign("site", {.names = {}, .addresses = {"127.0.0.1"}});
    auto context = tls::Context::server({.identities = {site}, .alpn = {"http/1.1"}}).or_throw();
    auto listener = tcp::listen({.address = "127.0.0.1:0"}).or_throw();
    const std::string url = "https://127.0.0.1:" + std::to_string(listener.port());
    http::Server server(secure.router());
    co_await with_scope([&](Scope& scope) -> Task<> {
      scope.start([&]() -> Task<> { (void)co_await server.run(listener, context); });
      Client client(
          {.tls = tls::Context::client({.authorities_file = made.authority(), .alpn = {"http/1.1"}})
                      .or_throw(),
           .credentials = {{.origin = url, .user = "ada", .password = "p"}}});
      EXPECT_EQ(co_await ask(client, {.url = url}), "200 in:");
      EXPECT_EQ(co_await ask(client, {.url = url}), "200 in:");
      scope.cancel();
    });
  });
  const std::string basic = http::basic_authorization("ada", "p");
  EXPECT_THAT(secure.seen, ElementsAre("", basic, basic));
}

ON_EVERY_DRIVER(HttpClientLogin);

}  // namespace
}  // namespace rondo::testing
