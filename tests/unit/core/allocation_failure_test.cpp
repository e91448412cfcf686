// SPDX-License-Identifier: Apache-2.0
// Memory that cannot be had: the n-th allocation of a program of tasks fails, for every n. The
// bad_alloc reaches a task that awaits, siblings unwind, nothing is left and the loop works on.
// AddressSanitizer's and ThreadSanitizer's builds bring an operator new of their own.
#include "rondo/core/detail/frame_pool.hpp"

#if !defined(RONDO_POOL_OFF) && !__has_feature(thread_sanitizer)
#include <gtest/gtest.h>

#include <cstdlib>
#include <new>
#include <vector>

#include "rondo/core/cancel.hpp"
#include "rondo/core/channel.hpp"
#include "rondo/core/generator.hpp"
#include "rondo/core/map_concurrent.hpp"
#include "rondo/core/race.hpp"
#include "rondo/core/scope.hpp"
#include "rondo/core/select.hpp"
#include "rondo/core/sleep.hpp"
#include "rondo/core/task_local.hpp"
#include "rondo/core/when.hpp"
#include "rondo/testing/sim_loop.hpp"

namespace {
/// Allocations until one fails; negative: none does.
thread_local long t_until_failure = -1;
}  // namespace

void* operator new(std::size_t size) {
  if (t_until_failure >= 0 && t_until_failure-- == 0) throw std::bad_alloc();
  if (void* block = std::malloc(size)) return block;
  throw std::bad_alloc();
}
void operator delete(void* block) noexcept { std::free(block); }
void operator delete(void* block, std::size_t) noexcept { std::free(block); }

namespace rondo {
namespace {

using namespace std::chrono_literals;
using testing::SimLoop;

TaskLocal<int> t_number;

/// Frames larger than the pool's blocks, so that every one asks operator new.
template <class T>
Task<T> large(T value) {
  char room[5'000];
  for (char& byte : room) byte = 'x';
  co_await checkpoint();
  if (room[4'999] != 'x') std::abort();
  co_return value;
}
Task<Result<int>> attempt(int n) { co_return co_await large(n); }
AsyncGenerator<int> numbers() {
  for (int i = 0; i < 3; ++i) co_yield co_await large(i);
}

Task<int> everything() {
  int sum = 0;
  Channel<int> channel{2};
  co_await with_scope([&](Scope& scope) -> Task<> {
    auto child = scope.start(large<int>, 1);
    scope.start_now([&]() -> Task<> {
      (void)co_await channel.send(co_await large(2));
      channel.close();
    });
    while (auto item = co_await channel.receive()) sum += *item;
    if (auto one = co_await child) sum += *one;
  });
  auto [a, b] = co_await when_all(large(3), large(4));
  sum += a + b;
  if (auto c = co_await with_timeout(1s, large(5))) sum += *c;
  if (auto d = co_await race(attempt(6), attempt(6))) sum += *d;
  std::vector<int> items{7, 8};
  for (int each : co_await map_concurrent(items, 2, large<int>)) sum += each;
  auto all = numbers();
  while (auto n = co_await all.next()) sum += *n;
  auto one = co_await select(large(9), sleep_for(1h));
  sum += std::get<0>(one.values).value_or(0);
  co_return co_await t_number.with(1, large(sum));
}

TEST(AllocationFailure, of_any_allocation_reaches_a_task_and_leaves_nothing) {
  constexpr long k_first = 200;
  long failed = 0;
  long whole = 0;
  SimLoop sim;
  for (long n = 0; n < k_first; ++n) {
    const long blocks = detail::FramePool::live;
    sim.run([&]() -> Task<> {
      try {
        t_until_failure = n;
        const int sum = co_await everything();
        EXPECT_EQ(sum, 48);
        ++whole;
      } catch (const std::bad_alloc&) {
        ++failed;
      }
      t_until_failure = -1;
      EXPECT_EQ(co_await large(3), 3) << "the loop works on";
    });
    EXPECT_EQ(detail::FramePool::live, blocks) << "allocation " << n;
    EXPECT_EQ(sim.loop().statistics().live_tasks, 0u) << "allocation " << n;
    EXPECT_EQ(sim.loop().statistics().armed_timers, 0u) << "allocation " << n;
  }
  EXPECT_GE(failed, 15);
  EXPECT_GT(whole, 0) << "the last ones fail after the end";
}

}  // namespace
}  // namespace rondo
#endif
