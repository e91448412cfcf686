// SPDX-License-Identifier: Apache-2.0
// The HTTP client over HTTP/2 in simulation: whatever is cancelled, whenever, nothing is left.
#include <gtest/gtest.h>

#include <string>

#include "rondo/core/cancel.hpp"
#include "rondo/core/detail/frame_pool.hpp"
#include "rondo/core/scope.hpp"
#include "rondo/core/sleep.hpp"
#include "rondo/http/client.hpp"
#include "rondo/http/server.hpp"
#include "rondo/net/tcp.hpp"
#include "rondo/testing/sim_loop.hpp"
#include "rondo/ws/socket.hpp"

namespace rondo::testing {
namespace {

using namespace rondo::literals;

http::Router pages() {
  http::Router router;
  router.get("/", [](http::Request&, http::Response& out) { out.send("Hello"); });
  router.post("/echo", [](http::Request& in, http::Response& out) -> Task<> {
    while (true) {
      auto piece = co_await in.read();
      if (!piece || piece->empty()) break;
      if (!co_await out.write(*piece)) co_return;
    }
    out.trailer("X-End", "yes");
  });
  router.get("/slow", [](http::Request&, http::Response& out) -> Task<> {
    co_await sleep_for(300us);
    out.send_owned(std::string(60'000, 's'));
  });
  router.get("/ws", [](http::Request& in, http::Response& out) -> Task<> {
    auto socket = co_await ws::accept(in, out);
    if (!socket) co_return;
    while (auto message = co_await socket->receive())
      if (!co_await socket->send(*message)) co_return;
  });
  return router;
}

Task<> ask(http::Client& client, std::string url, std::uint64_t kind) {
  if (kind % 5 == 0) {
    http::ClientRequest request{.method = "POST", .url = url + "/echo"};
    int left = 6;
    request.body_source = [&left]() -> Task<Result<std::string>> {
      co_await sleep_for(20us);
      co_return left-- > 0 ? std::string(20'000, 'x') : std::string();
    };
    request.trailers = [] { return std::vector<http::Header>{{"X-Sum", "1"}}; };
    auto answer = co_await client.send(std::move(request));
    if (answer) (void)co_await answer->read_all();
  } else if (kind % 5 == 1) {
    auto socket = co_await ws::connect(client, url + "/ws", {.http2 = true});
    if (!socket) co_return;
    (void)co_await socket->send_text(std::string(30'000, 'w'));
    (void)co_await socket->receive();
  } else if (kind % 5 == 2) {
    (void)co_await with_timeout(std::chrono::microseconds(kind * 7), client.get(url + "/slow"));
  } else if (kind % 5 == 3) {
    auto dropped = co_await client.send(
        {.method = "POST", .url = url + "/echo", .body = std::string(90'000, 'b')});
    if (dropped) (void)co_await dropped->read();
  } else {
    auto answer = co_await client.get(url + "/slow");
    if (answer) (void)co_await answer->read_all();
  }
}

TEST(Http2Client, cancelledAtAnyMomentLeavesNothingBehind) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    const long frames = rondo::detail::FramePool::live;
    {
      SimLoop sim{{.seed = seed, .order = SimOrder::by_seed}};
      sim.run([&]() -> Task<> {
        http::Server server(pages(), {.streams_max = 1 + seed % 7});
        auto listener = tcp::listen({.address = "127.0.0.1:0"}).or_throw();
        const std::string url = "http://127.0.0.1:" + std::to_string(listener.port());
        http::Client client({.versions = http::Versions::http2,
                             .per_origin_max = 1 + seed % 3,
                             .retry_delay = 10us,
                             .ping_interval = seed % 4 == 0 ? Duration(50us) : Duration::zero()});
        const auto limit = std::chrono::microseconds(seed * seed * 7 % 3'000);
        co_await with_scope([&](Scope& scope) -> Task<> {
          scope.start([&]() -> Task<> { (void)co_await server.run(listener); });
          co_await move_on_after(seed % 3 ? Duration(limit) : Duration(1h),
                                 [&](Scope& asking) -> Task<> {
                                   for (std::uint64_t i = 0; i < 12; ++i)
                                     asking.start(&ask, std::ref(client), url, seed + i);
                                   co_return;
                                 });
          scope.cancel();
        });
        EXPECT_EQ(server.statistics().connections, 0U) << seed;
      });
    }
    EXPECT_EQ(rondo::detail::FramePool::live, frames) << seed;
  }
}

}  // namespace
}  // namespace rondo::testing
