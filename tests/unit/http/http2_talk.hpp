// SPDX-License-Identifier: Apache-2.0
// A scripted client of the HTTP server that speaks HTTP/2, over a memory stream.
#pragma once

#include <functional>
#include <string>
#include <utility>

#include "hello.hpp"
#include "http2_peer.hpp"
#include "talk.hpp"

namespace rondo::testing {

struct Http2Client {
  ByteStream& stream;
  h2::Heard heard = {};
  bool ended = false;     ///< the server has closed

  Task<> say(std::string text) { (void)co_await stream.write_all(std::string_view(text)); }

  /// Reads until `enough`, the end, or an hour has passed; false when it was not enough.
  Task<bool> hear(std::function<bool(h2::Heard&)> enough) {
    while (!enough(heard)) {
      auto got = co_await with_timeout(std::chrono::hours(1), stream.read());
      if (!got) {
        ended = !(got.error() == Errc::timed_out);
        co_return false;
      }
      ended = got->empty();
      if (ended) co_return false;
      heard.take(got->text());
    }
    co_return true;
  }
  Task<> hear_end() {
    co_await hear([](h2::Heard&) { return false; });
  }
  /// Waits for the end of a stream.
  Task<> hear_answer(std::uint32_t id) {
    co_await hear([id](h2::Heard& all) { return all[id].ended || all[id].reset >= 0; });
  }
};

struct Http2Script {
  http::Router router = {};
  http::ServerOptions options = {};
  MemoryPairOptions pair = {};
  std::function<Task<>(Http2Client&)> client = {};
};

/// Serves one client, which leaves when its function has returned.
inline Outcome play2(Http2Script script) {
  Outcome outcome;
  SimLoop sim;
  sim.run([&]() -> Task<> {
    http::Server server(std::move(script.router), script.options);
    MemoryPair pair(script.pair);
    co_await with_scope([&](Scope& scope) -> Task<> {
      scope.start([&]() -> Task<> { co_await server.serve(pair.first(), {.address = "test:1"}); });
      Http2Client client{pair.second()};
      co_await script.client(client);
      outcome.server_closed = client.ended;
      outcome.took = sim.now();
      pair.second().shutdown_write();
      co_await client.hear_end();
    });
    outcome.statistics = server.statistics();
    outcome.sends = pair.sends_of_first();
    EXPECT_EQ(outcome.statistics.connections, 0U);
    EXPECT_EQ(outcome.statistics.idle, 0U);
  });
  return outcome;
}

/// Tells when a handler's frame has gone.
struct Note {
  bool& gone;
  ~Note() { gone = true; }
};

/// Whether the streams first, first + 2, ... last have ended.
inline bool ended(h2::Heard& heard, std::uint32_t first, std::uint32_t last) {
  for (std::uint32_t id = first; id <= last; id += 2)
    if (!heard[id].ended) return false;
  return true;
}

}  // namespace rondo::testing
