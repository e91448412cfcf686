// SPDX-License-Identifier: Apache-2.0
// An HTTP server: routes, a path parameter, a body, a streamed answer.
//
//   10_http_hello 127.0.0.1:8080         serves until Ctrl-C:
//   curl http://127.0.0.1:8080/hello/Ada     curl -d ping http://127.0.0.1:8080/echo
//   10_http_hello                        serves on a free port, asks itself and ends
#include <cstdio>
#include <string>

#include "rondo/core/loop.hpp"
#include "rondo/core/scope.hpp"
#include "rondo/core/sleep.hpp"
#include "rondo/http/server.hpp"
#include "rondo/net/tcp.hpp"

using namespace rondo;
using namespace rondo::literals;

namespace {

/// A handler that waits for something is a coroutine.
Task<> echo(http::Request& request, http::Response& response) {
  auto body = co_await request.read_all();
  if (!body) co_return response.send_error(http::status_of(body.error()));
  response.content_type("application/octet-stream").send(*body);
}

Task<> count_down(http::Request&, http::Response& response) {
  for (const char* line : {"3\n", "2\n", "1\n"}) {
    if (!co_await response.write(std::string_view(line))) co_return;  // The client has gone.
    co_await sleep_for(10ms);
  }
}

http::Router routes() {
  http::Router router;
  // One that does not is a plain function: it costs no coroutine frame.
  router.get("/hello/{name}", [](http::Request& request, http::Response& response) {
    std::string text("Hello, ");
    text.append(request.param("name")).append("!\n");
    response.content_type("text/plain; charset=utf-8").send(text);
  });
  router.post("/echo", echo).get("/count", count_down);
  return router;
}

Task<> ask(net::Endpoint server) {
  auto peer = co_await tcp::connect(server).or_throw();
  (co_await peer.write_all("GET /hello/Ada HTTP/1.1\r\nHost: localhost\r\n\r\n"
                           "GET /count HTTP/1.0\r\n\r\n")).or_throw();
  while (true) {
    Loan line = co_await peer.read_line().or_throw();
    if (line.empty()) break;
    const std::string text(chomp(line.text()));
    if (!text.starts_with("Date:")) std::printf("%s\n", text.c_str());
  }
  loop().request_stop();
}

Task<int> serve(std::string address) {
  const bool alone = address.empty();
  auto listener = tcp::listen({.address = alone ? "127.0.0.1:0" : address}).or_throw();
  http::Server server(routes());
  co_await with_scope([&](Scope& scope) -> Task<> {
    if (alone) scope.start(ask, listener.local());
    else std::printf("ready on http://%s\n", listener.local().to_string().c_str());
    std::fflush(stdout);
    (co_await server.run(listener)).or_throw();
  });
  co_return 0;
}

}  // namespace

int main(int count, char** words) { return run(serve(count > 1 ? words[1] : "")); }
