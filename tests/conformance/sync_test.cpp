// SPDX-License-Identifier: Apache-2.0
// What of the synchronisation primitives touches time and threads, on every driver.
#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "every_driver.hpp"
#include "rondo/core/rate_limiter.hpp"
#include "rondo/core/thread_channel.hpp"
#include "several_loops.hpp"

namespace rondo::testing {
namespace {

using Sync = EveryDriver;
using SyncLoops = SeveralLoops;

TEST_P(Sync, a_rate_limiter_never_gives_tokens_early) {
  run([]() -> Task<> {
    RateLimiter limiter({.tokens = 1, .per = 2ms, .burst = 2});
    const TimePoint start = now();
    for (int i = 0; i < 7; ++i) {
      co_await limiter.acquire();
      EXPECT_GE(now() - start, (i - 1) * 2ms) << "token " << i;
    }
    EXPECT_FALSE(limiter.try_acquire(2));
  });
}

TEST_P(Sync, a_cancelled_wait_for_tokens_leaves_no_timer_and_passes_its_turn_on) {
  run([]() -> Task<> {
    RateLimiter limiter({.tokens = 1, .per = 1h, .burst = 3});
    co_await limiter.acquire(2);
    co_await with_scope([&](Scope& scope) -> Task<> {
      auto large = scope.start([&]() -> Task<> { co_await limiter.acquire(3); });
      co_await turns(2);
      auto small = scope.start([&]() -> Task<> { co_await limiter.acquire(1); });
      co_await turns(2);
      EXPECT_EQ(limiter.statistics().waiting, 2u);
      large.cancel();
      EXPECT_TRUE((co_await small).has_value()) << "its token was there all the time";
    });
    EXPECT_EQ(loop().statistics().armed_timers, 0u);
    EXPECT_EQ(limiter.statistics().acquired, 3u);
  });
}

/// Sends `count` numbers; every third attempt may be cancelled, and is then made again.
Task<> send_all(ThreadChannel<int>& to, int first, int count) {
  for (int i = 0; i < count;) {
    if (i % 3 == 0) {
      auto sent = co_await with_timeout(50us, to.send(first + i));
      i += sent.has_value();
    } else {
      (co_await to.send(first + i)).or_throw();
      ++i;
    }
  }
}

Task<> receive_all(ThreadChannel<int>& from, std::vector<std::atomic<int>>& seen) {
  while (true) {
    auto got = co_await with_timeout(50us, from.receive());
    if (!got) continue;  // Cancelled: it has taken nothing.
    if (!*got) co_return;
    ++seen[static_cast<std::size_t>(**got)];
  }
}

TEST_P(SyncLoops, a_thread_channel_between_loops_loses_and_doubles_nothing) {
  run_on_loops(3, []() -> Task<> {
    constexpr int k_each = 300;
    ThreadChannel<int> channel(4);
    std::vector<std::atomic<int>> seen(3 * k_each);
    co_await with_scope([&](Scope& receivers) -> Task<> {
      for (const LoopRef& there : loops()) {
        receivers.start([&]() -> Task<> {
          (void)co_await on(there, [&]() -> Task<> { co_await receive_all(channel, seen); });
        });
      }
      co_await with_scope([&](Scope& senders) -> Task<> {
        int first = 0;
        for (const LoopRef& there : loops()) {
          senders.start([&, first]() -> Task<> {
            (void)co_await on(there,
                              [&]() -> Task<> { co_await send_all(channel, first, k_each); });
          });
          first += k_each;
        }
        co_return;
      });
      channel.close();
    });
    EXPECT_TRUE(std::ranges::all_of(seen, [](const auto& n) { return n == 1; }));
    EXPECT_EQ(channel.statistics().sent, 3u * k_each);
  });
}

TEST_P(Sync, threads_without_a_loop_send_to_a_task_and_receive_from_it) {
  if (is_sim()) {
    // No thread may be waited for in virtual time: a thread without a loop that does not block.
    run([]() -> Task<> {
      ThreadChannel<int> channel(2);
      std::thread([&] { EXPECT_TRUE(channel.try_send(1)); }).join();
      EXPECT_EQ(co_await channel.receive(), 1);
    });
    return;
  }
  run([]() -> Task<> {
    constexpr int k_each = 400;
    ThreadChannel<int> requests(2);
    ThreadChannel<int> answers(2);
    std::vector<std::thread> threads;
    for (int who = 0; who < 2; ++who) {
      threads.emplace_back([&, who] {
        for (int i = 0; i < k_each; ++i) {
          EXPECT_TRUE(requests.send_blocking(who * k_each + i).has_value());
          EXPECT_TRUE(answers.receive_blocking().has_value());
        }
      });
    }
    std::vector<int> seen(2 * k_each);
    for (int i = 0; i < 2 * k_each; ++i) {
      const int request = (co_await requests.receive()).value_or(0);
      ++seen[static_cast<std::size_t>(request)];
      EXPECT_TRUE((co_await answers.send(request)).has_value());
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_TRUE(std::ranges::all_of(seen, [](int n) { return n == 1; }));
  });
}

ON_EVERY_DRIVER(Sync);
ON_EVERY_DRIVER(SyncLoops);

}  // namespace
}  // namespace rondo::testing
