// SPDX-License-Identifier: Apache-2.0
// The HTTP server over HTTP/2, on TCP and on TLS, the same on every driver.
#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "certificates.hpp"
#include "driver_fixture.hpp"
#include "http2_peer.hpp"
#include "rondo/core/cancel.hpp"
#include "rondo/core/scope.hpp"
#include "rondo/core/sleep.hpp"
#include "rondo/fs/dir.hpp"
#include "rondo/fs/file.hpp"
#include "rondo/http/server.hpp"
#include "rondo/net/tcp.hpp"
#include "rondo/tls/stream.hpp"

namespace rondo::testing {
namespace {

using namespace rondo::literals;
using http::Request;
using http::Response;

struct Seen {
  std::string path;  ///< of the file that is sent
  int started = 0;
  int gone = 0;
};

http::Router routes(Seen& seen) {
  http::Router router;
  router.get("/", [](Request& in, Response& out) {
    out.send(std::string(in.version()) + (in.secure() ? " secure" : " plain"));
  });
  router.post("/echo", [](Request& in, Response& out) -> Task<> {
    while (true) {
      auto piece = co_await in.read();
      if (!piece || piece->empty()) co_return;
      if (!co_await out.write(*piece)) co_return;
    }
  });
  router.get("/file", [&seen](Request&, Response& out) -> Task<> {
    auto file = co_await fs::File::open(seen.path).or_throw();
    const std::uint64_t size = (co_await file.status()).or_throw().size;
    (void)co_await out.send_file(file.fd(), 0, size);
  });
  router.get("/wait", [&seen](Request&, Response& out) -> Task<> {
    struct Count {
      int& n;
      ~Count() { ++n; }
    } count{seen.gone};
    ++seen.started;
    co_await until_stop_requested();
    out.send("waited");
  });
  return router;
}

/// A client that opens its windows as bodies arrive.
struct Peer {
  ByteStream& stream;
  h2::Heard heard = {};
  std::map<std::uint32_t, std::size_t> opened = {};

  Task<> say(std::string text) { (co_await stream.write_all(std::string_view(text))).or_throw(); }
  Task<bool> hear(std::function<bool()> enough) {
    while (!enough()) {
      auto got = co_await stream.read();
      if (!got || got->empty()) co_return false;
      heard.take(got->text());
      std::string more;
      for (auto& [id, answer] : heard.answers) {
        const std::size_t size = answer.body.size() - opened[id];
        if (size == 0 || answer.ended) continue;
        const auto window = static_cast<std::uint32_t>(size);
        more += h2::window(id, window) + h2::window(0, window);
        opened[id] = answer.body.size();
      }
      if (!more.empty()) co_await say(more);
    }
    co_return true;
  }
};

class Http2OverTcp : public ::testing::TestWithParam<std::string> {
 protected:
  template <class F>
  void run(F main) {
    LoopOptions how;
    how.own_driver = io::testing::make_named(GetParam(), {});
    Loop loop(std::move(how));
    auto ended = loop.run([&]() -> Task<bool> {
      co_return (co_await with_timeout(60s, main())).has_value();
    }());
    EXPECT_TRUE(ended && *ended) << "the hang guard struck";
  }

  /// Runs `client(stream)` over a new connection beside a server, then stops it softly.
  void beside(bool secure, std::function<Task<>(ByteStream&)> client) {
    run([&]() -> Task<> {
      Certificates made;
      const auto site = made.sign("site", {.names = {}, .addresses = {"127.0.0.1"}});
      auto ours = tls::Context::server({.identities = {site}, .alpn = {"h2", "http/1.1"}});
      auto theirs = tls::Context::client({.authorities_file = made.authority(), .alpn = {"h2"}});
      auto listener = tcp::listen({.address = "127.0.0.1:0"}).or_throw();
      http::Server server(routes(seen_), {.body_max = 4'000'000});
      co_await with_scope([&](Scope& scope) -> Task<> {
        scope.start([&]() -> Task<> {
          if (secure) EXPECT_TRUE(co_await server.run(listener, ours.or_throw()));
          else EXPECT_TRUE(co_await server.run(listener));
        });
        auto plain = co_await tcp::connect(listener.local()).or_throw();
        if (secure) {
          auto peer = co_await tls::connect(theirs.or_throw(), std::move(plain), "127.0.0.1");
          EXPECT_EQ(peer->alpn(), "h2");
          co_await client(*peer);
        } else {
          co_await client(plain);
        }
        rondo::loop().request_stop();
      });
      statistics_ = server.statistics();
      EXPECT_EQ(statistics_.connections, 0U);
      EXPECT_EQ(statistics_.http2, 1U);
    });
  }

