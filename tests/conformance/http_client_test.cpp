// SPDX-License-Identifier: Apache-2.0
// The HTTP client on every driver: against our own server, and against servers that misbehave.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "certificates.hpp"
#include "every_driver.hpp"
#include "net_pairs.hpp"
#include "rondo/core/map_concurrent.hpp"
#include "rondo/core/when.hpp"
#include "rondo/http/client.hpp"
#include "rondo/http/cookies.hpp"
#include "rondo/http/server.hpp"
#include "rondo/proto/compress.hpp"
#include "rondo/tls/stream.hpp"

namespace rondo::testing {
namespace {

using http::Client;
using http::ClientOptions;
using http::ClientRequest;
using ::testing::HasSubstr;
using ::testing::StartsWith;

/// What a client of the test asks for: a router of the library's own server.
http::Router pages() {
  http::Router router;
  router.get("/", [](http::Request&, http::Response& out) { out.send("Hello"); });
  router.get("/query", [](http::Request& in, http::Response& out) { out.send(in.query()); });
  router.post("/echo", [](http::Request& in, http::Response& out) -> Task<> {
    in.set_body_max(10'000'000);
    auto body = co_await in.read_all();
    if (!body) co_return out.send_error(http::status_of(body.error()));
    out.content_type(in.header("Content-Type", "none")).send(*body);
  });
  router.get("/agent", [](http::Request& in, http::Response& out) {
    out.send(std::string(in.header("User-Agent")) + "|" + std::string(in.header("X-Own")) + "|" +
             std::string(in.header("Authorization")));
  });
  router.get("/stream", [](http::Request&, http::Response& out) -> Task<> {
    for (int i = 0; i < 100; ++i) {
      const std::string piece(1'000, static_cast<char>('a' + i % 26));
      if (!co_await out.write(piece)) co_return;
    }
  });
  router.get("/nothing", [](http::Request&, http::Response& out) { out.status(204).send(); });
  router.get("/go", [](http::Request&, http::Response& out) { out.redirect("../agent", 302); });
  router.post("/go", [](http::Request&, http::Response& out) { out.redirect("/agent", 303); });
  router.post("/keep", [](http::Request&, http::Response& out) { out.redirect("/echo", 307); });
  router.get("/round", [](http::Request&, http::Response& out) { out.redirect("/round", 302); });
  router.get("/slow", [](http::Request&, http::Response& out) -> Task<> {
    co_await sleep_for(1h);
    out.send("late");
  });
  return router;
}

class HttpClient : public EveryDriver {
 protected:
  using Body = std::function<Task<>(std::string url)>;
  /// Runs `body("http://127.0.0.1:PORT")` beside the library's server.
  void beside_server(Body body) { beside_router(pages(), std::move(body)); }
  void beside_router(http::Router router, Body body) {
    run([&]() -> Task<> {
      http::Server server(std::move(router));
      auto listener = tcp::listen({.address = "127.0.0.1:0"}).or_throw();
      co_await with_scope([&](Scope& scope) -> Task<> {
        scope.start([&]() -> Task<> { (void)co_await server.run(listener); });
        co_await body("http://127.0.0.1:" + std::to_string(listener.port()));
        scope.cancel();
      });
    });
  }

  using Script = std::function<Task<>(tcp::Stream peer, int number)>;
  /// The same beside a server that does as it is told with each connection.
  void beside(Script script, Body body) {
    run([&]() -> Task<> {
      auto listener = tcp::listen({.address = "127.0.0.1:0"}).or_throw();
      co_await with_scope([&](Scope& scope) -> Task<> {
        scope.start([&]() -> Task<> {
          int number = 0;
          while (auto peer = co_await listener.accept())
            scope.start([&](tcp::Stream one, int n) { return script(std::move(one), n); },
                        std::move(*peer), ++number);
        });
        co_await body("http://127.0.0.1:" + std::to_string(listener.port()));
        scope.cancel();
      });
    });
  }
};

/// Reads one request's head.
Task<std::string> hear(tcp::Stream& peer) {
  std::string head;
  while (!head.ends_with("\r\n\r\n")) {
    auto line = co_await peer.read_line();
    if (!line || line->empty()) co_return head;
    head += line->text();
  }
  co_return head;
}

Task<std::string> text_of(Client& client, std::string url) {
  auto answer = co_await client.get(std::move(url));
  if (!answer) co_return "error: " + answer.error().message();
  auto body = co_await answer->read_all();
  co_return body ? *body : "error: " + body.error().message();
}

TEST_P(HttpClient, cookies_are_kept_and_sent_where_they_belong) {
  http::Router router;
  router.get("/set", [](http::Request&, http::Response& out) {
    EXPECT_TRUE(http::set_cookie(out, {.name = "sid", .value = "42", .path = "/"}));
    EXPECT_TRUE(http::set_cookie(out, {.name = "only", .value = "1", .path = "/elsewhere"}));
    out.redirect("/get", 302);
  });
  router.get("/get", [](http::Request& in, http::Response& out) {
    out.send(std::string(in.header("Cookie", "none")));
  });
  beside_router(std::move(router), [&](std::string url) -> Task<> {
    http::CookieJar jar;
    Client client({.cookies = &jar});
    const auto get = [&](std::string path,
                         std::vector<http::Header> own = {}) -> Task<std::string> {
      auto answer = (co_await client.send({.url = url + path, .headers = own})).or_throw();
      co_return (co_await answer.read_all()).or_throw();
    };
    EXPECT_EQ(co_await get("/get"), "none");
    EXPECT_EQ(co_await get("/set"), "sid=42") << "also through a redirect";
    EXPECT_EQ(co_await get("/get", {{"Cookie", "own=1"}}), "own=1");
    EXPECT_EQ(jar.size(), 2u);
  });
}

TEST_P(HttpClient, a_packed_answer_is_unpacked_while_it_is_read) {
  using proto::Coding;
  std::string text;
  for (int i = 0; i < 40'000; ++i) text += std::to_string(i);
  static std::string sent;
  static std::string coding;
  static bool asked;
  http::Router router;
  router.get("/", [](http::Request& in, http::Response& out) {
    asked = in.header("Accept-Encoding") == "gzip, br, zstd";
    out.header("Content-Encoding", coding);
    out.send(sent);
  });
  beside_router(std::move(router), [&](std::string url) -> Task<> {
    Client client;
    for (const Coding each : {Coding::gzip, Coding::brotli, Coding::zstd}) {
      sent = proto::pack(each, text).or_throw();
      coding = proto::name_of(each);
      auto answer = co_await client.get(url).or_throw();
      EXPECT_TRUE(asked);
      EXPECT_TRUE(answer.was_packed());
      EXPECT_EQ((co_await answer.read_all()).or_throw(), text) << coding;
    }
    EXPECT_EQ(client.statistics().opened, 1u) << "the connection goes on after each";

    auto whole = co_await client.get(url).or_throw();
    EXPECT_EQ((co_await whole.read_all(1'000)).error().code(), Errc::too_large);
    Client careful({.unpacked_max = 100'000});
    auto bomb = co_await careful.get(url).or_throw();
    EXPECT_EQ((co_await bomb.read_all()).error().code(), Errc::too_large);

    sent.resize(sent.size() / 2);
    auto cut = co_await client.get(url).or_throw();
    EXPECT_EQ((co_await cut.read_all()).error().code(), Errc::truncated);
    sent = "no zstd at all";
    auto wrong = co_await client.get(url).or_throw();
    EXPECT_EQ((co_await wrong.read_all()).error().code(), Errc::bad_message);

    for (const http::Header& own :
         {http::Header{"Accept-Encoding", "zstd"}, http::Header{"Range", "bytes=0-"}}) {
      auto raw = (co_await client.send({.url = url, .headers = {own}})).or_throw();
      EXPECT_FALSE(raw.was_packed());
      EXPECT_EQ((co_await raw.read_all()).or_throw(), sent);
    }
    coding = "rot13";
    auto other = co_await client.get(url).or_throw();
    EXPECT_EQ((co_await other.read_all()).or_throw(), sent);
  });
}

TEST_P(HttpClient, gets_a_page_and_uses_the_connection_again) {
  beside_server([](std::string url) -> Task<> {
    Client client;
    auto first = co_await client.get(url).or_throw();
    EXPECT_EQ(first.status(), 200);
    EXPECT_TRUE(first.good());
    EXPECT_EQ(first.url(), url + "/");
    EXPECT_EQ(first.header("content-length"), "5");
    EXPECT_EQ((co_await first.read_all()).or_throw(), "Hello");
    EXPECT_EQ((co_await first.read()).or_throw().size(), 0u) << "again and again";
    EXPECT_EQ(co_await text_of(client, url + "/query?a=b%20c#part"), "a=b%20c");
    EXPECT_EQ(client.statistics().opened, 1u);
    EXPECT_EQ(client.statistics().reused, 1u);
    EXPECT_EQ(client.statistics().idle, 1u);
    EXPECT_EQ(first.header("content-length"), "5") << "its head is its own";
  });
}

TEST_P(HttpClient, sends_bodies_whole_and_piece_by_piece) {
  beside_server([](std::string url) -> Task<> {
    Client client;
    const std::string large(3'000'000, 'x');
    auto whole = co_await client
                     .send({.method = "POST",
                            .url = url + "/echo",
                            .headers = {{"Content-Type", "text/x-test"}},
                            .body = large})
                     .or_throw();
    EXPECT_EQ(whole.header("Content-Type"), "text/x-test");
    EXPECT_EQ((co_await whole.read_all()).or_throw(), large);
    for (const bool sized : {false, true}) {
      int left = 3;
      auto pieces = [&left]() -> Task<Result<std::string>> {
        co_await checkpoint();
        co_return left-- > 0 ? std::string("piece ") : std::string();
      };
      ClientRequest request{.method = "POST", .url = url + "/echo", .body_source = pieces};
      if (sized) request.body_size = 18;
      auto made = co_await client.send(std::move(request)).or_throw();
      EXPECT_EQ((co_await made.read_all()).or_throw(), "piece piece piece ");
    }
    EXPECT_EQ(client.statistics().opened, 1u);
  });
}

TEST_P(HttpClient, reads_a_streamed_answer_and_answers_without_a_body) {
  beside_server([](std::string url) -> Task<> {
    Client client;
    auto stream = co_await client.get(url + "/stream").or_throw();
    std::size_t size = 0;
    while (true) {
      auto piece = co_await stream.read();
      if (!piece || piece->empty()) break;
      size += piece->size();
    }
    EXPECT_EQ(size, 100'000u);
    auto head = co_await client.send({.method = "HEAD", .url = url}).or_throw();
    EXPECT_EQ(head.header("Content-Length"), "5");
    EXPECT_TRUE((co_await head.read()).or_throw().empty());
    EXPECT_EQ((co_await client.get(url + "/nothing").or_throw()).status(), 204);
    EXPECT_EQ(co_await text_of(client, url), "Hello");
    EXPECT_EQ(client.statistics().opened, 1u) << "nobody had to read what is not there";
    auto large = co_await client.get(url + "/stream").or_throw();
    EXPECT_EQ((co_await large.read_all(50'000)).error(), Errc::too_large);
    EXPECT_EQ(client.statistics().connections, 0u) << "its connection is closed";
  });
}

TEST_P(HttpClient, an_answer_dropped_in_the_middle_closes_its_connection) {
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

TEST_P(HttpClient, requests_beyond_the_limit_wait_for_their_turn) {
  beside_server([](std::string url) -> Task<> {
    Client client({.per_origin_max = 3});
    const std::vector<int> many(20);
    auto texts = co_await map_concurrent(many, 20, [&](int) { return text_of(client, url); });
    EXPECT_THAT(texts, ::testing::Each("Hello"));
    EXPECT_LE(client.statistics().opened, 3u);
    EXPECT_EQ(client.statistics().requests, 20u);
  });
}

TEST_P(HttpClient, idle_connections_make_room_for_new_ones) {
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

TEST_P(HttpClient, follows_redirects_as_their_status_says) {
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

TEST_P(HttpClient, secrets_do_not_go_to_another_host) {
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

TEST_P(HttpClient, a_connection_that_its_server_gave_up_is_replaced_for_what_may_be_repeated) {
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

TEST_P(HttpClient, refusals_are_repeated_after_a_while_and_posts_are_not) {
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

struct Bad {
  const char* what;
  const char* answer;  ///< then the server closes
  Errc error;
};

TEST_P(HttpClient, answers_that_break_the_protocol_are_errors_and_nothing_is_used_again) {
  const Bad rows[] = {
      {"no answer", "", Errc::truncated},
      {"half a head", "HTTP/1.1 200 OK\r\nContent-Le", Errc::truncated},
      {"another protocol", "SSH-2.0-OpenSSH\r\n", Errc::protocol_error},
      {"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
       Errc::protocol_error},
      {"a switch nobody asked for", "HTTP/1.1 101 X\r\nUpgrade: y\r\nConnection: upgrade\r\n\r\n",
       Errc::protocol_error},
  };
  for (const Bad& row : rows) {
    beside(
        [&](tcp::Stream peer, int) -> Task<> {
          (void)co_await hear(peer);
          (void)co_await peer.write_all(std::string_view(row.answer));
        },
        [&](std::string url) -> Task<> {
          Client client({.retries_max = 0});
          EXPECT_EQ((co_await client.get(url)).error(), row.error) << row.what;
          EXPECT_EQ(client.statistics().connections, 0u) << row.what;
        });
  }
}

TEST_P(HttpClient, bodies_that_end_early_or_break_are_errors) {
  const Bad rows[] = {
      {"too short", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", Errc::truncated},
      {"chunks cut", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhalf",
       Errc::truncated},
      {"no chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
       Errc::protocol_error},
  };
  for (const Bad& row : rows) {
    beside(
        [&](tcp::Stream peer, int) -> Task<> {
          (void)co_await hear(peer);
          (void)co_await peer.write_all(std::string_view(row.answer));
        },
        [&](std::string url) -> Task<> {
          Client client;
          auto answer = co_await client.get(url).or_throw();
          EXPECT_EQ((co_await answer.read_all()).error(), row.error) << row.what;
          EXPECT_EQ((co_await answer.read()).error(), Errc::closed) << row.what;
        });
  }
}

TEST_P(HttpClient, a_body_without_a_length_lasts_until_the_end_and_extras_are_not_used) {
  beside(
      [](tcp::Stream peer, int number) -> Task<> {
        (void)co_await hear(peer);
        constexpr std::string_view k_endless = "HTTP/1.0 200 OK\r\n\r\nall of it";
        if (number == 1) co_return (void) co_await peer.write_all(k_endless);
        (void)co_await peer.write_all(
            "HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nforce");
        (void)co_await peer.read();
      },
      [](std::string url) -> Task<> {
        Client client;
        EXPECT_EQ(co_await text_of(client, url), "all of it");
        EXPECT_EQ(co_await text_of(client, url), "ok") << "interim answers are passed over";
        EXPECT_EQ(co_await text_of(client, url), "ok") << "what came unasked is nobody's answer";
        EXPECT_EQ(client.statistics().opened, 3u);
      });
}

TEST_P(HttpClient, a_server_may_refuse_before_it_has_read_all) {
  beside(
      [](tcp::Stream peer, int) -> Task<> {
        (void)co_await hear(peer);
        (void)co_await peer.write_all(
            "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
        (void)co_await sleep_for(1h);
      },
      [](std::string url) -> Task<> {
        Client client;
        auto answer = co_await client.send(
            {.method = "POST", .url = url, .body = std::string(50'000'000, 'x')});
        EXPECT_EQ(answer->status(), 413);
        EXPECT_EQ((co_await answer->read_all()).or_throw(), "no");
        EXPECT_EQ(client.statistics().connections, 0u);
      });
}

TEST_P(HttpClient, every_phase_has_its_time_out_and_says_which) {
  beside(
      [](tcp::Stream peer, int number) -> Task<> {
        (void)co_await hear(peer);
        constexpr std::string_view k_half = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx";
        if (number == 2) (void)co_await peer.write_all(k_half);
        co_await sleep_for(1h);
      },
      [](std::string url) -> Task<> {
        Client client({.retries_max = 0, .answer_timeout = 20ms, .body_timeout = 20ms});
        auto silent = co_await client.get(url);
        EXPECT_EQ(silent.error(), Errc::timed_out);
        EXPECT_THAT(silent.error().message(), StartsWith("http answer"));
        auto half = co_await client.get(url).or_throw();
        auto body = co_await half.read_all();
        EXPECT_EQ(body.error(), Errc::timed_out);
        EXPECT_THAT(body.error().message(), StartsWith("http body"));
      });
}

TEST_P(HttpClient, a_request_can_be_cancelled_at_any_time) {
  beside_server([](std::string url) -> Task<> {
    Client client({.per_origin_max = 1});
    for (int moment = 0; moment < 25; ++moment) {
      co_await with_scope([&](Scope& scope) -> Task<> {
        scope.start([&]() -> Task<> {
          auto answer = co_await client.get(url + "/stream");
          if (answer) (void)co_await answer->read_all();
        });
        co_await turns(moment);
        scope.cancel();
      });
    }
    EXPECT_EQ(co_await text_of(client, url), "Hello");
    EXPECT_EQ((co_await with_timeout(20ms, client.get(url + "/slow"))).error(), Errc::timed_out);
    EXPECT_EQ(co_await text_of(client, url), "Hello") << "its place is free";
  });
}

TEST_P(HttpClient, what_cannot_be_sent_is_refused_at_once) {
  run([]() -> Task<> {
    Client client({.retries_max = 0});
    const auto why = [&](ClientRequest request) -> Task<Errc> {
      auto answer = co_await client.send(std::move(request));
      co_return answer ? Errc{0} : answer.error().code();
    };
    EXPECT_EQ(co_await why({.url = "no url"}), Errc::invalid_argument);
    EXPECT_EQ(co_await why({.url = "ftp://example.org/"}), Errc::invalid_argument);
    EXPECT_EQ(co_await why({.url = "http://ada:secret@example.org/"}), Errc::invalid_argument);
    EXPECT_EQ(co_await why({.method = "G T", .url = "http://a/"}), Errc::invalid_argument);
    EXPECT_EQ(co_await why({.url = "http://a/", .headers = {{"X", "a\r\nY: b"}}}),
              Errc::invalid_argument);
    EXPECT_EQ(co_await why({.url = "http://a/", .headers = {{"content-length", "7"}}}),
              Errc::invalid_argument);
    EXPECT_EQ(co_await why({.url = "http://127.0.0.1:1"}), Errc::connection_refused);
  });
}

TEST_P(HttpClient, proxies_are_asked_for_whole_urls_and_tunnels) {
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

TEST_P(HttpClient, speaks_tls_with_a_server_and_believes_no_stranger) {
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

TEST_P(HttpClient, one_socket_and_one_base_url_can_stand_for_everything) {
  run([]() -> Task<> {
    const std::string name = unused_name();
    auto listener = unix_stream::listen({.path = name}).or_throw();
    http::Server server(pages());
    co_await with_scope([&](Scope& scope) -> Task<> {
      scope.start([&]() -> Task<> { (void)co_await server.run(listener); });
      Client client({.base_url = "http://engine/", .unix_path = name});
      EXPECT_EQ(co_await text_of(client, "query?v=1"), "v=1");
      scope.cancel();
    });
  });
}

TEST_P(HttpClient, idle_connections_are_closed_in_time) {
  beside_server([](std::string url) -> Task<> {
    Client client({.keep_alive = 20ms});
    EXPECT_EQ(co_await text_of(client, url), "Hello");
    EXPECT_EQ(client.statistics().idle, 1u);
    while (client.statistics().idle > 0) co_await sleep_for(5ms);
    EXPECT_EQ(client.statistics().connections, 0u);
  });
}

TEST_P(HttpClient, an_upload_that_is_slower_than_the_answers_time_out_is_answered) {
  std::string body;
  beside(
      [&](tcp::Stream peer, int) -> Task<> {
        (void)co_await hear(peer);
        while (body.size() < 40) {
          auto got = co_await peer.read();
          if (!got || got->empty()) co_return;
          body += got->text();
        }
        (void)co_await peer.write_all("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
      },
      [&](std::string url) -> Task<> {
        Client client({.retries_max = 0, .answer_timeout = 100ms});
        ClientRequest request{.method = "POST", .url = url, .body_size = 40};
        int left = 4;
        request.body_source = [&]() -> Task<Result<std::string>> {
          if (left-- == 0) co_return std::string();
          co_await sleep_for(60ms);
          co_return std::string(10, 'x');
        };
        auto answer = co_await client.send(std::move(request));
        EXPECT_TRUE(answer) << answer.error().message();
      });
}

TEST_P(HttpClient, a_head_has_one_time_out_interim_answers_included) {
  beside(
      [](tcp::Stream peer, int) -> Task<> {
        (void)co_await hear(peer);
        // Each piece comes well within the time that the whole has.
        for (int i = 0; i < 1'000; ++i) {
          const std::string_view piece = i % 2 == 0 ? "HTTP/1.1 103 Early\r\n" : "\r\n";
          if (!co_await peer.write_all(piece)) co_return;
          co_await sleep_for(20ms);
        }
      },
      [](std::string url) -> Task<> {
        Client client({.retries_max = 0, .answer_timeout = 200ms});
        EXPECT_EQ((co_await client.get(url)).error(), Errc::timed_out);
      });
}

TEST_P(HttpClient, interim_answers_are_bounded) {
  beside(
      [](tcp::Stream peer, int) -> Task<> {
        (void)co_await hear(peer);
        std::string all;
        for (int i = 0; i < 33; ++i) all += "HTTP/1.1 103 Early\r\n\r\n";
        (void)co_await peer.write_all(all + "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        (void)co_await peer.read();
      },
      [](std::string url) -> Task<> {
        Client client({.retries_max = 0});
        auto answer = co_await client.get(url);
        EXPECT_EQ(answer.error(), Errc::protocol_error);
        EXPECT_THAT(answer.error().message(), HasSubstr("interim"));
      });
}

TEST_P(HttpClient, the_password_of_a_proxy_is_shown_to_it_and_told_to_nobody) {
  std::string heard;
  beside(
      [&](tcp::Stream peer, int) -> Task<> {
        heard = co_await hear(peer);
        const bool tunnel = heard.starts_with("CONNECT");
        (void)co_await peer.write_all(tunnel ? "HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n"
                                             : "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
      },
      [&](std::string url) -> Task<> {
        const std::string proxy = "http://us%65r:s3cret@" + url.substr(7);
        Client client({.retries_max = 0, .http_proxy = proxy, .https_proxy = proxy});
        EXPECT_TRUE(co_await client.get("http://some.test/"));
        EXPECT_THAT(heard, HasSubstr("Proxy-Authorization: " +
                                     http::basic_authorization("user", "s3cret") + "\r\n"));
        auto refused = co_await client.get("https://some.test/");
        EXPECT_THAT(heard, HasSubstr(http::basic_authorization("user", "s3cret")));
        EXPECT_THAT(refused.error().message(), ::testing::Not(HasSubstr("s3cret")));
        for (const char* bad : {"http://user:s3cret@:x", "ftp://user:s3cret@a",
                                "http://u:s3cret/@a b", "http://user:s3cret%zz@a"}) {
          Client other({.http_proxy = bad});
          auto failed = co_await other.get("http://some.test/");
          EXPECT_FALSE(failed);
          EXPECT_THAT(failed.error().message(), ::testing::Not(HasSubstr("s3cret"))) << bad;
        }
        Client named(
            {.http_proxy = proxy, .proxy_authorization = http::basic_authorization("p", "q")});
        EXPECT_TRUE(co_await named.get("http://some.test/"));
        EXPECT_THAT(heard, HasSubstr(http::basic_authorization("p", "q"))) << "it is said apart";
      });
}

TEST_P(HttpClient, a_body_waits_for_100_or_for_its_time) {
  beside(
      [](tcp::Stream peer, int number) -> Task<> {
        EXPECT_THAT(co_await hear(peer), HasSubstr("Expect: 100-continue"));
        if (number == 1) (void)co_await peer.write_all("HTTP/1.1 100 Continue\r\n\r\n");
        if (number == 3) {
          (void)co_await peer.write_all("HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n");
          auto nothing = co_await peer.read();
          EXPECT_TRUE(nothing && nothing->empty());
          co_return;
        }
        auto body = co_await peer.read();
        EXPECT_EQ(body ? body->text() : "", "body");
        (void)co_await peer.write_all(
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
      },
      [](std::string url) -> Task<> {
        for (const auto& [patience, status] :
             {std::pair{Duration(1h), 200}, std::pair{Duration(1ms), 200},
              std::pair{Duration(1h), 417}}) {
          Client client({.continue_timeout = patience});
          ClientRequest request{
              .method = "POST", .url = url, .body = "body", .expect_continue = true};
          auto answer = (co_await client.send(std::move(request))).or_throw();
          EXPECT_EQ(answer.status(), status);
        }
      });
}

ON_EVERY_DRIVER(HttpClient);

}  // namespace
}  // namespace rondo::testing
