// SPDX-License-Identifier: Apache-2.0
// "Checking for input, checking for output ...": one thread takes the inputs in the order in
// which they come, hands the slow part of each away, and answers in the order in which the slow
// parts end. The picture of an event loop with its three queues, from a real run.
#include <chrono>
#include <cstdio>
#include <rondo/rondo.hpp>
#include <thread>

using namespace rondo;
using namespace rondo::literals;

namespace {

/// What processing an input may be: the disk, a database, a long computation. Blocks its thread.
int process(int input, Duration time) {
  std::this_thread::sleep_for(time);
  return input * 10;
}

Task<> answer(int input, Duration time) {
  std::printf("took I%d, handed it to a worker\n", input);
  const int output = co_await run_blocking([=] { return process(input, time); }).or_throw();
  std::printf("answered I%d with %d\n", input, output);  // On the loop's thread again.
}

Task<int> program() {
  Channel<int> inputs(8);
  for (int input : {1, 2, 3}) inputs.try_send(input);
  inputs.close();

  co_await with_scope([&](Scope& scope) -> Task<> {
    // I1 takes longest, I2 is the quickest.
    const Duration times[] = {0ms, 600ms, 50ms, 300ms};
    while (auto input = co_await inputs.receive()) {
      std::puts("checking for input");
      scope.start(answer, *input, times[*input]);
      co_await checkpoint();  // One turn for what was started.
    }
    std::puts("no more input, checking for output");
  });
  std::puts("every input is answered");
  co_return 0;
}

}  // namespace

int main() { return run(program()); }
