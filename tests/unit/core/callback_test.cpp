// SPDX-License-Identifier: Apache-2.0
// Callbacks: cancelled in every state, captures that die in time, and loops that end before them.
#include "rondo/core/callback.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "io/sim/sim_driver.hpp"
#include "rondo/core/loop.hpp"
#include "rondo/core/sleep.hpp"
#include "rondo/testing/sim_loop.hpp"

namespace rondo {
namespace {

using namespace std::chrono_literals;
using testing::SimLoop;

TEST(Callback, runs_once_in_the_ready_phase) {
  SimLoop sim;
  int ran = 0;
  sim.run([&]() -> Task<> {
    CallbackHandle handle = loop().call_soon([&] { ++ran; });
    EXPECT_TRUE(handle.pending());
    EXPECT_EQ(ran, 0);
    co_await checkpoint();
    EXPECT_EQ(ran, 1);
    EXPECT_FALSE(handle.pending());
    handle.cancel();  // Nothing happens when it has run.
    co_await checkpoint();
    EXPECT_EQ(ran, 1);
  });
}

TEST(Callback, cancelled_while_queued_never_runs_and_its_captures_die_at_once) {
  SimLoop sim;
  sim.run([&]() -> Task<> {
    auto watched = std::make_shared<int>(1);
    std::weak_ptr<int> seen = watched;
    CallbackHandle handle = loop().call_soon([w = std::move(watched)] { ADD_FAILURE() << *w; });
    handle.cancel();
    EXPECT_TRUE(seen.expired());
    EXPECT_FALSE(handle.pending());
    handle.cancel();
    co_await checkpoint();
  });
}

TEST(Callback, cancelled_while_armed_never_runs_and_leaves_no_timer) {
  SimLoop sim;
  sim.run([&]() -> Task<> {
    auto watched = std::make_shared<int>(1);
    std::weak_ptr<int> seen = watched;
    CallbackHandle handle =
        loop().call_later(1ms, [w = std::move(watched)] { ADD_FAILURE() << *w; });
    EXPECT_EQ(loop().statistics().armed_timers, 1u);
    handle.cancel();
    EXPECT_EQ(loop().statistics().armed_timers, 0u);
    EXPECT_TRUE(seen.expired());
    co_await sleep_for(2ms);
  });
}

TEST(Callback, cancelled_between_timer_and_turn_never_runs) {
  SimLoop sim;
  sim.run([&]() -> Task<> {
    CallbackHandle second;
    const TimePoint when = now() + 1ms;
    // Both fire in one timers phase; the first cancels the second, which is queued by then.
    CallbackHandle first = loop().call_at(when, [&] {
      EXPECT_TRUE(second.pending());
      second.cancel();
    });
    second = loop().call_at(when, [] { ADD_FAILURE() << "ran"; });
    co_await sleep_for(2ms);
  });
}

TEST(Callback, may_cancel_and_replace_itself_while_it_runs) {
  SimLoop sim;
  int ran = 0;
  sim.run([&]() -> Task<> {
    CallbackHandle self;
    std::vector<int> captured(100, 7);
    self = loop().call_soon([&self, &ran, captured] {
      self.cancel();
      EXPECT_FALSE(self.pending());
      self = loop().call_later(1ms, [&ran] { ran += 10; });
      EXPECT_EQ(captured.size(), 100u) << "its captures died while it ran";
      ++ran;
    });
    co_await sleep_for(2ms);
  });
  EXPECT_EQ(ran, 11);
}

TEST(Callback, dropping_the_handle_does_not_cancel) {
  SimLoop sim;
  int ran = 0;
  sim.run([&]() -> Task<> {
    {
      CallbackHandle dropped = loop().call_soon([&] { ++ran; });
    }
    {
      CallbackHandle dropped = loop().call_later(1ms, [&] { ++ran; });
    }
    co_await sleep_for(2ms);
  });
  EXPECT_EQ(ran, 2);
}

TEST(Callback, may_be_cancelled_before_the_loop_runs) {
  SimLoop sim;
  CallbackHandle armed = sim.loop().call_later(1ms, [] { ADD_FAILURE() << "ran"; });
  CallbackHandle queued = sim.loop().call_soon([] { ADD_FAILURE() << "ran"; });
  armed.cancel();
  queued.cancel();
  EXPECT_EQ(sim.loop().statistics().armed_timers, 0u);
  sim.run([]() -> Task<> { co_await sleep_for(2ms); });
}

TEST(Callback, a_loop_that_ends_destroys_the_captures_of_what_was_armed_for_later) {
  auto watched = std::make_shared<int>(1);
  const long before = detail::FramePool::live;
  CallbackHandle outlives;
  {
    SimLoop sim;
    sim.run([&]() -> Task<> {
      outlives = loop().call_later(1h, [w = watched] { ADD_FAILURE() << *w; });
      CallbackHandle dropped = loop().call_later(2h, [w = watched] { ADD_FAILURE() << *w; });
      co_return;
    });
    EXPECT_EQ(watched.use_count(), 3);
  }
  EXPECT_EQ(watched.use_count(), 1);
  EXPECT_FALSE(outlives.pending());
  outlives.cancel();
  outlives = CallbackHandle();
  {
    CallbackHandle swapped = std::move(outlives);
  }
  EXPECT_EQ(detail::FramePool::live, before);
}

TEST(Callback, a_callback_without_a_deadline_waits_for_ever) {
  SimLoop sim;
  sim.run([]() -> Task<> {
    CallbackHandle never = loop().call_later(Duration::max(), [] { ADD_FAILURE() << "ran"; });
    CallbackHandle decade = loop().call_later(std::chrono::hours(24 * 366 * 10), [] {});
    co_await sleep_for(std::chrono::hours(24 * 366 * 9));
    EXPECT_TRUE(never.pending());
    EXPECT_TRUE(decade.pending());
    co_await sleep_for(std::chrono::hours(24 * 367));
    EXPECT_FALSE(decade.pending());
    never.cancel();
  });
}

}  // namespace
}  // namespace rondo
