// SPDX-License-Identifier: Apache-2.0
// Rules 6 to 15 of the semantics, on sockets: each test is named after the rule it holds.
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <string>
#include <vector>

#include "every_driver.hpp"
#include "net_pairs.hpp"
#include "rondo/base/log.hpp"
#include "rondo/testing/sim_loop.hpp"

namespace rondo::testing {
namespace {

using StreamRules = EveryDriver;
using ListenerRules = EveryDriver;
/// Lowers the process's limit: for the drivers whose descriptors are the kernel's.
class OutOfDescriptors : public EveryDriver {};
class KernelSockets : public EveryDriver {};

ByteSpan span_of(std::string& text) { return std::as_writable_bytes(std::span(text)); }
std::uint32_t free_buffers() { return rondo::loop().driver().buffers().free_count(); }
const io::DriverStatistics& driver_statistics() { return rondo::loop().driver().statistics(); }

/// Everything until the end of the stream.
Task<std::string> hear_all(net::Stream& from) {
  std::string heard;
  while (true) {
    Loan got = co_await from.read().or_throw();
    if (got.empty()) co_return heard;
    heard.append(got.text());
  }
}

/// Waits for `done()` with a bound; false when it does not come true.
template <class F>
Task<bool> until(F done) {
  for (int i = 0; i < 5'000; ++i) {
    if (done()) co_return true;
    co_await sleep_for(1ms);
  }
  co_return false;
}

/// Queues output until the kernel takes no more and `least` bytes wait.
Task<std::size_t> stuff(net::Stream& near, std::size_t least) {
  const SharedBytes block = SharedBytes::copy(std::string(16'384, 's'));
  std::size_t written = 0;
  for (int refused = 0; refused < 20;) {
    if (near.try_write(block, least + block.size()))
      written += block.size(), refused = 0;
    else
      ++refused, co_await sleep_for(1ms);
    co_await checkpoint();
  }
  co_return written;
}

// ---- Rule 6: operations are pinned; descriptors' numbers may be used again at once.

TEST_P(StreamRules, rule_06_numbers_that_are_reused_at_once_mix_up_no_bytes) {
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

TEST_P(StreamRules, rule_06_an_abandoned_stream_drops_what_arrives_late) {
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

TEST_P(StreamRules, rule_07_a_handle_moves_while_its_receive_is_armed) {
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

TEST_P(StreamRules, rule_07_the_destructor_sends_what_was_accepted) {
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

TEST(StreamRulesInVirtualTime, rule_07_output_nobody_reads_is_given_up_after_linger_max) {
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

TEST_P(StreamRules, rule_07_a_closed_stream_ends_when_its_peer_goes_before_linger_max) {
  run([]() -> Task<> {
    Ends ends = co_await tcp_pair();
    (void)co_await stuff(ends.near, 60'000);
    ends.near.close();
    ends.far.close();
    EXPECT_TRUE(co_await until([] { return net::socket_statistics().open == 0; }));
  });
}

// ---- Rule 8: cancelling a read or an accept asks the kernel nothing.

TEST_P(StreamRules, rule_08_cancelling_reads_submits_nothing) {
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

TEST_P(ListenerRules, rule_08_a_cancelled_accept_loses_no_connection) {
  run([]() -> Task<> {
    auto listener = tcp::listen({.address = "127.0.0.1:0"}).or_throw();
    std::vector<net::Stream> near;
    std::vector<net::Stream> far;
    for (int i = 0; i < 40; ++i) {
      co_await with_scope([&](Scope& scope) -> Task<> {
        scope.start([&]() -> Task<> {
          auto peer = co_await listener.accept();
          if (peer) far.push_back(std::move(*peer));
        });
        near.push_back(co_await tcp::connect(listener.local()).or_throw());
        co_await turns(i % 4);
        scope.cancel();
      });
    }
    while (far.size() < near.size()) far.push_back(co_await listener.accept().or_throw());
    for (net::Stream& stream : near) (co_await stream.write_all("here\n")).or_throw();
    for (net::Stream& stream : far) {
      EXPECT_EQ((co_await stream.read_line().or_throw()).text(), "here\n");
    }
  });
}

TEST_P(StreamRules, rule_08_a_cancelled_connect_ends_and_leaves_no_descriptor) {
  run([]() -> Task<> {
    auto listener = tcp::listen({.address = "127.0.0.1:0"}).or_throw();
    for (int i = 0; i < 30; ++i) {
      co_await with_scope([&](Scope& scope) -> Task<> {
        scope.start([&]() -> Task<> { (void)co_await tcp::connect(listener.local()); });
        co_await turns(i % 3);
        scope.cancel();
        co_return;
      });
    }
  });
}

// ---- Rule 11: receiving.

TEST_P(StreamRules, rule_11_loans_beyond_half_of_the_pool_are_copies) {
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

TEST_P(StreamRules, rule_11_unread_bytes_beyond_half_of_the_pool_leave_it) {
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

TEST_P(StreamRules, rule_11_receiving_stops_at_unread_max_and_goes_on_when_read) {
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

TEST_P(StreamRules, rule_11_out_of_buffers_everybody_gets_a_turn_and_no_byte_is_lost) {
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

TEST_P(StreamRules, rule_11_an_idle_connection_holds_no_buffer) {
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

TEST_P(ListenerRules, rule_11_a_backlog_longer_than_accepted_max_loses_nobody) {
  run([]() -> Task<> {
    auto listener = tcp::listen({.address = "127.0.0.1:0"}).or_throw();
    constexpr std::size_t k_many = 3 * limits::accepted_max.value;
    std::vector<net::Stream> near;
    while (near.size() < k_many) {
      near.push_back(co_await tcp::connect(listener.local()).or_throw());
      (co_await near.back().write_all("in\n")).or_throw();
    }
    std::vector<net::Stream> far;
    far.push_back(co_await listener.accept().or_throw());
    co_await turns(5);  // The driver accepts on while nobody takes.
    while (far.size() < k_many) far.push_back(co_await listener.accept().or_throw());
    for (net::Stream& stream : far) {
      EXPECT_EQ((co_await stream.read_line().or_throw()).text(), "in\n");
    }
  });
}

// ---- Rule 12: the cork.

TEST_P(StreamRules, rule_12_many_small_writes_of_one_iteration_are_one_send) {
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

TEST_P(StreamRules, rule_12_a_large_write_leaves_together_with_the_cork) {
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

TEST_P(StreamRules, rule_12_above_cork_max_a_writer_waits_until_half_has_left) {
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

TEST_P(StreamRules, rule_12_errors_appear_at_the_next_write_or_flush) {
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

TEST_P(StreamRules, rule_12_a_large_write_cancelled_between_two_sends_breaks_the_stream) {
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

TEST_P(StreamRules, rule_13_one_shared_message_goes_to_many_streams) {
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

TEST_P(StreamRules, rule_13_try_write_takes_all_or_nothing) {
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

TEST_P(StreamRules, rule_15_reading_and_writing_take_no_block_that_stays) {
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

// ---- Listeners and connecting.

TEST_P(ListenerRules, a_soft_stop_ends_the_wait_with_stopping) {
  run([]() -> Task<> {
    auto listener = tcp::listen({.address = "127.0.0.1:0"}).or_throw();
    co_await with_scope([&](Scope& scope) -> Task<> {
      scope.start([&]() -> Task<> {
        auto peer = co_await listener.accept();
        EXPECT_FALSE(peer.has_value());
        if (!peer) EXPECT_EQ(peer.error().code(), Errc::stopping);
      });
      co_await turns(3);
      rondo::loop().request_stop();
    });
    EXPECT_FALSE((co_await listener.accept()).has_value()) << "it stays so";
  });
}

/// Keeps the process from opening more descriptors than it has.
class NoMoreDescriptors {
 public:
  NoMoreDescriptors() {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    const int next = ::dup(0);  // The lowest free number: below it all are taken.
    ::close(next);
    rlimit less = before_;
    less.rlim_cur = static_cast<rlim_t>(next);
    ::setrlimit(RLIMIT_NOFILE, &less);
  }
  NoMoreDescriptors(const NoMoreDescriptors&) = delete;
  NoMoreDescriptors& operator=(const NoMoreDescriptors&) = delete;
  ~NoMoreDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

TEST_P(OutOfDescriptors, accepting_pauses_and_recovers_without_a_spin) {
  const LogSink before = set_log_sink([](LogLevel, std::string_view) {});
  run([]() -> Task<> {
    auto listener = tcp::listen({.address = "127.0.0.1:0"}).or_throw();
    auto near = co_await tcp::connect(listener.local()).or_throw();
    std::uint64_t iterations = 0;
    {
      const NoMoreDescriptors none;
      iterations = rondo::loop().statistics().iterations;
      auto peer = co_await with_timeout(250ms, listener.accept());
      EXPECT_FALSE(peer.has_value());
      iterations = rondo::loop().statistics().iterations - iterations;
    }
    EXPECT_LT(iterations, 60u) << "the loop spins while it is out of descriptors";
    auto far = co_await with_timeout(10s, listener.accept());
    EXPECT_TRUE(far.has_value()) << "accepting does not go on";
  });
  set_log_sink(before);
}

TEST_P(OutOfDescriptors, who_waits_too_long_is_refused_and_the_connected_are_served_on) {
  if (is_sim()) return;  // The test below does it in virtual time.
  const LogSink before = set_log_sink([](LogLevel, std::string_view) {});
  run([]() -> Task<> {
    auto listener = tcp::listen({.address = "127.0.0.1:0"}).or_throw();
    Ends served = co_await joined(listener);
    auto waiting = co_await tcp::connect(listener.local()).or_throw();
    co_await with_scope([&](Scope& scope) -> Task<> {
      const NoMoreDescriptors none;
      scope.start([&]() -> Task<> { (void)co_await listener.accept(); });
      auto refused = co_await with_timeout(20s, waiting.read());
      // Closed: an end, or a reset.
      EXPECT_TRUE(!refused ? refused.error() != Errc::timed_out : refused->empty());
      (co_await served.near.write_all("still\n")).or_throw();
      EXPECT_EQ((co_await served.far.read_line().or_throw()).text(), "still\n");
      scope.cancel();
    });
    Ends after = co_await joined(listener);
    (co_await after.near.write_all("again\n")).or_throw();
    EXPECT_EQ((co_await after.far.read_line().or_throw()).text(), "again\n");
  });
  set_log_sink(before);
}

TEST(OutOfDescriptorsInVirtualTime, a_connection_that_waits_is_refused_after_two_seconds) {
  const LogSink before = set_log_sink([](LogLevel, std::string_view) {});
  SimLoop sim({.faults = {.accept_limit_per_mille = 1'000}});
  sim.run([&]() -> Task<> {
    auto listener = tcp::listen({.address = "127.0.0.1:0"}).or_throw();
    auto near = co_await tcp::connect(listener.local()).or_throw();
    co_await with_scope([&](Scope& scope) -> Task<> {
      scope.start([&]() -> Task<> { (void)co_await listener.accept(); });
      EXPECT_TRUE((co_await near.read().or_throw()).empty());
      scope.cancel();
    });
    EXPECT_EQ(sim.now(), std::chrono::milliseconds(limits::accept_refuse_after.value));
    sim.set_faults({});
    Ends ends = co_await joined(listener);
    (co_await ends.near.write_all("in\n")).or_throw();
    EXPECT_EQ((co_await ends.far.read_line().or_throw()).text(), "in\n");
  });
  set_log_sink(before);
}

TEST(OutOfDescriptorsInVirtualTime, accepting_goes_on_after_every_pause) {
  const LogSink before = set_log_sink([](LogLevel, std::string_view) {});
  SimLoop sim({.seed = 3, .faults = {.accept_limit_per_mille = 500}});
  sim.run([]() -> Task<> {
    auto listener = tcp::listen({.address = "127.0.0.1:0"}).or_throw();
    for (int i = 0; i < 50; ++i) {
      Ends ends = co_await joined(listener);
      (co_await ends.near.write_all("in\n")).or_throw();
      EXPECT_EQ((co_await ends.far.read_line().or_throw()).text(), "in\n");
    }
  });
  EXPECT_GE(sim.now(), std::chrono::milliseconds(limits::accept_pause.value));
  set_log_sink(before);
}

TEST_P(ListenerRules, a_port_in_use_is_an_error_that_names_it) {
  run([]() -> Task<> {
    auto first = tcp::listen({.address = "127.0.0.1:0"}).or_throw();
    const std::string where = first.local().to_string();
    auto second = tcp::listen({.address = where});
    EXPECT_FALSE(second.has_value());
    if (!second) {
      EXPECT_EQ(second.error().code(), Errc::address_in_use);
      EXPECT_EQ(second.error().object(), where);
    }
    co_return;
  });
}

TEST_P(KernelSockets, what_the_kernel_says_of_a_listener_is_the_accepts_error_and_no_spin) {
  run([]() -> Task<> {
    auto listener = tcp::listen({.address = "127.0.0.1:0"}).or_throw();
    auto [pending, done] = co_await when_all(
        with_timeout(10s, listener.accept()), [](int descriptor) -> Task<int> {
          co_await sleep_for(1ms);
          co_return ::shutdown(descriptor, SHUT_RDWR);
        }(listener.descriptor()));
    EXPECT_EQ(done, 0);
    EXPECT_EQ(pending.error().code(), Errc::invalid_argument);
    EXPECT_EQ(pending.error().object(), listener.local().to_string());
    auto again = co_await with_timeout(10s, listener.accept());
    EXPECT_EQ(again.error().code(), Errc::invalid_argument);
  });
}

TEST_P(StreamRules, a_handle_that_was_closed_or_moved_from_says_so) {
  run([]() -> Task<> {
    Ends ends = co_await tcp_pair();
    net::Stream taken = std::move(ends.near);
    EXPECT_DEATH((void)ends.near.read(), "this Stream was closed or moved from");
    EXPECT_DEATH((void)ends.near.peer(), "this Stream was closed or moved from");
    taken.close();
    EXPECT_DEATH((void)taken.try_write(SharedBytes::copy("x")), "this Stream was closed");
    auto listener = tcp::listen({.address = "127.0.0.1:0"}).or_throw();
    EXPECT_TRUE(listener.is_open());
    listener.close();
    EXPECT_FALSE(listener.is_open());
    EXPECT_DEATH((void)listener.accept(), "this Listener was closed or moved from");
    EXPECT_DEATH((void)listener.port(), "this Listener was closed or moved from");
  });
}

TEST_P(KernelSockets, accepted_and_connected_streams_have_no_delay) {
  run([]() -> Task<> {
    const int lowest = ::dup(0);
    ::close(lowest);
    Ends ends = co_await tcp_pair();
    int without_delay = 0;
    EXPECT_TRUE(co_await until([] { return net::socket_statistics().open == 2; }));
    for (int fd = lowest; fd < lowest + 6; ++fd) {
      int on = 0;
      socklen_t size = sizeof on;
      if (::getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, &size) == 0 && on != 0) ++without_delay;
    }
    EXPECT_EQ(without_delay, 2) << "near and far";
  });
}

TEST_P(ListenerRules, connecting_to_nobody_is_refused_and_names_the_endpoint) {
  run([]() -> Task<> {
    net::Endpoint where;
    {
      auto listener = tcp::listen({.address = "127.0.0.1:0"}).or_throw();
      where = listener.local();
    }
    EXPECT_TRUE(co_await until([] { return net::socket_statistics().open == 0; }));
    auto peer = co_await tcp::connect(where);
    EXPECT_FALSE(peer.has_value());
    if (!peer) {
      EXPECT_EQ(peer.error().code(), Errc::connection_refused);
      EXPECT_EQ(peer.error().object(), where.to_string());
    }
  });
}

TEST_P(ListenerRules, names_and_numbers_are_resolved_before_connecting) {
  run([]() -> Task<> {
    auto listener = tcp::listen({.address = "127.0.0.1:0"}).or_throw();
    auto [near, far] =
        co_await when_all(tcp::connect(listener.local().to_string()), listener.accept());
    EXPECT_TRUE(near.has_value());
    EXPECT_TRUE(far.has_value());
    EXPECT_FALSE((co_await tcp::connect("no port")).has_value());
  });
}

TEST_P(ListenerRules, unix_names_are_taken_once_and_free_when_the_listener_is_gone) {
  run([]() -> Task<> {
    const std::string name = unused_name();
    {
      auto listener = unix_stream::listen({.path = name}).or_throw();
      EXPECT_FALSE(unix_stream::listen({.path = name}).has_value());
      Ends ends = co_await joined(listener);
      (co_await ends.near.write_all("local\n")).or_throw();
      EXPECT_EQ((co_await ends.far.read_line().or_throw()).text(), "local\n");
    }
    EXPECT_TRUE(co_await until([] { return net::socket_statistics().open == 0; }));
    EXPECT_FALSE((co_await unix_stream::connect(name)).has_value());
    EXPECT_TRUE(unix_stream::listen({.path = name}).has_value());
  });
}

ON_EVERY_DRIVER(StreamRules);
ON_EVERY_DRIVER(ListenerRules);
INSTANTIATE_TEST_SUITE_P(real_drivers, OutOfDescriptors, ::testing::Values("uring", "epoll"),
                         [](const auto& which) { return which.param; });
INSTANTIATE_TEST_SUITE_P(real_drivers, KernelSockets, ::testing::Values("uring", "epoll"),
                         [](const auto& which) { return which.param; });

}  // namespace
}  // namespace rondo::testing
