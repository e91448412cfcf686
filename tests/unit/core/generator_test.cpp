// SPDX-License-Identifier: Apache-2.0
// AsyncGenerator and Generator: values, ends, exceptions, cancellation in the middle.
#include "rondo/core/generator.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "rondo/core/cancel.hpp"
#include "rondo/core/scope.hpp"
#include "rondo/core/sleep.hpp"
#include "rondo/testing/sim_loop.hpp"

namespace rondo {
namespace {

using namespace std::chrono_literals;
using testing::SimLoop;

struct Alive {
  explicit Alive(int& n) : count(&n) { ++*count; }
  Alive(const Alive& other) : count(other.count) { ++*count; }
  ~Alive() { --*count; }
  int* count;
};

AsyncGenerator<int> count_to(int last, Duration each, int* alive) {
  Alive here(*alive);
  for (int i = 1; i <= last; ++i) {
    if (each > Duration::zero()) co_await sleep_for(each);
    co_yield i;
  }
}

TEST(AsyncGenerator, yields_its_values_in_order_and_then_nothing) {
  int alive = 0;
  SimLoop sim;
  sim.run([&]() -> Task<> {
    auto numbers = count_to(5, 10ms, &alive);
    EXPECT_EQ(alive, 0) << "it is lazy";
    std::vector<int> got;
    while (auto n = co_await numbers.next()) got.push_back(*n);
    EXPECT_EQ(got, (std::vector<int>{1, 2, 3, 4, 5}));
    EXPECT_TRUE(numbers.done());
    EXPECT_FALSE(numbers.cancelled());
    EXPECT_EQ(alive, 0) << "its frame dies at its end, not with the object";
    EXPECT_FALSE((co_await numbers.next()).has_value());
  });
  EXPECT_EQ(sim.now(), 50ms);
}

TEST(AsyncGenerator, destroys_its_locals_when_it_is_dropped_half_way) {
  int alive = 0;
  SimLoop sim;
  sim.run([&]() -> Task<> {
    {
      auto numbers = count_to(5, 0ms, &alive);
      EXPECT_EQ(co_await numbers.next(), 1);
      EXPECT_EQ(alive, 1);
      auto moved = std::move(numbers);
      EXPECT_EQ(co_await moved.next(), 2);
      EXPECT_EQ(alive, 1);
    }
    EXPECT_EQ(alive, 0);
    {
      auto never = count_to(5, 0ms, &alive);
    }
    EXPECT_EQ(alive, 0);
  });
}

AsyncGenerator<std::string> failing() {
  co_yield "one";
  co_await sleep_for(1ms);
  throw std::runtime_error("broken in the middle");
}

TEST(AsyncGenerator, passes_its_exception_to_the_consumer_once) {
  SimLoop sim;
  sim.run([]() -> Task<> {
    auto words = failing();
    EXPECT_EQ(co_await words.next(), "one");
    std::string what;
    try {
      co_await words.next();
    } catch (const std::runtime_error& error) {
      what = error.what();
    }
    EXPECT_EQ(what, "broken in the middle");
    EXPECT_TRUE(words.done());
    EXPECT_FALSE((co_await words.next()).has_value());
  });
}

TEST(AsyncGenerator, cancelled_while_its_body_waits_unwinds_body_and_consumer) {
  int alive = 0;
  SimLoop sim;
  sim.run([&]() -> Task<> {
    auto numbers = count_to(5, 10ms, &alive);
    EXPECT_EQ(co_await numbers.next(), 1);
    EXPECT_EQ((co_await with_timeout(5ms, numbers.next())).error(), Errc::timed_out);
    EXPECT_EQ(alive, 0) << "the body's frame went with the consumer's";
    EXPECT_TRUE(numbers.done());
    EXPECT_TRUE(numbers.cancelled());
    EXPECT_FALSE((co_await numbers.next()).has_value());
  });
  EXPECT_EQ(sim.now(), 15ms);
}

AsyncGenerator<int> doubled(AsyncGenerator<int> from, int* alive) {
  Alive here(*alive);
  while (auto n = co_await from.next()) co_yield *n * 2;
}

TEST(AsyncGenerator, pipelines_unwind_through_every_stage) {
  int alive = 0;
  SimLoop sim;
  sim.run([&]() -> Task<> {
    {
      auto all = doubled(doubled(count_to(3, 1ms, &alive), &alive), &alive);
      std::vector<int> got;
      while (auto n = co_await all.next()) got.push_back(*n);
      EXPECT_EQ(got, (std::vector<int>{4, 8, 12}));
    }
    EXPECT_EQ(alive, 0);
    co_await move_on_after(25ms, [&](Scope&) -> Task<> {
      auto all = doubled(doubled(count_to(100, 10ms, &alive), &alive), &alive);
      while (co_await all.next()) {
      }
    });
    EXPECT_EQ(alive, 0);
  });
  EXPECT_EQ(sim.now(), 28ms);
}

TEST(AsyncGenerator, that_never_waits_gives_others_a_turn_and_can_be_cancelled) {
  SimLoop sim;
  int alive = 0;
  long seen = 0;
  long other = 0;
  sim.run([&]() -> Task<> {
    co_await with_scope([&](Scope& scope) -> Task<> {
      scope.start([&]() -> Task<> {
        auto numbers = count_to(1'000'000'000, 0ms, &alive);
        while (co_await numbers.next()) ++seen;
      });
      for (; other < 100; ++other) co_await checkpoint();
      scope.cancel();
    });
  });
  EXPECT_EQ(other, 100);
  EXPECT_GT(seen, 1'000);
  EXPECT_LT(seen, 100'000);
  EXPECT_EQ(alive, 0);
}

TEST(AsyncGenerator, moves_values_that_do_not_copy) {
  SimLoop sim;
  sim.run([]() -> Task<> {
    auto make = []() -> AsyncGenerator<std::unique_ptr<int>> {
      for (int i = 0; i < 2; ++i) co_yield std::make_unique<int>(i);
    };
    auto each = make();
    int sum = 0;
    while (auto one = co_await each.next()) sum += **one + 1;
    EXPECT_EQ(sum, 3);
  });
}

Generator<int> squares(int* alive) {
  Alive here(*alive);
  for (int i = 0;; ++i) co_yield i* i;
}

TEST(Generator, is_a_range_that_may_be_left_early) {
  int alive = 0;
  std::vector<int> got;
  for (int n : squares(&alive)) {
    if (n > 10) break;
    got.push_back(n);
  }
  EXPECT_EQ(got, (std::vector<int>{0, 1, 4, 9}));
  EXPECT_EQ(alive, 0);
}

TEST(Generator, throws_out_of_the_loop_and_copies_lvalues) {
  auto make = []() -> Generator<std::string> {
    std::string text = "a";
    co_yield text;
    co_yield text;
    throw std::runtime_error("end");
  };
  int n = 0;
  try {
    for (std::string& each : make()) {
      EXPECT_EQ(each, "a");
      each = "changed";
      ++n;
    }
  } catch (const std::runtime_error&) {
    n += 10;
  }
  EXPECT_EQ(n, 12);
}

}  // namespace
}  // namespace rondo
