// SPDX-License-Identifier: Apache-2.0
// when_all and when_any, futures across threads, the frame pool, and a stack that stays flat.
#include "rondo/core/when.hpp"

#include <gtest/gtest.h>
#include <pthread.h>

#include <chrono>
#include <cstring>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "rondo/core/cancel.hpp"
#include "rondo/core/event.hpp"
#include "rondo/core/future.hpp"
#include "rondo/core/offload.hpp"
#include "rondo/core/scope.hpp"
#include "rondo/core/sleep.hpp"
#include "rondo/net/resolve.hpp"
#include "rondo/testing/sim_loop.hpp"

namespace rondo {
namespace {

using namespace std::chrono_literals;
using testing::SimLoop;

template <class F>
void run(F body) {
  SimLoop sim;
  sim.run(std::move(body));
}
Task<int> after(Duration time, int value) {
  co_await sleep_for(time);
  co_return value;
}

// --- when_all, when_any --------------------------------------------------------------------

TEST(WhenAll, runs_together_and_yields_every_value_in_its_place) {
  SimLoop sim;
  sim.run([]() -> Task<> {
    auto [a, b, c] = co_await when_all(after(30ms, 1), sleep_for(10ms), after(20ms, 3));
    EXPECT_EQ(a, 1);
    EXPECT_EQ(b, Unit{});
    EXPECT_EQ(c, 3);
  });
  EXPECT_EQ(sim.now(), 30ms) << "one after the other";
}

TEST(WhenAll, of_a_vector_yields_a_vector_also_when_it_is_empty) {
  run([]() -> Task<> {
    std::vector<Task<int>> tasks;
    for (int i = 0; i < 100; ++i) tasks.push_back(after(std::chrono::milliseconds(100 - i), i));
    const std::vector<int> values = co_await when_all(std::move(tasks));
    EXPECT_EQ(values.size(), 100u);
    for (std::size_t i = 0; i < values.size(); ++i) EXPECT_EQ(values[i], static_cast<int>(i));
    EXPECT_TRUE((co_await when_all(std::vector<Task<int>>())).empty());
  });
}

TEST(WhenAll, an_error_in_a_result_cancels_nobody) {
  run([]() -> Task<> {
    auto fails = []() -> Task<Result<int>> { co_return Errc::closed; };
    auto [bad, good] = co_await when_all(fails(), after(10ms, 2));
    EXPECT_EQ(bad.error(), Errc::closed);
    EXPECT_EQ(good, 2);
  });
}

TEST(WhenAll, an_exception_cancels_the_others_and_goes_on) {
  SimLoop sim;
  sim.run([]() -> Task<> {
    auto throws = []() -> Task<int> {
      co_await sleep_for(1ms);
      throw std::runtime_error("first");
    };
    std::string caught;
    try {
      std::vector<Task<int>> tasks;
      tasks.push_back(after(1h, 1));
      tasks.push_back(throws());
      tasks.push_back(throws());
      co_await when_all(std::move(tasks));
    } catch (const std::runtime_error& error) {
      caught = error.what();
    }
    EXPECT_EQ(caught, "first");
  });
  EXPECT_EQ(sim.now(), 1ms);
}

TEST(WhenAny, yields_the_first_and_ends_the_others) {
  SimLoop sim;
  sim.run([]() -> Task<> {
    auto any = co_await when_any(after(1h, 1), after(5ms, 2), sleep_for(2h));
    EXPECT_EQ(any.index, 1u);
    EXPECT_EQ(std::get<1>(any.values), 2);
    EXPECT_FALSE(std::get<0>(any.values).has_value());
    EXPECT_EQ(loop().statistics().live_tasks, 1u);
    EXPECT_EQ(loop().statistics().armed_timers, 0u);
  });
  EXPECT_EQ(sim.now(), 5ms);
}

TEST(WhenAny, of_a_vector_yields_index_and_values) {
  run([]() -> Task<> {
    std::vector<Task<int>> tasks;
    for (int i = 0; i < 50; ++i)
      tasks.push_back(after(std::chrono::milliseconds(i == 17 ? 1 : 99), i));
    const AnyOf<int> any = co_await when_any(std::move(tasks));
    EXPECT_EQ(any.index, 17u);
    EXPECT_EQ(any.values.size(), 50u);
    EXPECT_EQ(any.values[17], 17);
    EXPECT_FALSE(any.values[16].has_value());
  });
}

TEST(WhenAnyDeathTest, of_no_tasks_says_that_it_would_wait_for_ever) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(run([]() -> Task<> { co_await when_any(std::vector<Task<int>>()); }),
               "would wait for ever");
}

// --- Promise, Future -----------------------------------------------------------------------

TEST(Future, is_set_by_another_thread_a_thousand_times) {
  Loop loop;
  const auto ended = loop.run([]() -> Task<> {
    for (int round = 0; round < 20; ++round) {
      std::vector<Future<std::string>> futures;
      std::vector<std::thread> threads;
      for (int i = 0; i < 50; ++i) {
        auto [promise, future] = make_promise<std::string>();
        futures.push_back(std::move(future));
        threads.emplace_back([p = std::move(promise), i]() mutable { p.set(std::to_string(i)); });
      }
      for (std::size_t i = 0; i < futures.size(); ++i) {
        EXPECT_EQ(*co_await futures[i], std::to_string(i));
      }
      for (std::thread& thread : threads) thread.join();
    }
  }());
  EXPECT_TRUE(ended.has_value());
}

TEST(Future, of_a_promise_that_dies_unset_is_abandoned) {
  run([]() -> Task<> {
    auto pair = make_promise<int>();
    {
      Promise<int> dies = std::move(pair.promise);
    }
    EXPECT_EQ((co_await pair.future).error(), Errc::abandoned);
  });
}

TEST(Future, of_a_promise_that_outlives_its_loop_takes_the_value_nowhere) {
  std::optional<Promise<int>> set;
  std::optional<Promise<int>> dropped;
  run([&]() -> Task<> {
    set.emplace(make_promise<int>().promise);
    dropped.emplace(make_promise<int>().promise);
    co_return;
  });
  set->set(1);
  dropped.reset();
}

TEST(Future, may_be_awaited_again_after_a_time_out) {
  run([]() -> Task<> {
    auto [promise, future] = make_promise<void>();
    auto wait = [](Future<void>& f) -> Task<Result<>> { co_return co_await f; };
    EXPECT_EQ((co_await with_timeout(1ms, wait(future))).error(), Errc::timed_out);
    promise.set();
    EXPECT_TRUE((co_await future).has_value());
  });
}

TEST(Future, either_half_may_die_first) {
  run([]() -> Task<> {
    auto early = make_promise<std::shared_ptr<int>>();
    auto counted = std::make_shared<int>(1);
    {
      Future<std::shared_ptr<int>> dies = std::move(early.future);
    }
    early.promise.set(counted);
    co_await sleep_for(1ms);  // Delivered in the next iteration.
    EXPECT_EQ(counted.use_count(), 1) << "nobody will take it: it must not stay";
    auto late = make_promise<int>();
    late.promise.set(Error(Errc::closed));
    EXPECT_EQ((co_await late.future).error(), Errc::closed);
  });
}

// --- threads -------------------------------------------------------------------------------

TEST(Offload, many_blocking_calls_share_the_pool_and_all_come_back) {
  Loop loop;
  long sum = 0;
  const auto ended = loop.run([](long* total) -> Task<> {
    co_await with_scope([&](Scope& scope) -> Task<> {
      for (int i = 0; i < 500; ++i) {
        scope.start(
            [](long* into, int n) -> Task<> { *into += *co_await run_blocking([n] { return n; }); },
            total, i);
      }
      co_return;
    });
    EXPECT_LE(blocking_statistics().threads, limits::blocking_threads.value);
    EXPECT_EQ(blocking_statistics().finished, 500u);
  }(&sum));
  EXPECT_TRUE(ended.has_value());
  EXPECT_EQ(sum, 499 * 500 / 2);
}

TEST(Offload, abandoned_functions_are_waited_for_at_the_loops_end) {
  auto alive = std::make_shared<int>(0);
  {
    Loop loop;
    const auto ended = loop.run([](std::shared_ptr<int> held) -> Task<> {
      for (int i = 0; i < 20; ++i) {
        co_await move_on_after(100us, [&](Scope&) -> Task<> {
          static_cast<void>(co_await run_blocking([held] { std::this_thread::sleep_for(1ms); },
                                                  {.abandon = true}));
        });
      }
    }(alive));
    EXPECT_TRUE(ended.has_value());
  }
  EXPECT_EQ(alive.use_count(), 1) << "a function outlived its loop";
}

TEST(Loops, run_side_by_side_on_threads_of_their_own) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([t] {
      Loop loop;
      const long before = detail::FramePool::live;
      for (int i = 0; i < 20; ++i) {
        EXPECT_EQ(*loop.run([](int n) -> Task<int> {
          auto [a, b] = co_await when_all(after(10us, n), run_blocking([n] { return n; }));
          co_return a + *b;
        }(t)),
                  2 * t);
      }
      EXPECT_EQ(detail::FramePool::live, before);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

// --- the frame pool and the stack ----------------------------------------------------------

TEST(FramePool, gives_aligned_blocks_of_every_size_and_counts_them) {
  using detail::FramePool;
  const long before = FramePool::live;
  std::vector<std::pair<void*, std::size_t>> blocks;
  for (std::size_t size = 1; size < 6'000; size += 37) {
    void* block = FramePool::take(size);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(block) % 16, 0u);
    std::memset(block, 0xab, size);
    blocks.emplace_back(block, size);
  }
  EXPECT_EQ(FramePool::live - before, static_cast<long>(blocks.size()));
  for (auto& [block, size] : blocks) FramePool::give(block, size);
  EXPECT_EQ(FramePool::live, before);
}

Task<int> immediate(int n) { co_return n; }
Task<Result<int>> immediate_result(int n) { co_return n; }

Task<Result<long>> many_awaits() {
  Event set;
  set.set();
  long sum = 0;
  for (int i = 0; i < 1'000'000; ++i) {
    sum += co_await immediate(1);
    if (i % 16 != 0) continue;
    co_await set.wait();
    sum += co_await immediate_result(0).or_return();
  }
  co_return sum;
}

/// Runs `f` on a thread with a stack of 256 KiB.
void on_small_stack(void* (*f)(void*), void* argument) {
  pthread_attr_t attributes;
  ASSERT_EQ(pthread_attr_init(&attributes), 0);
  ASSERT_EQ(pthread_attr_setstacksize(&attributes, 256 * 1'024), 0);
  pthread_t thread;
  ASSERT_EQ(pthread_create(&thread, &attributes, f, argument), 0);
  ASSERT_EQ(pthread_join(thread, nullptr), 0);
  pthread_attr_destroy(&attributes);
}

TEST(Stack, stays_flat_over_a_million_immediate_awaits) {
  long sum = 0;
  on_small_stack(
      [](void* out) -> void* {
        SimLoop sim;
        *static_cast<long*>(out) = *sim.run([] { return many_awaits(); });
        return nullptr;
      },
      &sum);
  EXPECT_EQ(sum, 1'000'000);
}

TEST(Stack, stays_flat_when_a_hundred_thousand_children_start_and_end) {
  long sum = 0;
  on_small_stack(
      [](void* out) -> void* {
        SimLoop sim;
        sim.run([out]() -> Task<> {
          co_await with_scope([out](Scope& scope) -> Task<> {
            for (int i = 0; i < 100'000; ++i) {
              scope.start([](long* n) -> Task<> { *n += co_await immediate(1); },
                          static_cast<long*>(out));
            }
            co_return;
          });
        });
        return nullptr;
      },
      &sum);
  EXPECT_EQ(sum, 100'000);
}

Task<> down(int depth) {
  if (depth > 0)
    co_await down(depth - 1);
  else
    co_await sleep_for(1h);
}

TEST(Stack, stays_flat_when_a_deep_chain_is_cancelled) {
  bool ended = false;
  on_small_stack(
      [](void* out) -> void* {
        SimLoop sim;
        sim.run([out]() -> Task<> {
          const auto late = co_await with_timeout(1ms, down(50'000));
          *static_cast<bool*>(out) = late.error() == Errc::timed_out;
        });
        return nullptr;
      },
      &ended);
  EXPECT_TRUE(ended);
}

// --- names ---------------------------------------------------------------------------------

TEST(Resolve, answers_numbers_without_asking_and_the_hosts_file_without_a_network) {
  Loop loop;
  const auto ended = loop.run([]() -> Task<> {
    const auto v4 = co_await net::resolve("127.0.0.1", 80);
    EXPECT_EQ(v4->front().to_string(), "127.0.0.1:80");
    const auto v6 = co_await net::resolve("::1", 443);
    EXPECT_EQ(v6->front().to_string(), "[::1]:443");
    const auto local = co_await net::resolve("localhost", 7);
    EXPECT_TRUE(local.has_value());
    if (local) EXPECT_TRUE(local->front().is_loopback());
    EXPECT_FALSE((co_await net::resolve("not a name", 7)).has_value());
  }());
  EXPECT_TRUE(ended.has_value());
}

TEST(Resolve, a_name_that_nobody_knows_ends_with_an_error_that_names_it) {
  Loop loop;
  const auto ended = loop.run([]() -> Task<> {
    const auto none = co_await net::resolve("no-such-host.invalid", 80);
    EXPECT_FALSE(none.has_value());
    if (none) co_return;
    EXPECT_TRUE(none.error() == Errc::no_such_host || none.error() == Errc::resolve_failed)
        << none.error().message();
    EXPECT_EQ(none.error().object(), "no-such-host.invalid");
  }());
  EXPECT_TRUE(ended.has_value());
}

TEST(Resolve, a_question_that_is_cancelled_leaves_nothing_in_flight) {
  Loop loop;
  const auto ended = loop.run([]() -> Task<> {
    for (int i = 0; i < 5; ++i) {
      static_cast<void>(co_await with_timeout(0ns, net::resolve("no-such-host.invalid", 80)));
    }
  }());
  EXPECT_TRUE(ended.has_value());
}

}  // namespace
}  // namespace rondo
