// SPDX-License-Identifier: Apache-2.0
// UDP: a server that sends every datagram back, and a client of it, in one program.
// A datagram may be lost on the way: whoever needs the answer asks again.
#include <array>
#include <cstdio>
#include <functional>
#include <rondo/rondo.hpp>

using namespace rondo;
using namespace rondo::literals;

namespace {

Task<> echo(udp::Socket& socket) {
  std::array<std::byte, 1'500> buffer;
  while (auto got = co_await socket.receive_from(buffer)) {
    (void)co_await socket.send_to(ByteView(buffer).first(got->size), got->from);
  }
}

/// Asks up to three times.
Task<Result<udp::Datagram>> ask(udp::Socket& server, std::string_view question) {
  for (int tries = 0; tries < 3; ++tries) {
    co_await server.send(question).or_return();
    auto answer = co_await with_timeout(1s, server.receive_from());
    if (answer || answer.error() != Errc::timed_out) co_return answer;
  }
  co_return Error(Errc::timed_out, "ask");
}

Task<int> program() {
  auto socket = udp::Socket::bind({.address = "127.0.0.1:0"}).or_throw();
  auto client = udp::Socket::connect(socket.local().or_throw()).or_throw();
  co_await with_scope([&](Scope& scope) -> Task<> {
    scope.start(echo, std::ref(socket));
    for (const char* word : {"ping", "", "a longer question"}) {
      auto answer = co_await ask(client, word).or_throw();
      std::printf("%zu bytes: \"%.*s\"\n", answer.data.size(),
                  static_cast<int>(answer.data.size()), answer.data.text().data());
    }
    scope.cancel({"all was answered"});
  });
  co_return 0;
}

}  // namespace

int main() { return run(program()); }
