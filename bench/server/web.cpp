// SPDX-License-Identifier: Apache-2.0
// The HTTP and WebSocket modes of the benchmark server.
#include <algorithm>
#include <string>
#include <vector>

#include "modes.hpp"
#include "rondo/http/server.hpp"
#include "rondo/net/tcp.hpp"
#include "rondo/ws/socket.hpp"

namespace bench {

using namespace rondo;

namespace {

Task<> serve(std::string port, http::Router router) {
  auto listener = tcp::listen({.address = "127.0.0.1:" + port}).or_throw();
  http::Server server(std::move(router));
  ready();
  (co_await server.run(listener)).or_throw();
}

Task<> echo_body(http::Request& request, http::Response& response) {
  auto body = co_await request.read_all();
  if (!body) co_return response.send_error(400);
  response.content_type(request.header("content-type", "application/octet-stream"));
  response.send(*body);
}

Task<> echo_messages(http::Request& request, http::Response& response) {
  auto socket = co_await ws::accept(request, response);
  if (!socket) co_return;
  while (auto message = co_await socket->receive()) {
    if (!co_await socket->send(*message)) break;
  }
}

/// Every text to every member: one frame, encoded once.
struct Hall {
  std::vector<ws::Socket*> members;
  void say(std::string_view text) {
    const SharedBytes frame = ws::encode_text(text);
    for (ws::Socket* member : members) {
      // A member that cannot keep up misses texts; its queue is bounded.
      static_cast<void>(member->try_send(frame).has_value());
    }
  }
};

Task<> join_hall(Hall& hall, http::Request& request, http::Response& response) {
  auto socket = co_await ws::accept(request, response, {.queue_max = 8U << 20U});
  if (!socket) co_return;
  struct Place {
    Hall& hall;
    ws::Socket* socket;
    Place(Hall& h, ws::Socket& s) : hall(h), socket(&s) { hall.members.push_back(socket); }
    Place(const Place&) = delete;
    ~Place() { std::erase(hall.members, socket); }
  } place(hall, *socket);
  while (auto message = co_await socket->receive()) hall.say(message->text());
}

}  // namespace

Task<> http(std::string port) {
  http::Router router;
  router.get("/", [](http::Request&, http::Response& response) {
    response.content_type("text/plain").send("Hello, World!");
  });
  router.post("/echo", echo_body);
  co_await serve(std::move(port), std::move(router));
}

Task<> ws_echo(std::string port) {
  http::Router router;
  router.get("/{path...}", echo_messages);
  co_await serve(std::move(port), std::move(router));
}

Task<> ws_fan(std::string port) {
  Hall hall;
  http::Router router;
  router.get("/{path...}", [&hall](http::Request& request, http::Response& response) {
    return join_hall(hall, request, response);
  });
  co_await serve(std::move(port), std::move(router));
}

}  // namespace bench
