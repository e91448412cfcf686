// SPDX-License-Identifier: Apache-2.0
// The WebSocket client on every driver: against our own server, with and without deflate, and
// against servers that misbehave.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "every_driver.hpp"
#include "net_pairs.hpp"
#include "rondo/core/cancel.hpp"
#include "rondo/core/scope.hpp"
#include "rondo/http/client.hpp"
#include "rondo/http/server.hpp"
#include "rondo/proto/message_deflate.hpp"
#include "rondo/proto/websocket.hpp"
#include "rondo/ws/socket.hpp"

namespace rondo::testing {
namespace {

using ::testing::HasSubstr;

class WsClient : public EveryDriver {
 protected:
  using Serve = std::function<Task<>(ws::Socket&)>;
  using Body = std::function<Task<>(http::Client&, std::string url)>;

  /// Runs `body` beside our server, which hands each socket to `serve`.
  void beside(ws::Options (*options)(), Serve serve, Body body) {
    run([&]() -> Task<> {
      http::Router router;
      router.get("/ws", [&](http::Request& in, http::Response& out) -> Task<> {
        auto socket = co_await ws::accept(in, out, options());
        if (socket) co_await serve(*socket);
      });
      http::Server server(std::move(router));
      auto listener = tcp::listen({.address = "127.0.0.1:0"}).or_throw();
      co_await with_scope([&](Scope& scope) -> Task<> {
        scope.start([&]() -> Task<> { (void)co_await server.run(listener); });
        http::Client client;
        co_await body(client, "ws://127.0.0.1:" + std::to_string(listener.port()) + "/ws");
        scope.cancel();
      });
    });
  }
  static Task<> echo(ws::Socket& socket) {
    while (auto message = co_await socket.receive()) {
      if (!co_await socket.send(*message)) break;
    }
  }

