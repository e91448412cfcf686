// SPDX-License-Identifier: Apache-2.0
// Scopes own tasks. What the world does is a value; a bug or a giving-up is an exception, which
// cancels the siblings and arrives where the scope was awaited.
#include <cstdio>
#include <rondo/rondo.hpp>
#include <stdexcept>

using namespace rondo;
using namespace rondo::literals;

namespace {

Task<int> load(int n) {
  co_await sleep_for(n * 5ms);
  co_return n * 100;
}

/// Errors are values: or_return() ends this function with the error, or_throw() would throw it.
Task<Result<std::uint16_t>> port_of(std::string_view text) {
  auto parsed = net::parse_host_port(text);
  if (!parsed) co_return parsed.error();
  co_return parsed->port;
}
Task<Result<int>> twice_the_port(std::string_view text) {
  const int port = co_await port_of(text).or_return();
  co_return 2 * port;
}

Task<> wait_long(const char* name) {
  struct Told {
    const char* name;
    ~Told() { std::printf("%s: cancelled\n", name); }
  } told{name};
  co_await sleep_for(1h);
}
Task<> fail() {
  co_await sleep_for(5ms);
  throw std::runtime_error("the third child gave up");
}

Task<int> scopes() {
  // A scope is not left before its last child has ended. A handle joins one child.
  co_await with_scope([](Scope& scope) -> Task<> {
    auto one = scope.start(load, 1);
    auto two = scope.start(load, 2);
    const int sum = (co_await one).or_throw() + (co_await two).or_throw();
    std::printf("joined: %d\n", sum);
  });

  for (const char* text : {"localhost:80", "localhost"}) {
    auto port = co_await twice_the_port(text);
    if (port) std::printf("%s: %d\n", text, *port);
    else std::printf("%s: %s\n", text, describe(port.error().code()).c_str());
  }

  try {
    co_await with_scope([](Scope& scope) -> Task<> {
      scope.start(wait_long, "first child");
      scope.start(wait_long, "second child");
      scope.start(fail);
      co_await sleep_for(1h);
    });
  } catch (const std::exception& error) {
    std::printf("caught behind the scope: %s\n", error.what());
  }
  co_return 0;
}

}  // namespace

int main() { return run(scopes()); }
