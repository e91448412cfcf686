// SPDX-License-Identifier: Apache-2.0
// The HTTP client over HTTP/2 on every driver, against servers that misbehave, frame by frame, and
// in every phase.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "http2_scripts.hpp"
#include "http_client_fixture.hpp"
#include "rondo/core/map_concurrent.hpp"
#include "rondo/core/when.hpp"
#include "rondo/http/client.hpp"
#include "rondo/ws/socket.hpp"

namespace rondo::testing {
namespace {

using http::Client;
using http::ClientOptions;
using http::ClientRequest;
using http::Versions;
using ::testing::HasSubstr;

class Http2ClientScript : public Http2Scripts {
 protected:
  /// What one GET gives when the server answers with `frames` and goes on listening.
  void expect(std::string what, std::string frames, Errc error, std::string_view text = {},
              bool close = false, Duration before_reading = 0s) {
    SCOPED_TRACE(what);
    beside(
        [&](Raw& server) -> Task<> {
          if (!co_await server.hear_request(1)) co_return;
          co_await server.say(frames);
          if (close) server.peer.shutdown_write();
          co_await server.hear_all();
        },
        [&](std::string url) -> Task<> {
          Client client({.versions = Versions::http2, .retries_max = 0, .answer_timeout = 5s});
          auto got = co_await client.get(url);
          Result<std::string> body = got ? std::string() : Result<std::string>(got.error());
          if (got && before_reading > 0s) co_await sleep_for(before_reading);
          if (got) body = co_await got->read_all();
          EXPECT_FALSE(body) << *body;
          if (body) co_return;
          EXPECT_EQ(body.error(), error) << body.error().message();
          EXPECT_THAT(body.error().message(), HasSubstr(std::string(text)));
        });
  }
};

TEST_P(Http2ClientScript, an_answer_that_breaks_the_rules_is_an_error_that_says_so) {
  const std::string hello = settings();
  expect("another protocol", "HTTP/1.1 400 Bad Request\r\n\r\n", Errc::protocol_error);
  expect("no settings first", answer(1, "x"), Errc::protocol_error);
  expect("half a frame, then the end", hello + head(1).substr(0, 8), Errc::truncated, {}, true);
  expect("the end inside a body", hello + head(1) + h2::data(1, "x"), Errc::truncated, {}, true);
  expect("bad HPACK",
         hello + h2::frame(h2::k_headers, h2::k_end_headers, 1, "\xff\xff\xff\xff\xff"),
         Errc::protocol_error);
  expect("no status", hello + h2::headers(1, {{"a", "b"}}), Errc::protocol_error);
  expect("a field of HTTP/1", hello + head(1, {{"connection", "close"}}), Errc::protocol_error);
  expect("a name in upper case", hello + head(1, {{"X-Up", "a"}}), Errc::protocol_error);
  expect("data before the head", hello + h2::data(1, "x", true), Errc::protocol_error);
  expect("more than its length",
         hello + head(1, {{"content-length", "1"}}) + h2::data(1, "xy", true),
         Errc::protocol_error);
  expect("less than its length",
         hello + head(1, {{"content-length", "9"}}) + h2::data(1, "xy", true),
         Errc::protocol_error);
  expect("a head twice", hello + head(1) + head(1), Errc::protocol_error);
  expect("a pseudo-field in trailers", hello + head(1) + h2::headers(1, {{":status", "200"}}, true),
         Errc::protocol_error);
  expect("trailers that do not end", hello + head(1) + h2::headers(1, {{"a", "b"}}, false),
         Errc::protocol_error);
  expect("101 does not exist", hello + head(1, {}, false, "101"), Errc::protocol_error);
  expect("an interim answer that ends", hello + head(1, {}, true, "103"), Errc::protocol_error);
  std::string over;
  for (int i = 0; i < 9; ++i) over += h2::data(1, std::string(16'384, 'x'));
  // Who reads gives the window back: this one lets it fill.
  expect("more than the window", hello + head(1) + over, Errc::protocol_error, {}, false, 500ms);
  expect("a window that overflows", hello + h2::window(1, 0x7fffffff) + head(1),
         Errc::protocol_error);
  expect("a push",
         hello + h2::frame(h2::k_settings, h2::k_ack, 0) +
             h2::frame(5, h2::k_end_headers, 1, h2::number(2) + h2::pack(h2::head_of("GET", "/"))),
         Errc::protocol_error);
  expect("an answer nobody asked for", hello + answer(3, "x"), Errc::protocol_error);
  expect("the stream reset", hello + head(1) + h2::data(1, "part") + h2::reset(1, 2),
         Errc::connection_reset, "INTERNAL_ERROR");
  expect("GOAWAY with a reason", hello + goaway(1, 11), Errc::truncated, {}, true);
}

TEST_P(Http2ClientScript, heads_and_interim_answers_have_their_bounds) {
  h2::Fields all;
  for (int i = 0; i < 101; ++i) all.push_back({"a" + std::to_string(i), "b"});
  expect("too many fields", settings() + head(1, all), Errc::too_large);
  std::string block = h2::pack({{":status", "200"}, {"a", std::string(16'000, 'x')}});
  std::string long_head = h2::frame(h2::k_headers, 0, 1, block);
  for (int i = 0; i < 3; ++i) {
    const std::string more = h2::pack({{"b", std::string(12'000, 'y')}});
    long_head += h2::frame(h2::k_continuation, i == 2 ? h2::k_end_headers : 0, 1, more);
  }
  expect("too many bytes", settings() + long_head, Errc::too_large);
  std::string early;
  for (int i = 0; i < 33; ++i) early += head(1, {}, false, "103");
  expect("interim answers without end", settings() + early, Errc::protocol_error);
  std::string endless = h2::frame(h2::k_headers, 0, 1, h2::pack({{":status", "200"}}));
  for (int i = 0; i < 20; ++i)
    endless += h2::frame(h2::k_continuation, 0, 1, h2::pack({{"a", "b"}}));
  expect("a head without end", settings() + endless, Errc::protocol_error, "flood");
}

TEST_P(Http2ClientScript, floods_end_the_connection) {
  std::string pings, all, empty;
  for (int i = 0; i < 1'100; ++i) {
    pings += h2::frame(h2::k_ping, 0, 0, "12345678");
    all += settings();
    empty += h2::data(1, "");
  }
  expect("pings", settings() + pings, Errc::protocol_error, "flood");
  expect("settings", settings() + all, Errc::protocol_error);
  expect("empty data", settings() + head(1) + empty, Errc::protocol_error, "flood");
}

TEST_P(Http2ClientScript, interim_answers_are_passed_over) {
  beside(
      [](Raw& server) -> Task<> {
        if (!co_await server.hear_request(1)) co_return;
        EXPECT_EQ(server.heard[1].fields[":method"], "GET");
        EXPECT_EQ(server.heard[1].fields[":scheme"], "http");
        EXPECT_EQ(server.heard[1].fields[":path"], "/a?b");
        EXPECT_EQ(server.heard.settings[2], 0u) << "no pushes";
        co_await server.say(settings() + head(1, {{"link", "x"}}, false, "103") +
                            head(1, {}, false, "100") + answer(1, "ok"));
        co_await server.hear_all();
      },
      [](std::string url) -> Task<> {
        Client client({.versions = Versions::http2});
        EXPECT_EQ(co_await text_of(client, url + "/a?b"), "ok");
      });
}

TEST_P(Http2ClientScript, a_body_waits_for_100_and_is_kept_from_who_refuses) {
  beside(
      [](Raw& server) -> Task<> {
        auto& heard = server.heard;
        if (!co_await server.hear([&] { return !heard[1].fields.empty(); })) co_return;
        EXPECT_EQ(heard[1].fields["expect"], "100-continue");
        co_await server.say(settings() + head(1, {}, false, "100"));
        if (!co_await server.hear_request(1)) co_return;
        EXPECT_EQ(heard[1].body, "body");
        co_await server.say(answer(1, "ok"));
        if (!co_await server.hear([&] { return !heard[3].fields.empty(); })) co_return;
        co_await server.say(head(3, {}, true, "417"));
        (void)co_await server.hear([&] { return heard[3].reset >= 0; });
        EXPECT_EQ(heard[3].body, "");
        co_await server.hear_all();
      },
      [](std::string url) -> Task<> {
        Client client({.versions = Versions::http2, .continue_timeout = 1h});
        const auto post = [&]() -> Task<int> {
          ClientRequest request{
              .method = "POST", .url = url, .body = "body", .expect_continue = true};
          auto got = (co_await client.send(std::move(request))).or_throw();
          (void)co_await got.read_all();
          co_return got.status();
        };
        EXPECT_EQ(co_await post(), 200);
        EXPECT_EQ(co_await post(), 417);
      });
}

TEST_P(Http2ClientScript, an_answer_before_the_end_of_the_request_is_read) {
  beside(
      [](Raw& server) -> Task<> {
        auto& heard = server.heard;
        if (!co_await server.hear([&] { return !heard[1].body.empty(); })) co_return;
        // RFC 9113, section 8.1: a whole answer, then NO_ERROR: the rest is not wanted.
        co_await server.say(settings() + answer(1, "enough") + h2::reset(1, 0));
        if (!co_await server.hear_request(3)) co_return;
        co_await server.say(answer(3, "next"));
        co_await server.hear_all();
      },
      [](std::string url) -> Task<> {
        Client client({.versions = Versions::http2});
        ClientRequest request{.method = "POST", .url = url, .body = std::string(1'000'000, 'x')};
        auto got = (co_await client.send(std::move(request))).or_throw();
        EXPECT_EQ((co_await got.read_all()).or_throw(), "enough");
        EXPECT_EQ(co_await text_of(client, url), "next");
        EXPECT_EQ(client.statistics().opened, 1u);
      });
}

TEST_P(Http2ClientScript, what_a_server_has_not_begun_with_is_sent_again_whatever_it_is) {
  for (const bool by_goaway : {false, true}) {
    int seen = 0;
    beside(
        [&](Raw& server) -> Task<> {
          if (!co_await server.hear_request(1)) co_return;
          ++seen;
          if (server.number == 1 && by_goaway) {
            co_await server.say(settings() + goaway(0));
            co_return co_await server.hear_all();
          }
          if (server.number == 1) {
            co_await server.say(settings() + h2::reset(1, 7));
            if (!co_await server.hear_request(3)) co_return;
            ++seen;
            co_await server.say(answer(3, "done"));
            co_return co_await server.hear_all();
          }
          EXPECT_EQ(server.heard[1].body, "post");
          co_await server.say(settings() + answer(1, "done"));
          co_await server.hear_all();
        },
        [&](std::string url) -> Task<> {
          Client client({.versions = Versions::http2, .retries_max = 0});
          auto got =
              (co_await client.send({.method = "POST", .url = url, .body = "post"})).or_throw();
          EXPECT_EQ((co_await got.read_all()).or_throw(), "done");
          EXPECT_EQ(seen, 2);
          EXPECT_EQ(client.statistics().retries, 1u);
        });
  }
}

TEST_P(Http2ClientScript, a_server_that_refuses_everything_is_given_up) {
  int seen = 0;
  beside(
      [&](Raw& server) -> Task<> {
        co_await server.say(settings());
        for (std::uint32_t id = 1;; id += 2) {
          if (!co_await server.hear_request(id)) co_return;
          ++seen;
          co_await server.say(h2::reset(id, 7));
        }
      },
      [&](std::string url) -> Task<> {
        Client client({.versions = Versions::http2, .retries_max = 2, .retry_delay = 1ms});
        auto got = co_await client.send({.method = "POST", .url = url, .body = "x"});
        EXPECT_EQ(got.error(), Errc::connection_reset);
        EXPECT_THAT(got.error().message(), HasSubstr("refused"));
        EXPECT_EQ(seen, 6) << "three attempts, each twice";
      });
}

TEST_P(Http2ClientScript, streams_below_the_last_of_a_goaway_are_answered_and_others_go_elsewhere) {
  beside(
      [](Raw& server) -> Task<> {
        if (server.number > 1) {
          if (!co_await server.hear_request(1)) co_return;
          co_await server.say(settings() + answer(1, "new " + server.heard[1].fields[":path"]));
          co_return co_await server.hear_all();
        }
        if (!co_await server.hear_request(1) || !co_await server.hear_request(3)) co_return;
        co_await server.say(settings() + goaway(1) + head(1));
        co_await sleep_for(2ms);
        co_await server.say(h2::data(1, "old " + server.heard[1].fields[":path"], true));
        co_await server.hear_all();
      },
      [](std::string url) -> Task<> {
        Client client({.versions = Versions::http2});
        co_await when_all(
            [&]() -> Task<> { EXPECT_EQ(co_await text_of(client, url + "/a"), "old /a"); }(),
            [&]() -> Task<> { EXPECT_EQ(co_await text_of(client, url + "/b"), "new /b"); }());
        EXPECT_EQ(client.statistics().opened, 2u);
        EXPECT_EQ(client.statistics().failed, 0u);
      });
}

TEST_P(Http2ClientScript, a_connection_that_cannot_be_made_beside_others_fails_nobody) {
  int connections = 0;
  run([&]() -> Task<> {
    auto listener = std::make_optional(tcp::listen({.address = "127.0.0.1:0"}).or_throw());
    const std::string url = "http://127.0.0.1:" + std::to_string(listener->port());
    co_await with_scope([&](Scope& scope) -> Task<> {
      scope.start([&]() -> Task<> {
        Raw server{.peer = co_await listener->accept().or_throw(), .number = ++connections};
        listener.reset();  // Nobody else gets in.
        co_await server.say(settings(h2::setting(3, 1)));
        for (std::uint32_t id = 1; co_await server.hear_request(id); id += 2) {
          co_await sleep_for(1ms);
          co_await server.say(answer(id, "ok"));
        }
      });
      Client client({.versions = Versions::http2, .per_origin_max = 4, .retries_max = 0});
      EXPECT_EQ(co_await text_of(client, url), "ok") << "the settings are known";
      std::vector<int> numbers(6);
      for (const std::string& each : co_await map_concurrent(
               numbers, 6,
               [&](int) -> Task<std::string> { co_return co_await text_of(client, url); }))
        EXPECT_EQ(each, "ok");
      EXPECT_EQ(client.statistics().opened, 1u);
      scope.cancel();
    });
  });
}

TEST_P(Http2ClientScript, a_source_that_was_used_is_not_sent_again) {
  beside(
      [](Raw& server) -> Task<> {
        if (!co_await server.hear([&] { return !server.heard[1].body.empty(); })) co_return;
        co_await server.say(settings() + h2::reset(1, 7));
        co_await server.hear_all();
      },
      [](std::string url) -> Task<> {
        Client client({.versions = Versions::http2});
        ClientRequest request{.method = "POST", .url = url};
        request.body_source = []() -> Task<Result<std::string>> {
          co_return std::string(1'000, 'x');
        };
        EXPECT_EQ((co_await client.send(std::move(request))).error(), Errc::connection_reset);
        ClientRequest broken{.method = "POST", .url = url};
        broken.body_source = []() -> Task<Result<std::string>> { co_return Error(Errc::io_error); };
        EXPECT_EQ((co_await client.send(std::move(broken))).error(), Errc::io_error);
      });
}

TEST_P(Http2ClientScript, a_lost_connection_is_replaced_for_what_may_be_repeated) {
  beside(
      [](Raw& server) -> Task<> {
        if (!co_await server.hear_request(1)) co_return;
        co_await server.say(settings() + answer(1, "ok"));
        if (server.number > 1) co_return co_await server.hear_all();
        (void)co_await server.hear_request(3);  // Takes it, and leaves.
      },
      [](std::string url) -> Task<> {
        Client client({.versions = Versions::http2, .retries_max = 0});
        EXPECT_EQ(co_await text_of(client, url), "ok");
        EXPECT_EQ(co_await text_of(client, url), "ok");
        EXPECT_EQ(client.statistics().opened, 2u);
        EXPECT_EQ(client.statistics().retries, 1u);
      });
}

TEST_P(Http2ClientScript, a_server_that_is_silent_is_asked_for_a_sign_of_life) {
  int pings = 0;
  beside(
      [&](Raw& server) -> Task<> {
        co_await server.say(settings());
        (void)co_await server.hear([&] { return !server.heard.pings.empty(); });
        ++pings;
        co_await server.hear_all();
      },
      [&](std::string url) -> Task<> {
        Client client({.versions = Versions::http2,
                       .retries_max = 0,
                       .answer_timeout = 1h,
                       .ping_interval = 5ms,
                       .ping_timeout = 10ms});
        auto got = co_await client.get(url);
        EXPECT_EQ(got.error(), Errc::timed_out);
        EXPECT_THAT(got.error().message(), HasSubstr("ping"));
        EXPECT_EQ(pings, 1);
        EXPECT_EQ(client.statistics().connections, 0u);
      });
}

TEST_P(Http2ClientScript, a_connection_that_answered_nothing_is_not_used_again) {
  beside(
      [](Raw& server) -> Task<> {
        if (server.number == 1) co_return co_await server.hear_all();
        if (!co_await server.hear_request(1)) co_return;
        co_await server.say(settings() + answer(1, "ok"));
        co_await server.hear_all();
      },
      [](std::string url) -> Task<> {
        Client client({.versions = Versions::http2, .retries_max = 0, .answer_timeout = 20ms});
        EXPECT_EQ((co_await client.get(url)).error(), Errc::timed_out);
        EXPECT_EQ(co_await text_of(client, url), "ok");
        EXPECT_EQ(client.statistics().connections, 1u);
      });
}

TEST_P(Http2ClientScript, an_upload_is_timed_by_its_progress_and_the_head_from_its_end) {
  beside(
      [](Raw& server) -> Task<> {
        if (!co_await server.hear_request(1)) co_return;
        co_await server.say(settings(h2::setting(4, 10)) + answer(1, "ok"));
        for (int i = 0; i < 20; ++i) {
          const std::size_t size = 10 * (static_cast<std::size_t>(i) + 1);
          if (!co_await server.hear([&] { return server.heard[3].body.size() >= size; })) co_return;
          co_await sleep_for(15ms);
          co_await server.say(h2::window(3, 10));
        }
        if (co_await server.hear_request(3)) co_await server.say(answer(3, "ok"));
        co_await server.hear_all();
      },
      [](std::string url) -> Task<> {
        // Beside the time of the whole a piece has plenty.
        Client client({.versions = Versions::http2, .retries_max = 0, .answer_timeout = 150ms});
        EXPECT_EQ(co_await text_of(client, url), "ok") << "the window is known";
        auto got =
            co_await client.send({.method = "POST", .url = url, .body = std::string(200, 'x')});
        EXPECT_TRUE(got) << got.error().message();
      });
}

TEST_P(Http2ClientScript, a_websocket_falls_back_when_the_server_does_not_allow_it) {
  beside(
      [](Raw& server) -> Task<> {
        if (server.number == 1) {
          co_await server.say(settings());
          co_return co_await server.hear_all();
        }
        auto line = co_await server.peer.read_line();
        EXPECT_TRUE(line && line->text() == "GET / HTTP/1.1\r\n");
      },
      [](std::string url) -> Task<> {
        Client client({.http2_prior_knowledge = true});
        EXPECT_EQ((co_await ws::connect(client, url, {.http2 = true})).error(), Errc::truncated);
      });
}

ON_EVERY_DRIVER(Http2ClientScript);

}  // namespace
}  // namespace rondo::testing
