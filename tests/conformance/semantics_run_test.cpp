// SPDX-License-Identifier: Apache-2.0
// Rules 22, 27, 28 and 29 of the semantics: blocking calls, the soft stop, and what does not end.
#include <algorithm>
#include <atomic>
#include <csignal>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "every_driver.hpp"
#include "rondo/base/log.hpp"
#include "rondo/core/event.hpp"
#include "rondo/core/offload.hpp"
#include "rondo/net/tcp.hpp"

namespace rondo::testing {
namespace {

class SemanticsRun : public EveryDriver {
 public:
  RunOptions quiet() { return {.loop = loop_options(), .handle_signals = false}; }
  /// A signal to this process, as the loop's thread sees it.
  void signal_self(int number) {
    if (is_sim())
      sim().raise(number);
    else
      ::raise(number);
  }
};

/// A blocking call that a test lets go on; under sim there is no thread to hold back.
struct Gate {
  std::atomic<bool> open{false};
  std::atomic<bool> entered{false};
  std::atomic<bool> left{false};
  void pass(bool has_threads) {
    entered = true;
    while (has_threads && !open) std::this_thread::sleep_for(100us);
    left = true;
  }
};

// --- 22, 27 --------------------------------------------------------------------------------

TEST_P(SemanticsRun, rule_27_run_blocking_waits_for_its_function_and_its_value_wins) {
  run([this]() -> Task<> {
    auto gate = std::make_shared<Gate>();
    const bool threads = !is_sim();
    auto open = loop().call_later(5ms, [gate] { gate->open = true; });
    const Result<int> got = co_await with_timeout(
        is_sim() ? 0ns : Duration(1ms), [](std::shared_ptr<Gate> g, bool real) -> Task<int> {
          co_return (co_await run_blocking([g, real] {
            g->pass(real);
            return 5;
          })).value_or(-1);
        }(gate, threads));
    // Begun: waited for, and its value wins. Taken back before it began: never ran at all.
    if (got) {
      EXPECT_EQ(*got, 5);
      EXPECT_TRUE(gate->left);
    } else {
      EXPECT_EQ(got.error().code(), Errc::timed_out);
      EXPECT_FALSE(gate->entered) << "left while its function was running";
    }
    open.cancel();
    EXPECT_EQ(blocking_statistics().running, 0u);
  });
}

TEST_P(SemanticsRun, rule_27_an_abandoned_function_runs_on_and_its_value_is_dropped) {
  run([this]() -> Task<> {
    auto gate = std::make_shared<Gate>();
    const bool threads = !is_sim();
    bool went_on = false;
    co_await with_scope([&](Scope& scope) -> Task<> {
      auto child = scope.start([&]() -> Task<> {
        static_cast<void>(co_await run_blocking(
            [gate, threads] {
              gate->pass(threads);
              return std::string(1'000, 'x');
            },
            {.abandon = true}));
        went_on = true;
      });
      if (threads) {
        while (!gate->entered) co_await sleep_for(100us);
      } else {
        co_await turns(3);
      }
      child.cancel();
      EXPECT_EQ((co_await child).error().code(), Errc::cancelled);
      EXPECT_FALSE(gate->left) << "it waited for the function";
    });
    EXPECT_FALSE(went_on);
    gate->open = true;
    if (threads) {
      while (!gate->left) co_await sleep_for(100us);
    }
  });
}

TEST_P(SemanticsRun, rule_27_a_function_that_has_not_begun_is_taken_back) {
  run([this]() -> Task<> {
    auto gate = std::make_shared<Gate>();
    const bool threads = !is_sim();
    std::atomic<int> began{0};
    co_await with_scope([&](Scope& scope) -> Task<> {
      Worker one("one");
      co_await with_scope([&](Scope& inner) -> Task<> {
        inner.start(
            [&]() -> Task<> { static_cast<void>(co_await one.run([&] { gate->pass(threads); })); });
        auto second =
            inner.start([&]() -> Task<> { static_cast<void>(co_await one.run([&] { ++began; })); });
        co_await turns(3);
        second.cancel();
        EXPECT_EQ((co_await second).error().code(), Errc::cancelled);
        gate->open = true;
      });
      EXPECT_EQ(scope.live(), 1u);
    });
    EXPECT_EQ(began, 0);
  });
}

TEST_P(SemanticsRun, rule_27_exceptions_and_results_come_back_to_the_loop) {
  run([]() -> Task<> {
    EXPECT_EQ(*co_await run_blocking([] { return std::string("text"); }), "text");
    EXPECT_TRUE((co_await run_blocking([] {})).has_value());
    std::string caught;
    try {
      static_cast<void>(co_await run_blocking([]() -> int { throw std::runtime_error("there"); }));
    } catch (const std::runtime_error& error) {
      caught = error.what();
    }
    EXPECT_EQ(caught, "there");
    EXPECT_EQ(blocking_statistics().finished, 3u);
  });
}

TEST_P(SemanticsRun, rule_10_a_worker_keeps_the_order_of_what_it_was_handed) {
  run([]() -> Task<> {
    Worker lane("lane");
    std::vector<int> order;  // Only the worker touches it meanwhile.
    co_await with_scope([&](Scope& scope) -> Task<> {
      for (int i = 0; i < 200; ++i) {
        scope.start(
            [](Worker* w, std::vector<int>* to, int n) -> Task<> {
              EXPECT_TRUE((co_await w->run([to, n] { to->push_back(n); })).has_value());
            },
            &lane, &order, i);
      }
      co_return;
    });
    EXPECT_EQ(order.size(), 200u);
    EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
    EXPECT_EQ(lane.statistics().finished, 200u);
    EXPECT_EQ(lane.statistics().queued + lane.statistics().running, 0u);
  });
}

TEST_P(SemanticsRun, a_full_worker_refuses_and_counts) {
  run([this]() -> Task<> {
    Worker small("small", 2);
    auto gate = std::make_shared<Gate>();
    const bool threads = !is_sim();
    int refused = 0;
    co_await with_scope([&](Scope& scope) -> Task<> {
      for (int i = 0; i < 5; ++i) {
        scope.start([&]() -> Task<> {
          const Result<> done = co_await small.run([gate, threads] { gate->pass(threads); });
          if (done) co_return;
          ++refused;
          EXPECT_EQ(done.error().code(), Errc::would_exceed);
        });
      }
      co_await turns(3);
      gate->open = true;
    });
    EXPECT_GE(refused, 2) << "one runs, two wait";
    EXPECT_LE(refused, 3);
    EXPECT_EQ(small.statistics().rejected, static_cast<std::uint64_t>(refused));
  });
}

// --- 28, 29 --------------------------------------------------------------------------------

TEST_P(SemanticsRun, rule_29_the_status_is_mains_and_1_when_it_throws) {
  EXPECT_EQ(rondo::run([]() -> Task<int> { co_return 3; }(), quiet()), 3);
  EXPECT_EQ(rondo::run([]() -> Task<> { co_await sleep_for(1us); }(), quiet()), 0);
  LogSink before = set_log_sink([](LogLevel, std::string_view) {});
  EXPECT_EQ(rondo::run(
                []() -> Task<int> {
                  co_await checkpoint();
                  throw std::runtime_error("no");
                }(),
                quiet()),
            1);
  EXPECT_EQ(rondo::run(
                []() -> Task<> {
                  co_await checkpoint();
                  throw 5;
                }(),
                quiet()),
            1);
  set_log_sink(before);
}

TEST(SemanticsRunWithoutDriver, the_refusal_is_told_and_the_dropped_task_is_no_mistake) {
  ::setenv("RONDO_DRIVER", "kqueue", 1);
  static std::string said;
  said.clear();
  LogSink before = set_log_sink([](LogLevel, std::string_view line) { said.append(line) += '\n'; });
  EXPECT_EQ(rondo::run([]() -> Task<> { co_await checkpoint(); }()), 1);
  set_log_sink(before);
  ::unsetenv("RONDO_DRIVER");
  EXPECT_EQ(said, "RONDO_DRIVER kqueue (uring or epoll is wanted): Invalid argument\n");
}

TEST_P(SemanticsRun, rule_29_a_soft_stop_is_seen_and_a_listener_yields_stopping) {
  Errc seen = {};
  bool asked = false;
  const int status = rondo::run(
      [](Errc* code, bool* flag) -> Task<> {
        auto listener = tcp::listen({.address = "127.0.0.1:0"}).or_throw();
        EXPECT_FALSE(stop_requested());
        auto soon = loop().call_soon([at = &loop()] { at->request_stop(); });
        const auto peer = co_await listener.accept();
        *code = peer.error().code();
        *flag = stop_requested();
        EXPECT_EQ((co_await listener.accept()).error().code(), Errc::stopping) << "and stays so";
      }(&seen, &asked),
      quiet());
  EXPECT_EQ(status, 0);
  EXPECT_EQ(seen, Errc::stopping);
  EXPECT_TRUE(asked);
}

TEST_P(SemanticsRun, rule_29_after_the_grace_everything_is_cancelled_and_the_status_is_0) {
  bool destroyed = false;
  RunOptions options = quiet();
  options.grace = 2ms;
  const int status = rondo::run(
      [](bool* flag) -> Task<int> {
        AtExit note([flag] { *flag = true; });
        loop().request_stop();
        co_await sleep_for(1h);
        co_return 9;
      }(&destroyed),
      std::move(options));
  EXPECT_EQ(status, 0) << "asked to stop and all unwound: success";
  EXPECT_TRUE(destroyed);
}

TEST_P(SemanticsRun, rule_29_a_signal_is_a_soft_stop_and_main_ends_by_itself) {
  RunOptions options{.loop = loop_options(), .grace = 1h};
  const int status = rondo::run(
      [](SemanticsRun* test) -> Task<int> {
        co_await turns(3);
        test->signal_self(SIGTERM);
        while (!stop_requested()) co_await sleep_for(100us);
        co_return 4;
      }(this),
      std::move(options));
  EXPECT_EQ(status, 4);
}

TEST_P(SemanticsRun, rule_29_a_second_signal_skips_the_grace) {
  RunOptions options{.loop = loop_options(), .grace = std::chrono::hours(24)};
  bool went_on = false;
  const int status = rondo::run(
      [](SemanticsRun* test, bool* on) -> Task<int> {
        co_await turns(3);
        test->signal_self(SIGINT);
        while (!stop_requested()) co_await sleep_for(100us);
        test->signal_self(SIGTERM);
        const TimePoint start = now();
        while (now() - start < 12h) co_await sleep_for(test->is_sim() ? Duration(1min) : 1ms);
        *on = true;
        co_return 4;
      }(this, &went_on),
      std::move(options));
  EXPECT_EQ(status, 0);
  EXPECT_FALSE(went_on);
}

TEST_P(SemanticsRun, rule_28_what_does_not_unwind_is_reported_and_leaked_and_the_status_is_1) {
  // In a child: what leaks on purpose must not hide what leaks by mistake.
  EXPECT_EQ(in_child([this] {
              static std::string report;
              set_log_sink([](LogLevel, std::string_view line) { report.append(line); });
              static bool freed = false;
              RunOptions options = quiet();
              options.grace = 1ms;
              options.drain_max = 5ms;
              const int status = rondo::run(
                  []() -> Task<> {
                    AtExit note([] { freed = true; });
                    loop().request_stop();
                    co_await with_scope([](Scope& scope) -> Task<> {
                      scope.start(Named{"stubborn"},
                                  []() -> Task<> { co_await shield(sleep_for(2h), 1h); });
                      co_return;
                    });
                  }(),
                  std::move(options));
              if (status != 1) return 2;
              if (freed) return 3;
              if (report.find("stubborn in ") == std::string::npos) return 4;
              return report.find("semantics_run_test.cpp:") == std::string::npos ? 5 : 0;
            }),
            0);
}

TEST_P(SemanticsRun, rule_28_what_unwinds_within_the_drain_is_success) {
  RunOptions options = quiet();
  options.grace = 1ms;
  bool cleaned = false;
  const int status = rondo::run(
      [](bool* flag) -> Task<> {
        loop().request_stop();
        co_await finally(sleep_for(1h), [flag]() -> Task<> {
          co_await sleep_for(2ms);
          *flag = true;
        });
      }(&cleaned),
      std::move(options));
  EXPECT_EQ(status, 0);
  EXPECT_TRUE(cleaned);
}

TEST_P(SemanticsRun, rule_29_request_stop_may_come_from_another_thread) {
  if (is_sim()) {  // Virtual time waits for no thread: the request is there before.
    Loop at(loop_options());
    std::thread([&] { at.request_stop(); }).join();
    EXPECT_TRUE(at.run([]() -> Task<> {
                    co_await checkpoint();
                    EXPECT_TRUE(stop_requested());
                  }())
                    .has_value());
    return;
  }
  std::thread other;
  const int status = rondo::run(
      [](std::thread* thread) -> Task<> {
        Loop& here = loop();
        *thread = std::thread([&here] { here.request_stop(); });
        auto listener = tcp::listen({.address = "127.0.0.1:0"}).or_throw();
        EXPECT_EQ((co_await listener.accept()).error().code(), Errc::stopping);
        thread->join();
      }(&other),
      quiet());
  EXPECT_EQ(status, 0);
}

ON_EVERY_DRIVER(SemanticsRun);

}  // namespace
}  // namespace rondo::testing
