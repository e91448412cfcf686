// SPDX-License-Identifier: Apache-2.0
// The run modes: what run, run_forever, run_once and poll do with ready work, timers only, posted
// work, a stop request, and nothing at all. The table stands in docs/explanation/the-iteration.md.
#include <thread>
#include <vector>

#include "every_driver.hpp"
#include "rondo/core/event.hpp"
#include "spy_driver.hpp"

namespace rondo::testing {
namespace {

class LoopModes : public EveryDriver {
 protected:
  LoopOptions spied() {
    auto spy = std::make_unique<SpyDriver>(make_driver({.buffer_count = 64}));
    spy_ = spy.get();
    return {.own_driver = std::move(spy)};
  }
  SpyDriver& spy() { return *spy_; }

 private:
  SpyDriver* spy_ = nullptr;
};

Task<int> wait_for_the_stop(int* ended) {
  co_await until_stop_requested();
  ++*ended;
  co_return 7;
}

// --- nothing at all -------------------------------------------------------------------------

TEST_P(LoopModes, with_nothing_to_do_none_of_them_waits) {
  Loop at(spied());
  at.run_forever();
  EXPECT_EQ(at.statistics().iterations, 0u);
  EXPECT_FALSE(at.run_once());
  EXPECT_FALSE(at.poll());
  EXPECT_EQ(at.run([]() -> Task<int> { co_return 3; }()).or_throw(), 3);
  EXPECT_EQ(spy().blocks, 0);
  EXPECT_EQ(at.statistics().iterations, 3u) << "the main task took one";
}

// --- ready work -----------------------------------------------------------------------------

TEST_P(LoopModes, ready_work_runs_in_the_first_iteration_of_each_and_nothing_waits) {
  Loop at(spied());
  int ran = 0;
  auto one = at.call_soon([&] { ++ran; });
  EXPECT_FALSE(at.run_once()) << "nothing is left";
  EXPECT_EQ(ran, 1);
  auto two = at.call_soon([&] { ++ran; });
  EXPECT_FALSE(at.poll());
  EXPECT_EQ(ran, 2);
  auto three = at.call_soon([&] { ++ran; });
  at.run_forever();
  EXPECT_EQ(ran, 3);
  EXPECT_EQ(at.statistics().iterations, 3u);
  auto four = at.call_soon([&] { ++ran; });
  at.run([]() -> Task<> { co_return; }()).or_throw();
  EXPECT_EQ(ran, 4) << "what stood before the main task in the queue";
  EXPECT_EQ(spy().blocks, 0);
}

TEST_P(LoopModes, what_becomes_ready_meanwhile_runs_in_the_same_iteration_within_the_budget) {
  LoopOptions options = spied();
  options.ready_budget = 10;
  Loop at(std::move(options));
  int ran = 0;
  MoveFn<void()> again = [&] {
    if (++ran < 25) at.call_soon([&] { again(); });
  };
  at.call_soon([&] { again(); });
  EXPECT_TRUE(at.poll());
  EXPECT_EQ(ran, 10);
  EXPECT_TRUE(at.run_once());
  EXPECT_EQ(ran, 20);
  EXPECT_FALSE(at.run_once());
  EXPECT_EQ(ran, 25);
  EXPECT_EQ(spy().blocks, 0) << "it waited with work left over";
}

TEST_P(LoopModes, a_budget_of_one_takes_an_iteration_for_each_resume) {
  LoopOptions options = spied();
  options.ready_budget = 1;
  Loop at(std::move(options));
  std::vector<int> order;
  for (int i = 0; i < 5; ++i) at.call_soon([&order, i] { order.push_back(i); });
  at.run_forever();
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3, 4}));
  EXPECT_EQ(at.statistics().iterations, 5u);
}

TEST_P(LoopModes, a_budget_of_nothing_is_refused) {
  EXPECT_DEATH(Loop(LoopOptions{.ready_budget = 0}), "ready_budget of at least 1");
}

// --- timers only ----------------------------------------------------------------------------

TEST_P(LoopModes, with_timers_only_poll_returns_run_once_waits_run_forever_ends_after_the_last) {
  Loop at(spied());
  std::vector<int> ran;
  auto first = at.call_later(1ms, [&] { ran.push_back(1); });
  auto second = at.call_later(2ms, [&] { ran.push_back(2); });
  EXPECT_TRUE(at.poll());
  EXPECT_EQ(spy().blocks, 0);
  EXPECT_TRUE(at.run_once());
  EXPECT_EQ(spy().blocks, 1);
  at.run_forever();
  EXPECT_EQ(ran, (std::vector<int>{1, 2}));
  EXPECT_FALSE(at.run_once());
}

