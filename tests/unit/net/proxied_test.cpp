// SPDX-License-Identifier: Apache-2.0
// The PROXY protocol in front of a stream: real ends, time-out, limit, and what follows is kept.
#include "rondo/net/proxied.hpp"

#include <gtest/gtest.h>

#include <string>

#include "net_pairs.hpp"
#include "rondo/core/cancel.hpp"
#include "rondo/core/scope.hpp"
#include "rondo/core/sleep.hpp"
#include "rondo/testing/sim_loop.hpp"

namespace rondo::testing {
namespace {

using namespace std::chrono_literals;

net::Endpoint at(std::string_view text) { return net::Endpoint::parse(text).or_throw(); }

TEST(Proxied, the_server_learns_the_client_and_reads_on_behind_the_header) {
  for (const bool v6 : {false, true}) {
    SimLoop sim;
    sim.run([&]() -> Task<> {
      Ends ends = co_await tcp_pair();
      const auto client = at(v6 ? "[2001:db8::7]:1234" : "192.0.2.7:1234");
      (co_await net::write_proxy_header(ends.near, client, at("198.51.100.1:443"))).or_throw();
      (co_await ends.near.write_all("hello\n")).or_throw();
      auto from = (co_await net::read_proxy_header(ends.far)).or_throw();
      EXPECT_TRUE(from.is_named);
      EXPECT_EQ(from.client.to_string(), client.to_string());
      // Both ends have one family: an IPv4 one is mapped when the other is IPv6.
      EXPECT_EQ(from.destination.port(), 443);
      EXPECT_EQ((co_await ends.far.read_line().or_throw()).text(), "hello\n");
    });
  }
}

TEST(Proxied, a_header_in_single_bytes_is_read_and_not_a_byte_more) {
  SimLoop sim;
  sim.run([]() -> Task<> {
    Ends ends = co_await tcp_pair();
    co_await with_scope([&](Scope& scope) -> Task<> {
      scope.start([&]() -> Task<> {
        for (const char c : std::string_view("PROXY TCP4 192.0.2.1 192.0.2.2 5 6\r\nrest\n")) {
          (co_await ends.near.write_all(std::string_view(&c, 1))).or_throw();
          co_await sleep_for(1ms);
        }
      });
      auto from = (co_await net::read_proxy_header(ends.far)).or_throw();
      EXPECT_EQ(from.client.to_string(), "192.0.2.1:5");
      EXPECT_EQ((co_await ends.far.read_line().or_throw()).text(), "rest\n");
    });
  });
}

TEST(Proxied, a_check_of_the_proxy_itself_has_its_own_address) {
  SimLoop sim;
  sim.run([]() -> Task<> {
    Ends ends = co_await tcp_pair();
    (co_await ends.near.write_all("PROXY UNKNOWN\r\n")).or_throw();
    auto from = (co_await net::read_proxy_header(ends.far)).or_throw();
    EXPECT_FALSE(from.is_named);
    EXPECT_EQ(from.client.to_string(), ends.near.local().or_throw().to_string());
  });
}

TEST(Proxied, who_sends_no_header_is_refused) {
  SimLoop sim;
  sim.run([]() -> Task<> {
    Ends ends = co_await tcp_pair();
    (co_await ends.near.write_all("GET / HTTP/1.1\r\n")).or_throw();
    EXPECT_EQ((co_await net::read_proxy_header(ends.far)).error().code(), Errc::protocol_error);
    Ends closing = co_await tcp_pair();
    (co_await closing.near.write_all("PROXY TC")).or_throw();
    closing.near.shutdown_write();
    EXPECT_EQ((co_await net::read_proxy_header(closing.far)).error().code(), Errc::end_of_stream);
    Ends large = co_await tcp_pair();
    (co_await large.near.write_all(std::string_view("\r\n\r\n\0\r\nQUIT\n\x21\x11\x10\x00", 16)))
        .or_throw();
    EXPECT_EQ((co_await net::read_proxy_header(large.far)).error().code(), Errc::protocol_error);
  });
}

TEST(Proxied, a_silent_proxy_is_given_up_at_the_time_out) {
  SimLoop sim;
  sim.run([]() -> Task<> {
    Ends ends = co_await tcp_pair();
    (co_await ends.near.write_all("PROXY ")).or_throw();
    auto from = co_await net::read_proxy_header(ends.far, {.timeout = 300ms});
    EXPECT_EQ(from.error().code(), Errc::timed_out);
    EXPECT_EQ(ends.far.stream().unread(), 6u);
  });
  EXPECT_EQ(sim.now(), 300ms);
}

}  // namespace
}  // namespace rondo::testing
