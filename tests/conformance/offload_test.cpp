// SPDX-License-Identifier: Apache-2.0
// run_blocking and run_cpu: two pools, their bounds, their numbers, and the cancel token.
#include "rondo/core/offload.hpp"

#include <atomic>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "every_driver.hpp"
#include "rondo/base/log.hpp"
#include "rondo/core/event.hpp"
#include "rondo/core/when.hpp"

namespace rondo::testing {
namespace {

class Offload : public EveryDriver {
 public:
  bool has_threads() const { return !is_sim(); }
};

/// What holds functions back on real threads; under sim there is no thread to hold.
struct Gate {
  std::atomic<bool> open{false};
  std::atomic<int> entered{0};
  void pass(bool real) {
    ++entered;
    while (real && !open) std::this_thread::sleep_for(100us);
  }
};

std::uint64_t sum_of(const DurationStatistics& times) {
  return std::accumulate(std::begin(times.log2_us), std::end(times.log2_us), std::uint64_t{0});
}

TEST_P(Offload, run_cpu_returns_values_errors_and_exceptions) {
  run([]() -> Task<> {
    EXPECT_EQ(*co_await run_cpu([] { return std::string("text"); }), "text");
    EXPECT_TRUE((co_await run_cpu([] {})).has_value());
    EXPECT_FALSE(*co_await run_cpu([](CancelToken stop) { return stop.requested(); }));
    std::string caught;
    try {
      static_cast<void>(co_await run_cpu([]() -> int { throw std::runtime_error("there"); }));
    } catch (const std::runtime_error& error) {
      caught = error.what();
    }
    EXPECT_EQ(caught, "there");
    EXPECT_EQ(cpu_statistics().finished, 4u);
    EXPECT_EQ(blocking_statistics().finished, 0u);
  });
}

TEST_P(Offload, neither_pool_starves_the_other) {
  run([this]() -> Task<> {
    auto gate = std::make_shared<Gate>();
    const bool real = has_threads();
    co_await with_scope([&](Scope& scope) -> Task<> {
      const auto held = [gate, real] { gate->pass(real); };
      for (std::uint64_t i = 0; i < limits::blocking_threads.value + 8; ++i) {
        scope.start([held]() -> Task<> { static_cast<void>(co_await run_blocking(held)); });
      }
      co_await turns(2);
      // Every thread of run_blocking is held or about to be, and yet:
      EXPECT_EQ(*co_await run_cpu([] { return 1; }), 1);
      gate->open = true;
    });
    gate->open = false;
    co_await with_scope([&](Scope& scope) -> Task<> {
      const auto held = [gate, real] { gate->pass(real); };
      for (std::size_t i = 0; i < usable_cpus() + 8; ++i) {
        scope.start([held]() -> Task<> { static_cast<void>(co_await run_cpu(held)); });
      }
      co_await turns(2);
      EXPECT_EQ(*co_await run_blocking([] { return 2; }), 2);
      gate->open = true;
    });
  });
}

// One idle thread is woken at a time: each that takes a job must wake the next one.
TEST_P(Offload, functions_that_wait_for_each_other_get_all_idle_threads) {
  if (!has_threads()) return;  // Under sim there is no thread to hold.
  run([]() -> Task<> {
    constexpr int k_threads = static_cast<int>(limits::blocking_threads.value);
    for (int burst = 1; burst <= 50; ++burst) {  // From the second one on the threads are there.
      auto here = std::make_shared<std::atomic<int>>(0);
      co_await with_scope([&](Scope& scope) -> Task<> {
        for (int i = 0; i < k_threads; ++i) {
          scope.start([here]() -> Task<> {
            static_cast<void>(co_await run_blocking([here] {
              ++*here;
              while (*here < k_threads) std::this_thread::yield();
            }));
          });
        }
        co_return;
      });
      EXPECT_EQ(*here, k_threads);
      // All asleep, or some still on their way back: both have to work.
      if (burst % 2 == 0) co_await sleep_for(1ms);
    }
    EXPECT_EQ(blocking_statistics().threads, limits::blocking_threads.value);
  });
}

TEST_P(Offload, a_function_that_runs_sees_the_request_and_its_value_wins) {
  run([this]() -> Task<> {
    const bool real = has_threads();
    for (const bool cpu : {true, false}) {
      auto begun = std::make_shared<std::atomic<bool>>(false);
      const auto work = [begun, real](CancelToken stop) {
        *begun = true;
        while (real && !stop.requested()) std::this_thread::sleep_for(100us);
        return stop.requested() ? 1 : 2;
      };
      int got = 0;
      co_await with_scope([&](Scope& scope) -> Task<> {
        auto child = scope.start([&]() -> Task<> {
          got = cpu ? (co_await run_cpu(work)).value_or(-1)
                    : (co_await run_blocking(work)).value_or(-1);
        });
        if (real) {
          while (!*begun) co_await sleep_for(100us);
        } else {
          // Begun at one instant, ended at a later one: the request comes between the two.
          const auto running = [cpu] {
            return (cpu ? cpu_statistics() : blocking_statistics()).running;
          };
          co_await turns(2);
          while (running() == 0) co_await sleep_for(1us);
        }
        child.cancel();
        static_cast<void>(co_await child);
      });
      EXPECT_EQ(got, 1) << "it ran with a request, and what it returned was delivered";
    }
  });
}

TEST_P(Offload, a_time_out_sets_the_token_too) {
  run([this]() -> Task<> {
    const bool real = has_threads();
    const Result<bool> got = co_await with_timeout(1ms, [](bool threads) -> Task<bool> {
      co_return *co_await run_cpu([threads](CancelToken stop) {
        while (threads && !stop.requested()) std::this_thread::sleep_for(100us);
        return stop.requested();
      });
    }(real));
    // Under sim the function may have ended before; with threads it ends by the token only.
    if (real && got) EXPECT_TRUE(*got);
    if (!got) EXPECT_EQ(got.error().code(), Errc::timed_out) << "taken back before it began";
  });
}

TEST_P(Offload, a_function_that_was_cancelled_before_it_began_never_runs) {
  run([this]() -> Task<> {
    auto gate = std::make_shared<Gate>();
    auto ran = std::make_shared<std::atomic<int>>(0);
    const bool real = has_threads();
    co_await with_scope([&](Scope& scope) -> Task<> {
      const auto held = [gate, real] { gate->pass(real); };
      const std::size_t busy = is_sim() ? 4 : usable_cpus();
      for (std::size_t i = 0; i < busy; ++i) {
        scope.start([held]() -> Task<> { static_cast<void>(co_await run_cpu(held)); });
      }
      while (real && gate->entered < static_cast<int>(busy)) co_await sleep_for(100us);
      auto late = scope.start(
          [](std::shared_ptr<std::atomic<int>> count) -> Task<> {
            static_cast<void>(co_await run_cpu([count] { ++*count; }));
          },
          ran);
      co_await turns(2);
      late.cancel();
      EXPECT_EQ((co_await late).error().code(), Errc::cancelled);
      EXPECT_EQ(cpu_statistics().taken_back, 1u);
      gate->open = true;
    });
    EXPECT_EQ(*ran, 0);
  });
}

TEST_P(Offload, an_exception_of_an_abandoned_function_is_counted_and_logged) {
  static std::string report;
  report.clear();
  LogSink before = set_log_sink([](LogLevel, std::string_view line) { report.append(line); });
  run([this]() -> Task<> {
    auto gate = std::make_shared<Gate>();
    const bool real = has_threads();
    co_await with_scope([&](Scope& scope) -> Task<> {
      auto child = scope.start([&]() -> Task<> {
        static_cast<void>(co_await run_cpu(
            [gate, real] {
              gate->pass(real);
              throw std::runtime_error("nobody hears this");
            },
            {.abandon = true}));
      });
      co_await turns(2);
      while (cpu_statistics().running == 0) co_await sleep_for(1us);
      while (real && gate->entered == 0) co_await sleep_for(100us);
      child.cancel();
      EXPECT_EQ((co_await child).error().code(), Errc::cancelled);
    });
    EXPECT_EQ(cpu_statistics().abandoned, 1u);
    gate->open = true;
    while (cpu_statistics().running > 0) co_await sleep_for(10us);
    EXPECT_EQ(cpu_statistics().lost_exceptions, 1u);
  });
  set_log_sink(before);
  EXPECT_NE(report.find("nobody hears this"), std::string::npos) << report;
}

TEST_P(Offload, the_loop_waits_at_its_end_for_an_abandoned_function) {
  std::atomic<bool> left{false};
  {
    Loop loop(loop_options());
    EXPECT_FALSE(loop.run([](EveryDriver* test, std::atomic<bool>* flag) -> Task<> {
                       co_await with_scope([&](Scope& scope) -> Task<> {
                         scope.start([&]() -> Task<> {
                           static_cast<void>(co_await run_cpu(
                               [flag](CancelToken stop) {
                                 while (!stop.requested()) std::this_thread::yield();
                                 *flag = true;
                               },
                               {.abandon = true}));
                         });
                         co_await turns(2);
                         while (cpu_statistics().running == 0) co_await sleep_for(1us);
                         rondo::loop().cancel_all();
                         co_await checkpoint();
                         static_cast<void>(test);
                       });
                     }(this, &left))
                     .has_value());
  }
  EXPECT_TRUE(left);
}

TEST_P(Offload, a_thousand_jobs_of_each_kind_all_end_and_are_all_counted) {
  run([]() -> Task<> {
    constexpr int k_jobs = 1'000;
    std::vector<int> got(2 * k_jobs);
    co_await with_scope([&](Scope& scope) -> Task<> {
      for (int i = 0; i < k_jobs; ++i) {
        scope.start(
            [&got](int n) -> Task<> {
              got[static_cast<std::size_t>(n)] = *co_await run_cpu([n] { return n + 1; });
            },
            i);
        scope.start(
            [&got](int n) -> Task<> {
              got[static_cast<std::size_t>(n)] = *co_await run_blocking([n] { return n + 1; });
            },
            k_jobs + i);
      }
      co_return;
    });
    for (int i = 0; i < 2 * k_jobs; ++i) EXPECT_EQ(got[static_cast<std::size_t>(i)], i + 1);
    for (const WorkerStatistics& now : {cpu_statistics(), blocking_statistics()}) {
      EXPECT_EQ(now.finished, 1'000u);
      EXPECT_EQ(now.queued + now.running, 0u);
      EXPECT_EQ(now.waited.count, 1'000u);
      EXPECT_EQ(sum_of(now.waited), 1'000u);
      EXPECT_EQ(sum_of(now.ran), 1'000u);
      EXPECT_LE(now.waited.max, now.waited.total);
      EXPECT_GT(now.waited.total, 0ns);
      EXPECT_LE(now.threads, std::max(limits::blocking_threads.value, usable_cpus()));
    }
  });
}

TEST_P(Offload, a_full_queue_refuses_and_counts) {
  run([this]() -> Task<> {
    constexpr std::uint64_t k_more = 300;
    const std::uint64_t jobs = limits::cpu_queue.value + k_more;
    auto gate = std::make_shared<Gate>();
    const bool real = has_threads();
    std::uint64_t refused = 0;
    co_await with_scope([&](Scope& scope) -> Task<> {
      for (std::uint64_t i = 0; i < jobs; ++i) {
        scope.start([&]() -> Task<> {
          const Result<> done = co_await run_cpu([gate, real] { gate->pass(real); });
          if (done) co_return;
          ++refused;
          EXPECT_EQ(done.error().code(), Errc::would_exceed);
        });
      }
      while (cpu_statistics().queued + refused + usable_cpus() < jobs && refused < k_more) {
        co_await checkpoint();
      }
      gate->open = true;
    });
    EXPECT_LE(refused, k_more);
    EXPECT_GE(refused + usable_cpus(), k_more) << "those that run do not wait in the queue";
    EXPECT_EQ(cpu_statistics().rejected, refused);
  });
}

TEST_P(Offload, threads_are_started_as_they_are_needed_and_end_when_idle) {
  if (is_sim()) {  // There are none.
    run([]() -> Task<> {
      EXPECT_EQ(*co_await run_blocking([] { return 1; }), 1);
      EXPECT_EQ(blocking_statistics().threads, 0u);
    });
    return;
  }
  run([]() -> Task<> {
    detail::Lane lane(loop(), {.name = "short", .threads = 4, .idle_max = 1ms});
    auto gate = std::make_shared<Gate>();
    for (std::size_t round = 1; round <= 3; ++round) {
      gate->open = false;
      gate->entered = 0;
      co_await with_scope([&](Scope& scope) -> Task<> {
        for (std::size_t i = 0; i < round; ++i) {
          scope.start([&]() -> Task<> {
            const auto held = [gate] { gate->pass(true); };
            static_cast<void>(co_await detail::LaneRun<decltype(held)>(lane, auto(held)));
          });
        }
        while (gate->entered < static_cast<int>(round)) co_await sleep_for(100us);
        EXPECT_EQ(lane.statistics().threads, round) << "one for each function that runs";
        gate->open = true;
      });
      while (lane.statistics().threads > 0) co_await sleep_for(1ms);
    }
    EXPECT_EQ(lane.statistics().finished, 6u);
  });
}

TEST_P(Offload, loops_share_the_threads_of_run_cpu) {
  if (is_sim()) {  // A pool of would-be threads per loop: a seed replays on every machine.
    run([]() -> Task<> { EXPECT_EQ(*co_await run_cpu([] { return 1; }), 1); });
    return;
  }
  auto gate = std::make_shared<Gate>();
  const auto body = [gate](Gate* entered) -> Task<> {
    co_await with_scope([&](Scope& scope) -> Task<> {
      for (std::size_t i = 0; i < 2 * usable_cpus(); ++i) {
        scope.start(
            [&]() -> Task<> { static_cast<void>(co_await run_cpu([gate] { gate->pass(true); })); });
      }
      while (cpu_statistics().threads < usable_cpus()) co_await sleep_for(100us);
      ++entered->entered;
      while (entered->entered < 2) co_await sleep_for(100us);
      EXPECT_EQ(cpu_statistics().threads, usable_cpus()) << "not once more for each loop";
      gate->open = true;
    });
  };
  Gate both;
  std::thread other([&] {
    Loop second(loop_options());
    EXPECT_TRUE(second.run(body(&both)).has_value());
  });
  Loop first(loop_options());
  EXPECT_TRUE(first.run(body(&both)).has_value());
  other.join();
}

ON_EVERY_DRIVER(Offload);

}  // namespace
}  // namespace rondo::testing
