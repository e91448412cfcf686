// SPDX-License-Identifier: Apache-2.0
// Two loops, each on its thread: a port that both serve, and tasks sent from one to the other.
#include <cstdio>
#include <rondo/rondo.hpp>
#include <string>

using namespace rondo;
using namespace rondo::literals;

namespace {

/// Answers with the number of the loop it is on. Nothing in it knows of the other loop.
Task<> serve(tcp::Listener listener) {
  const std::string answer = loops()[0].is_current() ? "loop 0\n" : "loop 1\n";
  co_await with_scope([&](Scope& sessions) -> Task<> {
    while (auto peer = co_await listener.accept()) {
      sessions.start(
          [](tcp::Stream stream, std::string text) -> Task<> {
            if (co_await stream.read_line()) (void)co_await stream.write_all(text);
          },
          std::move(*peer), answer);
    }
  });
}

/// The same port on another loop: the kernel spreads connections over the listeners.
Task<> share(net::Endpoint where) {
  co_await serve(tcp::listen({.address = where.to_string(), .reuse_port = true}).or_throw());
}

Task<int> ask(net::Endpoint where, int times) {
  int answered = 0;
  for (int i = 0; i < times; ++i) {
    auto peer = co_await tcp::connect(where).or_throw();
    (co_await peer.write_all("who?\n")).or_throw();
    answered += (co_await peer.read_line().or_throw()).text().starts_with("loop ");
  }
  co_return answered;
}

Task<int> program() {
  // A task on the other loop; its value comes back, and so would its exception.
  const int sum = co_await on(
                      loops()[1],
                      [](int a, int b) -> Task<int> {
                        co_await sleep_for(1ms);
                        co_return a + b;
                      },
                      3, 4)
                      .or_throw();
  std::printf("3 + 4 on loop 1: %d\n", sum);

  // A deadline here ends a task there, and waits until it has ended.
  const auto late =
      co_await with_timeout(5ms, on(loops()[1], []() -> Task<> { co_await sleep_for(1h); }));
  std::printf("an hour on loop 1: %s\n", describe(late.error().code()).c_str());

  // The first listener takes a free port, the other loop's shares it.
  auto first = tcp::listen({.address = "127.0.0.1:0", .reuse_port = true}).or_throw();
  const net::Endpoint where = first.local();
  co_await with_scope([&](Scope& scope) -> Task<> {
    scope.start(serve, std::move(first));
    scope.start_on(loops()[1], share, where);
    std::printf("answered: %d of 20\n", co_await ask(where, 20));
    loop().request_stop();  // Reaches both loops: their listeners end, then the scope.
  });
  co_return 0;
}

}  // namespace

int main() { return run(program(), {.loops = 2}); }
