// SPDX-License-Identifier: Apache-2.0
// Handlers of every kind, for tests of the server over both versions.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

#include "rondo/core/sleep.hpp"
#include "rondo/http/router.hpp"

namespace rondo::testing {

inline http::Router hello() {
  using namespace std::chrono_literals;
  using http::Request;
  using http::Response;
  http::Router router;
  router.get("/", [](Request&, Response& out) { out.content_type("text/plain").send("Hello"); });
  router.post("/echo", [](Request& in, Response& out) -> Task<> {
    auto body = co_await in.read_all();
    if (!body) co_return out.send_error(http::status_of(body.error()));
    out.send(*body);
  });
  router.get("/slow", [](Request&, Response& out) -> Task<> {
    co_await sleep_for(3s);
    out.send("late");
  });
  router.post("/ignore", [](Request&, Response& out) { out.send("ignored"); });
  router.get("/large", [](Request&, Response& out) { out.send_owned(std::string(200'000, 'x')); });
  router.get("/two-pieces", [](Request&, Response& out) -> Task<> {
    for (std::string_view piece : {"one", "two"}) {
      if (!co_await out.write(piece)) co_return;
      co_await sleep_for(1ms);
    }
  });
  router.get("/stream", [](Request&, Response& out) -> Task<> {
    const std::string piece(10'000, 's');
    for (int i = 0; i < 20; ++i) {
      if (!co_await out.write(std::string_view(piece))) co_return;
    }
  });
  router.get("/throws", [](Request&, Response&) { throw std::runtime_error("told in a test"); });
  router.get("/throws-later", [](Request&, Response&) -> Task<> {
    co_await sleep_for(1ms);
    throw std::runtime_error("told in a test");
  });
  router.get("/throws-late", [](Request&, Response& out) -> Task<> {
    (void)co_await out.write(std::string_view("part"));
    throw std::runtime_error("told in a test");
  });
  return router;
}

}  // namespace rondo::testing
