// SPDX-License-Identifier: Apache-2.0
// Servers of HTTP/2 that say frame by frame what a test wants, for our client to meet.
//
//   using Some = Http2Scripts;
//   TEST_P(Some, a_claim) {
//     beside([](Raw& server) -> Task<> { ... }, [](std::string url) -> Task<> { ... });
//   }
//
// Lifetime: script and body live until beside() returns. Thread rule: one thread.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "every_driver.hpp"
#include "http2_peer.hpp"
#include "rondo/net/tcp.hpp"

namespace rondo::testing {

/// A server's side of one connection.
struct Raw {
  tcp::Stream peer;
  int number = 0;  ///< of the connection, from 1 on
  h2::Heard heard = {};
  std::size_t skip = 24;  ///< of the preface

  Task<> say(std::string text) { (void)co_await peer.write_all(std::string_view(text)); }
  Task<bool> hear(std::function<bool()> enough) {
    while (!enough()) {
      auto got = co_await peer.read();
      if (!got || got->empty()) co_return false;
      std::string_view text = got->text();
      const std::size_t cut = std::min(skip, text.size());
      skip -= cut;
      heard.take(text.substr(cut));
    }
    co_return true;
  }
  Task<bool> hear_request(std::uint32_t id) {
    return hear([this, id] { return heard.answers.contains(id) && heard[id].ended; });
  }
  Task<> hear_all() {
    (void)co_await hear([] { return false; });
  }
};

inline std::string settings(std::string_view all = {}) {
  return h2::frame(h2::k_settings, 0, 0, all);
}
inline std::string goaway(std::uint32_t last, std::uint32_t code = 0) {
  return h2::frame(h2::k_goaway, 0, 0, h2::number(last) + h2::number(code));
}
inline std::string head(std::uint32_t id, const h2::Fields& more = {}, bool ended = false,
                        std::string status = "200") {
  h2::Fields fields = {{":status", std::move(status)}};
  fields.insert(fields.end(), more.begin(), more.end());
  return h2::headers(id, fields, ended);
}
inline std::string answer(std::uint32_t id, std::string_view body) {
  return head(id) + h2::data(id, body, true);
}

class Http2Scripts : public EveryDriver {
 protected:
  using Script = std::function<Task<>(Raw&)>;
  using Body = std::function<Task<>(std::string url)>;
  void beside(Script script, Body body) {
    run([&]() -> Task<> {
      auto listener = tcp::listen({.address = "127.0.0.1:0"}).or_throw();
      co_await with_scope([&](Scope& scope) -> Task<> {
        scope.start([&]() -> Task<> {
          int number = 0;
          while (auto peer = co_await listener.accept())
            scope.start(
                [&script](tcp::Stream one, int n) -> Task<> {
                  Raw raw{.peer = std::move(one), .number = n};
                  co_await script(raw);
                },
                std::move(*peer), ++number);
        });
        co_await body("http://127.0.0.1:" + std::to_string(listener.port()));
        scope.cancel();
      });
    });
  }
};

}  // namespace rondo::testing
