// SPDX-License-Identifier: Apache-2.0
// Rules 8 and 11 of the semantics: cancelled reads, lent buffers, their shortage and the bounds of
// what is received. Each test is named after the rule it holds.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "stream_tools.hpp"

namespace rondo::testing {
namespace {

using StreamReceiving = EveryDriver;

// ---- Rule 8: cancelling a read or an accept asks the kernel nothing.

TEST_P(StreamReceiving, rule_08_cancelling_reads_submits_nothing) {
  run([]() -> Task<> {
    Ends ends = co_await tcp_pair();
    EXPECT_FALSE((co_await with_timeout(1ms, ends.far.read())).has_value());
    const std::uint64_t before = driver_statistics().submissions;
    for (int i = 0; i < 20; ++i) {
      EXPECT_FALSE((co_await with_timeout(0ms, ends.far.read())).has_value());
    }
    EXPECT_EQ(driver_statistics().submissions, before);
  });
}

// ---- Rule 11: receiving.

TEST_P(StreamReceiving, rule_11_loans_beyond_half_of_the_pool_are_copies) {
  run([]() -> Task<> {
    Ends ends = co_await tcp_pair();
    std::vector<Loan> held;
    const std::string block(4'096, 'b');
    for (int i = 0; i < 100; ++i) {
      (co_await ends.near.write_all(std::string_view(block))).or_throw();
      for (std::size_t got = 0; got < block.size(); got += held.back().size()) {
        held.push_back(co_await ends.far.read().or_throw());
      }
    }
    const std::uint32_t count = rondo::loop().driver().buffers().count();
    EXPECT_GE(free_buffers() + 1, count / 2);
    EXPECT_LT(free_buffers(), count) << "the first loans are of the pool itself";
    for (const Loan& loan : held) EXPECT_EQ(loan.text().find_first_not_of('b'), loan.text().npos);
  });
}

TEST_P(StreamReceiving, rule_11_unread_bytes_beyond_half_of_the_pool_leave_it) {
  run([]() -> Task<> {
    // 30 streams that are armed and not read could fill the pool of 64 several times.
    std::vector<Ends> idle;
    for (int i = 0; i < 30; ++i) {
      idle.push_back(co_await tcp_pair());
      EXPECT_FALSE((co_await with_timeout(0ms, idle.back().far.read())).has_value());
      (void)co_await with_timeout(
          10ms, idle.back().near.write_all(std::string_view(std::string(100'000, 'i'))));
    }
    EXPECT_TRUE(co_await until([] { return free_buffers() >= 24; }));
    Ends busy = co_await tcp_pair();
    for (int i = 0; i < 20; ++i) {
      (co_await busy.near.write_all("ping\n")).or_throw();
      auto line = co_await with_timeout(5s, busy.far.read_line());
      EXPECT_TRUE(line.has_value()) << "streams that nobody reads starve the others";
      if (!line) co_return;
    }
  });
}

TEST_P(StreamReceiving, rule_11_receiving_stops_at_unread_max_and_goes_on_when_read) {
  run([]() -> Task<> {
    Ends ends = co_await tcp_pair();
    EXPECT_FALSE((co_await with_timeout(0ms, ends.far.read())).has_value());
    const std::size_t written = co_await stuff(ends.near, 65'536);
    const std::size_t held = ends.far.stream().unread();
    EXPECT_GE(held, limits::unread_max.value / 2);
    EXPECT_LE(held, 2 * limits::unread_max.value);
    co_await sleep_for(5ms);
    EXPECT_EQ(ends.far.stream().unread(), held) << "receiving goes on though nobody reads";
    ends.near.shutdown_write();
    EXPECT_EQ((co_await hear_all(ends.far)).size(), written);
  });
}

/// Mostly what one tiny buffer holds, so that many streams hold one each; now and then more.
std::size_t piece_size(int i) { return static_cast<std::size_t>(i % 5 == 4 ? 200 : 1 + i % 16); }

Task<> send_sum(net::Stream near, int pieces) {
  for (int i = 0; i < pieces; ++i) {
    const std::string text(piece_size(i), 'p');
    (co_await near.write_all(std::string_view(text))).or_throw();
    co_await checkpoint();
  }
}
TEST_P(StreamReceiving, rule_11_out_of_buffers_everybody_gets_a_turn_and_no_byte_is_lost) {
  run_on(loop_options({.buffer_count = 4, .buffer_size = 16}), []() -> Task<> {
    constexpr int k_streams = 40;
    constexpr int k_pieces = 30;
    std::size_t expected = 0;
    for (int i = 0; i < k_pieces; ++i) expected += piece_size(i);
    std::vector<std::size_t> sums(k_streams);
    auto listener = tcp::listen({.address = "127.0.0.1:0"}).or_throw();
    std::vector<Ends> all;
    while (all.size() < k_streams) all.push_back(co_await joined(listener));
    co_await with_scope([&](Scope& scope) -> Task<> {
      for (std::size_t i = 0; i < k_streams; ++i) {
        std::size_t& sum = sums[i];
        Ends ends = std::move(all[i]);
        scope.start(&send_sum, std::move(ends.near), k_pieces);
        scope.start(
            [&sum](net::Stream far) -> Task<> {
              while (true) {
                Loan got = co_await far.read().or_throw();
                if (got.empty()) co_return;
                sum += got.size();
              }
            },
            std::move(ends.far));
      }
      co_return;
    });
    for (std::size_t sum : sums) EXPECT_EQ(sum, expected);
    EXPECT_GT(driver_statistics().out_of_buffers, 0u) << "the pool was never empty: no test";
    EXPECT_EQ(net::socket_statistics().starved, 0u);
  });
}

TEST_P(StreamReceiving, rule_11_an_idle_connection_holds_no_buffer) {
  run([]() -> Task<> {
    std::vector<Ends> idle;
    for (int i = 0; i < 40; ++i) {
      Ends ends = co_await tcp_pair();
      (co_await ends.near.write_all("hello\n")).or_throw();
      EXPECT_EQ((co_await ends.far.read_line().or_throw()).text(), "hello\n");
      EXPECT_FALSE((co_await with_timeout(0ms, ends.far.read())).has_value());
      idle.push_back(std::move(ends));
    }
    EXPECT_EQ(free_buffers(), rondo::loop().driver().buffers().count());
  });
}

ON_EVERY_DRIVER(StreamReceiving);

}  // namespace
}  // namespace rondo::testing
