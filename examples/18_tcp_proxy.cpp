// SPDX-License-Identifier: Apache-2.0
// A TCP proxy: every connection is carried on to a server, both ways, and counted. The end of
// one direction is passed on while the other goes on; a slow reader slows the writer, not us.
#include <cctype>
#include <cstdio>
#include <functional>
#include <rondo/rondo.hpp>
#include <string>

using namespace rondo;
using namespace rondo::literals;

namespace {

/// The server behind: answers everything in capitals once it has heard all.
Task<> shout(tcp::Stream peer) {
  std::string heard;
  while (auto piece = co_await peer.read()) {
    if (piece->empty()) break;
    heard += piece->text();
  }
  for (char& c : heard) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  (void)co_await peer.write_all(heard);
}

Task<> carry(tcp::Stream client, net::Endpoint to, Copied& total) {
  auto server = co_await with_timeout(5s, tcp::connect(to));
  if (!server) co_return;  // The client sees its connection closed.
  auto copied = co_await copy_bidirectional(client, *server);
  if (!copied) co_return;
  total.forth += copied->forth;
  total.back += copied->back;
}

Task<> serve_behind(tcp::Listener& listener, Scope& sessions) {
  while (auto peer = co_await listener.accept()) sessions.start(shout, std::move(*peer));
}

Task<> serve_proxy(tcp::Listener& listener, net::Endpoint to, Copied& total) {
  co_await with_scope([&](Scope& carried) -> Task<> {
    while (auto peer = co_await listener.accept()) {
      carried.start(carry, std::move(*peer), to, std::ref(total));
    }
  });
}

Task<int> program() {
  auto behind = tcp::listen({.address = "127.0.0.1:0"}).or_throw();
  auto front = tcp::listen({.address = "127.0.0.1:0"}).or_throw();
  Copied total;
  co_await with_scope([&](Scope& scope) -> Task<> {
    scope.start(serve_behind, std::ref(behind), std::ref(scope));
    scope.start(serve_proxy, std::ref(front), behind.local(), std::ref(total));
    auto client = co_await tcp::connect(front.local()).or_throw();
    (co_await client.write_all("hello through the proxy\n")).or_throw();
    client.shutdown_write();
    auto answer = co_await client.read_line().or_throw();
    std::printf("%s", std::string(answer.text()).c_str());
    // The proxy has passed on the end of the answer only when it has counted all of it.
    if (!(co_await client.read().or_throw()).empty()) std::printf("there was more\n");
    scope.cancel({"the example is over"});
  });
  std::printf("%llu bytes up, %llu down\n", static_cast<unsigned long long>(total.forth),
              static_cast<unsigned long long>(total.back));
  co_return 0;
}

}  // namespace

int main() { return run(program()); }
