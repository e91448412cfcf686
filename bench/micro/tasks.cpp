// SPDX-License-Identifier: Apache-2.0
// W7: tasks and callbacks on one loop.
#include "measure.hpp"
#include "rondo/core/loop.hpp"
#include "rondo/core/scope.hpp"
#include "rondo/core/sleep.hpp"

namespace bench {
namespace {

using namespace rondo;

[[gnu::noinline]] Task<int> child(int value) { co_return value; }

Task<> call_and_await(long rounds, long& sum) {
  const Stopwatch watch;
  for (long i = 0; i < rounds; ++i) sum += co_await child(static_cast<int>(i));
  put("call+await", watch.ns_per(static_cast<double>(rounds)));
}

Task<> start_and_join(long rounds, long& sum) {
  const Stopwatch watch;
  co_await with_scope([&](Scope& scope) -> Task<> {
    for (long i = 0; i < rounds; ++i) {
      auto handle = scope.start(child, static_cast<int>(i));
      sum += *co_await handle;
    }
  });
  put("spawn+await", watch.ns_per(static_cast<double>(rounds)));
}

struct Repost {
  Loop* loop;
  long* left;
  void operator()() const {
    if (--*left > 0) loop->call_soon(*this);
  }
};

Task<> call_soon_and_run(long rounds) {
  long left = rounds;
  const Stopwatch watch;
  loop().call_soon(Repost{&loop(), &left});
  while (left > 0) co_await checkpoint();
  // Each turn of this task runs one callback and one checkpoint: two entries of the queue.
  put("post+run", watch.ns_per(static_cast<double>(2 * rounds)));
}

}  // namespace

Task<> tasks() {
  long sum = 0;
  co_await call_and_await(5'000'000, sum);
  co_await start_and_join(2'000'000, sum);
  co_await call_soon_and_run(2'000'000);
  if (sum == 42) put("", 0);  // The sum is used: nothing of the above may be left out.
}

}  // namespace bench