  Seen seen_;
  http::ServerStatistics statistics_;
};

TEST_P(Http2OverTcp, manyStreamsShareAConnection) {
  for (const bool secure : {false, true}) {
    beside(secure, [secure](ByteStream& stream) -> Task<> {
      Peer peer{stream};
      co_await peer.say(h2::preface());
      for (std::uint32_t round = 0; round < 10; ++round) {
        std::string text;
        for (std::uint32_t i = 0; i < 20; ++i) text += h2::get(round * 40 + 2 * i + 1, "/");
        co_await peer.say(text);
        EXPECT_TRUE(co_await peer.hear([&] {
          for (std::uint32_t i = 0; i < 20; ++i)
            if (!peer.heard[round * 40 + 2 * i + 1].ended) return false;
          return true;
        }));
      }
      EXPECT_EQ(peer.heard[1].body, secure ? "HTTP/2 secure" : "HTTP/2 plain");
      EXPECT_EQ(peer.heard[399].body, peer.heard[1].body);
    });
    EXPECT_EQ(statistics_.requests, 200U);
  }
}

TEST_P(Http2OverTcp, bodiesFlowBothWaysAtOnceWithinTheWindows) {
  for (const bool secure : {false, true}) {
    beside(secure, [](ByteStream& stream) -> Task<> {
      Peer peer{stream};
      std::string text = h2::preface();
      for (std::uint32_t id = 1; id < 7; id += 2)
        text += h2::headers(id, h2::head_of("POST", "/echo"), false);
      co_await peer.say(text);
      // Less at once than any window: every piece comes back before the next is sent.
      const std::string piece(16'000, 'e');
      for (std::size_t sent = 1; sent <= 40; ++sent) {
        std::string pieces;
        for (std::uint32_t id = 1; id < 7; id += 2) pieces += h2::data(id, piece, sent == 40);
        co_await peer.say(pieces);
        EXPECT_TRUE(co_await peer.hear([&] {
          for (std::uint32_t id = 1; id < 7; id += 2)
            if (peer.heard[id].body.size() < sent * piece.size()) return false;
          return true;
        }));
      }
      EXPECT_TRUE(co_await peer.hear([&] { return peer.heard[1].ended && peer.heard[5].ended; }));
      EXPECT_EQ(peer.heard[3].body, std::string(640'000, 'e'));
    });
  }
}

TEST_P(Http2OverTcp, filesAreSentWhole) {
  beside(false, [&](ByteStream& stream) -> Task<> {
    co_await fs::with_temporary_directory([&](std::string folder) -> Task<> {
      seen_.path = folder + "/large";
      std::string text;
      while (text.size() < 300'000) text += std::to_string(text.size()) + "\n";
      (co_await fs::write_file(seen_.path, text)).or_throw();
      Peer peer{stream};
      co_await peer.say(h2::preface() + h2::get(1, "/file"));
      EXPECT_TRUE(co_await peer.hear([&] { return peer.heard[1].ended; }));
      EXPECT_TRUE(peer.heard[1].body == text);
      EXPECT_EQ(peer.heard[1].fields["content-length"], std::to_string(text.size()));
    });
  });
}

TEST_P(Http2OverTcp, aSoftStopLetsWhatIsServedFinish) {
  for (const bool secure : {false, true}) {
    beside(secure, [&](ByteStream& stream) -> Task<> {
      Peer peer{stream};
      const int before = seen_.started;
      co_await peer.say(h2::preface() + h2::get(1, "/wait") + h2::get(3, "/wait"));
      while (seen_.started < before + 2) co_await sleep_for(1ms);
      rondo::loop().request_stop();
      co_await peer.hear([] { return false; });
      EXPECT_EQ(peer.heard[1].body, "waited");
      EXPECT_EQ(peer.heard[3].body, "waited");
      EXPECT_EQ(peer.heard.goaway, 0);
    });
  }
}

TEST_P(Http2OverTcp, aClientThatLeavesCancelsItsHandlers) {
  run([&]() -> Task<> {
    auto listener = tcp::listen({.address = "127.0.0.1:0"}).or_throw();
    http::Server server(routes(seen_));
    co_await with_scope([&](Scope& scope) -> Task<> {
      scope.start([&]() -> Task<> { (void)co_await server.run(listener); });
      {
        auto peer = co_await tcp::connect(listener.local()).or_throw();
        std::string text = h2::preface();
        for (std::uint32_t id = 1; id < 20; id += 2) text += h2::get(id, "/wait");
        (co_await peer.write_all(std::string_view(text))).or_throw();
        while (seen_.started < 10) co_await sleep_for(1ms);
      }
      while (seen_.gone < 10) co_await sleep_for(1ms);
      while (server.statistics().connections > 0) co_await sleep_for(1ms);
      scope.cancel();
    });
  });
}

INSTANTIATE_TEST_SUITE_P(Drivers, Http2OverTcp,
                         ::testing::ValuesIn(io::testing::all_driver_names()),
                         [](const auto& given) { return given.param; });

}  // namespace
}  // namespace rondo::testing
