// SPDX-License-Identifier: Apache-2.0
#include "rondo/core/offload.hpp"

#include <gtest/gtest.h>

#include <csignal>

#include "core/thread_start.hpp"
#include "rondo/core/scope.hpp"
#include "rondo/core/sleep.hpp"
#include "rondo/testing/sim_loop.hpp"

namespace rondo {
namespace {

using namespace std::chrono_literals;

TEST(offload, durations_fall_into_powers_of_two_microseconds) {
  DurationStatistics times;
  for (const Duration time : {Duration(0ns), Duration(999ns), Duration(1us), Duration(3us),
                              Duration(4us), Duration(10h), Duration(-5ns)}) {
    times.add(time);
  }
  EXPECT_EQ(times.count, 7u);
  EXPECT_EQ(times.max, 10h);
  EXPECT_EQ(times.log2_us[0], 3u) << "under one microsecond";
  EXPECT_EQ(times.log2_us[1], 1u) << "[1, 2)";
  EXPECT_EQ(times.log2_us[2], 1u) << "[2, 4)";
  EXPECT_EQ(times.log2_us[3], 1u) << "[4, 8)";
  EXPECT_EQ(times.log2_us[DurationStatistics::k_buckets - 1], 1u) << "everything longer";
}

TEST(offload, a_cgroups_quota_is_rounded_up_and_nonsense_is_no_quota) {
  EXPECT_EQ(detail::cpus_of_quota("150000 100000"), 2u);
  EXPECT_EQ(detail::cpus_of_quota("100000 100000"), 1u);
  EXPECT_EQ(detail::cpus_of_quota("1 100000"), 1u);
  EXPECT_EQ(detail::cpus_of_quota("max 100000"), 0u);
  EXPECT_EQ(detail::cpus_of_quota(""), 0u);
  EXPECT_EQ(detail::cpus_of_quota("200000"), 0u);
  EXPECT_EQ(detail::cpus_of_quota("200000 "), 0u);
  EXPECT_EQ(detail::cpus_of_quota("200000 0"), 0u);
  EXPECT_GE(usable_cpus(), 1u);
}

TEST(offload, the_librarys_threads_are_deaf_to_the_signals_that_loops_take) {
  sigset_t mask;
  detail::start_thread("deaf", [&] { ::pthread_sigmask(SIG_SETMASK, nullptr, &mask); }).join();
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGCHLD, SIGUSR1}) {
    EXPECT_TRUE(sigismember(&mask, number)) << number;
  }
  for (const int number : {SIGSEGV, SIGABRT, SIGPROF, SIGRTMIN}) {
    EXPECT_FALSE(sigismember(&mask, number)) << number;
  }
  sigset_t own;
  ::pthread_sigmask(SIG_SETMASK, nullptr, &own);
  EXPECT_FALSE(sigismember(&own, SIGHUP)) << "their maker's mask is as it was";
}

struct Outcomes {
  int taken_back = 0;
  int cancelled_running = 0;
  int ended_before = 0;
};

Outcomes outcomes_of(std::uint64_t seeds) {
  Outcomes all;
  for (std::uint64_t seed = 0; seed < seeds; ++seed) {
    testing::SimLoop sim({.seed = seed});
    sim.run([&]() -> Task<> {
      int got = 0;
      co_await with_scope([&](Scope& scope) -> Task<> {
        auto child = scope.start([&got]() -> Task<> {
          got = *co_await run_cpu([](CancelToken stop) { return stop.requested() ? 1 : 2; });
        });
        co_await sleep_for(Duration(seed % 10 * 100us));
        child.cancel();
        co_return;
      });
      all.taken_back += got == 0;
      all.cancelled_running += got == 1;
      all.ended_before += got == 2;
    });
  }
  return all;
}

TEST(offload, simulation_cancels_before_during_and_after_a_function) {
  const Outcomes first = outcomes_of(200);
  EXPECT_GT(first.taken_back, 0);
  EXPECT_GT(first.cancelled_running, 0);
  EXPECT_GT(first.ended_before, 0);
  const Outcomes again = outcomes_of(200);
  EXPECT_EQ(first.cancelled_running, again.cancelled_running) << "and a seed replays";
}

}  // namespace
}  // namespace rondo
