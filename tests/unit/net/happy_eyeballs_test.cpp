// SPDX-License-Identifier: Apache-2.0
// tcp::connect to a name against RFC 8305, in virtual time: every instant is exact.
#include <gtest/gtest.h>

#include <string>

#include "rondo/core/cancel.hpp"
#include "rondo/core/scope.hpp"
#include "rondo/core/sleep.hpp"
#include "rondo/net/tcp.hpp"
#include "rondo/testing/sim_world.hpp"

namespace rondo::testing {
namespace {

using namespace std::chrono_literals;

Task<> serve(std::string address) {
  auto listener = tcp::listen({.address = address}).or_throw();
  while (auto peer = co_await listener.accept()) (co_await peer->write_all("hi\n")).or_throw();
}

/// A client with both families; "both" answers on both; "dark" has addresses that answer nothing.
struct Names : SimWorld {
  Names() {
    host("client", "10.0.0.1", "fd00::1");
    host("both", "10.0.0.2", "fd00::2").start([] { return serve("[::]:80"); });
    host("dark", "10.0.0.3", "fd00::3");
    host("busy", "10.0.0.4", "fd00::4");  // Up, but nothing listens there.
    partition("client", "dark");
  }
  struct Outcome {
    std::string peer;   ///< or the error
    Duration took{};
  };
  Outcome connect_to(std::string where, tcp::ConnectOptions options = {}) {
    Outcome outcome;
    bool done = false;
    const Duration begin = now();
    host("client").start([&]() -> Task<> {
      return [](std::string to, tcp::ConnectOptions how, SimWorld& world, Outcome& out,
                Duration from, bool& over) -> Task<> {
        if (over) co_return;
        auto stream = co_await tcp::connect(to, how);
        out.took = world.now() - from;
        out.peer = stream ? stream->peer().or_throw().to_string() : stream.error().message();
        over = true;
      }(where, options, *this, outcome, begin, done);
    });
    EXPECT_TRUE(run_until([&] { return done; }, 1h));
    return outcome;
  }
};

TEST(HappyEyeballs, ipv6_is_tried_first) {
  Names world;
  const auto got = world.connect_to("both:80");
  EXPECT_EQ(got.peer, "[fd00::2]:80");
  EXPECT_EQ(got.took, 0ms);
}

TEST(HappyEyeballs, ipv4_is_tried_beside_a_silent_ipv6_after_250_ms) {
  Names world;
  world.name("example.org", {.addresses = {"fd00::3", "10.0.0.2"}});
  const auto got = world.connect_to("example.org:80");
  EXPECT_EQ(got.peer, "10.0.0.2:80");
  EXPECT_EQ(got.took, 250ms);
}

TEST(HappyEyeballs, the_attempt_delay_is_an_option) {
  Names world;
  world.name("example.org", {.addresses = {"fd00::3", "10.0.0.2"}});
  const auto got = world.connect_to("example.org:80", {.attempt_delay = 40ms});
  EXPECT_EQ(got.took, 40ms);
}

TEST(HappyEyeballs, an_attempt_that_fails_lets_the_next_begin_at_once) {
  Names world;
  world.name("example.org", {.addresses = {"fd00::4", "10.0.0.2"}});
  const auto got = world.connect_to("example.org:80");
  EXPECT_EQ(got.peer, "10.0.0.2:80");
  EXPECT_EQ(got.took, 0ms);
}

TEST(HappyEyeballs, the_families_take_turns) {
  Names world;
  world.name("example.org", {.addresses = {"fd00::3", "fd00::5", "10.0.0.3", "10.0.0.2"}});
  // [fd00::3] at 0, 10.0.0.3 at 250, [fd00::5] at 500, 10.0.0.2 at 750 ms.
  const auto got = world.connect_to("example.org:80");
  EXPECT_EQ(got.peer, "10.0.0.2:80");
  EXPECT_EQ(got.took, 750ms);
}

TEST(HappyEyeballs, a_late_ipv6_answer_is_waited_for_50_ms) {
  Names world;
  world.name("soon", {.addresses = {"fd00::2", "10.0.0.2"}, .v4_delay = 10ms, .v6_delay = 59ms});
  const auto soon = world.connect_to("soon:80");
  EXPECT_EQ(soon.peer, "[fd00::2]:80");
  EXPECT_EQ(soon.took, 59ms);
  world.name("late", {.addresses = {"fd00::2", "10.0.0.2"}, .v4_delay = 10ms, .v6_delay = 2s});
  const auto late = world.connect_to("late:80");
  EXPECT_EQ(late.peer, "10.0.0.2:80");
  EXPECT_EQ(late.took, 60ms);
  const auto sooner = world.connect_to("late:80", {.resolution_delay = 5ms});
  EXPECT_EQ(sooner.took, 15ms);
}

TEST(HappyEyeballs, an_ipv6_answer_is_used_without_the_ipv4_one) {
  Names world;
  world.name("example.org",
             {.addresses = {"fd00::2", "10.0.0.2"}, .v4_delay = 2s, .v6_delay = 10ms});
  const auto got = world.connect_to("example.org:80");
  EXPECT_EQ(got.peer, "[fd00::2]:80");
  EXPECT_EQ(got.took, 10ms);
}

TEST(HappyEyeballs, one_family_can_be_asked_for) {
  Names world;
  EXPECT_EQ(world.connect_to("both:80", {.family = io::AddressFamily::v4}).peer, "10.0.0.2:80");
  EXPECT_EQ(world.connect_to("both:80", {.family = io::AddressFamily::v6}).peer, "[fd00::2]:80");
  EXPECT_EQ(world.connect_to("10.0.0.2:80", {.family = io::AddressFamily::v6}).peer,
            "resolve 10.0.0.2: no such host");
}

TEST(HappyEyeballs, the_error_tells_of_every_address) {
  Names world;
  world.name("example.org", {.addresses = {"fd00::4", "10.0.0.4", "10.0.0.3"}});
  const auto got = world.connect_to("example.org:80");
  EXPECT_EQ(got.peer,
            "connect example.org:80 ([fd00::4]:80: Connection refused; 10.0.0.4:80: Connection "
            "refused; 10.0.0.3:80: Connection timed out): Connection timed out");
  EXPECT_EQ(got.took, 127s);
}

TEST(HappyEyeballs, a_name_that_nobody_knows_is_an_error_of_resolution) {
  Names world;
  EXPECT_EQ(world.connect_to("nowhere:80").peer, "resolve nowhere: no such host");
  EXPECT_EQ(world.connect_to("no port").peer, "parse no port: not an address");
}

TEST(HappyEyeballs, losers_are_closed_and_a_cancel_ends_all_attempts) {
  Names world;
  world.name("example.org", {.addresses = {"fd00::3", "10.0.0.3"}});
  bool timed_out = false;
  world.host("client").start([&]() -> Task<> {
    return [](SimWorld& at, bool& out) -> Task<> {
      auto stream = co_await with_timeout(600ms, tcp::connect("example.org:80"));
      out = !stream && stream.error() == Errc::timed_out && at.now() == 600ms;
    }(world, timed_out);
  });
  world.run_for(700ms);
  EXPECT_TRUE(timed_out);
  EXPECT_EQ(world.host("client").live_tasks(), 0u);
}

}  // namespace
}  // namespace rondo::testing
