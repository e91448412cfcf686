// SPDX-License-Identifier: Apache-2.0
// The HTTP and WebSocket modes of the benchmark server.
#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "modes.hpp"
#include "rondo/fs/dir.hpp"
#include "rondo/http/server.hpp"
#include "rondo/net/tcp.hpp"
#include "rondo/process/process.hpp"
#include "rondo/tls/stream.hpp"
#include "rondo/ws/socket.hpp"

namespace bench {

using namespace rondo;

namespace {

/// A context with a certificate for 127.0.0.1 that signs itself, made in `folder`.
Task<tls::Context> self_signed(std::string folder) {
  const tls::Identity made{.certificate_file = folder + "/cert.pem",
                           .key_file = folder + "/key.pem"};
  const auto done = co_await process::capture(
      {.program = "openssl",
       .arguments = {"req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                     "-nodes", "-keyout", made.key_file, "-out", made.certificate_file, "-subj",
                     "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"}})
                        .or_throw();
  if (!done.status.success()) throw SystemError(Error(Errc::failed, "openssl", done.errors));
  std::printf("certificate %s\n", made.certificate_file.c_str());
  co_return tls::Context::server({.identities = {made}, .alpn = {"h2", "http/1.1"}}).or_throw();
}

Task<> serve(std::string port, http::Router router, Transport transport) {
  auto listener = tcp::listen({.address = "127.0.0.1:" + port}).or_throw();
  http::Server server(std::move(router));
  if (transport == Transport::plain) {
    ready();
    co_return (co_await server.run(listener)).or_throw();
  }
  co_await fs::with_temporary_directory([&](std::string folder) -> Task<> {
    auto context = co_await self_signed(std::move(folder));
    ready();
    (co_await server.run(listener, context)).or_throw();
  });
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

Task<> http(std::string port, Transport transport) {
  http::Router router;
  router.get("/", [](http::Request&, http::Response& response) {
    response.content_type("text/plain").send("Hello, World!");
  });
  router.post("/echo", echo_body);
  co_await serve(std::move(port), std::move(router), transport);
}

Task<> ws_echo(std::string port, Transport transport) {
  http::Router router;
  router.get("/{path...}", echo_messages);
  co_await serve(std::move(port), std::move(router), transport);
}

Task<> ws_fan(std::string port) {
  Hall hall;
  http::Router router;
  router.get("/{path...}", [&hall](http::Request& request, http::Response& response) {
    return join_hall(hall, request, response);
  });
  co_await serve(std::move(port), std::move(router), Transport::plain);
}

}  // namespace bench
