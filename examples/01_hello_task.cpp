// SPDX-License-Identifier: Apache-2.0
// Tasks: lazy coroutines that await each other, one after the other or together.
#include <cstdio>
#include <rondo/rondo.hpp>

using namespace rondo;
using namespace rondo::literals;

namespace {

/// A Task does nothing until it is awaited; then it runs until its result is there.
Task<int> slow_square(int n, Duration time) {
  co_await sleep_for(time);  // The loop runs others meanwhile.
  std::printf("%d squared\n", n);
  co_return n * n;
}

Task<int> hello() {
  std::puts("one after the other:");
  const int a = co_await slow_square(2, 20ms);
  const int b = co_await slow_square(3, 10ms);
  std::printf("%d + %d = %d\n", a, b, a + b);

  std::puts("together, the shorter wait ends first:");
  auto [c, d] = co_await when_all(slow_square(4, 40ms), slow_square(5, 10ms));
  std::printf("%d + %d = %d\n", c, d, c + d);

  std::puts("a race, the loser is cancelled where it waits:");
  auto first = co_await when_any(slow_square(6, 10ms), slow_square(7, 10s));
  std::printf("the winner is number %zu\n", first.index);
  co_return 0;  // The exit status.
}

}  // namespace

int main() { return run(hello()); }
