// SPDX-License-Identifier: Apache-2.0
// An echo server and its clients in one program.
//
//   04_echo_server 127.0.0.1:7777     serves until Ctrl-C: nc 127.0.0.1 7777 (netcat-openbsd)
//   04_echo_server                    serves on a free port, talks to itself and ends
#include <cstdio>
#include <rondo/rondo.hpp>
#include <string>

using namespace rondo;

namespace {

/// A session is a function with locals, a loop and one exit. The stream closes when it ends.
Task<> serve(tcp::Stream peer) {
  while (auto got = co_await peer.read()) {  // A loan of the loop's buffer.
    if (got->empty()) break;                 // The peer closed its side.
    if (!co_await peer.write_all(*got)) break;
  }
}

/// Ends when a soft stop was requested and every session has ended.
Task<> accept_all(tcp::Listener& listener) {
  co_await with_scope([&](Scope& sessions) -> Task<> {
    while (auto peer = co_await listener.accept()) sessions.start(serve, std::move(*peer));
  });
}

Task<std::string> ask(net::Endpoint server, std::string line) {
  auto stream = co_await tcp::connect(server).or_throw();
  (co_await stream.write_all(line)).or_throw();
  stream.shutdown_write();  // Nothing more comes from here; the answer is still read.
  auto answer = co_await stream.read_line().or_throw();
  co_return std::string(chomp(answer.text()));
}

Task<> talk(net::Endpoint server) {
  auto [one, two] = co_await when_all(ask(server, "hello\n"), ask(server, "who is there?\n"));
  std::printf("%s\n%s\n", one.c_str(), two.c_str());
  loop().request_stop();  // As Ctrl-C would.
}

Task<int> program(std::string address) {
  const bool alone = address.empty();
  auto listener = tcp::listen({.address = alone ? "127.0.0.1:0" : address}).or_throw();
  co_await with_scope([&](Scope& scope) -> Task<> {
    if (alone) scope.start(talk, listener.local());
    else std::printf("listening on %s\n", listener.local().to_string().c_str());
    co_await accept_all(listener);
  });
  std::puts("stopped");
  co_return 0;
}

}  // namespace

int main(int count, char** words) { return run(program(count > 1 ? words[1] : "")); }
