// SPDX-License-Identifier: Apache-2.0
// Rules 1 to 10 of the semantics: the iteration, posts, timers, what a driver is asked for.
#include <algorithm>
#include <string>
#include <thread>
#include <vector>

#include "every_driver.hpp"
#include "rondo/core/event.hpp"
#include "rondo/core/future.hpp"
#include "rondo/core/offload.hpp"
#include "spy_driver.hpp"

namespace rondo::testing {
namespace {

class SemanticsLoop : public EveryDriver {
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

// --- 1, 2 ----------------------------------------------------------------------------------

TEST_P(SemanticsLoop, rule_01_posts_of_one_thread_keep_their_order) {
  run([]() -> Task<> {
    std::vector<int> ran;
    Loop& here = loop();
    std::thread other([&] {
      for (int i = 0; i < 1'000; ++i) here.post([&ran, i] { ran.push_back(i); });
    });
    other.join();
    while (ran.size() < 1'000) co_await checkpoint();
    EXPECT_TRUE(std::is_sorted(ran.begin(), ran.end()));
    EXPECT_EQ(loop().statistics().posts, 1'000u);
  });
}

TEST_P(SemanticsLoop, rule_01_many_posts_wake_the_driver_once) {
  run_on(spied(), [this]() -> Task<> {
    const int before = spy().wakes;
    int ran = 0;
    for (int i = 0; i < 100; ++i) loop().post([&ran] { ++ran; });
    EXPECT_EQ(spy().wakes - before, 1);
    EXPECT_EQ(ran, 0) << "a post ran inside of post()";
    while (ran < 100) co_await checkpoint();
    EXPECT_EQ(loop().statistics().wakes, 1u);
  });
}

TEST_P(SemanticsLoop, rule_01_posts_of_several_threads_all_arrive) {
  run([]() -> Task<> {
    constexpr int k_threads = 4;
    constexpr int k_each = 2'000;
    std::vector<std::vector<int>> ran(k_threads);
    Loop& here = loop();
    std::vector<std::thread> threads;
    for (int t = 0; t < k_threads; ++t) {
      threads.emplace_back([&here, &ran, t] {
        for (int i = 0; i < k_each; ++i)
          here.post([&ran, t, i] { ran[static_cast<std::size_t>(t)].push_back(i); });
      });
    }
    auto arrived = [&] {
      std::size_t n = 0;
      for (const auto& one : ran) n += one.size();
      return n;
    };
    while (arrived() < k_threads * k_each)
      co_await checkpoint();  // Never blocks: sim has no threads.
    for (std::thread& thread : threads) thread.join();
    for (const auto& one : ran) EXPECT_TRUE(std::is_sorted(one.begin(), one.end()));
  });
}

TEST_P(SemanticsLoop, rule_01_a_post_wakes_a_loop_that_waits_for_ever) {
  if (is_sim())
    return run([]() -> Task<> {
      // No thread may be waited for in virtual time: the same from a callback of the loop.
      auto [promise, future] = make_promise<int>();
      auto handle = loop().call_later(1h, [p = std::move(promise)]() mutable { p.set(1); });
      EXPECT_EQ(*co_await future, 1);
    });
  run([]() -> Task<> {
    for (int round = 0; round < 50; ++round) {
      auto [promise, future] = make_promise<int>();
      std::thread other([p = std::move(promise), round]() mutable { p.set(round); });
      EXPECT_EQ(*co_await future, round);
      other.join();
    }
  });
}

TEST_P(SemanticsLoop, rule_01_everything_else_asserts_its_thread) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        std::thread other([] { static_cast<void>(now()); });
        other.join();
      },
      "no loop runs on this thread");
}

#ifndef NDEBUG
/// Dies when `use(loop)` runs on another thread than the loop's.
template <class F>
void expect_death_elsewhere(Loop& at, F use) {
  GTEST_FLAG_SET(death_test_style, "fast");  // The loop is made: the child goes on from here.
  EXPECT_DEATH(std::thread([&] { use(at); }).join(), "a loop was used on another thread");
}

TEST_P(SemanticsLoop, rule_01_a_loop_that_is_used_on_another_thread_says_so) {
  Loop at(loop_options());
  expect_death_elsewhere(at, [](Loop& loop) { static_cast<void>(loop.run_once()); });
  expect_death_elsewhere(at, [](Loop& loop) { loop.call_soon([] {}); });
  expect_death_elsewhere(at, [](Loop& loop) { loop.call_later(1s, [] {}); });
  expect_death_elsewhere(at, [](Loop& loop) { loop.cancel_all(); });
  expect_death_elsewhere(at, [](Loop& loop) { Loop::Entered entered(loop); });
  expect_death_elsewhere(at, [](Loop& loop) {
    static_cast<void>(loop.run([]() -> Task<> { co_return; }()));
  });
  // What may come from other threads does.
  bool ran = false;
  std::thread([&] { at.post([&] { ran = true; }); }).join();
  std::thread([&] { at.request_stop(); }).join();
  while (!ran) at.poll();
  EXPECT_TRUE(at.stop_requested());
}
#endif

TEST_P(SemanticsLoop, rule_02_run_ends_with_main_and_can_be_called_again) {
  Loop at(loop_options());
  EXPECT_EQ(*at.run([]() -> Task<int> {
    co_await sleep_for(10us);
    co_return 1;
  }()),
            1);
  EXPECT_EQ(at.run([]() -> Task<Result<int>> { co_return Errc::closed; }()).error().code(),
            Errc::closed);
  EXPECT_THROW(static_cast<void>(at.run([]() -> Task<> {
                 co_await checkpoint();
                 throw 3;
               }())),
               int);
  EXPECT_EQ(at.run([]() -> Task<> {
                loop().cancel_all();
                co_await checkpoint();
              }())
                .error()
                .code(),
            Errc::cancelled);
  EXPECT_FALSE(at.has_work());
}

TEST_P(SemanticsLoop, rule_02_run_forever_ends_when_nothing_is_left) {
  Loop at(loop_options());
  at.run_forever();  // Nothing at all: returns.
  std::vector<int> ran;
  auto soon = at.call_soon([&] { ran.push_back(1); });
  auto later = at.call_later(1ms, [&] { ran.push_back(3); });
  at.post([&] { ran.push_back(2); });
  at.run_forever();
  std::sort(ran.begin(), ran.end());
  EXPECT_EQ(ran, (std::vector<int>{1, 2, 3}));
}

TEST_P(SemanticsLoop, rule_02_poll_does_one_iteration_and_does_not_wait) {
  LoopOptions options = spied();
  Loop at(std::move(options));
  int ran = 0;
  auto later = at.call_later(1h, [&] { ++ran; });
  EXPECT_TRUE(at.poll());
  EXPECT_TRUE(at.poll());
  EXPECT_EQ(spy().polls, 2);
  EXPECT_EQ(spy().blocks, 0);
  auto soon = at.call_soon([&] { ++ran; });
  at.poll();
  EXPECT_EQ(ran, 1);
  EXPECT_EQ(at.statistics().iterations, 3u);
  EXPECT_TRUE(later.pending());
}

TEST_P(SemanticsLoop, rule_02_run_once_waits_for_what_comes_next) {
  LoopOptions options = spied();
  Loop at(std::move(options));
  EXPECT_FALSE(at.run_once()) << "nothing is left to do";
  EXPECT_EQ(spy().blocks, 0) << "it would have waited for ever";
  int ran = 0;
  auto later = at.call_later(1ms, [&] { ++ran; });
  EXPECT_TRUE(at.run_once());
  EXPECT_EQ(spy().blocks, 1);
  for (int i = 0; i < 10 && ran == 0; ++i) at.run_once();
  EXPECT_EQ(ran, 1);
}

// --- the order of one iteration ------------------------------------------------------------

TEST_P(SemanticsLoop, the_iteration_runs_timers_posts_ready_io_in_this_order) {
  run_on(spied(), [this]() -> Task<> {
    const Pipe pipe = make_pipe();
    std::vector<std::string> order;
    co_await write_text(pipe.out, "x");
    co_await checkpoint();
    co_await with_scope([&](Scope& scope) -> Task<> {
      scope.start(
          [](int fd, std::vector<std::string>* to) -> Task<> {
            static_cast<void>(co_await read_text(fd));
            to->push_back("completion");
          },
          pipe.in, &order);
      auto soon = loop().call_soon([&] { order.push_back("call_soon"); });
      loop().post([&] { order.push_back("post"); });
      auto timer = loop().call_at(now(), [&] { order.push_back("timer"); });
      spy().on_wait = [&](io::Wait how) {
        if (how != io::Wait::peek) order.push_back("poll");
      };
      while (std::ranges::find(order, "completion") == order.end()) co_await sleep_for(100us);
      spy().on_wait.reset();
    });
    auto at = [&](const char* what) { return std::ranges::find(order, what) - order.begin(); };
    EXPECT_EQ(order.front(), "call_soon") << "this iteration's ready phase";
    EXPECT_LT(at("call_soon"), at("poll"));
    EXPECT_LT(at("poll"), at("timer")) << "timers of the next iteration";
    EXPECT_LT(at("timer"), at("post")) << "timers stand before pending";
    EXPECT_LT(at("poll"), at("completion"));
    co_await close_pipe(pipe);
  });
}

TEST_P(SemanticsLoop, the_ready_phase_is_first_in_first_out_over_tasks_and_callbacks) {
  run([]() -> Task<> {
    std::vector<int> order;
    co_await with_scope([&](Scope& scope) -> Task<> {
      auto note = [](std::vector<int>* to, int n) -> Task<> {
        to->push_back(n);
        co_return;
      };
      scope.start(note, &order, 1);
      auto two = loop().call_soon([&] { order.push_back(2); });
      scope.start(note, &order, 3);
      auto four = loop().call_soon([&] { order.push_back(4); });
      co_await checkpoint();
      order.push_back(5);
    });
    EXPECT_EQ(order, (std::vector<int>{1, 2, 3, 4, 5}));
  });
}

TEST_P(SemanticsLoop, timers_of_one_instant_fire_in_the_order_they_were_armed) {
  run([]() -> Task<> {
    std::vector<int> order;
    const TimePoint when = now() + 1ms;
    for (int i = 0; i < 20; ++i) {
      auto handle = loop().call_at(when, [&order, i] { order.push_back(i); });
    }
    co_await sleep_until(when);
    co_await turns(30);
    EXPECT_EQ(order.size(), 20u);
    EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
  });
}

// --- 3, 4, 5 -------------------------------------------------------------------------------

TEST_P(SemanticsLoop, rule_03_the_driver_is_peeked_every_61_resumes_and_polled_once_an_iteration) {
  LoopOptions options = spied();
  options.ready_budget = 610;
  run_on(std::move(options), [this]() -> Task<> {
    co_await sleep_for(1us);  // From here on in a fresh iteration.
    const int peeks = spy().peeks;
    const int polls = spy().polls + spy().blocks;
    const std::uint64_t iterations = loop().statistics().iterations;
    co_await turns(610 * 3);
    EXPECT_NEAR(spy().peeks - peeks, 30, 1);
    EXPECT_EQ(static_cast<std::uint64_t>(spy().polls + spy().blocks - polls),
              loop().statistics().iterations - iterations);
  });
}

TEST_P(SemanticsLoop, rule_03_computing_costs_one_kernel_entry_an_iteration_at_most) {
  run([]() -> Task<> {
    co_await sleep_for(1us);
    const std::uint64_t entries = loop().driver().statistics().kernel_entries;
    const std::uint64_t iterations = loop().statistics().iterations;
    co_await turns(12'800);
    const std::uint64_t done = loop().statistics().iterations - iterations;
    EXPECT_NEAR(static_cast<double>(done), 100, 2) << "128 resumes are one iteration";
    EXPECT_LE(loop().driver().statistics().kernel_entries - entries, done + 1);
  });
}

TEST_P(SemanticsLoop,
       rule_04_a_task_of_ready_awaits_goes_to_the_end_of_the_queue_after_its_budget) {
  run([]() -> Task<> {
    Event set;
    set.set();
    int awaits = 0;
    int seen = -1;
    auto other = loop().call_soon([&] { seen = awaits; });
    for (; awaits < 1'000; ++awaits) co_await set.wait();
    EXPECT_GE(seen, 100) << "a ready await gave its turn up at once";
    EXPECT_LE(seen, 128) << "ready awaits starve the others";
  });
}

TEST_P(SemanticsLoop, rule_04_the_budget_begins_anew_with_every_resume) {
  run([]() -> Task<> {
    Event set;
    set.set();
    co_await checkpoint();
    const std::uint64_t resumes = loop().statistics().resumes;
    for (int i = 0; i < 1'280; ++i) co_await set.wait();
    const std::uint64_t used = loop().statistics().resumes - resumes;
    EXPECT_GE(used, 9u);
    EXPECT_LE(used, 12u);
  });
}

TEST_P(SemanticsLoop, rule_05_the_driver_gets_the_earliest_deadline_as_its_time_out) {
  run_on(spied(), [this]() -> Task<> {
    const TimePoint soon = now() + 3ms;
    auto late = loop().call_at(now() + 2h, [] {});
    auto later = loop().call_at(now() + 3h, [] {});
    TimePoint asked;
    spy().on_wait = [&](io::Wait how) {
      if (how == io::Wait::block && asked == TimePoint{}) asked = spy().last_deadline;
    };
    co_await sleep_until(soon);
    spy().on_wait.reset();
    EXPECT_EQ(asked, soon);
    EXPECT_GE(now(), soon) << "fired early";
    EXPECT_EQ(loop().statistics().armed_timers, 2u);
    late.cancel();
    later.cancel();
    EXPECT_EQ(loop().statistics().armed_timers, 0u);
  });
}

TEST_P(SemanticsLoop, rule_05_no_timer_means_no_deadline) {
  run_on(spied(), [this]() -> Task<> {
    const Pipe pipe = make_pipe();
    std::vector<TimePoint> asked;
    co_await with_scope([&](Scope& scope) -> Task<> {
      auto reader =
          scope.start([](int fd) -> Task<> { static_cast<void>(co_await read_text(fd)); }, pipe.in);
      auto write_soon = loop().call_soon([] {});
      spy().on_wait = [&](io::Wait how) {
        if (how == io::Wait::block) asked.push_back(spy().last_deadline);
      };
      co_await write_text(pipe.out, "end of the wait");
    });
    spy().on_wait.reset();
    for (const TimePoint deadline : asked) EXPECT_EQ(deadline, k_no_deadline);
    co_await close_pipe(pipe);
  });
}

// --- 8, 9, 10 ------------------------------------------------------------------------------

TEST_P(SemanticsLoop, rule_08_cancelling_a_one_shot_asks_the_kernel_and_waits_for_its_completion) {
  run_on(spied(), [this]() -> Task<> {
    const Pipe pipe = make_pipe();
    long alive = 0;
    co_await with_scope([&](Scope& scope) -> Task<> {
      auto reader =
          scope.start([](Guard, int fd) -> Task<> { static_cast<void>(co_await read_text(fd)); },
                      Guard(alive), pipe.in);
      co_await turns(3);
      EXPECT_EQ(alive, 1);
      reader.cancel();
      reader.cancel();  // Idempotent.
      EXPECT_EQ(spy().cancels, 1);
      co_await checkpoint();
      static_cast<void>(co_await reader);
      EXPECT_EQ(alive, 0);
    });
    co_await close_pipe(pipe);
  });
}

TEST_P(SemanticsLoop, rule_09_the_probe_says_which_driver_it_is_and_what_it_can) {
  run([this]() -> Task<> {
    const io::Probe probe = loop().driver().probe();
    EXPECT_EQ(probe.name, GetParam());
    EXPECT_FALSE(probe.features.empty());
    EXPECT_EQ(probe.has_threads, !is_sim());
    EXPECT_EQ(probe.has_names, is_sim());
    co_return;
  });
}

TEST_P(SemanticsLoop, rule_09_random_bytes_and_both_clocks_come_from_the_driver) {
  run([]() -> Task<> {
    std::vector<std::byte> one(64);
    std::vector<std::byte> two(64);
    loop().driver().random(one);
    loop().driver().random(two);
    EXPECT_NE(one, two);
    const TimePoint before = now();
    const WallTime wall = loop().wall_time();
    co_await sleep_for(2ms);
    EXPECT_GE(now() - before, 2ms);
    EXPECT_GT(loop().wall_time(), wall);
    EXPECT_GT(wall.time_since_epoch(), std::chrono::hours(24 * 365 * 30)) << "not since 1970";
  });
}

TEST_P(SemanticsLoop, rule_10_threads_start_with_the_first_job_and_not_at_all_under_simulation) {
  run([this]() -> Task<> {
    EXPECT_EQ(blocking_statistics().threads, 0u);
    const std::thread::id mine = std::this_thread::get_id();
    const std::thread::id there = *co_await run_blocking([] { return std::this_thread::get_id(); });
    EXPECT_EQ(there == mine, is_sim());
    EXPECT_EQ(blocking_statistics().threads, is_sim() ? 0u : 1u);
  });
}

ON_EVERY_DRIVER(SemanticsLoop);

}  // namespace
}  // namespace rondo::testing
