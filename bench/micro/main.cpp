// SPDX-License-Identifier: Apache-2.0
// rondo-bench-micro: what the pieces of the runtime cost, one JSON object a line.
// The metrics and their names are those of the peers in bench/peers/micro, so that one table can
// hold them all. Written on the public API; times come from outside of the loop's clock.
#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <string_view>
#include <thread>
#include <vector>

#include "rondo/core/channel.hpp"
#include "rondo/core/loop.hpp"
#include "rondo/core/offload.hpp"
#include "rondo/core/runtime.hpp"
#include "rondo/core/scope.hpp"
#include "rondo/core/sleep.hpp"

namespace {

using namespace rondo;
using namespace rondo::literals;

double now_ns() {
  const auto time = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration<double, std::nano>(time).count();
}

void put(const char* metric, double value, const char* unit = "ns") {
  std::printf("{\"metric\":\"%s\",\"value\":%.3f,\"unit\":\"%s\"}\n", metric, value, unit);
  std::fflush(stdout);
}

void pin(unsigned core) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(core, &set);
  pthread_setaffinity_np(pthread_self(), sizeof set, &set);  // Best effort: one core is fine too.
}

[[gnu::noinline]] Task<int> child(int value) { co_return value; }

Task<> call_and_await(long rounds, long& sum) {
  const double start = now_ns();
  for (long i = 0; i < rounds; ++i) sum += co_await child(static_cast<int>(i));
  put("call+await", (now_ns() - start) / static_cast<double>(rounds));
}

Task<> start_and_join(long rounds, long& sum) {
  const double start = now_ns();
  co_await with_scope([&](Scope& scope) -> Task<> {
    for (long i = 0; i < rounds; ++i) {
      auto handle = scope.start(child, static_cast<int>(i));
      sum += *co_await handle;
    }
  });
  put("spawn+await", (now_ns() - start) / static_cast<double>(rounds));
}

struct Repost {
  Loop* loop;
  long* left;
  void operator()() const {
    if (--*left > 0) loop->call_soon(*this);
  }
};

Task<> call_soon_and_run(long rounds) {
  long left = rounds;
  const double start = now_ns();
  loop().call_soon(Repost{&loop(), &left});
  while (left > 0) co_await checkpoint();
  // Each turn of this task runs one callback and one checkpoint: two entries of the queue.
  put("post+run", (now_ns() - start) / static_cast<double>(2 * rounds));
}

Task<> player(Channel<int>& in, Channel<int>& out, long rounds, bool first) {
  if (first) static_cast<void>(co_await out.send(0));
  for (long i = 0; i < rounds; ++i) {
    auto value = co_await in.receive();
    if (!first || i + 1 < rounds) static_cast<void>(co_await out.send(*value + 1));
  }
}

Task<> channel_hops(long rounds) {
  Channel<int> a(1);
  Channel<int> b(1);
  const double start = now_ns();
  co_await with_scope([&](Scope& scope) -> Task<> {
    scope.start(player, std::ref(a), std::ref(b), rounds, false);
    scope.start(player, std::ref(b), std::ref(a), rounds, true);
    co_return;
  });
  put("channel hop", (now_ns() - start) / static_cast<double>(2 * rounds));
}

Task<> timers(std::size_t outstanding, long rounds) {
  unsigned random = 1;
  auto delay = [&random] {
    random = random * 1664525U + 1013904223U;
    return 60s + std::chrono::microseconds(random >> 4);
  };
  const TimePoint base = now();
  std::vector<CallbackHandle> armed;
  armed.reserve(outstanding);
  for (std::size_t i = 0; i < outstanding; ++i) {
    armed.push_back(loop().call_at(base + delay(), [] {}));
  }
  const double start = now_ns();
  for (long i = 0; i < rounds; ++i) {
    CallbackHandle handle = loop().call_at(base + delay(), [] {});
    handle.cancel();
  }
  put("timer arm+cancel, 1e6 outstanding", (now_ns() - start) / static_cast<double>(rounds));
  for (CallbackHandle& handle : armed) handle.cancel();
  co_return;
}

Task<> sleeps(int rounds) {
  std::vector<double> over;
  for (int i = 0; i < rounds; ++i) {
    const double start = now_ns();
    co_await sleep_for(1ms);
    over.push_back((now_ns() - start - 1e6) / 1e3);
  }
  std::sort(over.begin(), over.end());
  put("sleep 1 ms: overshoot p50", over[over.size() / 2], "us");
  put("sleep 1 ms: overshoot p99", over[over.size() * 99 / 100], "us");
}

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

Task<> until_stop() {
  while (!stop_requested()) co_await sleep_for(1ms);
}

void cross_thread(long rounds) {
  PingPong game;
  game.left = rounds;
  Loop near;
  game.near = &near;
  std::atomic<bool> ready{false};
  std::thread other([&] {
    pin(1);
    Loop far;
    game.far = &far;
    ready.store(true, std::memory_order_release);
    static_cast<void>(far.run(until_stop()));
  });
  while (!ready.load(std::memory_order_acquire)) std::this_thread::yield();
  const double start = now_ns();
  near.post([&game] { game.ping(); });
  static_cast<void>(near.run(until_stop()));
  put("cross-thread round trip", (now_ns() - start) / static_cast<double>(rounds) / 1e3, "us");
  other.join();
}

Task<int> nothing(int value) { co_return value; }

/// A task sent to another loop and its value awaited: a post there and a post back.
void task_elsewhere(long rounds) {
  Runtime runtime({.loops = 2, .pin = true});
  const auto body = [rounds]() -> Task<> {
    long sum = 0;
    const double start = now_ns();
    for (long i = 0; i < rounds; ++i) {
      sum += (co_await on(loops()[1], nothing, static_cast<int>(i))).value_or(0);
    }
    put("on(): task on another loop and back",
        (now_ns() - start) / static_cast<double>(rounds) / 1e3, "us");
    if (sum == 42) std::puts("");
  };
  static_cast<void>(runtime.run(body()));
}

/// A function on the CPU pool and back, one at a time.
Task<> offloads(long rounds) {
  const double start = now_ns();
  for (long i = 0; i < rounds; ++i) static_cast<void>(co_await run_cpu([] {}));
  put("run_cpu: round trip", (now_ns() - start) / static_cast<double>(rounds) / 1e3, "us");
}

Task<> everything() {
  long sum = 0;
  co_await call_and_await(5'000'000, sum);
  co_await start_and_join(2'000'000, sum);
  co_await call_soon_and_run(2'000'000);
  co_await channel_hops(1'000'000);
  co_await timers(1'000'000, 1'000'000);
  co_await sleeps(500);
  co_await offloads(20'000);
  if (sum == 42) std::puts("");
}

}  // namespace

int bench_spawn();  // spawn.cpp
int bench_files();  // files.cpp

int main(int argc, char** argv) {
  pin(0);
  const std::string_view mode = argc > 1 ? argv[1] : "";
  if (mode == "spawn") return bench_spawn();
  if (mode == "files") return bench_files();
  if (!mode.empty()) {
    std::fputs("usage: rondo-bench-micro [spawn|files]\n", stderr);
    return 2;
  }
  const int status = run(everything());
  cross_thread(20'000);
  task_elsewhere(20'000);
  return status;
}
