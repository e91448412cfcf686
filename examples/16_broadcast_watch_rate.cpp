// SPDX-License-Identifier: Apache-2.0
// A feed at a limited rate: every reader sees every trade or is told what it missed, and a watch
// holds the last price for those who want nothing else.
#include <cstdio>
#include <rondo/rondo.hpp>

using namespace rondo;
using namespace rondo::literals;

namespace {

struct Trade {
  int number = 0;
  double price = 0;
};

struct Market {
  Broadcast<Trade> trades{4, OnLag::report};
  Watch<double> last_price{0.0};
};

/// Ten trades, at most one each millisecond after the first two.
Task<> trade(Market& market) {
  RateLimiter pace({.tokens = 1, .per = 1ms, .burst = 2});
  for (int n = 1; n <= 10; ++n) {
    co_await pace.acquire();
    const Trade done{.number = n, .price = 100 + n * 0.5};
    market.last_price.set(done.price);
    (co_await market.trades.send(done)).or_throw();
  }
  std::printf("paced: %d tokens\n", static_cast<int>(pace.statistics().acquired));
  market.trades.close();
  market.last_price.close();
}

/// Keeps up, so it sees all ten.
Task<int> count(Market& market) {
  auto mine = market.trades.subscribe();
  int seen = 0;
  while (co_await mine.receive()) ++seen;
  co_return seen;
}

/// Looks only when all is over: of ten trades the last four are left.
Task<> look_late(Market& market, Event& over) {
  auto mine = market.trades.subscribe();
  co_await over.wait();
  while (auto got = co_await mine.receive()) {
    if (got.lagged > 0) std::printf("late: missed %d\n", static_cast<int>(got.lagged));
    std::printf("late: trade %d at %.1f\n", got->number, got->price);
  }
}

/// Wants the newest price only; whatever it skips, the last one it sees is the last one set.
Task<double> last(Market& market) {
  auto reader = market.last_price.subscribe();
  double price = 0;
  while (const double* now = co_await reader.changed()) price = *now;
  co_return price;
}

Task<int> run_market() {
  Market market;
  Event over;
  co_await with_scope([&](Scope& scope) -> Task<> {
    scope.start(look_late, std::ref(market), std::ref(over));
    auto [seen, price, done] = co_await when_all(count(market), last(market), trade(market));
    std::printf("seen: %d, last price %.1f\n", seen, price);
    over.set();
  });
  co_return 0;
}

}  // namespace

int main() { return run(run_market()); }
