// SPDX-License-Identifier: Apache-2.0
// Listeners and connecting on every driver: cancelled waits, backlogs, no descriptors left, names.
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <string>
#include <vector>

#include "rondo/base/log.hpp"
#include "rondo/testing/sim_loop.hpp"
#include "stream_tools.hpp"

namespace rondo::testing {
namespace {

using ListenerRules = EveryDriver;
/// Lowers the process's limit: for the drivers whose descriptors are the kernel's.
class OutOfDescriptors : public EveryDriver {};
class KernelSockets : public EveryDriver {};

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

TEST_P(ListenerRules, rule_08_a_cancelled_connect_ends_and_leaves_no_descriptor) {
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

TEST_P(ListenerRules, a_handle_that_was_closed_or_moved_from_says_so) {
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

ON_EVERY_DRIVER(ListenerRules);
INSTANTIATE_TEST_SUITE_P(real_drivers, OutOfDescriptors, ::testing::Values("uring", "epoll"),
                         [](const auto& which) { return which.param; });
INSTANTIATE_TEST_SUITE_P(real_drivers, KernelSockets, ::testing::Values("uring", "epoll"),
                         [](const auto& which) { return which.param; });

}  // namespace
}  // namespace rondo::testing
