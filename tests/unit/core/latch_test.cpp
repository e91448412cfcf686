// SPDX-License-Identifier: Apache-2.0
#include "rondo/core/latch.hpp"

#include "rondo/core/barrier.hpp"
#include "sync_fixture.hpp"

namespace rondo::testing {
namespace {

Task<> wait_and_count(Latch& latch, int& through) {
  co_await latch.wait();
  ++through;
}

TEST(Latch, opens_for_everybody_when_the_count_is_zero_and_stays_open) {
  run_sync([]() -> Task<> {
    Latch latch(3);
    int through = 0;
    co_await with_scope([&](Scope& scope) -> Task<> {
      scope.start(wait_and_count, std::ref(latch), std::ref(through));
      scope.start(wait_and_count, std::ref(latch), std::ref(through));
      latch.count_down(2);
      co_await sleep_for(1s);
      EXPECT_EQ(through, 0);
      EXPECT_EQ(latch.statistics().remaining, 1u);
      EXPECT_EQ(latch.statistics().waiting, 2u);
      latch.count_down();
      co_await turns(2);
      EXPECT_EQ(through, 2);
    });
    co_await latch.wait();
    EXPECT_TRUE(latch.is_open());
  });
}

TEST(Latch, of_zero_is_open_and_a_cancelled_wait_leaves_the_count) {
  run_sync([]() -> Task<> {
    Latch none(0);
    co_await none.wait();
    Latch one(1);
    EXPECT_FALSE((co_await with_timeout(5ms, one.wait())).has_value());
    EXPECT_EQ(one.statistics().remaining, 1u);
    EXPECT_EQ(one.statistics().waiting, 0u);
  });
}

TEST(LatchDeathTest, below_zero_is_an_assertion) {
  Latch latch(1);
  EXPECT_DEATH(latch.count_down(2), "counted down more often");
}

Task<> meet(Barrier& barrier, std::vector<BarrierTurn>& turns_seen, Duration after) {
  co_await sleep_for(after);
  turns_seen.push_back(co_await barrier.arrive_and_wait());
}

TEST(Barrier, lets_all_go_when_the_last_arrives_with_one_leader_each_round) {
  run_sync([]() -> Task<> {
    Barrier barrier(3);
    for (std::uint64_t round = 0; round < 3; ++round) {
      std::vector<BarrierTurn> seen;
      co_await with_scope([&](Scope& scope) -> Task<> {
        for (int i = 0; i < 3; ++i) {
          scope.start(meet, std::ref(barrier), std::ref(seen), Duration(i * 10ms));
        }
        co_await sleep_for(15ms);
        EXPECT_TRUE(seen.empty());
        EXPECT_EQ(barrier.statistics().waiting, 2u);
      });
      EXPECT_EQ(seen.size(), 3u);
      EXPECT_TRUE(seen.front().leader) << "the last to arrive goes on first";
      for (std::size_t i = 0; i < seen.size(); ++i) {
        EXPECT_EQ(seen[i].leader, i == 0);
        EXPECT_EQ(seen[i].generation, round);
      }
    }
    EXPECT_EQ(barrier.statistics().generation, 3u);
  });
}

TEST(Barrier, a_cancelled_arrival_is_taken_back) {
  run_sync([]() -> Task<> {
    Barrier barrier(2);
    EXPECT_FALSE((co_await with_timeout(1ms, barrier.arrive_and_wait())).has_value());
    EXPECT_EQ(barrier.statistics().waiting, 0u);
    EXPECT_FALSE((co_await with_timeout(1ms, barrier.arrive_and_wait())).has_value())
        << "the first arrival must not count";
    EXPECT_EQ(barrier.statistics().generation, 0u);
  });
}

TEST(Barrier, of_one_never_waits) {
  run_sync([]() -> Task<> {
    Barrier barrier(1);
    for (std::uint64_t i = 0; i < 300; ++i) {
      const BarrierTurn turn = co_await barrier.arrive_and_wait();
      EXPECT_TRUE(turn.leader);
      EXPECT_EQ(turn.generation, i);
    }
  });
}

TEST(Barrier, rounds_stay_apart_in_any_order_and_with_cancelled_arrivals) {
  run_seeds(50, [](std::uint64_t seed) -> Task<> {
    Barrier barrier(3);
    Dice dice(seed);
    std::vector<int> per_round;
    int leaders = 0;
    co_await with_scope([&](Scope& scope) -> Task<> {
      for (int party = 0; party < 3; ++party) {
        scope.start(
            [](Barrier& b, Dice& d, std::vector<int>& met, int& led) -> Task<> {
              for (int i = 0; i < 20; ++i) {
                co_await sleep_for(Duration(d.below(5) * 1ms));
                if (d.below(4) == 0) {
                  auto tried =
                      co_await with_timeout(Duration(d.below(3) * 1ms), b.arrive_and_wait());
                  if (!tried) continue;
                  if (met.size() <= tried->generation) met.resize(tried->generation + 1);
                  ++met[tried->generation];
                  led += tried->leader;
                }
              }
            },
            std::ref(barrier), std::ref(dice), std::ref(per_round), std::ref(leaders));
      }
      co_return;
    });
    for (const int met : per_round) EXPECT_EQ(met, 3);
    EXPECT_EQ(static_cast<std::size_t>(leaders), per_round.size());
    EXPECT_EQ(barrier.statistics().generation, per_round.size());
    EXPECT_EQ(barrier.statistics().waiting, 0u);
  });
}

}  // namespace
}  // namespace rondo::testing
