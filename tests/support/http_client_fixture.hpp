// SPDX-License-Identifier: Apache-2.0
// An HTTP client beside our own server, or beside one that does as a script says; on every driver.
#pragma once

#include <functional>
#include <string>
#include <utility>

#include "every_driver.hpp"
#include "net_pairs.hpp"
#include "rondo/http/client.hpp"
#include "rondo/http/server.hpp"

namespace rondo::testing {

using http::Client;
using http::ClientOptions;
using http::ClientRequest;

/// What a client of the test asks for: a router of the library's own server.
inline http::Router pages() {
  http::Router router;
  router.get("/", [](http::Request&, http::Response& out) { out.send("Hello"); });
  router.get("/query", [](http::Request& in, http::Response& out) { out.send(in.query()); });
  router.post("/echo", [](http::Request& in, http::Response& out) -> Task<> {
    in.set_body_max(10'000'000);
    auto body = co_await in.read_all();
    if (!body) co_return out.send_error(http::status_of(body.error()));
    out.content_type(in.header("Content-Type", "none")).send(*body);
  });
  router.get("/agent", [](http::Request& in, http::Response& out) {
    out.send(std::string(in.header("User-Agent")) + "|" + std::string(in.header("X-Own")) + "|" +
             std::string(in.header("Authorization")));
  });
  router.get("/stream", [](http::Request&, http::Response& out) -> Task<> {
    for (int i = 0; i < 100; ++i) {
      const std::string piece(1'000, static_cast<char>('a' + i % 26));
      if (!co_await out.write(piece)) co_return;
    }
  });
  router.get("/nothing", [](http::Request&, http::Response& out) { out.status(204).send(); });
  router.get("/go", [](http::Request&, http::Response& out) { out.redirect("../agent", 302); });
  router.post("/go", [](http::Request&, http::Response& out) { out.redirect("/agent", 303); });
  router.post("/keep", [](http::Request&, http::Response& out) { out.redirect("/echo", 307); });
  router.get("/round", [](http::Request&, http::Response& out) { out.redirect("/round", 302); });
  router.get("/slow", [](http::Request&, http::Response& out) -> Task<> {
    co_await sleep_for(1h);
    out.send("late");
  });
  return router;
}

class HttpClientFixture : public EveryDriver {
 protected:
  using Body = std::function<Task<>(std::string url)>;
  /// Runs `body("http://127.0.0.1:PORT")` beside the library's server.
  void beside_server(Body body) { beside_router(pages(), std::move(body)); }
  void beside_router(http::Router router, Body body) {
    run([&]() -> Task<> {
      http::Server server(std::move(router));
      auto listener = tcp::listen({.address = "127.0.0.1:0"}).or_throw();
      co_await with_scope([&](Scope& scope) -> Task<> {
        scope.start([&]() -> Task<> { (void)co_await server.run(listener); });
        co_await body("http://127.0.0.1:" + std::to_string(listener.port()));
        scope.cancel();
      });
    });
  }

  using Script = std::function<Task<>(tcp::Stream peer, int number)>;
  /// The same beside a server that does as it is told with each connection.
  void beside(Script script, Body body) {
    run([&]() -> Task<> {
      auto listener = tcp::listen({.address = "127.0.0.1:0"}).or_throw();
      co_await with_scope([&](Scope& scope) -> Task<> {
        scope.start([&]() -> Task<> {
          int number = 0;
          while (auto peer = co_await listener.accept())
            scope.start([&](tcp::Stream one, int n) { return script(std::move(one), n); },
                        std::move(*peer), ++number);
        });
        co_await body("http://127.0.0.1:" + std::to_string(listener.port()));
        scope.cancel();
      });
    });
  }
};

/// Reads one request's head.
inline Task<std::string> hear(tcp::Stream& peer) {
  std::string head;
  while (!head.ends_with("\r\n\r\n")) {
    auto line = co_await peer.read_line();
    if (!line || line->empty()) co_return head;
    head += line->text();
  }
  co_return head;
}

inline Task<std::string> text_of(Client& client, std::string url) {
  auto answer = co_await client.get(std::move(url));
  if (!answer) co_return "error: " + answer.error().message();
  auto body = co_await answer->read_all();
  co_return body ? *body : "error: " + body.error().message();
}

}  // namespace rondo::testing
