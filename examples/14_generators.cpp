// SPDX-License-Identifier: Apache-2.0
// A pipeline of generators: each stage asks the one before it for the next value, awaits in
// between, and ends with whoever consumes it.
#include <cstdio>
#include <rondo/rondo.hpp>
#include <string>

using namespace rondo;
using namespace rondo::literals;

namespace {

/// Readings that arrive one after the other.
AsyncGenerator<int> readings() {
  for (int value : {3, 8, 1, 9, 4, 7}) {
    co_await sleep_for(1ms);
    co_yield value;
  }
}

AsyncGenerator<int> at_least(int limit, AsyncGenerator<int> from) {
  while (auto value = co_await from.next()) {
    if (*value >= limit) co_yield *value;
  }
}

AsyncGenerator<std::string> numbered(AsyncGenerator<int> from) {
  int n = 0;
  while (auto value = co_await from.next()) {
    co_yield "alarm " + std::to_string(++n) + ": " + std::to_string(*value);
  }
}

/// Without awaits: a plain range.
Generator<int> powers_of_two() {
  for (int n = 1;; n *= 2) co_yield n;
}

Task<int> program() {
  auto alarms = numbered(at_least(5, readings()));
  while (auto line = co_await alarms.next()) std::puts(line->c_str());

  auto first = at_least(5, readings());
  std::printf("the first one alone: %d\n", *co_await first.next());  // The rest is never read.

  for (int n : powers_of_two()) {
    if (n > 100) break;
    std::printf("%d ", n);
  }
  std::puts("");
  co_return 0;
}

}  // namespace

int main() { return run(program()); }
