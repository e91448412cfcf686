// SPDX-License-Identifier: Apache-2.0
// Unix sockets: the same streams between processes of one machine, here within one.
// A name that begins with @ is in the abstract namespace: no file is left behind.
#include <unistd.h>

#include <cctype>
#include <cstdio>
#include <functional>
#include <rondo/rondo.hpp>
#include <string>

using namespace rondo;

namespace {

Task<> shout(unix_stream::Stream peer) {
  while (auto line = co_await peer.read_line()) {
    if (line->empty()) break;
    std::string answer(line->text());
    for (char& c : answer) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    if (!co_await peer.write_all(answer)) break;
  }
}

Task<int> program() {
  const std::string name = "@rondo-example-" + std::to_string(getpid());
  auto listener = unix_stream::listen({.path = name}).or_throw();
  co_await with_scope([&](Scope& scope) -> Task<> {
    scope.start([](unix_stream::Listener& from, Scope& sessions) -> Task<> {
      while (auto peer = co_await from.accept()) sessions.start(shout, std::move(*peer));
    }, std::ref(listener), std::ref(scope));

    auto stream = co_await unix_stream::connect(name).or_throw();
    for (const char* line : {"hello\n", "is anybody there?\n"}) {
      (co_await stream.write_all(std::string_view(line))).or_throw();
      auto answer = co_await stream.read_line().or_throw();
      std::printf("%s\n", std::string(chomp(answer.text())).c_str());
    }
    scope.cancel({"the example is over"});  // The listener and the session end where they wait.
  });

  auto nobody = co_await unix_stream::connect("/nowhere/at-all.sock");
  std::printf("%s\n", nobody.error().message().c_str());
  co_return 0;
}

}  // namespace

int main() { return run(program()); }