  using Script = std::function<Task<>(tcp::Stream& peer, std::string key)>;
  /// The same beside a server that does as it is told; the handshake's request was read.
  void beside_script(Script script, Body body) {
    run([&]() -> Task<> {
      auto listener = tcp::listen({.address = "127.0.0.1:0"}).or_throw();
      co_await with_scope([&](Scope& scope) -> Task<> {
        scope.start([&]() -> Task<> {
          auto peer = co_await listener.accept().or_throw();
          std::string key;
          while (true) {
            const Loan line = co_await peer.read_line().or_throw();
            if (line.text() == "\r\n") break;
            if (line.text().starts_with("Sec-WebSocket-Key: "))
              key = line.text().substr(19, line.size() - 21);
          }
          co_await script(peer, key);
        });
        http::Client client;
        co_await body(client, "ws://127.0.0.1:" + std::to_string(listener.port()) + "/");
        scope.cancel();
      });
    });
  }
};

TEST_P(WsClient, talks_with_our_server) {
  beside([] { return ws::Options{.protocols = {"b", "a"}}; }, &echo,
         [](http::Client& client, std::string url) -> Task<> {
           auto socket = (co_await ws::connect(client, url, {.protocols = {"a", "b"}})).or_throw();
           EXPECT_EQ(socket.protocol(), "b");
           for (const std::size_t size : {0u, 1u, 125u, 126u, 4'000u, 4'096u, 70'000u, 900'000u}) {
             const std::string text(size, 't');
             (co_await socket.send_text(text)).or_throw();
             auto back = (co_await socket.receive()).or_throw();
             EXPECT_EQ(back.text(), text);
             EXPECT_EQ(back.kind, ws::Kind::text);
           }
           const std::byte bytes[] = {std::byte{0xff}, std::byte{0}};
           (co_await socket.send_binary(bytes)).or_throw();
           EXPECT_EQ((co_await socket.receive()).or_throw().kind, ws::Kind::binary);
           EXPECT_EQ(client.statistics().connections, 1u);
           (co_await socket.close(ws::CloseCode::normal, "done")).or_throw();
           EXPECT_FALSE(socket.is_open());
         });
}

TEST_P(WsClient, messages_are_deflated_when_both_want_it) {
  beside([] { return ws::Options{.deflate = true}; }, &echo,
         [](http::Client& client, std::string url) -> Task<> {
           ws::ConnectOptions options{.socket = {.deflate = true}};
           auto socket = (co_await ws::connect(client, url, std::move(options))).or_throw();
           for (const std::size_t size : {10u, 256u, 5'000u, 70'000u, 900'000u}) {
             std::string text;
             for (std::size_t i = 0; text.size() < size; ++i) text += std::to_string(i);
             (co_await socket.send_text(text)).or_throw();
             EXPECT_EQ((co_await socket.receive()).or_throw().text(), text) << size;
           }
           EXPECT_EQ(socket.statistics().deflated, 4u);
           auto plain = (co_await ws::connect(client, url)).or_throw();
           (co_await plain.send_text(std::string(1'000, 'x'))).or_throw();
           EXPECT_EQ((co_await plain.receive()).or_throw().bytes.size(), 1'000u);
           EXPECT_EQ(plain.statistics().deflated, 0u);
         });
}

TEST_P(WsClient, a_server_that_closes_says_why) {
  beside([] { return ws::Options(); },
         [](ws::Socket& socket) -> Task<> {
           (void)co_await socket.close(ws::CloseCode::try_again_later, "busy");
         },
         [](http::Client& client, std::string url) -> Task<> {
           auto socket = (co_await ws::connect(client, url)).or_throw();
           EXPECT_EQ((co_await socket.receive()).error().code(), Errc::closed);
           EXPECT_EQ(socket.close_code(), ws::CloseCode::try_again_later);
           EXPECT_EQ(socket.close_reason(), "busy");
           EXPECT_EQ((co_await socket.send_text("x")).error().code(), Errc::closed);
         });
}

TEST_P(WsClient, what_is_no_websocket_is_an_error_that_says_so) {
  beside([] { return ws::Options{.origins = {"https://own"}}; }, &echo,
         [](http::Client& client, std::string url) -> Task<> {
           ws::ConnectOptions foreign{.headers = {{"Origin", "https://other"}}};
           auto refused = co_await ws::connect(client, url, std::move(foreign));
           EXPECT_EQ(refused.error().code(), Errc::access_denied);
           EXPECT_THAT(refused.error().message(), HasSubstr("answered 403"));
           auto none = co_await ws::connect(client, url + "/none");
           EXPECT_THAT(none.error().message(), HasSubstr("answered 404"));
           EXPECT_EQ((co_await ws::connect(client, "ftp://a/")).error(), Errc::invalid_argument);
           auto nobody = co_await ws::connect(client, "ws://127.0.0.1:1/");
           EXPECT_EQ(nobody.error().code(), Errc::connection_refused);
         });
}

TEST_P(WsClient, a_handshake_without_proof_is_refused) {
  for (const std::string& answer :
       {std::string("Upgrade: websocket\r\nConnection: Upgrade\r\n"),
        std::string("Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n"),
        std::string("Upgrade: other\r\nConnection: Upgrade\r\n")}) {
    beside_script(
        [&](tcp::Stream& peer, std::string) -> Task<> {
          const std::string head = "HTTP/1.1 101 Switching Protocols\r\n" + answer + "\r\n";
          (void)co_await peer.write_all(std::string_view(head));
          (void)co_await peer.read();
        },
        [](http::Client& client, std::string url) -> Task<> {
          auto socket = co_await ws::connect(client, url);
          EXPECT_EQ(socket.error().code(), Errc::protocol_error);
        });
  }
}

TEST_P(WsClient, a_server_that_stays_silent_or_floods_does_not_hold_it) {
  beside([] { return ws::Options(); },
         [](ws::Socket& socket) -> Task<> {
           // Says nothing, reads nothing: no pong, no answer to a Close.
           (void)socket;
           co_await sleep_for(1h);
         },
         [](http::Client& client, std::string url) -> Task<> {
           ws::ConnectOptions options{.socket = {.ping_interval = 20ms, .close_timeout = 50ms}};
           auto socket = (co_await ws::connect(client, url, std::move(options))).or_throw();
           EXPECT_EQ((co_await socket.receive()).error().code(), Errc::timed_out);
         });
  beside([] { return ws::Options(); },
         [](ws::Socket& socket) -> Task<> {
           (void)socket;
           co_await sleep_for(1h);
         },
         [](http::Client& client, std::string url) -> Task<> {
           ws::ConnectOptions options{.socket = {.write_timeout = 50ms}};
           auto socket = (co_await ws::connect(client, url, std::move(options))).or_throw();
           const std::string large(60'000'000, 'x');
           EXPECT_EQ((co_await socket.send_binary(as_bytes(large))).error().code(),
                     Errc::timed_out);
           EXPECT_FALSE(socket.is_open()) << "a part of a frame has left";
         });
}

/// Handshake of a server of ours whose frames are then written by hand.
Task<> by_hand(ws::Socket& socket, ByteView frames) {
  const SharedBytes raw = SharedBytes::copy(as_text(frames));
  EXPECT_TRUE(socket.try_send(raw));
  (void)co_await socket.receive();
}

TEST_P(WsClient, a_bomb_is_not_inflated_and_nonsense_is_refused) {
  struct Case {
    std::string payload;
    Errc error;
  };
  const std::string bomb =
      proto::deflate_message(as_bytes(std::string(5'000'000, 'x')), 15).or_throw();
  const std::string invalid =
      proto::deflate_message(as_bytes(std::string("\xff\xfe")), 15).or_throw();
  for (const Case& each : {Case{bomb, Errc::too_large}, Case{"no deflate", Errc::bad_message},
                           Case{invalid, Errc::bad_message}}) {
    beside([] { return ws::Options{.deflate = true}; },
           [&](ws::Socket& socket) -> Task<> {
             std::array<std::byte, proto::k_frame_header_max> store;
             const ByteView head =
                 proto::write_frame_header({.size = each.payload.size(), .packed = true}, store);
             co_await by_hand(socket, as_bytes(std::string(as_text(head)) + each.payload));
           },
           [&](http::Client& client, std::string url) -> Task<> {
             ws::ConnectOptions options{.socket = {.deflate = true}};
             auto socket = (co_await ws::connect(client, url, std::move(options))).or_throw();
             EXPECT_EQ((co_await socket.receive()).error().code(), each.error);
           });
  }
  // Without an agreement its bit is an error.
  beside([] { return ws::Options(); },
         [](ws::Socket& socket) -> Task<> {
           std::array<std::byte, proto::k_frame_header_max> store;
           co_await by_hand(socket, proto::write_frame_header({.size = 0, .packed = true}, store));
         },
         [](http::Client& client, std::string url) -> Task<> {
           auto socket = (co_await ws::connect(client, url)).or_throw();
           EXPECT_EQ((co_await socket.receive()).error().code(), Errc::protocol_error);
         });
}

ON_EVERY_DRIVER(WsClient);

}  // namespace
}  // namespace rondo::testing
