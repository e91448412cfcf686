// SPDX-License-Identifier: Apache-2.0
// The HTTP client over HTTP/2 where two things meet on a connection or a stream: heads and
// requests, who reads and who sends, redirects and bodies, the end and what is still to be said.
#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "http2_scripts.hpp"
#include "rondo/http/client.hpp"

namespace rondo::testing {
namespace {

using http::Client;
using http::ClientRequest;
using http::Header;
using http::Versions;

using Http2ClientMeetings = Http2Scripts;

TEST_P(Http2ClientMeetings,
       a_head_that_comes_in_halves_stays_its_own_when_a_request_begins_between) {
  beside(
      [&](Raw& server) -> Task<> {
        if (!co_await server.hear_request(1)) co_return;
        const std::string all =
            settings() + head(1, {{"x-first", "1"}, {"set-cookie", "secret=1"}}, true, "401");
        co_await server.say(all.substr(0, all.size() - 25));
        if (!co_await server.hear_request(3)) co_return;
        co_await server.say(all.substr(all.size() - 25) + head(3, {}, true));
        co_await server.hear_all();
      },
      [&](std::string url) -> Task<> {
        Client client({.versions = Versions::http2, .retries_max = 0, .answer_timeout = 30s});
        co_await with_scope([&](Scope& scope) -> Task<> {
          auto first = scope.start([&]() -> Task<int> {
            auto got = co_await client.get(url + "/a");
            co_return got ? got->status() : -1;
          });
          co_await sleep_for(100ms);
          auto got = co_await client.get(url + "/b").or_throw();
          (void)co_await got.read_all();
          EXPECT_EQ(got.status(), 200);
          EXPECT_EQ(got.trailers().field_count(), 0U) << "of another's head";
          EXPECT_EQ(*co_await first, 401);
        });
      });
}

TEST_P(Http2ClientMeetings, who_reads_and_who_sends_do_not_take_each_others_wake_ups) {
  beside(
      [&](Raw& server) -> Task<> {
        co_await server.say(settings());
        for (std::uint32_t id = 1;; id += 2) {
          if (!co_await server.hear([&] { return server.heard.answers.contains(id); })) co_return;
          std::string text = head(id);
          const std::uint32_t pieces = 6 + id % 23;
          for (std::uint32_t i = 0; i < pieces; ++i)
            text +=
                h2::data(id, std::string(200 + (id * 131 + i * 977) % 9'000, 'x'), i + 1 == pieces);
          co_await server.say(text);
        }
      },
      [&](std::string url) -> Task<> {
        Client client({.versions = Versions::http2,
                       .retries_max = 0,
                       .answer_timeout = 30s,
                       .body_timeout = 30s});
        for (int round = 0; round < 50; ++round) {
          ClientRequest request{.method = "POST", .url = url};
          request.body_source = []() -> Task<Result<std::string>> {
            co_return std::string(200'000, 'u');  // More than the server's window: it waits.
          };
          auto got = co_await client.send(std::move(request)).or_throw();
          const auto body = co_await got.read_all();
          EXPECT_TRUE(body) << round << ": " << body.error().message();
          if (!body) co_return;
        }
      });
}

TEST_P(Http2ClientMeetings, a_see_other_leaves_the_body_behind_while_its_source_is_at_work) {
  std::string second;  // What the new request brought behind its head.
  beside(
      [&](Raw& server) -> Task<> {
        if (!co_await server.hear([&] { return server.heard.answers.contains(1); })) co_return;
        co_await server.say(settings() + head(1, {{"location", "/other"}}, true, "303"));
        if (!co_await server.hear_request(3)) co_return;
        second = server.heard[3].body;
        co_await server.say(head(3, {}, true));
        co_await server.hear_all();
      },
      [&](std::string url) -> Task<> {
        struct Touch {
          std::string& what;
          ~Touch() { what[0] = 'y'; }
        };
        Client client({.versions = Versions::http2, .retries_max = 0, .answer_timeout = 30s});
        ClientRequest request{.method = "POST", .url = url};
        request.trailers = [] { return std::vector<Header>{{"x-signature", "ours"}}; };
        request.body_source =
            [buffer = std::string(100'000, 'x')]() mutable -> Task<Result<std::string>> {
          Touch touch{buffer};
          co_await sleep_for(1h);
          co_return std::string();
        };
        EXPECT_TRUE(co_await client.send(std::move(request)));
        co_await sleep_for(50ms);
      });
  EXPECT_EQ(second, "");
}

TEST_P(Http2ClientMeetings, a_get_behind_a_see_other_has_nothing_of_the_post) {
  std::string fields;
  beside(
      [&](Raw& server) -> Task<> {
        if (!co_await server.hear_request(1)) co_return;
        co_await server.say(settings() + head(1, {{"location", "/other"}}, true, "303"));
        if (!co_await server.hear_request(3)) co_return;
        for (const auto& [name, value] : server.heard[3].fields) fields += name + " ";
        co_await server.say(head(3, {}, true));
        co_await server.hear_all();
      },
      [&](std::string url) -> Task<> {
        Client client({.versions = Versions::http2, .retries_max = 0, .continue_timeout = 1ms});
        ClientRequest request{.method = "POST", .url = url, .body = "x", .expect_continue = true};
        request.trailers = [] { return std::vector<Header>{{"x-signature", "ours"}}; };
        EXPECT_TRUE(co_await client.send(std::move(request)));
      });
  EXPECT_EQ(fields.find("x-signature"), fields.npos) << fields;
  EXPECT_EQ(fields.find("expect"), fields.npos) << fields;
}

TEST_P(Http2ClientMeetings, a_body_is_kept_from_who_refuses_it_with_words) {
  std::string sent;
  beside(
      [&](Raw& server) -> Task<> {
        if (!co_await server.hear([&] { return server.heard.answers.contains(1); })) co_return;
        co_await server.say(settings() + head(1, {}, false, "413") + h2::data(1, "too large"));
        (void)co_await server.hear([&] { return sent = server.heard[1].body, false; });
      },
      [](std::string url) -> Task<> {
        Client client({.versions = Versions::http2, .retries_max = 0, .continue_timeout = 100ms});
        auto got = co_await client.send(
            {.method = "POST", .url = url, .body = "secret", .expect_continue = true});
        EXPECT_EQ(got.or_throw().status(), 413);
        co_await sleep_for(300ms);  // Longer than it would have waited for 100.
      });
  EXPECT_EQ(sent, "");
}

TEST_P(Http2ClientMeetings, trailers_that_throw_fail_their_request) {
  beside(
      [](Raw& server) -> Task<> {
        co_await server.say(settings());
        co_await server.hear_all();
      },
      [](std::string url) -> Task<> {
        Client client({.versions = Versions::http2, .retries_max = 0});
        ClientRequest request{.method = "POST", .url = url, .body = "x"};
        request.trailers = []() -> std::vector<Header> { throw std::runtime_error("no sum"); };
        EXPECT_EQ((co_await client.send(std::move(request))).error(), Errc::failed);
      });
}

TEST_P(Http2ClientMeetings, the_last_words_of_the_last_stream_are_heard_behind_a_goaway) {
  std::string heard;
  beside(
      [&](Raw& server) -> Task<> {
        co_await server.say(settings(h2::setting(8, 1)));
        if (!co_await server.hear([&] { return server.heard.answers.contains(1); })) co_return;
        co_await server.say(head(1) + goaway(1) + h2::data(1, "hello", true));
        co_await server.hear_all();
        heard = server.heard[1].body;
      },
      [](std::string url) -> Task<> {
        Client client({.versions = Versions::http2, .retries_max = 0});
        auto tunnel = co_await client.upgrade({.url = url}, "websocket", true).or_throw();
        while (true) {
          auto got = co_await tunnel.stream().read();
          if (!got || got->empty()) break;
        }
        (co_await tunnel.stream().write_all("bye, and thanks")).or_throw();
        tunnel.stream().shutdown_write();
        co_await sleep_for(100ms);
      });
  EXPECT_EQ(heard, "bye, and thanks");
}

ON_EVERY_DRIVER(Http2ClientMeetings);

}  // namespace
}  // namespace rondo::testing
