// SPDX-License-Identifier: Apache-2.0
// A WebSocket server: every message comes back to its sender.
//
//   11_ws_echo 127.0.0.1:8080     serves ws://127.0.0.1:8080/ws until Ctrl-C
//   11_ws_echo                    serves on a free port, talks to itself and ends
#include <cstdio>
#include <string>

#include "rondo/core/loop.hpp"
#include "rondo/core/scope.hpp"
#include "rondo/http/client.hpp"
#include "rondo/http/server.hpp"
#include "rondo/net/tcp.hpp"
#include "rondo/ws/socket.hpp"

using namespace rondo;

namespace {

Task<> echo(http::Request& request, http::Response& response) {
  auto socket = co_await ws::accept(request, response, {.message_max = 64 * 1024, .deflate = true});
  if (!socket) co_return;  // Refused; the answer is sent already.
  while (auto message = co_await socket->receive()) {
    if (!co_await socket->send(*message)) break;
  }
}

Task<> talk(net::Endpoint server) {
  http::Client client;
  auto socket = (co_await ws::connect(client, "ws://" + server.to_string() + "/ws")).or_throw();
  (co_await socket.send_text("Hello, ring!")).or_throw();
  std::printf("%s\n", std::string((co_await socket.receive()).or_throw().text()).c_str());
  loop().request_stop();  // The server says 1001.
  while (co_await socket.receive()) {
  }
  std::printf("closed with %d\n", static_cast<int>(socket.close_code()));
}

Task<int> serve(std::string address) {
  const bool alone = address.empty();
  auto listener = tcp::listen({.address = alone ? "127.0.0.1:0" : address}).or_throw();
  http::Router router;
  router.get("/ws", echo);
  http::Server server(std::move(router));
  co_await with_scope([&](Scope& scope) -> Task<> {
    if (alone)
      scope.start(talk, listener.local());
    else
      std::printf("ready on http://%s\n", listener.local().to_string().c_str());
    std::fflush(stdout);
    (co_await server.run(listener)).or_throw();
  });
  co_return 0;
}

}  // namespace

int main(int count, char** words) { return run(serve(count > 1 ? words[1] : "")); }