TEST_P(LoopModes, a_main_task_ends_its_run_while_timers_are_armed) {
  Loop at(spied());
  int ran = 0;
  auto far = at.call_later(1h, [&] { ++ran; });
  at.run([]() -> Task<> { co_await sleep_for(1ms); }()).or_throw();
  EXPECT_TRUE(far.pending());
  EXPECT_TRUE(at.has_work());
  EXPECT_EQ(ran, 0);
}  // The loop drops it.

// --- posted work ----------------------------------------------------------------------------

TEST_P(LoopModes, posted_work_runs_in_the_next_iteration_of_each) {
  Loop at(spied());
  int ran = 0;
  auto post = [&] {
    std::thread other([&] { at.post([&] { ++ran; }); });
    other.join();
  };
  post();
  EXPECT_FALSE(at.poll());
  EXPECT_EQ(ran, 1);
  post();
  EXPECT_FALSE(at.run_once());
  EXPECT_EQ(ran, 2);
  post();
  at.run_forever();
  EXPECT_EQ(ran, 3);
  post();
  at.run([]() -> Task<> { co_return; }()).or_throw();
  EXPECT_EQ(ran, 4);
  EXPECT_EQ(spy().blocks, 0);
}

TEST_P(LoopModes, a_post_ends_the_wait_of_a_loop_that_has_something_to_wait_for) {
  if (is_sim()) {  // A thread may not be waited for in virtual time: the post comes from a timer.
    Loop at(loop_options());
    int ran = 0;
    auto later = at.call_later(1h, [&] { at.post([&] { ++ran; }); });
    at.run_forever();
    EXPECT_EQ(ran, 1);
    return;
  }
  Loop at(loop_options());
  int ran = 0;
  auto far = at.call_later(1h, [] {});
  std::thread other([&] {
    at.post([&] {
      ++ran;
      far.cancel();
    });
  });
  at.run_forever();
  EXPECT_EQ(ran, 1);
  other.join();
}

// --- a stop request -------------------------------------------------------------------------

TEST_P(LoopModes, a_stop_request_is_seen_by_one_iteration_of_each) {
  for (int mode = 0; mode < 4; ++mode) {
    Loop at(loop_options());
    int ended = 0;
    MainTask<int> main = at.start(wait_for_the_stop(&ended));
    at.poll();
    EXPECT_EQ(ended, 0);
    EXPECT_FALSE(at.stop_requested());
    at.request_stop();
    EXPECT_FALSE(at.stop_requested()) << "noted in the pending phase, not in the call";
    if (mode == 0) EXPECT_FALSE(at.poll());
    if (mode == 1) EXPECT_FALSE(at.run_once());
    if (mode == 2) at.run_forever();
    if (mode == 3) at.run([]() -> Task<> { co_return; }()).or_throw();
    EXPECT_TRUE(at.stop_requested());
    EXPECT_EQ(ended, 1);
    EXPECT_EQ(main.take().or_throw(), 7);
  }
}

TEST_P(LoopModes, run_forever_ends_after_a_stop_although_timers_are_armed) {
  Loop at(spied());
  int fired = 0;
  int ended = 0;
  auto far = at.call_later(1h, [&] { ++fired; });
  MainTask<int> main = at.start(wait_for_the_stop(&ended));
  auto soon = at.call_later(1ms, [&] { at.request_stop(); });
  at.run_forever();
  EXPECT_EQ(ended, 1);
  EXPECT_EQ(fired, 0) << "an hour of waiting after the stop";
  at.run_forever();  // A stop is for good: there is nothing to run for.
  EXPECT_EQ(fired, 0);
  EXPECT_TRUE(far.pending());
}

TEST_P(LoopModes, run_forever_waits_after_a_stop_until_every_task_has_unwound) {
  Loop at(loop_options());
  int ended = 0;
  auto slow = [](int* n) -> Task<> {
    co_await until_stop_requested();
    co_await sleep_for(3ms);
    ++*n;
  };
  MainTask<void> main = at.start(slow(&ended));
  at.request_stop();
  at.run_forever();
  EXPECT_EQ(ended, 1);
}

TEST_P(LoopModes, a_stop_request_does_not_end_a_main_task) {
  Loop at(loop_options());
  at.request_stop();
  const int n = at.run([]() -> Task<int> {
                    co_await sleep_for(1ms);
                    co_return stop_requested() ? 1 : 0;
                  }())
                    .or_throw();
  EXPECT_EQ(n, 1);
}

// --- a main task that somebody else turns ---------------------------------------------------

TEST_P(LoopModes, a_started_main_task_is_turned_by_hand) {
  Loop at(loop_options());
  long alive = 0;
  {
    MainTask<int> main = at.start([](Guard) -> Task<int> {
      co_await sleep_for(1ms);
      co_return 5;
    }(Guard(alive)));
    EXPECT_FALSE(main.done());
    EXPECT_EQ(at.statistics().iterations, 0u) << "start() runs nothing";
    while (!main.done()) at.run_once();
    EXPECT_EQ(main.take().or_throw(), 5);
  }
  EXPECT_EQ(alive, 0);
}

