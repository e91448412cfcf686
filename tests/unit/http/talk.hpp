// SPDX-License-Identifier: Apache-2.0
// A scripted client of the HTTP server, over a memory stream and in virtual time.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "rondo/core/cancel.hpp"
#include "rondo/core/scope.hpp"
#include "rondo/core/sleep.hpp"
#include "rondo/http/server.hpp"
#include "rondo/testing/memory_stream.hpp"
#include "rondo/testing/sim_loop.hpp"

namespace rondo::testing {

struct Script {
  http::Router router = {};
  http::ServerOptions options = {};
  MemoryPairOptions pair = {};
  /// The client: writes, reads, sleeps. Appends what it read to `heard`.
  std::function<Task<>(ByteStream&, std::string& heard)> client = {};
};

struct Outcome {
  std::string heard;
  http::ServerStatistics statistics;
  std::uint64_t sends = 0;      ///< of the server
  bool server_closed = false;   ///< the client saw the end of the stream
  Duration took = {};           ///< virtual time
};

/// Reads until the stream ends; false after an error.
inline Task<bool> hear_all(ByteStream& peer, std::string& heard) {
  while (true) {
    auto got = co_await peer.read();
    if (!got) co_return false;
    if (got->empty()) co_return true;
    heard.append(got->text());
  }
}

inline Outcome play(Script script) {
  Outcome outcome;
  SimLoop sim;
  sim.run([&]() -> Task<> {
    http::Server server(std::move(script.router), script.options);
    MemoryPair pair(script.pair);
    co_await with_scope([&](Scope& scope) -> Task<> {
      scope.start([&]() -> Task<> { co_await server.serve(pair.first(), {.address = "test:1"}); });
      co_await script.client(pair.second(), outcome.heard);
      if (co_await with_timeout(std::chrono::hours(1), hear_all(pair.second(), outcome.heard)))
        outcome.server_closed = true;
      pair.second().shutdown_write();
    });
    outcome.statistics = server.statistics();
    outcome.sends = pair.sends_of_first();
  });
  outcome.took = sim.now();
  return outcome;
}

/// Sends `request`, ends its side, and hears everything.
inline Outcome ask(http::Router router, std::string request, http::ServerOptions options = {},
                   MemoryPairOptions pair = {}) {
  return play({.router = std::move(router),
               .options = options,
               .pair = pair,
               .client = [request = std::move(request)](ByteStream& peer,
                                                        std::string&) -> Task<> {
                 // A server that refuses early may close before all is written.
                 (void)co_await peer.write_all(std::string_view(request));
                 peer.shutdown_write();
               }});
}

/// How often `what` occurs in `text`.
inline int count(std::string_view text, std::string_view what) {
  int found = 0;
  for (auto at = text.find(what); at != text.npos; at = text.find(what, at + 1)) ++found;
  return found;
}

/// The answers without their Date lines.
inline std::string undated(std::string text) {
  for (std::size_t at; (at = text.find("Date: ")) != text.npos;) {
    text.erase(at, text.find("\r\n", at) + 2 - at);
  }
  return text;
}

}  // namespace rondo::testing
