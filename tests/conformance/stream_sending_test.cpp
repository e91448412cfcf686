// SPDX-License-Identifier: Apache-2.0
// Rules 12, 13 and 15 of the semantics: the cork, shared messages, and no allocation per read and
// write. Each test is named after the rule it holds.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "stream_tools.hpp"

namespace rondo::testing {
namespace {

using StreamSending = EveryDriver;

// ---- Rule 12: the cork.

TEST_P(StreamSending, rule_12_many_small_writes_of_one_iteration_are_one_send) {
  run([]() -> Task<> {
    Ends ends = co_await tcp_pair();
    // The listener's end is work for the driver too.
    EXPECT_TRUE(co_await until([] { return net::socket_statistics().open == 2; }));
    const std::uint64_t before = driver_statistics().submissions;
    for (int i = 0; i < 20; ++i) (co_await ends.near.write_all("twenty bytes of it.\n")).or_throw();
    (co_await ends.near.flush()).or_throw();
    EXPECT_EQ(driver_statistics().submissions - before, 1u);
    std::string heard(400, ' ');
    (co_await ends.far.read_exact(span_of(heard))).or_throw();
    EXPECT_TRUE(heard.starts_with("twenty bytes of it.\ntwenty"));
  });
}

TEST_P(StreamSending, rule_12_a_large_write_leaves_together_with_the_cork) {
  run([]() -> Task<> {
    Ends ends = co_await tcp_pair();
    // The listener's end is work for the driver too.
    EXPECT_TRUE(co_await until([] { return net::socket_statistics().open == 2; }));
    const std::string large(20'000, 'l');
    const std::uint64_t before = driver_statistics().submissions;
    (co_await ends.near.write_all("head:")).or_throw();
    (co_await ends.near.write_all(std::string_view(large))).or_throw();
    EXPECT_EQ(driver_statistics().submissions - before, 1u);
    std::string heard(20'005, ' ');
    (co_await ends.far.read_exact(span_of(heard))).or_throw();
    EXPECT_EQ(heard, "head:" + large);
  });
}

TEST_P(StreamSending, rule_12_above_cork_max_a_writer_waits_until_half_has_left) {
  run([]() -> Task<> {
    Ends ends = co_await tcp_pair();
    (void)co_await stuff(ends.near, limits::cork_max.value);
    const std::string small(1'000, 'w');
    EXPECT_GT(ends.near.stream().unsent() + small.size(), limits::cork_max.value);
    co_await with_scope([&](Scope& scope) -> Task<> {
      bool heard_all = false;
      scope.start([&]() -> Task<> {
        std::string room(8'192, ' ');
        while (!heard_all) (void)co_await with_timeout(1s, ends.far.read_some(span_of(room)));
      });
      (co_await ends.near.write_all(std::string_view(small))).or_throw();
      EXPECT_LE(ends.near.stream().unsent(), limits::cork_max.value / 2 + small.size());
      heard_all = true;
      scope.cancel();
    });
  });
}

TEST_P(StreamSending, rule_12_errors_appear_at_the_next_write_or_flush) {
  run([]() -> Task<> {
    Ends ends = co_await tcp_pair();
    (co_await ends.far.write_all("unread by near")).or_throw();
    (co_await ends.far.flush()).or_throw();
    (co_await ends.near.write_all("unread by far")).or_throw();
    (co_await ends.near.flush()).or_throw();
    ends.far.close();  // With bytes that nobody read: a reset.
    bool failed = false;
    for (int i = 0; i < 1'000 && !failed; ++i) {
      failed = !(co_await ends.near.write_all("more")).has_value();
      co_await sleep_for(1ms);
    }
    EXPECT_TRUE(failed);
    EXPECT_FALSE((co_await ends.near.flush()).has_value()) << "the error stays";
    EXPECT_FALSE(ends.near.try_write(SharedBytes::copy("x")).has_value());
  });
}

TEST_P(StreamSending, rule_12_a_large_write_cancelled_between_two_sends_breaks_the_stream) {
  run([]() -> Task<> {
    // A peer that reads now and then makes many short sends; the cancel comes anywhere.
    for (int round = 0; round < 20; ++round) {
      Ends ends = co_await tcp_pair();
      // A kernel that tunes its buffers by itself may hold tens of megabytes of one connection.
      ends.near.set_send_buffer(65'536).or_throw();
      ends.far.set_receive_buffer(65'536).or_throw();
      const std::string much(8'000'000, 'm');
      co_await with_scope([&](Scope& scope) -> Task<> {
        scope.start([&]() -> Task<> {
          (void)co_await ends.near.write_all(std::string_view(much));
          ADD_FAILURE() << "nobody read so much";
        });
        std::string room(65'536, ' ');
        for (int i = 0; i < 3 + round; ++i) {
          (void)co_await ends.far.read_some(span_of(room)).or_throw();
        }
        co_await turns(round % 3);
        scope.cancel();
      });
      auto next = co_await ends.near.write_all("x");
      EXPECT_FALSE(next.has_value());
      if (!next) EXPECT_EQ(next.error().code(), Errc::broken);
    }
  });
}

// ---- Rule 13: try_write.

TEST_P(StreamSending, rule_13_one_shared_message_goes_to_many_streams) {
  run([]() -> Task<> {
    std::vector<Ends> members;
    for (int i = 0; i < 10; ++i) members.push_back(co_await tcp_pair());
    const std::string text(2'000, 'f');
    const SharedBytes message = SharedBytes::copy(text);
    const long blocks = detail::FramePool::live;
    for (Ends& ends : members) ends.near.try_write(message).or_throw();
    EXPECT_EQ(detail::FramePool::live - blocks, 10) << "one small block for each, no copy";
    for (Ends& ends : members) {
      std::string heard(text.size(), ' ');
      (co_await ends.far.read_exact(span_of(heard))).or_throw();
      EXPECT_EQ(heard, text);
    }
  });
}

TEST_P(StreamSending, rule_13_try_write_takes_all_or_nothing) {
  run([]() -> Task<> {
    Ends ends = co_await tcp_pair();
    const SharedBytes message = SharedBytes::copy(std::string(600, 't'));
    std::size_t taken = 0;
    Result<> last;
    while ((last = ends.near.try_write(message, 10'000))) taken += message.size();
    EXPECT_EQ(last.error().code(), Errc::would_exceed);
    EXPECT_EQ(taken, 9'600u);
    EXPECT_EQ(ends.near.stream().unsent(), taken);
    ends.near.shutdown_write();
    EXPECT_EQ((co_await hear_all(ends.far)).size(), taken);
  });
}

// ---- Rule 15: no allocation per read and write.

TEST_P(StreamSending, rule_15_reading_and_writing_take_no_block_that_stays) {
  run([]() -> Task<> {
    Ends ends = co_await tcp_pair();
    std::string heard(100, ' ');
    const std::string text(100, 'e');
    unsigned long refills = 0;
    for (int i = 0; i < 300; ++i) {
      if (i == 100) refills = detail::FramePool::refills;
      (co_await ends.near.write_all(std::string_view(text))).or_throw();
      (co_await ends.far.read_exact(span_of(heard))).or_throw();
    }
    EXPECT_EQ(detail::FramePool::refills, refills);
  });
}

ON_EVERY_DRIVER(StreamSending);

}  // namespace
}  // namespace rondo::testing
