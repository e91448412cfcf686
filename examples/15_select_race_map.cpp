// SPDX-License-Identifier: Apache-2.0
// Several things at once: map_concurrent (all, at most n at a time), race (the first success) and
// select (exactly one of several channels and time).
#include <cstdio>
#include <rondo/rondo.hpp>
#include <string>
#include <vector>

using namespace rondo;
using namespace rondo::literals;

namespace {

Task<std::string> fetch(int page) {
  co_await sleep_for((10 - page) * 1ms);  // The last one answers first.
  co_return "page " + std::to_string(page);
}

Task<Result<std::string>> ask(std::string mirror, Duration delay, bool works) {
  co_await sleep_for(delay);
  if (!works) co_return Error(Errc::closed, "ask");
  co_return mirror;
}

Task<> serve(Channel<std::string>& orders, Channel<int>& cancels) {
  for (;;) {
    auto one = co_await select(orders.receive(), cancels.receive(), sleep_for(50ms));
    if (one.index == 2) break;
    if (one.index == 0)
      std::printf("order: %s\n", (*std::get<0>(one.values))->c_str());
    else
      std::printf("cancel: %d\n", **std::get<1>(one.values));
  }
  std::puts("nothing for 50 ms");
}

Task<int> program() {
  std::vector<int> pages{1, 2, 3, 4, 5};
  for (const std::string& page : co_await map_concurrent(pages, 3, fetch)) std::puts(page.c_str());

  auto best = co_await race(ask("down", 1ms, false), ask("near", 5ms, true), ask("far", 1h, true));
  std::printf("answered by %s\n", best ? best->c_str() : "nobody");

  Channel<std::string> orders{4};
  Channel<int> cancels{4};
  co_await with_scope([&](Scope& scope) -> Task<> {
    scope.start(serve, std::ref(orders), std::ref(cancels));
    (void)co_await orders.send("tea");
    co_await sleep_for(1ms);
    (void)co_await cancels.send(7);
    co_await sleep_for(1ms);
    (void)co_await orders.send("coffee");
  });
  co_return 0;
}

}  // namespace

int main() { return run(program()); }
