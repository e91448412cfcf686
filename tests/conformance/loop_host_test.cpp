// SPDX-License-Identifier: Apache-2.0
// A foreign loop turns this one: the pollable descriptor becomes readable for every kind of work,
// and only then; a host that sleeps on it alone loses nothing.
#include <netinet/in.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <atomic>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "every_driver.hpp"
#include "net_pairs.hpp"
#include "rondo/base/unique_fd.hpp"
#include "rondo/core/event.hpp"
#include "rondo/core/future.hpp"
#include "rondo/core/interval.hpp"
#include "rondo/core/offload.hpp"

namespace rondo::testing {
namespace {

class LoopHost : public EveryDriver {
 protected:
  /// The descriptor says that there is something to do. Waits at most `ms`; -1: for ever.
  static bool readable(int fd, int ms = 0) {
    pollfd entry{.fd = fd, .events = POLLIN, .revents = 0};
    int count;
    do count = ::poll(&entry, 1, ms);
    while (count < 0 && errno == EINTR);
    EXPECT_FALSE(count == 1 && entry.revents & POLLNVAL);
    return count == 1;
  }
  /// A host that knows nothing but the descriptor. `done` ends it; sleeping for ever is a failure
  /// that the hang guard finds.
  template <class Done>
  static void host(Loop& at, int fd, Done done) {
    while (!done()) {
      EXPECT_TRUE(readable(fd, 30'000)) << "the host sleeps and the loop has work";
      at.poll();
    }
  }
  /// Lets everything happen that needs no more, so that the descriptor rests.
  static void settle(Loop& at, int fd) {
    int turns = 0;
    while (readable(fd)) {
      at.poll();
      ASSERT_LT(++turns, 1'000) << "readable again and again with nothing to do";
    }
  }
};

TEST_P(LoopHost, a_simulated_loop_refuses_with_a_clear_error) {
  Loop at(loop_options());
  const Result<int> fd = at.pollable_fd();
  EXPECT_EQ(fd.has_value(), !is_sim());
  if (is_sim()) {
    EXPECT_EQ(fd.error().code(), Errc::not_supported);
    EXPECT_EQ(fd.error().message(), "pollable_fd sim: " + describe(Errc::not_supported));
  } else {
    EXPECT_EQ(*fd, *at.pollable_fd()) << "the same one each time";
  }
}

TEST_P(LoopHost, the_timeout_is_the_next_timer_zero_with_work_and_without_end_else) {
  Loop at(loop_options());
  EXPECT_EQ(at.poll_timeout(), Duration::max());
  auto timer = at.call_later(1h, [] {});
  EXPECT_LE(at.poll_timeout(), 1h);
  EXPECT_GT(at.poll_timeout(), 59min);
  auto past = at.call_later(-1h, [] {});
  EXPECT_EQ(at.poll_timeout(), 0ns);
  at.poll();
  auto soon = at.call_soon([] {});
  EXPECT_EQ(at.poll_timeout(), 0ns);
  at.poll();
  EXPECT_GT(at.poll_timeout(), 59min);
  at.post([] {});
  EXPECT_EQ(at.poll_timeout(), 0ns);
  at.poll();
  at.request_stop();
  EXPECT_EQ(at.poll_timeout(), 0ns);
}

class HostedLoop : public LoopHost {};

TEST_P(HostedLoop, rests_while_there_is_nothing_to_do) {
  Loop at(loop_options());
  const int fd = at.pollable_fd().or_throw();
  settle(at, fd);
  auto far = at.call_later(1h, [] {});
  at.poll();
  settle(at, fd);
  EXPECT_FALSE(readable(fd));
}

TEST_P(HostedLoop, shows_what_was_ready_before_it_was_asked_for) {
  Loop at(loop_options());
  int ran = 0;
  auto soon = at.call_soon([&] { ++ran; });
  const int fd = at.pollable_fd().or_throw();
  EXPECT_TRUE(readable(fd));
  settle(at, fd);
  EXPECT_EQ(ran, 1);
}

TEST_P(HostedLoop, shows_a_post_of_another_thread_and_a_stop_request) {
  Loop at(loop_options());
  const int fd = at.pollable_fd().or_throw();
  int ran = 0;
  for (int round = 1; round <= 50; ++round) {
    settle(at, fd);
    std::thread other([&] { at.post([&] { ++ran; }); });
    host(at, fd, [&] { return ran == round; });
    other.join();
  }
  settle(at, fd);
  at.request_stop();
  host(at, fd, [&] { return at.stop_requested(); });
}

TEST_P(HostedLoop, shows_timers_at_their_time_and_not_before) {
  Loop at(loop_options());
  const int fd = at.pollable_fd().or_throw();
  settle(at, fd);
  std::vector<int> ran;
  const TimePoint begin = at.now();
  // Armed out of order: each moves what the descriptor waits for.
  auto third = at.call_later(30ms, [&] { ran.push_back(3); });
  at.poll();
  auto first = at.call_later(10ms, [&] { ran.push_back(1); });
  at.poll();
  auto second = at.call_later(20ms, [&] { ran.push_back(2); });
  auto never = at.call_later(5ms, [&] { ran.push_back(0); });
  at.poll();
  never.cancel();
  at.poll();
  int turns = 0;
  host(at, fd, [&] { return ++turns, ran.size() == 3; });
  EXPECT_EQ(ran, (std::vector<int>{1, 2, 3}));
  EXPECT_GE(at.now() - begin, 30ms) << "early";
  EXPECT_LT(turns, 50) << "the host spun";
  settle(at, fd);
}

TEST_P(HostedLoop, runs_a_long_interval_of_its_own) {
  Loop at(loop_options());
  const int fd = at.pollable_fd().or_throw();
  MainTask<int> main = at.start([]() -> Task<int> {
    Interval tick(1ms, {.missed = MissedTick::burst});
    for (int i = 0; i < 30; ++i) co_await tick.next();
    co_return 30;
  }());
  at.poll();
  host(at, fd, [&] { return main.done(); });
  EXPECT_EQ(main.take().or_throw(), 30);
}

Task<> echo(net::Listener* listener, int connections) {
  for (int i = 0; i < connections; ++i) {
    auto peer = co_await listener->accept().or_throw();
    while (auto got = co_await peer.read()) {
      if (got->empty()) break;
      if (!co_await peer.write_all(std::move(*got))) break;
    }
  }
}

Task<int> ask(net::Endpoint where, int rounds) {
  auto stream = co_await tcp::connect(where).or_throw();
  int bytes = 0;
  for (int i = 0; i < rounds; ++i) {
    (co_await stream.write_all(as_bytes(std::string_view("hello")))).or_throw();
    std::byte into[5];
    (co_await stream.read_exact(into)).or_throw();
    bytes += 5;
  }
  co_return bytes;
}

Task<int> talk(int rounds) {
  auto listener = tcp::listen({.address = "127.0.0.1:0"}).or_throw();
  int bytes = 0;
  co_await with_scope([&](Scope& scope) -> Task<> {
    scope.start(echo, &listener, 3);
    for (int i = 0; i < 3; ++i) bytes += co_await ask(listener.local(), rounds);
  });
  co_return bytes;
}

TEST_P(HostedLoop, carries_connections_through_accept_read_write_and_close) {
  Loop at(loop_options());
  const int fd = at.pollable_fd().or_throw();
  MainTask<int> main = at.start(talk(100));
  at.poll();
  host(at, fd, [&] { return main.done(); });
  EXPECT_EQ(main.take().or_throw(), 3 * 100 * 5);
}

constexpr std::size_t k_much = 4 << 20;  // More than a socket takes at once.

/// Writes much and ends; what is accepted leaves although the task is gone.
Task<> tell_much(net::Listener* listener) {
  auto peer = co_await listener->accept().or_throw();
  const std::string text(k_much, 'x');
  (co_await peer.write_all(text)).or_throw();
  (co_await peer.write_all("the end")).or_throw();
  peer.shutdown_write();
}

/// Bytes until the end of the stream, by a thread that knows of no loop.
std::size_t hear_all(std::uint16_t port) {
  const UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  name.sin_port = htons(port);
  EXPECT_EQ(::connect(socket.get(), reinterpret_cast<sockaddr*>(&name), sizeof name), 0);
  std::vector<char> room(65'536);
  std::size_t heard = 0;
  while (true) {
    const ssize_t got = ::recv(socket.get(), room.data(), room.size(), 0);
    if (got <= 0) return heard;
    heard += static_cast<std::size_t>(got);
  }
}

TEST_P(HostedLoop, does_not_rest_on_output_that_was_sent_in_part) {
  Loop at(loop_options());
  const int fd = at.pollable_fd().or_throw();
  Loop::Entered entered(at);
  auto listener = tcp::listen({.address = "127.0.0.1:0"}).or_throw();
  MainTask<void> main = at.start(tell_much(&listener));
  std::size_t heard = 0;
  std::atomic<bool> heard_all{false};
  std::thread peer([&, port = listener.port()] {
    heard = hear_all(port);
    heard_all = true;
    at.post([] {});
  });
  at.poll();
  host(at, fd, [&] { return main.done() && heard_all; });
  peer.join();
  EXPECT_EQ(heard, k_much + 7);
}

TEST_P(LoopHost, the_timeout_is_zero_while_output_is_corked) {
  Loop at(loop_options());
  Loop::Entered entered(at);
  std::optional<Ends> ends;
  at.run([](std::optional<Ends>* made) -> Task<> {
      made->emplace(co_await tcp_pair());
    }(&ends)).or_throw();
  while (at.poll_timeout() == 0ns) at.poll();
  EXPECT_EQ(at.poll_timeout(), Duration::max());
  static_cast<void>(ends->near.try_write(SharedBytes::copy("hello")));
  EXPECT_EQ(at.poll_timeout(), 0ns);
  while (at.poll_timeout() == 0ns) at.poll();
  EXPECT_EQ(ends->near.stream().unsent(), 0u);
}

TEST_P(HostedLoop, carries_operations_that_fail_before_the_kernel_and_through_a_tiny_queue) {
  Loop at(loop_options({.ring_entries = 4, .buffer_count = 16}));
  const int fd = at.pollable_fd().or_throw();
  const Pipe pipe = make_pipe();
  int ended = 0;
  MainTask<void> main = at.start([](Pipe ends, int* n) -> Task<> {
    co_await with_scope([&](Scope& scope) -> Task<> {
      for (int i = 0; i < 40; ++i) {
        scope.start(
            [](int from, int* count) -> Task<> {
              static_cast<void>(co_await read_text(from, 1));
              ++*count;
            },
            ends.in, n);
      }
      co_await checkpoint();
      co_await write_text(ends.out, std::string(40, 'x'));
    });
    co_await close_pipe(ends);
  }(pipe, &ended));
  at.poll();
  host(at, fd, [&] { return main.done(); });
  EXPECT_EQ(ended, 40);
}

TEST_P(HostedLoop, carries_jobs_of_worker_threads) {
  Loop at(loop_options());
  const int fd = at.pollable_fd().or_throw();
  MainTask<int> main = at.start([]() -> Task<int> {
    int sum = 0;
    for (int i = 0; i < 20; ++i) sum += *co_await run_blocking([i] { return i; });
    co_return sum;
  }());
  at.poll();
  host(at, fd, [&] { return main.done(); });
  EXPECT_EQ(main.take().or_throw(), 190);
}

TEST_P(HostedLoop, has_what_hooks_and_the_close_phase_begin_submitted_before_the_host_sleeps) {
  Loop at(loop_options());
  const int fd = at.pollable_fd().or_throw();
  settle(at, fd);
  int fired = 0;
  bool posted = false;
  // A check hook runs after everything was submitted: what it arms and queues must count.
  Hook check = at.on_check([&] {
    if (fired == 0) at.call_soon([&] { ++fired; });
    if (fired == 1 && !posted) {
      posted = true;
      at.call_later(2ms, [&] { ++fired; });
    }
  });
  at.poll();
  host(at, fd, [&] { return fired == 2; });
  Hook idle = at.on_idle([&] {
    if (++fired == 10) idle.remove();
  });
  at.poll();
  host(at, fd, [&] { return fired == 10; });
  check.remove();
  settle(at, fd);
}

TEST_P(HostedLoop, may_be_watched_by_an_epoll_of_the_host) {
  Loop at(loop_options());
  const int fd = at.pollable_fd().or_throw();
  settle(at, fd);
  const UniqueFd outer(::epoll_create1(EPOLL_CLOEXEC));
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = fd;
  ASSERT_EQ(::epoll_ctl(outer.get(), EPOLL_CTL_ADD, fd, &event), 0);
  MainTask<int> main = at.start(talk(50));
  at.poll();
  while (!main.done()) {
    epoll_event got{};
    const int count = ::epoll_wait(outer.get(), &got, 1, 30'000);
    if (count < 0 && errno == EINTR) continue;
    ASSERT_EQ(count, 1) << "the host sleeps and the loop has work";
    at.poll();
  }
  EXPECT_EQ(main.take().or_throw(), 3 * 50 * 5);
}

TEST_P(HostedLoop, still_runs_by_itself) {
  Loop at(loop_options());
  static_cast<void>(at.pollable_fd().or_throw());
  auto timer = at.call_later(1ms, [] {});
  at.poll();
  at.run([]() -> Task<> { co_await sleep_for(5ms); }()).or_throw();
  EXPECT_EQ(at.run(talk(20)).or_throw(), 300);
}

ON_EVERY_DRIVER(LoopHost);
INSTANTIATE_TEST_SUITE_P(every_driver, HostedLoop,
                         ::testing::Values(std::string("uring"), std::string("epoll")),
                         [](const auto& which) { return which.param; });

}  // namespace
}  // namespace rondo::testing
