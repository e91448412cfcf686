// SPDX-License-Identifier: Apache-2.0
#include "rondo/core/rate_limiter.hpp"

#include "rondo/testing/sim_loop.hpp"
#include "sync_fixture.hpp"

namespace rondo::testing {
namespace {

using Served = std::vector<std::pair<int, Duration>>;

TEST(RateLimiter, lets_a_burst_through_and_then_one_at_each_exact_instant) {
  SimLoop sim;
  sim.run([&]() -> Task<> {
    RateLimiter limiter({.tokens = 10, .per = 1s, .burst = 3});
    EXPECT_EQ(limiter.statistics().available, 3u);
    for (int i = 0; i < 3; ++i) co_await limiter.acquire();
    EXPECT_EQ(sim.now(), 0ms);
    for (int i = 1; i <= 5; ++i) {
      co_await limiter.acquire();
      EXPECT_EQ(sim.now(), i * 100ms);
    }
    co_await sleep_for(10s);
    EXPECT_EQ(limiter.statistics().available, 3u) << "no more than the burst is kept";
    EXPECT_EQ(limiter.statistics().acquired, 8u);
  });
}

TEST(RateLimiter, does_not_drift_when_a_token_takes_no_whole_nanoseconds) {
  SimLoop sim;
  sim.run([&]() -> Task<> {
    RateLimiter limiter({.tokens = 7, .per = 10ms, .burst = 1});
    co_await limiter.acquire();
    for (int i = 0; i < 7'000; ++i) co_await limiter.acquire();
    EXPECT_EQ(sim.now(), 10s);
  });
}

TEST(RateLimiter, serves_first_in_first_out_also_large_before_small) {
  SimLoop sim;
  sim.run([&]() -> Task<> {
    RateLimiter limiter({.tokens = 1, .per = 10ms, .burst = 5});
    co_await limiter.acquire(5);
    Served served;
    co_await with_scope([&](Scope& scope) -> Task<> {
      for (const int count : {4, 1, 2}) {
        scope.start(
            [](RateLimiter& l, SimLoop& s, Served& out, int n) -> Task<> {
              co_await l.acquire(static_cast<std::uint64_t>(n));
              out.emplace_back(n, s.now());
            },
            std::ref(limiter), std::ref(sim), std::ref(served), count);
      }
      co_await turns(2);
      EXPECT_FALSE(limiter.try_acquire()) << "nobody overtakes those who wait";
      EXPECT_EQ(limiter.statistics().waiting, 3u);
      EXPECT_EQ(limiter.statistics().refused, 1u);
    });
    const Served expected = {{4, 40ms}, {1, 50ms}, {2, 70ms}};
    EXPECT_EQ(served, expected);
  });
}

TEST(RateLimiter, a_cancelled_waiter_takes_no_token_and_passes_its_turn_on) {
  SimLoop sim;
  sim.run([&]() -> Task<> {
    RateLimiter limiter({.tokens = 1, .per = 10ms, .burst = 4});
    co_await limiter.acquire(4);
    co_await with_scope([&](Scope& scope) -> Task<> {
      auto large =
          scope.start([](RateLimiter& l) -> Task<> { co_await l.acquire(4); }, std::ref(limiter));
      scope.start(
          [](RateLimiter& l, SimLoop& s) -> Task<> {
            co_await l.acquire();
            EXPECT_EQ(s.now(), 25ms) << "served at once when the one before it gives up";
          },
          std::ref(limiter), std::ref(sim));
      co_await sleep_for(25ms);
      large.cancel();
    });
    EXPECT_EQ(limiter.statistics().acquired, 5u);
  });
}

TEST(RateLimiter, never_gives_more_than_rate_and_burst_allow_in_any_order) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(seed);
    SimLoop sim({.seed = seed, .order = SimOrder::by_seed});
    sim.run([&]() -> Task<> {
      Dice dice(seed);
      const std::uint64_t burst = 1 + dice.below(6);
      RateLimiter limiter({.tokens = 7, .per = 10ms, .burst = burst});
      std::uint64_t taken = 0;
      co_await with_scope([&](Scope& scope) -> Task<> {
        for (int i = 0; i < 30; ++i) {
          scope.start(
              [](RateLimiter& l, Dice& d, SimLoop& s, std::uint64_t& sum,
                 std::uint64_t most) -> Task<> {
                co_await sleep_for(Duration(d.below(20) * 1ms));
                const std::uint64_t count = 1 + d.below(most);
                const Duration limit = d.below(3) == 0 ? Duration(d.below(5) * 1ms) : Duration(1h);
                if (!co_await with_timeout(limit, l.acquire(count))) co_return;
                sum += count;
                const auto ns = static_cast<std::uint64_t>(s.now().count());
                EXPECT_LE(sum, most + 1 + ns * 7 / 10'000'000) << "a nanosecond is rounded";
              },
              std::ref(limiter), std::ref(dice), std::ref(sim), std::ref(taken), burst);
        }
        co_return;
      });
      EXPECT_EQ(limiter.statistics().acquired, taken);
      EXPECT_EQ(limiter.statistics().waiting, 0u);
    });
  }
}

TEST(RateLimiterDeathTest, more_than_the_burst_is_an_assertion) {
  RateLimiter limiter({.tokens = 1, .per = 1s, .burst = 2});
  EXPECT_DEATH((void)limiter.acquire(3), "or it would wait for ever");
}

}  // namespace
}  // namespace rondo::testing
