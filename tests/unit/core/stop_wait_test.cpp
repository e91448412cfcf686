// SPDX-License-Identifier: Apache-2.0
// Waiting for the soft stop, and the shortcuts of handles that are awaited where they stand.
#include <gtest/gtest.h>

#include <chrono>
#include <utility>

#include "rondo/core/cancel.hpp"
#include "rondo/core/future.hpp"
#include "rondo/core/scope.hpp"
#include "rondo/core/sleep.hpp"

namespace rondo {
namespace {

using namespace std::chrono_literals;

Task<> count_the_stop(int* woken) {
  co_await until_stop_requested();
  EXPECT_TRUE(stop_requested());
  ++*woken;
}

Task<int> two_wait_then_one_comes_late() {
  int woken = 0;
  co_await with_scope([&](Scope& scope) -> Task<> {
    scope.start(count_the_stop, &woken);
    scope.start(count_the_stop, &woken);
    co_await checkpoint();
    co_await checkpoint();
    EXPECT_EQ(woken, 0);
    Loop::current().request_stop();
  });
  co_await count_the_stop(&woken);
  co_return woken;
}

TEST(UntilStopRequested, WakesEveryWaiterAndIsReadyAfterwards) {
  Loop loop;
  EXPECT_EQ(loop.run(two_wait_then_one_comes_late()).or_throw(), 3);
}

Task<bool> waits_a_moment() {
  auto waited = co_await with_timeout(1ms, until_stop_requested());
  Loop::current().request_stop();
  co_await until_stop_requested();
  co_return waited.error().code() == Errc::timed_out;
}

TEST(UntilStopRequested, ACancelledWaitLeavesNothingForTheStop) {
  Loop loop;
  EXPECT_TRUE(loop.run(waits_a_moment()).or_throw());
}

Task<int> seven() { co_return 7; }

Task<int> awaits_lvalues() {
  auto pair = make_promise<int>();
  pair.promise.set(5);
  const int from_future = co_await pair.future.or_throw();
  int from_handle = 0;
  co_await with_scope([&](Scope& scope) -> Task<> {
    auto handle = scope.start(seven);
    from_handle = co_await handle.or_throw();
  });
  co_return from_future * 10 + from_handle;
}

TEST(HandleShortcuts, OrThrowTakesAnLvalue) {
  Loop loop;
  EXPECT_EQ(loop.run(awaits_lvalues()).or_throw(), 57);
}

Task<Result<int>> returns_the_error() {
  auto pair = make_promise<int>();
  { auto dies_unset = std::move(pair.promise); }
  const int never = co_await pair.future.or_return();
  co_return never;
}

TEST(HandleShortcuts, OrReturnTakesAnLvalue) {
  Loop loop;
  EXPECT_EQ(loop.run(returns_the_error()).error().code(), Errc::abandoned);
}

}  // namespace
}  // namespace rondo
