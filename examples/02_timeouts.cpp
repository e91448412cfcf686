// SPDX-License-Identifier: Apache-2.0
// Time-outs: brackets with a duration around one call, or around a stretch of code.
#include <cstdio>
#include <rondo/rondo.hpp>

using namespace rondo;
using namespace rondo::literals;

namespace {

struct Told {
  const char* name;
  // A cancelled task is not thrown out of: it ends where it waits, and its destructors run.
  ~Told() { std::printf("%s: cleaned up\n", name); }
};

Task<int> answer(Duration time) {
  Told told{"answer"};
  co_await sleep_for(time);
  co_return 42;
}

Task<> tick(const char* name) {
  Told told{name};
  while (true) co_await sleep_for(1ms);
}

Task<int> timeouts() {
  // A time-out is a value. An int becomes a Result<int>.
  if (auto n = co_await with_timeout(10s, answer(1ms))) std::printf("in time: %d\n", *n);

  auto late = co_await with_timeout(10ms, answer(1h));
  std::printf("too late: %s\n", late.error().message().c_str());

  // move_on_after bounds everything inside it, the children's children too.
  auto end = co_await move_on_after(20ms, [](Scope& scope) -> Task<> {
    scope.start(tick, "first child");
    scope.start(tick, "second child");
    co_await sleep_for(1h);
  });
  std::printf("moved on: %s\n", end.cancelled ? end.reason.text : "everything had ended");

  // What must not be cut in half is shielded: the time-out strikes behind it.
  auto half = co_await with_timeout(1ms, []() -> Task<> {
    co_await shield(answer(20ms));
    std::puts("the shielded part has ended");
    co_await checkpoint();
    std::puts("never printed");
  }());
  std::printf("then: %s\n", half ? "in time" : describe(half.error().code()).c_str());
  co_return 0;
}

}  // namespace

int main() { return run(timeouts()); }
