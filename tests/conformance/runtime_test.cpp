// SPDX-License-Identifier: Apache-2.0
// Runtime and rondo::run over several threads: what reaches the caller, and the graceful stop
// (rules 28 and 29 with several loops). Real threads only: under simulation a host with several
// loops plays this part (several_loops_test.cpp, unit/sim/several_loops_test.cpp).
#include "rondo/core/runtime.hpp"

#include <pthread.h>
#include <sched.h>

#include <csignal>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>

#include "rondo/base/log.hpp"
#include "rondo/core/offload.hpp"
#include "rondo/net/resolve.hpp"
#include "several_loops.hpp"

namespace rondo::testing {
namespace {

class Runtimes : public SeveralLoops {
 public:
  RunOptions options(std::size_t count) {
    return {
        .loop = {.driver = runtime_options(count).driver}, .loops = count, .handle_signals = false};
  }
};

int cpus_of_this_thread() {
  cpu_set_t set;
  CPU_ZERO(&set);
  ::pthread_getaffinity_np(::pthread_self(), sizeof set, &set);
  return CPU_COUNT(&set);
}

TEST_P(Runtimes, each_loop_has_a_thread_of_its_own_and_main_is_on_the_callers) {
  Runtime runtime(runtime_options(3));
  EXPECT_EQ(runtime.loops().size(), 3u);
  const std::thread::id caller = std::this_thread::get_id();
  const auto ids = runtime.run([]() -> Task<std::set<std::thread::id>> {
    std::set<std::thread::id> seen;
    for (auto& id : co_await on_each(
             []() -> Task<std::thread::id> { co_return std::this_thread::get_id(); })) {
      seen.insert(*id);
    }
    seen.insert(std::this_thread::get_id());
    co_return seen;
  }());
  EXPECT_EQ(ids->size(), 3u);
  EXPECT_TRUE(ids->contains(caller));
  EXPECT_EQ(*runtime.run([]() -> Task<int> { co_return 2; }()), 2) << "it can be called again";
}

TEST_P(Runtimes, loops_that_come_go_and_resolve_names_at_once_do_not_disturb_each_other) {
  for (int round = 0; round < 20; ++round) {
    Runtime runtime(runtime_options(3));
    Count found;
    runtime.start_everywhere([&]() -> Task<> {
      for (int i = 0; i < 5; ++i) {
        const auto addresses = co_await net::resolve("localhost", 80);
        if (addresses.has_value() && !addresses->empty()) found.add();
      }
    });
    EXPECT_TRUE(runtime.run().has_value());
    EXPECT_EQ(int(found), 15);
  }
}

TEST_P(Runtimes, no_number_means_one_loop_for_each_usable_cpu) {
  Runtime runtime(runtime_options(0));
  EXPECT_EQ(runtime.loops().size(), usable_cpus());
}

TEST_P(Runtimes, what_is_started_everywhere_runs_on_every_loop_and_is_waited_for) {
  Runtime runtime(runtime_options(3));
  Count began;
  Count ended;
  runtime.start_everywhere([&]() -> Task<> {
    began.add();
    co_await sleep_for(1ms);
    ended.add();
  });
  EXPECT_TRUE(runtime.run().has_value());
  EXPECT_EQ(int(began), 3);
  EXPECT_EQ(int(ended), 3);
}

TEST_P(Runtimes, an_exception_on_any_loop_cancels_the_rest_and_reaches_the_caller) {
  Runtime runtime(runtime_options(3));
  Count began;
  Count ended;
  runtime.start_everywhere([&began, &ended]() -> Task<> {
    began.add();
    AtExit note([&ended] { ended.add(); });
    if (loops()[2].is_current()) {
      while (began < 3) co_await sleep_for(100us);
      throw std::runtime_error("on loop 2");
    }
    co_await sleep_for(1h);
  });
  std::string caught;
  try {
    static_cast<void>(runtime.run([]() -> Task<int> {
      co_await sleep_for(1h);
      co_return 1;
    }()));
  } catch (const std::runtime_error& error) {
    caught = error.what();
  }
  EXPECT_EQ(caught, "on loop 2");
  EXPECT_EQ(int(ended), 3);
}

TEST_P(Runtimes, a_runtime_is_stopped_and_cancelled_from_outside) {
  Runtime runtime(runtime_options(2));
  runtime.start_everywhere([]() -> Task<> { co_await until_stop_requested(); });
  std::thread other([&] { runtime.request_stop(); });
  EXPECT_TRUE(runtime.run().has_value());
  other.join();

  Runtime second(runtime_options(2));
  second.start_everywhere([]() -> Task<> { co_await sleep_for(1h); });
  second.main_loop().call_soon([&] { second.cancel_all(); });
  EXPECT_EQ(second.run().error().code(), Errc::cancelled);
}

TEST_P(Runtimes, pinned_loops_keep_to_one_cpu_and_give_it_back) {
  const int before = cpus_of_this_thread();
  RuntimeOptions with = runtime_options(2);
  with.pin = true;
  {
    Runtime runtime(with);
    static_cast<void>(runtime.run([before]() -> Task<> {
      const auto count = []() -> Task<int> { co_return cpus_of_this_thread(); };
      for (auto& cpus : co_await on_each(count)) EXPECT_EQ(*cpus, 1);
      // The pools' threads are not bound to the CPU of the loop that happened to start them.
      EXPECT_EQ(*co_await run_blocking([] { return cpus_of_this_thread(); }), before);
      EXPECT_EQ(*co_await run_cpu([] { return cpus_of_this_thread(); }), before);
      EXPECT_EQ(usable_cpus(), static_cast<std::size_t>(before));
    }()));
  }
  EXPECT_EQ(cpus_of_this_thread(), before);
}

TEST_P(Runtimes, rule_29_run_with_several_loops_returns_mains_status_and_1_for_an_exception) {
  EXPECT_EQ(
      rondo::run(
          []() -> Task<int> {
            co_return static_cast<int>((co_await on_each([]() -> Task<> { co_return; })).size());
          }(),
          options(3)),
      3);
  LogSink before = set_log_sink([](LogLevel, std::string_view) {});
  EXPECT_EQ(
      rondo::run(
          []() -> Task<> {
            co_await on(loops()[1], []() -> Task<> { throw std::runtime_error("no"); }).or_throw();
          }(),
          options(2)),
      1);
  set_log_sink(before);
}

TEST_P(Runtimes, rule_29_a_soft_stop_then_the_grace_then_a_cancel_reach_every_loop) {
  Count began;
  Count ended;
  RunOptions with = options(3);
  with.grace = 5ms;
  const int status = rondo::run(
      [](Count* entered, Count* left) -> Task<> {
        co_await with_scope([&](Scope& scope) -> Task<> {
          for (const LoopRef& one : loops()) {
            scope.start_on(one, [entered, left]() -> Task<> {
              AtExit note([left] { left->add(); });
              entered->add();
              co_await until_stop_requested();
              co_await sleep_for(1h);  // Too long: the grace ends it.
            });
          }
          while (*entered < 3) co_await sleep_for(100us);
          loop().request_stop();
        });
      }(&began, &ended),
      std::move(with));
  EXPECT_EQ(status, 0) << "asked to stop and all unwound";
  EXPECT_EQ(int(ended), 3);
}

TEST_P(Runtimes, rule_29_a_signal_is_taken_once_by_the_first_loop_and_stops_all) {
  EXPECT_EQ(in_child([this] {
              RunOptions with = options(3);
              with.handle_signals = true;
              return rondo::run(
                  []() -> Task<int> {
                    co_await sleep_for(1ms);      // Signals are listened for.
                    ::kill(::getpid(), SIGTERM);  // To the process: any thread might take it.
                    for (auto& done :
                         co_await on_each([]() -> Task<> { co_await until_stop_requested(); })) {
                      if (!done) co_return 9;
                    }
                    co_return 5;
                  }(),
                  std::move(with));
            }),
            5);
}

Task<> stubborn(Count* began) {
  co_await with_scope([began](Scope& inner) -> Task<> {
    inner.start(Named{"stubborn"}, []() -> Task<> { co_await shield(sleep_for(2h), 1h); });
    co_await checkpoint();
    began->add();
  });
}

Task<> blocked(Count* began) {
  began->add();
  std::this_thread::sleep_for(2h);  // What nobody should do.
  co_return;
}

TEST_P(Runtimes, rule_28_what_does_not_unwind_on_another_loop_is_reported_and_leaked) {
  EXPECT_EQ(in_child([this] {
              static std::string report;
              set_log_sink([](LogLevel, std::string_view line) { report.append(line); });
              RunOptions with = options(3);
              with.grace = 1ms;
              with.drain_max = 5ms;
              const int status = rondo::run(
                  []() -> Task<> {
                    Count began;
                    co_await with_scope([&](Scope& scope) -> Task<> {
                      scope.start_on(loops()[1], stubborn, &began);
                      scope.start_on(loops()[2], blocked, &began);
                      while (began < 2) co_await sleep_for(100us);
                      loop().request_stop();
                    });
                  }(),
                  std::move(with));
              if (status != 1) return 2;
              if (report.find("stubborn in ") == std::string::npos) return 3;
              if (report.find("loop 2: does not answer") == std::string::npos) return 4;
              return report.find("loop 1: \n") == std::string::npos ? 5 : 0;
            }),
            0);
}

TEST_P(Runtimes, offloads_of_several_loops_come_back_each_to_its_own) {
  Runtime runtime(runtime_options(3));
  Count wrong;
  runtime.start_everywhere([&wrong]() -> Task<> {
    const std::thread::id home = std::this_thread::get_id();
    co_await with_scope([&](Scope& scope) -> Task<> {
      for (int i = 0; i < 300; ++i) {
        scope.start(
            [&](int n) -> Task<> {
              const int got = n % 2 == 0 ? *co_await run_cpu([n] { return n; })
                                         : *co_await run_blocking([n] { return n; });
              if (got != n || std::this_thread::get_id() != home) wrong.add();
            },
            i);
      }
      co_return;
    });
  });
  EXPECT_TRUE(runtime.run().has_value());
  EXPECT_EQ(int(wrong), 0);
}

INSTANTIATE_TEST_SUITE_P(kernel_drivers, Runtimes,
                         ::testing::Values(std::string("uring"), std::string("epoll")),
                         [](const auto& which) { return which.param; });

}  // namespace
}  // namespace rondo::testing
