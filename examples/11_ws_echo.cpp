// SPDX-License-Identifier: Apache-2.0
// A WebSocket server: every message comes back to its sender.
//
//   11_ws_echo 127.0.0.1:8080     serves ws://127.0.0.1:8080/ws until Ctrl-C
//   11_ws_echo                    serves on a free port, talks to itself and ends
#include <array>
#include <cstdio>
#include <string>

#include "rondo/core/loop.hpp"
#include "rondo/core/scope.hpp"
#include "rondo/http/server.hpp"
#include "rondo/net/tcp.hpp"
#include "rondo/proto/websocket.hpp"
#include "rondo/ws/socket.hpp"

using namespace rondo;

namespace {

Task<> echo(http::Request& request, http::Response& response) {
  auto socket = co_await ws::accept(request, response, {.message_max = 64 * 1024});
  if (!socket) co_return;  // Refused; the answer is sent already.
  while (auto message = co_await socket->receive()) {
    if (!co_await socket->send(*message)) break;
  }
}

/// A client by hand: Rondo has the server's side only.
Task<> talk(net::Endpoint server) {
  auto peer = co_await tcp::connect(server).or_throw();
  (co_await peer.write_all("GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                           "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")).or_throw();
  while (true) {
    Loan line = co_await peer.read_line().or_throw();
    if (chomp(line.text()).empty()) break;
    std::printf("%s\n", std::string(chomp(line.text())).c_str());
  }
  const proto::MaskKey key{std::byte{1}, std::byte{2}, std::byte{3}, std::byte{4}};
  const SharedBytes hello = proto::make_masked_frame(proto::WebSocketOpcode::text,
                                                     as_bytes("Hello, ring!"), key);
  (co_await peer.write_all(hello.bytes())).or_throw();
  std::array<std::byte, 14> answer;  // Two bytes of head, then the text.
  (co_await peer.read_exact(answer)).or_throw();
  std::printf("%s\n", std::string(as_text(answer).substr(2)).c_str());
  loop().request_stop();  // The server says 1001 and ends.
}

Task<int> serve(std::string address) {
  const bool alone = address.empty();
  auto listener = tcp::listen({.address = alone ? "127.0.0.1:0" : address}).or_throw();
  http::Router router;
  router.get("/ws", echo);
  http::Server server(std::move(router));
  co_await with_scope([&](Scope& scope) -> Task<> {
    if (alone) scope.start(talk, listener.local());
    else std::printf("ready on http://%s\n", listener.local().to_string().c_str());
    std::fflush(stdout);
    (co_await server.run(listener)).or_throw();
  });
  co_return 0;
}

}  // namespace

int main(int count, char** words) { return run(serve(count > 1 ? words[1] : "")); }
