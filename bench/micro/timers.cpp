// SPDX-License-Identifier: Apache-2.0
// W7: timers.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "measure.hpp"
#include "rondo/core/loop.hpp"
#include "rondo/core/sleep.hpp"

namespace bench {
namespace {

using namespace rondo;
using namespace rondo::literals;

Task<> arm_and_cancel(std::size_t outstanding, long rounds) {
  std::uint32_t random = 1;
  auto delay = [&random] {
    random = random * 1'664'525U + 1'013'904'223U;
    return 60s + std::chrono::microseconds(random >> 4);
  };
  const TimePoint base = now();
  std::vector<CallbackHandle> armed;
  armed.reserve(outstanding);
  for (std::size_t i = 0; i < outstanding; ++i) {
    armed.push_back(loop().call_at(base + delay(), [] {}));
  }
  const Stopwatch watch;
  for (long i = 0; i < rounds; ++i) {
    CallbackHandle handle = loop().call_at(base + delay(), [] {});
    handle.cancel();
  }
  put("timer arm+cancel, 1e6 outstanding", watch.ns_per(static_cast<double>(rounds)));
  for (CallbackHandle& handle : armed) handle.cancel();
  co_return;
}

Task<> sleeps(std::size_t rounds, std::string how) {
  std::vector<double> over;
  for (std::size_t i = 0; i < rounds; ++i) {
    const double start = now_ns();
    co_await sleep_for(1ms);
    over.push_back((now_ns() - start - 1e6) / 1e3);
  }
  std::sort(over.begin(), over.end());
  put(("sleep 1 ms" + how + ": overshoot p50").c_str(), over[over.size() / 2], "us");
  put(("sleep 1 ms" + how + ": overshoot p99").c_str(), over[over.size() * 99 / 100], "us");
}

}  // namespace

Task<> timers() {
  co_await sleeps(500, "");
  co_await arm_and_cancel(1'000'000, 1'000'000);
}

int precise_timers() {
  LoopOptions options;
  options.spin = 50us;
  Loop at(std::move(options));
  const Stopwatch watch;
  const bool ok = at.run(sleeps(500, ", spin 50 us")).has_value();
  put("sleep 1 ms, spin 50 us: CPU", watch.cpu_us_per(500), "us");
  return ok ? 0 : 1;
}

}  // namespace bench
