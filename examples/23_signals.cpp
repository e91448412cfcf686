// SPDX-License-Identifier: Apache-2.0
// Signals as a stream: SIGHUP reloads, SIGUSR1 reports, and SIGTERM is the graceful stop that
// rondo::run makes of it, seen by a set of its own as well.
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <rondo/rondo.hpp>

using namespace rondo;
using process::SignalSet;

namespace {

Task<> watch(SignalSet& signals, Event& reloaded) {
  while (auto signal = co_await signals.next()) {
    if (*signal == SIGHUP) {
      std::puts("SIGHUP: reading the configuration again");
      reloaded.set();
    } else {
      std::puts("SIGUSR1: all is well");
    }
  }
}

Task<int> program() {
  SignalSet signals{SIGHUP, SIGUSR1};
  SignalSet terminate{SIGTERM};
  co_await with_scope([&](Scope& scope) -> Task<> {
    Event reloaded;
    scope.start(watch, std::ref(signals), std::ref(reloaded));
    // A child process asks us to reload, as an operator would.
    auto asks = co_await process::run_process(
        process::shell("kill -HUP \"$1\"", {std::to_string(::getpid())}));
    co_await reloaded.wait();
    std::printf("the child said %s\n", asks.or_throw().describe().c_str());
    ::raise(SIGTERM);
    std::printf("signal %d\n", co_await terminate.next().or_throw());
    co_await until_stop_requested();
    std::puts("and run() has asked everybody to stop");
    scope.cancel();
  });
  co_return 0;
}

}  // namespace

int main() { return run(program()); }
