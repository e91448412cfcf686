// SPDX-License-Identifier: Apache-2.0
// Rondo inside of a real foreign loop: libuv turns it, by the descriptor alone, while libuv's own
// timers, idle handles and wake-ups run beside it.
#include <gtest/gtest.h>
#include <uv.h>

#include <chrono>
#include <string>
#include <string_view>
#include <thread>

#include "rondo/core/event.hpp"
#include "rondo/core/interval.hpp"
#include "rondo/core/offload.hpp"
#include "rondo/core/scope.hpp"
#include "rondo/core/sleep.hpp"
#include "rondo/net/tcp.hpp"

namespace rondo::testing {
namespace {

using namespace std::chrono_literals;

/// A libuv loop with a Rondo loop inside of it.
class UvHost {
 public:
  explicit UvHost(io::DriverKind kind) : loop_(LoopOptions{.driver = {.kind = kind}}) {
    EXPECT_EQ(uv_loop_init(&uv_), 0);
    EXPECT_EQ(uv_poll_init(&uv_, &watch_, loop_.pollable_fd().or_throw()), 0);
    watch_.data = this;
    uv_poll_start(&watch_, UV_READABLE, [](uv_poll_t* handle, int status, int) {
      EXPECT_EQ(status, 0);
      static_cast<UvHost*>(handle->data)->turn();
    });
  }
  ~UvHost() {
    if (!uv_is_closing(reinterpret_cast<uv_handle_t*>(&watch_))) close();
    uv_run(&uv_, UV_RUN_DEFAULT);
    EXPECT_EQ(uv_loop_close(&uv_), 0) << "a handle was left";
  }

  template <class T>
  Lifted<T> run(Task<T> task) {
    MainTask<T> main = loop_.start(std::move(task));
    ended_ = [](void* task_of) { return static_cast<MainTask<T>*>(task_of)->done(); };
    main_ = &main;
    turn();
    uv_run(&uv_, UV_RUN_DEFAULT);
    return main.take();
  }
  uv_loop_t* uv() { return &uv_; }
  Loop& loop() { return loop_; }
  int turns() const { return turns_; }

 private:
  void turn() {
    ++turns_;
    loop_.poll();
    if (ended_(main_)) close();
  }
  void close() { uv_close(reinterpret_cast<uv_handle_t*>(&watch_), nullptr); }

  Loop loop_;
  uv_loop_t uv_;
  uv_poll_t watch_;
  bool (*ended_)(void*) = nullptr;
  void* main_ = nullptr;
  int turns_ = 0;
};

class InLibuv : public ::testing::TestWithParam<io::DriverKind> {};

Task<int> sleep_and_count() {
  int ticks = 0;
  Interval tick(2ms, {.missed = MissedTick::burst});
  for (; ticks < 20; ++ticks) co_await tick.next();
  co_return ticks;
}

TEST_P(InLibuv, timers_of_both_loops_run_side_by_side) {
  UvHost host(GetParam());
  int uv_ticks = 0;
  uv_timer_t timer;
  uv_timer_init(host.uv(), &timer);
  timer.data = &uv_ticks;
  uv_timer_start(
      &timer,
      [](uv_timer_t* handle) {
        if (++*static_cast<int*>(handle->data) == 10)
          uv_close(reinterpret_cast<uv_handle_t*>(handle), nullptr);
      },
      1, 1);
  EXPECT_EQ(host.run(sleep_and_count()).or_throw(), 20);
  EXPECT_EQ(uv_ticks, 10);
  EXPECT_LT(host.turns(), 200) << "libuv spun on the descriptor";
}

Task<> echo(net::Listener* listener) {
  auto peer = co_await listener->accept().or_throw();
  while (auto got = co_await peer.read()) {
    if (got->empty() || !co_await peer.write_all(std::move(*got))) break;
  }
}

Task<int> converse(int rounds) {
  auto listener = tcp::listen({.address = "127.0.0.1:0"}).or_throw();
  int bytes = 0;
  co_await with_scope([&](Scope& scope) -> Task<> {
    scope.start(echo, &listener);
    auto stream = co_await tcp::connect(listener.local()).or_throw();
    for (int i = 0; i < rounds; ++i) {
      const std::string line = std::to_string(i) + "\n";
      (co_await stream.write_all(as_bytes(line))).or_throw();
      bytes += static_cast<int>((co_await stream.read_line())->size());
    }
  });
  co_return bytes;
}

TEST_P(InLibuv, connections_are_served) {
  UvHost host(GetParam());
  EXPECT_EQ(host.run(converse(200)).or_throw(), 10 * 2 + 90 * 3 + 100 * 4);
}

Task<int> work_elsewhere() {
  int sum = 0;
  for (int i = 0; i < 10; ++i) {
    sum += *co_await run_blocking([i] { return i; });
  }
  co_return sum;
}

TEST_P(InLibuv, worker_threads_and_posts_wake_libuv) {
  UvHost host(GetParam());
  Event posted;
  std::thread other([&] { host.loop().post([&] { posted.set(); }); });
  auto both = [](Event* event) -> Task<int> {
    co_await event->wait();
    co_return co_await work_elsewhere();
  };
  EXPECT_EQ(host.run(both(&posted)).or_throw(), 45);
  other.join();
}

INSTANTIATE_TEST_SUITE_P(drivers, InLibuv,
                         ::testing::Values(io::DriverKind::uring, io::DriverKind::epoll),
                         [](const auto& about) {
                           return std::string(about.param == io::DriverKind::uring ? "uring"
                                                                                   : "epoll");
                         });

}  // namespace
}  // namespace rondo::testing
