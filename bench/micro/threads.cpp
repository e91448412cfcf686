// SPDX-License-Identifier: Apache-2.0
// W7: what crosses threads. Round trips of one at a time: two sleeping threads wake each other.
#include <atomic>
#include <functional>
#include <thread>

#include "measure.hpp"
#include "rondo/core/loop.hpp"
#include "rondo/core/offload.hpp"
#include "rondo/core/runtime.hpp"
#include "rondo/core/scope.hpp"
#include "rondo/core/sleep.hpp"
#include "rondo/core/thread_channel.hpp"

namespace bench {
namespace {

using namespace rondo;
using namespace rondo::literals;

constexpr long k_rounds = 20'000;

/// Two loops on two threads; a post there and back.
struct PingPong {
  Loop* near = nullptr;
  Loop* far = nullptr;
  long left = 0;
  void ping() {
    if (left-- == 0) {
      far->request_stop();
      near->request_stop();
      return;
    }
    far->post([this] { near->post([this] { ping(); }); });
  }
};

Task<> until_stop() { co_await until_stop_requested(); }

void posts(long rounds) {
  PingPong game;
  game.left = rounds;
  Loop near;
  game.near = &near;
  std::atomic<bool> ready{false};
  pin(0);
  std::thread other([&] {
    pin(1);
    Loop far;
    game.far = &far;
    ready.store(true, std::memory_order_release);
    static_cast<void>(far.run(until_stop()));
  });
  while (!ready.load(std::memory_order_acquire)) std::this_thread::yield();
  const Stopwatch watch;
  near.post([&game] { game.ping(); });
  static_cast<void>(near.run(until_stop()));
  put("cross-thread round trip", watch.us_per(static_cast<double>(rounds)), "us");
  other.join();
  unpin();
}

Task<int> nothing(int value) { co_return value; }

/// A task sent to another loop and its value awaited: a post there and a post back.
Task<> task_elsewhere(long rounds, long& sum) {
  const Stopwatch watch;
  for (long i = 0; i < rounds; ++i) {
    sum += (co_await on(loops()[1], nothing, static_cast<int>(i))).value_or(0);
  }
  put("on() round trip", watch.us_per(static_cast<double>(rounds)), "us");
}

Task<> player(ThreadChannel<int>& in, ThreadChannel<int>& out) {
  while (auto value = co_await in.receive()) static_cast<void>(co_await out.send(*value + 1));
}

Task<> thread_channels(long rounds, long& sum) {
  ThreadChannel<int> there(1);
  ThreadChannel<int> back(1);
  co_await with_scope([&](Scope& scope) -> Task<> {
    scope.start_on(loops()[1], player, std::ref(there), std::ref(back));
    const Stopwatch watch;
    for (long i = 0; i < rounds; ++i) {
      static_cast<void>(co_await there.send(1));
      sum += *co_await back.receive();
    }
    put("thread channel hop, two loops", watch.us_per(2.0 * static_cast<double>(rounds)), "us");
    there.close();
  });
}

/// A function on a pool's thread and its end awaited, one at a time.
Task<> pools() {
  {
    const Stopwatch watch;
    for (long i = 0; i < k_rounds; ++i) static_cast<void>(co_await run_blocking([] {}));
    put("pool round trip", watch.us_per(k_rounds), "us");
  }
  const Stopwatch watch;
  for (long i = 0; i < k_rounds; ++i) static_cast<void>(co_await run_cpu([] {}));
  put("CPU pool round trip", watch.us_per(k_rounds), "us");
}

}  // namespace

void threads() {
  static_cast<void>(rondo::run(pools()));
  posts(k_rounds);
  Runtime runtime({.loops = 2, .pin = true});
  const auto body = []() -> Task<> {
    long sum = 0;
    co_await task_elsewhere(k_rounds, sum);
    co_await thread_channels(k_rounds, sum);
    if (sum == 42) put("", 0);
  };
  static_cast<void>(runtime.run(body()));
}

}  // namespace bench
