// SPDX-License-Identifier: Apache-2.0
// Channels: bounded queues between tasks. What happens when one is full is part of construction.
#include <cstdio>
#include <rondo/rondo.hpp>

using namespace rondo;
using namespace rondo::literals;

namespace {

Task<> produce(Channel<int>& numbers, int count) {
  for (int n = 1; n <= count; ++n) {
    if (!co_await numbers.send(n)) co_return;  // Somebody closed it.
  }
  numbers.close();  // What is in it can still be received.
}

Task<int> sum(Channel<int>& numbers) {
  int total = 0;
  while (auto n = co_await numbers.receive()) {  // Empty once it is closed and drained.
    total += *n;
    co_await sleep_for(1ms);  // A slow receiver: the producer waits for it.
  }
  co_return total;
}

/// Sends five numbers to a channel that nobody reads, then tells what became of them.
Task<> fill(const char* name, OnFull on_full) {
  Channel<int> channel(3, on_full);
  int refused = 0;
  for (int n = 1; n <= 5; ++n) {
    if (!co_await channel.send(n)) ++refused;
  }
  channel.close();
  std::printf("%s:", name);
  while (auto n = co_await channel.receive()) std::printf(" %d", *n);
  std::printf(" (%d refused)\n", refused);
}

Task<int> channels() {
  Channel<int> numbers(2);  // OnFull::wait: back-pressure.
  auto [done, total] = co_await when_all(produce(numbers, 10), sum(numbers));
  std::printf("sum: %d\n", total);

  co_await fill("reject", OnFull::reject);
  co_await fill("drop_oldest", OnFull::drop_oldest);
  co_await fill("drop_newest", OnFull::drop_newest);
  co_await fill("close", OnFull::close);  // A reader that slow is given up.
  co_return 0;
}

}  // namespace

int main() { return run(channels()); }
