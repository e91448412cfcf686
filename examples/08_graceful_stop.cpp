// SPDX-License-Identifier: Apache-2.0
// A graceful stop: run() turns SIGINT and SIGTERM into a soft stop. Listeners stop accepting,
// work in progress ends, and what takes too long is cancelled after the grace.
#include <csignal>
#include <cstdio>
#include <rondo/rondo.hpp>

using namespace rondo;
using namespace rondo::literals;

namespace {

/// Work that asks: it ends its piece and leaves.
Task<> polite() {
  while (!stop_requested()) co_await sleep_for(5ms);
  co_await sleep_for(20ms);
  std::puts("polite: finished what it had begun");
}

/// Work that does not ask is cancelled when the grace is over; its clean-up may await.
Task<> stubborn() {
  co_await finally(sleep_for(1h), []() -> Task<> {
    co_await sleep_for(1ms);
    std::puts("stubborn: cancelled, said goodbye");
  });
}

Task<> accept_all() {
  auto listener = tcp::listen({.address = "127.0.0.1:0"}).or_throw();
  auto peer = co_await listener.accept();  // Nobody comes.
  std::printf("listener: %s\n", describe(peer.error().code()).c_str());
}

Task<int> program() {
  loop().call_later(20ms, [] { std::raise(SIGTERM); });  // As `kill` would.
  co_await with_scope([](Scope& scope) -> Task<> {
    scope.start(polite);
    scope.start(stubborn);
    scope.start(accept_all);
    co_return;
  });
  co_return 0;
}

}  // namespace

int main() {
  const int status = run(program(), {.grace = 500ms});
  std::printf("exit status %d\n", status);
  return status;
}
