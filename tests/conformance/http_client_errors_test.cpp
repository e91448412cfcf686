// SPDX-License-Identifier: Apache-2.0
// The HTTP client on every driver, against servers that misbehave.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "http_client_fixture.hpp"

namespace rondo::testing {
namespace {

using ::testing::StartsWith;

class HttpClientErrors : public HttpClientFixture {};

struct Bad {
  const char* what;
  const char* answer;  ///< then the server closes
  Errc error;
};

TEST_P(HttpClientErrors, answers_that_break_the_protocol_are_errors_and_nothing_is_used_again) {
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

TEST_P(HttpClientErrors, bodies_that_end_early_or_break_are_errors) {
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

TEST_P(HttpClientErrors, a_body_without_a_length_lasts_until_the_end_and_extras_are_not_used) {
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

TEST_P(HttpClientErrors, a_server_may_refuse_before_it_has_read_all) {
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

TEST_P(HttpClientErrors, every_phase_has_its_time_out_and_says_which) {
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

ON_EVERY_DRIVER(HttpClientErrors);

}  // namespace
}  // namespace rondo::testing
