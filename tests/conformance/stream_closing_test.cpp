// SPDX-License-Identifier: Apache-2.0
// Rules 6 and 7 of the semantics, and 29 of what closed streams still send: handles of streams and
// their ends. Each test is named after the rule it holds.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "rondo/testing/sim_loop.hpp"
#include "stream_tools.hpp"

namespace rondo::testing {
namespace {

using StreamClosing = EveryDriver;

// ---- Rule 6: operations are pinned; descriptors' numbers may be used again at once.

TEST_P(StreamClosing, rule_06_numbers_that_are_reused_at_once_mix_up_no_bytes) {
  run([]() -> Task<> {
    auto listener = tcp::listen({.address = "127.0.0.1:0"}).or_throw();
    for (int i = 0; i < 200; ++i) {
      Ends ends = co_await joined(listener);
      const std::string text = "connection " + std::to_string(i);
      (co_await ends.near.write_all(std::string_view(text))).or_throw();
      auto armed = co_await with_timeout(0ms, ends.near.read());
      EXPECT_FALSE(armed.has_value());
      ends.near.close();  // Its receive is in flight, its output is not yet sent.
      EXPECT_EQ(co_await hear_all(ends.far), text);
    }
    EXPECT_EQ(driver_statistics().late_completions, 0u);
  });
}

TEST_P(StreamClosing, rule_06_an_abandoned_stream_drops_what_arrives_late) {
  run([]() -> Task<> {
    for (int i = 0; i < 50; ++i) {
      Ends ends = co_await tcp_pair();
      co_await with_scope([&](Scope& scope) -> Task<> {
        scope.start([&]() -> Task<> { (void)co_await ends.far.read_line(); });
        co_await turns(2);
        (co_await ends.near.write_all("no end of line")).or_throw();
        scope.cancel();
        co_return;
      });
      ends.far.close();
      co_await turns(i % 3);
    }
  });
}

// ---- Rule 7: handles.

TEST_P(StreamClosing, rule_07_a_handle_moves_while_its_receive_is_armed) {
  run([]() -> Task<> {
    Ends ends = co_await tcp_pair();
    EXPECT_FALSE((co_await with_timeout(1ms, ends.far.read())).has_value());
    net::Stream moved = std::move(ends.far);
    EXPECT_FALSE(ends.far.is_open());
    (co_await ends.near.write_all("after the move")).or_throw();
    std::string heard(14, ' ');
    (co_await moved.read_exact(span_of(heard))).or_throw();
    EXPECT_EQ(heard, "after the move");
  });
}

TEST_P(StreamClosing, rule_07_the_destructor_sends_what_was_accepted) {
  run([]() -> Task<> {
    Ends ends = co_await tcp_pair();
    std::string expected;
    {
      net::Stream near = std::move(ends.near);
      for (int i = 0; i < 10; ++i) {
        const std::string block(4'000, static_cast<char>('a' + i));
        (co_await near.write_all(std::string_view(block))).or_throw();
        expected += block;
      }
      near.try_write(SharedBytes::copy(std::string(30'000, 'z'))).or_throw();
      expected.append(30'000, 'z');
    }
    EXPECT_EQ(co_await hear_all(ends.far), expected);
  });
}

TEST(StreamClosingInVirtualTime, rule_07_output_nobody_reads_is_given_up_after_linger_max) {
  SimLoop sim;
  sim.run([]() -> Task<> {
    Ends ends = co_await tcp_pair();
    (void)co_await stuff(ends.near, 60'000);
    EXPECT_TRUE(co_await until([] { return net::socket_statistics().open == 2; }));
    ends.near.close();
    co_await sleep_for(std::chrono::milliseconds(limits::linger_max.value) - 1ms);
    EXPECT_EQ(net::socket_statistics().open, 2u) << "what was accepted is given up early";
    co_await sleep_for(2ms);
    EXPECT_EQ(net::socket_statistics().open, 1u);
  });
}

TEST(StreamClosingInVirtualTime, rule_29_output_nobody_reads_does_not_outlast_the_grace_of_a_stop) {
  SimLoop sim;
  sim.run([]() -> Task<> {
    loop().bound_stop(1s);
    std::vector<Ends> pairs;
    for (int i = 0; i < 3; ++i) {
      pairs.push_back(co_await tcp_pair());
      (void)co_await stuff(pairs.back().near, 60'000);
    }
    EXPECT_TRUE(co_await until([] { return net::socket_statistics().open == 6; }));
    pairs[0].near.close();  // Two of its five seconds are over when the stop comes.
    co_await sleep_for(2s);
    loop().request_stop();
    co_await sleep_for(500ms);
    pairs[1].near.close();
    co_await sleep_for(500ms - 1ms);
    EXPECT_EQ(net::socket_statistics().open, 6u) << "what was accepted is given up early";
    co_await sleep_for(2ms);
    EXPECT_EQ(net::socket_statistics().open, 4u);
    pairs[2].near.close();
    co_await sleep_for(1ms);
    EXPECT_EQ(net::socket_statistics().open, 3u) << "the grace is over";
  });
}

TEST_P(StreamClosing, rule_07_a_closed_stream_ends_when_its_peer_goes_before_linger_max) {
  run([]() -> Task<> {
    Ends ends = co_await tcp_pair();
    (void)co_await stuff(ends.near, 60'000);
    ends.near.close();
    ends.far.close();
    EXPECT_TRUE(co_await until([] { return net::socket_statistics().open == 0; }));
  });
}

ON_EVERY_DRIVER(StreamClosing);

}  // namespace
}  // namespace rondo::testing