TEST_P(LoopModes, a_started_main_task_can_be_cancelled_and_throws_when_taken) {
  Loop at(loop_options());
  {
    MainTask<int> main = at.start([]() -> Task<int> {
      co_await sleep_for(1h);
      co_return 5;
    }());
    at.poll();
    main.cancel();
    main.cancel();
    while (!main.done()) at.poll();
    EXPECT_EQ(main.take().error().code(), Errc::cancelled);
    main.cancel();  // Over: nothing happens.
  }
  {
    MainTask<void> main = at.start([]() -> Task<> {
      co_await checkpoint();
      throw 4;
    }());
    while (!main.done()) at.poll();
    EXPECT_THROW(static_cast<void>(main.take()), int);
  }
  {
    MainTask<int> main = at.start([]() -> Task<int> { co_return 1; }());
    main.cancel();  // Before its start: it never runs.
    while (!main.done()) at.poll();
    EXPECT_EQ(main.take().error().code(), Errc::cancelled);
  }
  EXPECT_FALSE(at.has_work());
}

TEST_P(LoopModes, a_main_task_dropped_before_its_end_says_what_to_do) {
  EXPECT_DEATH(
      {
        Loop at(loop_options());
        MainTask<void> main = at.start([]() -> Task<> { co_await sleep_for(1h); }());
      },
      "turn its loop until done");
}

// --- spinning -------------------------------------------------------------------------------

TEST_P(LoopModes, without_the_option_a_loop_sleeps_at_once) {
  Loop at(loop_options());
  at.run([]() -> Task<> { co_await sleep_for(1ms); }()).or_throw();
  EXPECT_EQ(at.statistics().spins, 0u);
}

TEST_P(LoopModes, spinning_takes_what_comes_without_sleeping) {
  LoopOptions options = spied();
  options.spin = 10s;  // Longer than anything here: only a hit ends it.
  Loop at(std::move(options));
  at.run([](LoopModes* test) -> Task<> {
      const Pipe pipe = test->make_pipe();
      co_await with_scope([&](Scope& scope) -> Task<> {
        auto reader = scope.start(read_text, pipe.in, std::size_t{16});
        co_await sleep_for(1ms);
        co_await write_text(pipe.out, "x");
        EXPECT_EQ(*co_await reader, "x");
      });
      co_await close_pipe(pipe);
    }(this))
      .or_throw();
  const LoopStatistics seen = at.statistics();
  if (is_sim()) {
    EXPECT_EQ(seen.spins, 0u) << "virtual time stands still while one spins";
  } else {
    EXPECT_GT(seen.spins, 0u);
    EXPECT_EQ(spy().blocks, 0) << "it slept although a spin had ended with work or a timer";
    EXPECT_LE(seen.spins_hit, seen.spins);
  }
}

TEST_P(LoopModes, a_spin_that_finds_nothing_ends_in_a_sleep) {
  if (is_sim()) return;  // Has none.
  LoopOptions options = spied();
  options.spin = 50us;
  Loop at(std::move(options));
  at.run([]() -> Task<> { co_await sleep_for(5ms); }()).or_throw();
  EXPECT_GT(at.statistics().spins, 0u);
  EXPECT_EQ(at.statistics().spins_hit, 0u);
  EXPECT_GT(spy().blocks, 0);
}

TEST_P(LoopModes, a_sleep_ends_in_a_spin_up_to_its_deadline) {
  if (is_sim()) return;  // Has none.
  LoopOptions options = spied();
  options.spin = 20ms;
  Loop at(std::move(options));
  const TimePoint due = at.now() + 500ms;
  at.run([](TimePoint until) -> Task<> { co_await sleep_until(until); }(due)).or_throw();
  EXPECT_GT(spy().blocks, 0) << "the spin at the beginning is shorter than the sleep";
  EXPECT_EQ(spy().last_deadline, due - 20ms) << "it slept over the time it is to be awake";
  EXPECT_GE(at.statistics().spins, 2u) << "one before the sleep, one at its end";
}

TEST_P(LoopModes, a_post_ends_a_spin) {
  if (is_sim()) return;  // Has none.
  LoopOptions options = spied();
  options.spin = 10s;
  Loop at(std::move(options));
  int ran = 0;
  auto far = at.call_later(1h, [] {});
  std::thread other([&] {
    at.post([&] {
      ++ran;
      far.cancel();
    });
  });
  at.run_forever();
  other.join();
  EXPECT_EQ(ran, 1);
  EXPECT_EQ(spy().blocks, 0);
}

ON_EVERY_DRIVER(LoopModes);

}  // namespace
}  // namespace rondo::testing
