// SPDX-License-Identifier: Apache-2.0
// Simulated time: a test of an hour that takes no time, exact to the nanosecond, over a network
// that behaves as badly as one likes. Users test with it as the library itself does.
#include <cstdio>
#include <rondo/rondo.hpp>
#include <rondo/testing/sim_loop.hpp>

using namespace rondo;
using namespace rondo::literals;
using rondo::testing::SimLoop;

namespace {

/// The program under test knows nothing of simulations.
Task<Result<int>> ask_with_retries(net::Endpoint server, int attempts) {
  for (int n = 1; n <= attempts; ++n) {
    auto stream = co_await with_timeout(5s, tcp::connect(server));
    if (stream) co_return n;
    co_await sleep_for(n * 10min);
  }
  co_return Error(Errc::timed_out, "ask");
}

Task<> open_later(Duration wait, std::uint16_t port) {
  co_await sleep_for(wait);
  auto listener = tcp::listen({.address = "127.0.0.1:" + std::to_string(port)}).or_throw();
  auto peer = co_await listener.accept();
}

}  // namespace

int main() {
  SimLoop sim({.seed = 42});

  sim.run([]() -> Task<> {
    for (int i = 0; i < 10; ++i) co_await sleep_for(50ms);
  });
  std::printf("ten sleeps of 50 ms end at exactly %lld ns\n",
              static_cast<long long>(sim.now().count()));

  sim.run([]() -> Task<> {
    co_await with_scope([](Scope& scope) -> Task<> {
      scope.start(open_later, 45min, std::uint16_t{80});
      auto attempts = co_await ask_with_retries(net::Endpoint::parse("127.0.0.1:80").or_throw(), 5);
      std::printf("connected at attempt %d\n", attempts.or_throw());
    });
  });
  const auto minutes = std::chrono::duration_cast<std::chrono::minutes>(sim.now());
  std::printf("after %lld simulated minutes\n", static_cast<long long>(minutes.count()));
}
