// SPDX-License-Identifier: Apache-2.0
// Calls that block go to other threads: the loop goes on, and their results come back to it.
#include <chrono>
#include <cstdio>
#include <rondo/rondo.hpp>
#include <stdexcept>
#include <thread>

using namespace rondo;
using namespace rondo::literals;

namespace {

int slow_call(int n) {
  std::this_thread::sleep_for(50ms);  // On the loop this would stop everybody.
  return n * n;
}

Task<int> count_ticks(const Event& done) {
  int ticks = 0;
  for (; !done.is_set(); ++ticks) co_await sleep_for(5ms);
  co_return ticks;
}

Task<int> offload() {
  Event done;
  auto [ticks, sum] = co_await when_all(count_ticks(done), [](Event& ended) -> Task<int> {
    // Two threads of the loop's pool, at the same time.
    auto [a, b] = co_await when_all(run_blocking([] { return slow_call(3); }),
                                    run_blocking([] { return slow_call(4); }));
    ended.set();
    co_return *a + *b;
  }(done));
  std::printf("3 * 3 + 4 * 4 = %d\n", sum);
  std::printf("the loop went on meanwhile: %s\n", ticks > 1 ? "yes" : "no");

  // An exception of the function arrives at the await.
  try {
    (void)co_await run_blocking([] { throw std::runtime_error("the disk is on fire"); });
  } catch (const std::exception& error) {
    std::printf("caught: %s\n", error.what());
  }

  // Another thread of your own hands its result over with a promise.
  auto [promise, future] = make_promise<int>();
  std::jthread thread([p = std::move(promise)]() mutable { p.set(slow_call(5)); });
  std::printf("from a thread: %d\n", (co_await future).or_throw());
  co_return 0;
}

}  // namespace

int main() { return run(offload()); }
