// SPDX-License-Identifier: Apache-2.0
#include "rondo/http/middleware.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "rondo/core/offload.hpp"
#include "rondo/http/client.hpp"
#include "rondo/net/tcp.hpp"
#include "talk.hpp"

namespace rondo::testing {
namespace {

using http::Request;
using http::Response;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using namespace std::chrono_literals;

/// The answers to requests, one after the other on one connection from 10.0.0.1.
std::string ask(http::Router router, const std::vector<std::string>& requests) {
  return play({.router = std::move(router),
               .client = [&](ByteStream& peer, std::string&) -> Task<> {
                 for (const std::string& each : requests) {
                   const std::string text = each + "\r\nHost: a\r\n\r\n";
                   (void)co_await peer.write_all(std::string_view(text));
                 }
                 peer.shutdown_write();
               }})
      .heard;
}
std::string get(http::Router router, std::string path = "/", std::string fields = "") {
  return ask(std::move(router), {"GET " + path + " HTTP/1.1" + fields});
}

/// Writes what it is called before and behind the rest.
http::Middleware around(std::vector<std::string>& log, std::string name) {
  return [&log, name](Request&, Response&, http::Next next) -> Task<> {
    log.push_back(name + "(");
    co_await next();
    log.push_back(name + ")");
  };
}

TEST(Middleware, standsAroundWhatIsAddedBehindItFromTheOutsideIn) {
  std::vector<std::string> log;
  const auto router = [&] {
    http::Router made;
    made.get("/before", [](Request&, Response& out) { out.send(); });
    made.use(around(log, "a"));
    made.use(around(log, "b"));
    made.get("/plain", [&](Request&, Response& out) {
      log.push_back("plain");
      out.send();
    });
    http::Group group = made.group("/group");
    group.use(around(log, "c"));
    group.get("", [&](Request&, Response& out) -> Task<> {
      log.push_back("task");
      out.send();
      co_return;
    });
    http::Group inner = group.group("/{id}");
    inner.use(around(log, "d"));
    group.use(around(log, "late"));
    inner.get("/x", [&](Request& in, Response& out) { out.send(in.param("id")); });
    return made;
  };
  const auto order = [&](std::string path) {
    log.clear();
    (void)get(router(), path);
    std::string text;
    for (const std::string& each : log) text += each;
    return text;
  };
  EXPECT_EQ(order("/before"), "");
  EXPECT_EQ(order("/plain"), "a(b(plainb)a)");
  EXPECT_EQ(order("/group"), "a(b(c(taskc)b)a)");
  EXPECT_EQ(order("/group/7/x"), "a(b(c(d(d)c)b)a)");
  EXPECT_EQ(order("/unknown"), "a(b(b)a)");
  EXPECT_TRUE(get(router(), "/group/7/x").ends_with("\r\n\r\n7"));
  EXPECT_THAT(get(router(), "/unknown"), HasSubstr("404 Not Found"));
}

TEST(Middleware, mayAnswerInPlaceOfTheHandler) {
  http::Router router;
  router.use([](Request&, Response& out, http::Next) -> Task<> {
    out.send_error(503);
    co_return;
  });
  router.get("/", [](Request&, Response&) { ADD_FAILURE() << "the handler ran"; });
  EXPECT_THAT(get(std::move(router)), HasSubstr("HTTP/1.1 503 "));
}

TEST(Middleware, accessLogTellsWhatWasAnswered) {
  std::vector<std::string> told;
  http::Router router;
  router.use(http::request_id({.trust = true}));
  router.use(http::access_log([&](const http::AccessRecord& each) {
    told.push_back(std::string(each.peer) + " " + std::string(each.method) + " " +
                   std::string(each.target) + " " + std::to_string(each.status) + " " +
                   std::to_string(each.bytes) + " " + std::string(each.request_id));
  }));
  router.get("/a", [](Request&, Response& out) { out.send("12345"); });
  (void)get(std::move(router), "/a?q", "\r\nX-Request-Id: me");
  EXPECT_THAT(told, ElementsAre("test:1 GET /a?q 200 5 me"));
}

TEST(Middleware, accessLogTellsOfExceptionsAndCancellations) {
  std::vector<int> statuses;
  const auto router = [&] {
    http::Router made;
    made.use(
        http::access_log([&](const http::AccessRecord& each) { statuses.push_back(each.status); }));
    made.get("/throws", [](Request&, Response&) { throw std::runtime_error("x"); });
    made.get("/empty", [](Request&, Response&) {});
    made.get("/given-up", [](Request&, Response&) -> Task<> { co_await sleep_for(1h); });
    return made;
  };
  EXPECT_THAT(get(router(), "/throws"), HasSubstr("500 "));
  (void)get(router(), "/empty");
  (void)get(router(), "/unknown");
  SimLoop().run([&]() -> Task<> {
    http::Server server(router());
    MemoryPair pair;
    co_await with_scope([&](Scope& scope) -> Task<> {
      auto serving = scope.start([&]() -> Task<> { co_await server.serve(pair.first()); });
      (void)co_await pair.second().write_all("GET /given-up HTTP/1.1\r\nHost: a\r\n\r\n");
      co_await sleep_for(1s);
      serving.cancel();
    });
  });
  EXPECT_THAT(statuses, ElementsAre(500, 200, 404, 0));
}

TEST(Middleware, requestIdsAreMadeOrTakenAndReachEverything) {
  std::string seen, offloaded;
  const auto router = [&](bool trust) {
    http::Router made;
    made.use(http::request_id({.trust = trust}));
    made.get("/", [&](Request&, Response& out) -> Task<> {
      seen = http::current_request_id();
      offloaded = (co_await run_blocking([] {
                    return std::string(http::current_request_id());
                  })).or_throw();
      out.send();
    });
    return made;
  };
  const std::string made = get(router(false), "/", "\r\nX-Request-Id: mine");
  EXPECT_EQ(seen.size(), 32u);
  EXPECT_EQ(offloaded, seen);
  EXPECT_THAT(made, HasSubstr("X-Request-Id: " + seen + "\r\n"));
  EXPECT_THAT(get(router(true), "/", "\r\nX-Request-Id: mine"),
              HasSubstr("X-Request-Id: mine\r\n"));
  EXPECT_THAT(get(router(true), "/", "\r\nX-Request-Id: " + std::string(129, 'x')),
              Not(HasSubstr("xxx")));
  EXPECT_EQ(http::current_request_id(), "");
}

TEST(Middleware, tracesGoOnThroughClients) {
  SimLoop().run([]() -> Task<> {
    http::Router behind;
    behind.get("/", [](Request& in, Response& out) { out.send(in.header("traceparent")); });
    http::Server last(std::move(behind));
    auto listener = tcp::listen({.address = "127.0.0.1:0"}).or_throw();
    const std::string url = "http://127.0.0.1:" + std::to_string(listener.port()) + "/";
    http::Client client;
    http::Router front;
    front.use(http::trace_context());
    front.get("/", [&](Request&, Response& out) -> Task<> {
      auto answer = (co_await client.get(url)).or_throw();
      out.send((co_await answer.read_all()).or_throw());
    });
    http::Server first(std::move(front));
    MemoryPair pair;
    co_await with_scope([&](Scope& scope) -> Task<> {
      scope.start([&]() -> Task<> { (void)co_await last.run(listener); });
      scope.start([&]() -> Task<> { co_await first.serve(pair.first()); });
      const std::string trace = "0af7651916cd43dd8448eb211c80319c";
      const std::string request =
          "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\ntraceparent: 00-" + trace +
          "-b7ad6b7169203331-01\r\n\r\n";
      (void)co_await pair.second().write_all(std::string_view(request));
      std::string heard;
      (void)co_await hear_all(pair.second(), heard);
      EXPECT_THAT(heard, HasSubstr("\r\n\r\n00-" + trace + "-"));
      EXPECT_THAT(heard, Not(HasSubstr("b7ad6b7169203331"))) << "this step has its own name";
      EXPECT_TRUE(heard.ends_with("-01"));
      scope.cancel();
    });
  });
}

TEST(Middleware, basicAuthenticationLetsInWhoIsKnown) {
  const auto router = [] {
    http::Router made;
    made.use(http::basic_authentication(
        "place", [](std::string_view user, std::string_view password) -> Task<bool> {
          co_return user == "ada" && password == "se:cret";
        }));
    made.get("/", [](Request&, Response& out) { out.send(http::current_user()); });
    return made;
  };
  const std::string good = http::basic_authorization("ada", "se:cret");
  EXPECT_TRUE(get(router(), "/", "\r\nAuthorization: " + good).ends_with("\r\n\r\nada"));
  for (const std::string& bad : {std::string(), std::string("\r\nAuthorization: Basic ???"),
                                 "\r\nAuthorization: " + http::basic_authorization("ada", "x"),
                                 "\r\nAuthorization: Bearer " + good.substr(6)}) {
    const std::string answer = get(router(), "/", bad);
    EXPECT_THAT(answer, HasSubstr("HTTP/1.1 401 ")) << bad;
    EXPECT_THAT(answer,
                HasSubstr("WWW-Authenticate: Basic realm=\"place\", charset=\"UTF-8\"\r\n"));
  }
}

TEST(Middleware, bearerAuthenticationAsksWhoseTokenItIs) {
  const auto router = [] {
    http::Router made;
    made.use(http::bearer_authentication("place", [](std::string_view token) -> Task<std::string> {
      co_return token == "t0ken" ? "ada" : "";
    }));
    made.get("/", [](Request&, Response& out) { out.send(http::current_user()); });
    return made;
  };
  EXPECT_TRUE(get(router(), "/", "\r\nAuthorization: bearer t0ken").ends_with("\r\n\r\nada"));
  EXPECT_THAT(get(router(), "/", "\r\nAuthorization: Bearer other"), HasSubstr(" 401 "));
  EXPECT_THAT(get(router()), HasSubstr(" 401 "));
}

TEST(Filters, corsAnswersPreflightsAndMarksAnswers) {
  const auto router = [](http::CorsOptions options) {
    http::Router made;
    made.filter(http::cors(std::move(options)));
    made.put("/", [](Request&, Response& out) { out.send("x"); });
    made.get("/", [](Request&, Response& out) { out.send("x"); });
    return made;
  };
  const http::CorsOptions one{
      .origins = {"https://a.org"}, .headers = {"X-Own"}, .exposed = {"ETag"}, .credentials = true};
  const std::string preflight =
      ask(router(one),
          {"OPTIONS / HTTP/1.1\r\nOrigin: https://a.org\r\nAccess-Control-Request-Method: PUT"});
  for (const char* field :
       {"HTTP/1.1 204 ", "Access-Control-Allow-Origin: https://a.org\r\n",
        "Access-Control-Allow-Credentials: true\r\n", "Vary: Origin\r\n",
        "Access-Control-Allow-Methods: GET, HEAD, POST, PUT, PATCH, DELETE\r\n",
        "Access-Control-Allow-Headers: X-Own\r\n", "Access-Control-Max-Age: 3600\r\n"})
    EXPECT_THAT(preflight, HasSubstr(field));
  const std::string answer = get(router(one), "/", "\r\nOrigin: https://a.org");
  EXPECT_THAT(answer, HasSubstr("Access-Control-Expose-Headers: ETag\r\n"));
  const std::string foreign = get(router(one), "/", "\r\nOrigin: https://a.org.evil");
  EXPECT_THAT(foreign, Not(HasSubstr("Access-Control")));
  EXPECT_THAT(foreign, HasSubstr("Vary: Origin\r\n"));
  EXPECT_THAT(get(router({.origins = {"*"}}), "/", "\r\nOrigin: https://b.org"),
              HasSubstr("Access-Control-Allow-Origin: *\r\n"));
}

TEST(Filters, aRateLimitRefusesWhoAsksTooOften) {
  http::Router router;
  router.filter(http::rate_limit({.requests = 1, .per = 10s, .burst = 2}));
  router.get("/", [](Request&, Response& out) { out.send("x"); });
  const std::string heard = play({.router = std::move(router),
                                  .client = [](ByteStream& peer, std::string& text) -> Task<> {
                                    const std::string_view one =
                                        "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
                                    for (const Duration pause : {0s, 0s, 0s, 11s}) {
                                      co_await sleep_for(pause);
                                      (void)co_await peer.write_all(one);
                                      auto got = co_await peer.read();
                                      text.append(got->text()).append("\n");
                                    }
                                    peer.shutdown_write();
                                  }})
                                .heard;
  std::vector<std::string> statuses;
  for (std::size_t at = 0; (at = heard.find("HTTP/1.1 ", at)) != heard.npos; at += 9)
    statuses.push_back(heard.substr(at + 9, 3));
  EXPECT_THAT(statuses, ElementsAre("200", "200", "429", "200"));
  EXPECT_THAT(heard, HasSubstr("Retry-After: 10\r\n"));
}

TEST(Filters, aRateLimitKnowsClientsByTheirAddress) {
  std::string statuses;
  SimLoop().run([&]() -> Task<> {
    http::Router router;
    router.filter(http::rate_limit({.requests = 1, .per = 10s, .burst = 1}));
    router.get("/", [](Request&, Response& out) { out.send("x"); });
    http::Server server(std::move(router));
    for (const char* peer :
         {"1.2.3.4:1", "[::ffff:1.2.3.4]:2", "[::1]:3", "[::ffff:5.6.7.8]:4", "[2001:db8:0:1::5]:5",
          "[2001:db8:0:1:ffff::6]:6", "[2001:db8:0:2::5]:7", "[2001:db8::5]:8",
          "[2001:DB8:0:0:7::]:9", "[::2]:10", "unix:", "unix:"}) {
      MemoryPair pair;
      co_await with_scope([&](Scope& scope) -> Task<> {
        scope.start([&]() -> Task<> { co_await server.serve(pair.first(), {.address = peer}); });
        (void)co_await pair.second().write_all(
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        std::string heard;
        (void)co_await hear_all(pair.second(), heard);
        statuses += heard.substr(9, 3) + " ";
      });
    }
  });
  EXPECT_EQ(statuses, "200 429 200 200 200 429 200 200 429 429 200 429 ");
}

TEST(TraceContext, isReadAsTheStandardSays) {
  using proto::parse_traceparent;
  const std::string good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  EXPECT_EQ(proto::write_traceparent(parse_traceparent(good).value()), good);
  EXPECT_TRUE(parse_traceparent(good)->is_sampled());
  EXPECT_TRUE(parse_traceparent("cc" + good.substr(2) + "-what-comes-later").has_value());
  for (const std::string& bad :
       {std::string(), good + "-x", "ff" + good.substr(2), good.substr(0, 54), "0" + good,
        std::string("00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01"),
        std::string("00-00000000000000000000000000000000-b7ad6b7169203331-01"),
        std::string("00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01"),
        std::string("00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")})
    EXPECT_FALSE(parse_traceparent(bad).has_value()) << bad;
}

}  // namespace
}  // namespace rondo::testing
