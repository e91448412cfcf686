// SPDX-License-Identifier: Apache-2.0
// Heavy computations go to run_cpu: one thread per CPU for the whole process. A function that
// takes a CancelToken can end early when nobody waits for its result any more.
#include <cstdio>
#include <rondo/rondo.hpp>

using namespace rondo;
using namespace rondo::literals;

namespace {

/// Primes below `end`; gives up at a request and says how far it came.
struct Count {
  long primes = 0;
  long looked_at = 0;
};

Count count_primes(long end, CancelToken stop) {
  Count count;
  for (long n = 2; n < end && !stop.requested(); ++n, ++count.looked_at) {
    long divisor = 2;
    while (divisor * divisor <= n && n % divisor != 0) ++divisor;
    count.primes += divisor * divisor > n;
  }
  return count;
}

Task<long> primes_below(long end) {
  const Count count =
      (co_await run_cpu([end](CancelToken stop) { return count_primes(end, stop); })).or_throw();
  co_return count.primes;
}

Task<int> compute() {
  // Two at a time, if there are two CPUs; the loop is free meanwhile.
  auto [small, large] = co_await when_all(primes_below(1'000), primes_below(100'000));
  std::printf("primes below 1000: %ld, below 100000: %ld\n", small, large);

  // A deadline asks the function to stop, waits for it, and delivers what it returned: the loop
  // never goes on while a thread still works for it. One that has not begun is taken back.
  const auto cut = co_await with_timeout(20ms, run_cpu([](CancelToken stop) {
                                           return count_primes(1'000'000'000'000, stop).looked_at;
                                         }));
  const bool ended = cut ? *cut < 1'000'000'000'000 : cut.error() == Errc::timed_out;
  std::printf("an endless count ended by its deadline: %s\n", ended ? "yes" : "no");

  // Nobody waits for an abandoned one; it owns what it uses and ends by its token.
  const auto left = co_await with_timeout(
      20ms, run_cpu([](CancelToken stop) { return count_primes(1'000'000'000'000, stop).primes; },
                    {.abandon = true}));
  std::printf("an abandoned one: %s\n",
              left ? "has a value" : describe(left.error().code()).c_str());

  const WorkerStatistics now = cpu_statistics();
  std::printf("finished: %s, refused: %llu\n", now.finished >= 2 ? "2 or more" : "too few",
              static_cast<unsigned long long>(now.rejected));
  co_return 0;
}

}  // namespace

int main() { return run(compute()); }
