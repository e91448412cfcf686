// SPDX-License-Identifier: Apache-2.0
// SimLoop: virtual time, order and signals as a user's test sees them.
#include "rondo/testing/sim_loop.hpp"

#include <gtest/gtest.h>

#include <csignal>
#include <numeric>
#include <set>
#include <vector>

#include "rondo/core/scope.hpp"
#include "rondo/core/sleep.hpp"
#include "rondo/io/file_ops.hpp"

namespace rondo::testing {
namespace {

using namespace std::chrono_literals;

TEST(SimLoop, ten_sleeps_of_50_ms_take_exactly_500_ms_of_virtual_time) {
  SimLoop sim{{.seed = 42}};
  int ticks = 0;
  sim.run([&]() -> Task<> {
    for (int i = 0; i < 10; ++i) {
      co_await sleep_for(50ms);
      ++ticks;
    }
  });
  EXPECT_EQ(ticks, 10);
  EXPECT_EQ(sim.now(), 500ms);
}

TEST(SimLoop, a_year_of_sleep_takes_no_time_at_all) {
  SimLoop sim;
  sim.run([]() -> Task<> { co_await sleep_for(std::chrono::hours(24 * 365)); });
  EXPECT_EQ(sim.now(), std::chrono::hours(24 * 365));
}

TEST(SimLoop, run_returns_the_value_of_the_main_task_and_can_be_called_again) {
  SimLoop sim;
  EXPECT_EQ(sim.run([]() -> Task<int> { co_return 7; }), 7);
  EXPECT_EQ(sim.run([]() -> Task<int> {
    co_await sleep_for(1ms);
    co_return 8;
  }),
            8);
  EXPECT_EQ(sim.now(), 1ms);
}

TEST(SimLoop, run_rethrows_what_the_main_task_throws) {
  SimLoop sim;
  EXPECT_THROW(sim.run([]() -> Task<> {
    co_await sleep_for(1ms);
    throw 5;
  }),
               int);
}

TEST(SimLoop, the_wall_clock_jumps_and_sleeps_do_not_notice) {
  SimLoop sim;
  sim.run([&]() -> Task<> {
    const WallTime before = loop().wall_time();
    sim.jump_wall_clock(24h);
    co_await sleep_for(1s);
    EXPECT_EQ(loop().wall_time() - before, 24h + 1s);
  });
  EXPECT_EQ(sim.now(), 1s);
}

// Which of 20 tasks that are ready at once run first.
std::vector<int> order_of(SimOrder order, std::uint64_t seed) {
  SimLoop sim{{.seed = seed, .order = order}};
  std::vector<int> ran;
  sim.run([&]() -> Task<> {
    co_await with_scope([&](Scope& scope) -> Task<> {
      for (int i = 0; i < 20; ++i) {
        scope.start(
            [](std::vector<int>* into, int self) -> Task<> {
              into->push_back(self);
              co_return;
            },
            &ran, i);
      }
      co_return;
    });
  });
  return ran;
}

TEST(SimLoop, ready_tasks_run_first_in_first_out_unless_an_order_is_asked_for) {
  std::vector<int> expected(20);
  std::iota(expected.begin(), expected.end(), 0);
  EXPECT_EQ(order_of(SimOrder::fifo, 1), expected);
}

TEST(SimLoop, newest_first_runs_the_last_started_task_first) {
  EXPECT_EQ(order_of(SimOrder::newest_first, 1).front(), 19);
}

TEST(SimLoop, a_random_order_depends_on_the_seed_and_on_nothing_else) {
  std::set<std::vector<int>> orders;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const std::vector<int> ran = order_of(SimOrder::random, seed);
    EXPECT_EQ(ran, order_of(SimOrder::random, seed));
    orders.insert(ran);
  }
  EXPECT_GT(orders.size(), 15u);
}

TEST(SimLoop, every_order_by_seed_runs_each_task_once) {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    const std::vector<int> ran = order_of(SimOrder::by_seed, seed);
    EXPECT_EQ(ran.size(), 20u);
    EXPECT_EQ(std::set<int>(ran.begin(), ran.end()).size(), 20u);
  }
}

TEST(SimLoop, change_points_prefer_different_places_for_different_seeds) {
  std::set<std::vector<int>> orders;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    orders.insert(order_of(SimOrder::change_points, seed));
  }
  EXPECT_GT(orders.size(), 5u);
}

using SimLoopDeathTest = ::testing::Test;

TEST(SimLoopDeathTest, a_program_that_would_sleep_for_ever_is_told_so) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto sleep_for_ever = [] {
    SimLoop sim{{.seed = 77}};
    const auto pipe = sim.make_pipe();
    io::ReadOp read;
    std::byte into[8];
    read.fd = pipe.first;
    read.into = into;
    read.on_complete = [](io::Operation&, const io::Completion&) noexcept {};
    sim.loop().driver().submit(read);
    sim.loop().driver().wait(io::Wait::block, k_no_deadline);
  };
  EXPECT_DEATH(sleep_for_ever(),
               "seed 77(.|\n)*read on descriptor(.|\n)*deadlock: nothing is ready and no timer");
}

}  // namespace
}  // namespace rondo::testing
