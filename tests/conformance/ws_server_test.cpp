// SPDX-License-Identifier: Apache-2.0
// The WebSocket server over TCP, the same on every driver.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "driver_fixture.hpp"
#include "rondo/core/cancel.hpp"
#include "rondo/core/scope.hpp"
#include "rondo/core/sleep.hpp"
#include "rondo/http/server.hpp"
#include "rondo/net/tcp.hpp"
#include "rondo/proto/websocket.hpp"
#include "rondo/ws/socket.hpp"

namespace rondo::ws {
namespace {

using namespace rondo::literals;
using proto::WebSocketEvent;

constexpr proto::MaskKey k_key{std::byte{9}, std::byte{8}, std::byte{7}, std::byte{6}};

/// A client by hand.
class Client {
 public:
  explicit Client(tcp::Stream peer)
      : peer_(std::move(peer)),
        decoder_({.role = proto::WebSocketRole::client, .message_max = 1U << 24U}) {}

  static Task<Client> open(net::Endpoint where) {
    Client made(co_await tcp::connect(where).or_throw());
    (co_await made.peer_.write_all(
         "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"))
        .or_throw();
    bool accepted = false;
    while (true) {
      Loan line = co_await made.peer_.read_line().or_throw();
      accepted |= line.text().starts_with("HTTP/1.1 101");
      if (chomp(line.text()).empty()) break;
    }
    EXPECT_TRUE(accepted);
    co_return made;
  }
  Task<> say(std::string_view text) {
    const SharedBytes frame =
        proto::make_masked_frame(proto::WebSocketOpcode::text, as_bytes(text), k_key);
    (co_await peer_.write_all(frame.bytes())).or_throw();
  }
  /// The next message; "" when the connection has ended (close_code says how).
  Task<std::string> hear() {
    std::string message;
    while (true) {
      const WebSocketEvent event = decoder_.next(input_);
      if (event == WebSocketEvent::need_more) {
        auto got = co_await peer_.read();
        if (!got || got->empty()) co_return "";
        loan_ = std::move(*got);
        input_ = loan_.writable();
      } else if (event == WebSocketEvent::data) {
        message.append(as_text(decoder_.payload()));
        if (decoder_.message_end()) co_return message;
      } else if (event == WebSocketEvent::close) {
        close_code = decoder_.close_code();
        const SharedBytes answer =
            proto::make_masked_frame(proto::WebSocketOpcode::close, {}, k_key);
        (void)co_await peer_.write_all(answer.bytes());
        co_return "";
      }
    }
  }
  void drop() { peer_.close(); }
  int close_code = 0;

 private:
  tcp::Stream peer_;
  proto::WebSocketDecoder decoder_;
  Loan loan_;
  ByteSpan input_;
};

/// Every text goes to everybody, by one shared frame.
struct Hall {
  std::vector<Socket*> members;
  Task<> join(http::Request& request, http::Response& response) {
    auto socket = co_await accept(request, response);
    if (!socket) co_return;
    struct Place {
      Hall& hall;
      Socket* socket;
      Place(Hall& h, Socket& s) : hall(h), socket(&s) { hall.members.push_back(socket); }
      Place(const Place&) = delete;
      ~Place() { std::erase(hall.members, socket); }
    } place(*this, *socket);
    while (auto message = co_await socket->receive()) {
      const SharedBytes frame = encode_text(message->text());
      for (Socket* member : members) EXPECT_TRUE(member->try_send(frame));
    }
  }
};

class WsOverTcp : public ::testing::TestWithParam<std::string> {
 protected:
  template <class F>
  void beside(F client) {
    LoopOptions how;
    how.own_driver = io::testing::make_named(GetParam(), {});
    Loop loop(std::move(how));
    auto main = [&]() -> Task<> {
      tcp::Listener listener = tcp::listen({.address = "127.0.0.1:0"}).or_throw();
      http::Router router;
      router.get("/ws", [this](http::Request& in, http::Response& out) {
        return hall_.join(in, out);
      });
      http::Server server(std::move(router));
      co_await with_scope([&](Scope& scope) -> Task<> {
        scope.start([&]() -> Task<> { EXPECT_TRUE(co_await server.run(listener)); });
        co_await client(listener.local());
        rondo::loop().request_stop();
      });
    };
    auto ended = loop.run([&]() -> Task<bool> {
      co_return (co_await with_timeout(60s, main())).has_value();
    }());
    EXPECT_TRUE(ended && *ended) << "the hang guard struck";
    EXPECT_TRUE(hall_.members.empty());
  }
  Hall hall_;
};

TEST_P(WsOverTcp, messagesOfEverySizeReachEverybodyInOrder) {
  beside([](net::Endpoint where) -> Task<> {
    Client ada = co_await Client::open(where);
    Client ben = co_await Client::open(where);
    for (std::size_t size : {1U, 125U, 126U, 513U, 4'090U, 5'000U, 66'000U, 200'000U}) {
      const std::string text(size, 'm');
      co_await ada.say(text);
      EXPECT_EQ(co_await ada.hear(), text);
      EXPECT_EQ(co_await ben.hear(), text);
    }
    for (int i = 0; i < 300; ++i) co_await ben.say(std::to_string(i));
    for (int i = 0; i < 300; ++i) EXPECT_EQ(co_await ada.hear(), std::to_string(i));
  });
}

TEST_P(WsOverTcp, aMemberThatVanishesHarmsNobody) {
  beside([this](net::Endpoint where) -> Task<> {
    Client ada = co_await Client::open(where);
    for (int i = 0; i < 5; ++i) {
      Client gone = co_await Client::open(where);
      co_await gone.say("hi");
      EXPECT_EQ(co_await ada.hear(), "hi");
      gone.drop();
      while (hall_.members.size() > 1) co_await sleep_for(1ms);
    }
    co_await ada.say("alone");
    EXPECT_EQ(co_await ada.hear(), "alone");
  });
}

TEST_P(WsOverTcp, aSoftStopSaysGoingAway) {
  beside([](net::Endpoint where) -> Task<> {
    Client ada = co_await Client::open(where);
    co_await ada.say("here");
    EXPECT_EQ(co_await ada.hear(), "here");
    loop().request_stop();
    EXPECT_EQ(co_await ada.hear(), "");
    EXPECT_EQ(ada.close_code, 1001);
    EXPECT_EQ(co_await ada.hear(), "");
  });
}

INSTANTIATE_TEST_SUITE_P(Drivers, WsOverTcp, ::testing::ValuesIn(io::testing::all_driver_names()),
                         [](const auto& given) { return given.param; });

}  // namespace
}  // namespace rondo::ws
