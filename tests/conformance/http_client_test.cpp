// SPDX-License-Identifier: Apache-2.0
// The HTTP client on every driver: requests and answers against our own server.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "http_client_fixture.hpp"
#include "rondo/http/cookies.hpp"
#include "rondo/proto/compress.hpp"

namespace rondo::testing {
namespace {

using ::testing::HasSubstr;

class HttpClient : public HttpClientFixture {};

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
