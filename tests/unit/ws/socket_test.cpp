// SPDX-License-Identifier: Apache-2.0
#include "rondo/ws/socket.hpp"

#include <gtest/gtest.h>

#include "../http/talk.hpp"
#include "rondo/core/channel.hpp"
#include "rondo/proto/websocket.hpp"

namespace rondo::testing {
namespace {

using namespace rondo::literals;
using proto::WebSocketEvent;
using proto::WebSocketOpcode;

constexpr proto::MaskKey k_mask{std::byte{0x11}, std::byte{0xA2}, std::byte{0x33}, std::byte{0xF4}};

std::string frame(WebSocketOpcode opcode, std::string_view payload) {
  return std::string(proto::make_masked_frame(opcode, as_bytes(payload), k_mask).text());
}
std::string text(std::string_view payload) { return frame(WebSocketOpcode::text, payload); }
/// A frame that is not the last of its message.
std::string part(WebSocketOpcode opcode, std::string_view payload) {
  std::string made = frame(opcode, payload);
  made[0] = static_cast<char>(made[0] & 0x7F);
  return made;
}
std::string closing(unsigned code, std::string_view reason = {}) {
  std::string payload{static_cast<char>(code >> 8), static_cast<char>(code & 0xFF)};
  return frame(WebSocketOpcode::close, payload.append(reason));
}

std::string handshake(std::string_view more = {}) {
  std::string request("GET /ws HTTP/1.1\r\nHost: chat.example\r\nUpgrade: websocket\r\n"
                      "Connection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n");
  return request.append(more).append("\r\n");
}

/// What a server sent after its answer, decoded.
struct Heard {
  std::string head;
  std::vector<std::string> messages;
  std::vector<std::string> controls;   ///< "ping:x", "pong:x"
  int close_code = 0;                  ///< 0: no Close
  std::string close_reason;
};

Heard decode(std::string_view all) {
  Heard heard;
  const std::size_t end = all.find("\r\n\r\n");
  if (end == all.npos) return heard;
  heard.head = all.substr(0, end + 4);
  std::string rest(all.substr(end + 4));
  proto::WebSocketDecoder decoder({.role = proto::WebSocketRole::client, .message_max = 1U << 30});
  ByteSpan input = std::as_writable_bytes(std::span(rest));
  std::string message;
  while (true) {
    const WebSocketEvent event = decoder.next(input);
    const std::string payload(as_text(decoder.payload()));
    if (event == WebSocketEvent::data) {
      message += payload;
      if (decoder.message_end()) heard.messages.push_back(std::exchange(message, {}));
    } else if (event == WebSocketEvent::ping) {
      heard.controls.push_back("ping:" + payload);
    } else if (event == WebSocketEvent::pong) {
      heard.controls.push_back("pong:" + payload);
    } else {
      if (event == WebSocketEvent::close) {
        heard.close_code = decoder.close_code();
        heard.close_reason = decoder.close_reason();
      }
      EXPECT_NE(event, WebSocketEvent::error) << decoder.reason();
      return heard;
    }
  }
}

/// How the server's session ended.
struct Ended {
  Errc error = Errc{0};
  ws::CloseCode code = ws::CloseCode::normal;
  std::string reason;
  ws::Statistics statistics;
};

using Session = std::function<Task<>(ws::Socket&)>;

Task<> echo(ws::Socket& socket, Ended& ended) {
  while (true) {
    auto message = co_await socket.receive();
    if (!message) {
      ended.error = message.error().code();
      break;
    }
    if (!co_await socket.send(*message)) break;
  }
  ended.code = socket.close_code();
  ended.reason = socket.close_reason();
  ended.statistics = socket.statistics();
}

http::Router echo_router(Ended& ended, std::function<ws::Options()> options = {}) {
  http::Router router;
  router.get("/ws", [&ended, options](http::Request& in, http::Response& out) -> Task<> {
    auto socket = co_await ws::accept(in, out, options ? options() : ws::Options{});
    if (!socket) {
      ended.error = socket.error().code();
      co_return;
    }
    co_await echo(*socket, ended);
  });
  return router;
}

struct Said {
  Heard heard;
  Ended ended;
  Outcome outcome;
};

/// Sends the handshake and `bytes`, ends its side, and hears everything.
Said say(std::string bytes, MemoryPairOptions pair = {},
         std::function<ws::Options()> options = {}) {
  Said said;
  said.outcome = ask(echo_router(said.ended, options), handshake() + bytes, {}, pair);
  said.heard = decode(said.outcome.heard);
  return said;
}

TEST(WsHandshake, answersTheKeyOfTheRfc) {
  const Said said = say(closing(1000));
  EXPECT_TRUE(said.heard.head.starts_with("HTTP/1.1 101 Switching Protocols\r\n"));
  EXPECT_NE(said.heard.head.find("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"),
            std::string::npos);
}

TEST(WsHandshake, refusesWhatIsNoHandshake) {
  const std::pair<std::string, std::string> cases[] = {
      {"GET /ws HTTP/1.1\r\nHost: a\r\n\r\n", "426"},
      {"GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
       "Sec-WebSocket-Version: 8\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", "426"},
      {"GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
       "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: short\r\n\r\n", "400"},
      {"GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
       "Sec-WebSocket-Version: 13\r\n\r\n", "400"},
      {"GET /ws HTTP/1.0\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
       "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", "400"},
  };
  for (const auto& [request, status] : cases) {
    Ended ended;
    const Outcome outcome = ask(echo_router(ended), request);
    EXPECT_TRUE(outcome.heard.starts_with("HTTP/1.1 " + status)) << request << outcome.heard;
    EXPECT_EQ(ended.error, Errc::bad_message);
    if (status == "426") EXPECT_EQ(count(outcome.heard, "Sec-WebSocket-Version: 13"), 1);
  }
}

TEST(WsHandshake, checksTheOrigin) {
  struct Case {
    const char* origin;
    bool listed;
    bool allowed;
  };
  const Case cases[] = {
      {nullptr, false, true},
      {"https://chat.example", false, true},
      {"HTTP://Chat.Example", false, true},
      {"https://evil.example", false, false},
      {"https://chat.example.evil", false, false},
      {"https://evil.chat.example", false, false},
      {"https://chat.example:444", false, false},
      {"null", false, false},
      {"", false, false},
      {"https://front.example", true, true},
      {"https://chat.example", true, false},
      {nullptr, true, false},
  };
  for (const Case& one : cases) {
    std::string field;
    if (one.origin) field.append("Origin: ").append(one.origin).append("\r\n");
    Ended ended;
    const auto options = [&] {
      ws::Options made;
      if (one.listed) made.origins = {"https://front.example"};
      return made;
    };
    const Outcome outcome =
        ask(echo_router(ended, options), handshake(field) + closing(1000));
    EXPECT_EQ(outcome.heard.starts_with("HTTP/1.1 101"), one.allowed) << field << one.listed;
    EXPECT_EQ(outcome.heard.starts_with("HTTP/1.1 403"), !one.allowed) << field << one.listed;
  }
}

TEST(WsHandshake, asksTheHookInPlaceOfTheList) {
  Ended ended;
  const auto options = [] {
    ws::Options made;
    made.check_origin = [](std::string_view origin, const http::Request& request) {
      return origin == "app://x" && request.path() == "/ws";
    };
    return made;
  };
  const std::string field = "Origin: app://x\r\n";
  EXPECT_TRUE(ask(echo_router(ended, options), handshake(field) + closing(1000))
                  .heard.starts_with("HTTP/1.1 101"));
  EXPECT_TRUE(ask(echo_router(ended, options), handshake()).heard.starts_with("HTTP/1.1 403"));
}

TEST(WsHandshake, agreesOnTheServersFavouriteSubprotocol) {
  Ended ended;
  const auto options = [] {
    ws::Options made;
    made.protocols = {"chat.v2", "chat.v1"};
    return made;
  };
  const Outcome both = ask(echo_router(ended, options),
                           handshake("Sec-WebSocket-Protocol: chat.v1, other\r\n"
                                     "Sec-WebSocket-Protocol: chat.v2\r\n") + closing(1000));
  EXPECT_EQ(count(both.heard, "Sec-WebSocket-Protocol: chat.v2\r\n"), 1);
  const Outcome none = ask(echo_router(ended, options),
                           handshake("Sec-WebSocket-Protocol: other\r\n") + closing(1000));
  EXPECT_EQ(count(none.heard, "Sec-WebSocket-Protocol"), 0);
}

TEST(WsSocket, echoesMessagesForAnyCutOfTheInput) {
  const std::string large(70'000, 'L');
  const std::string bytes = text("one") + frame(WebSocketOpcode::binary, std::string(200, '\xff')) +
                            text("") + part(WebSocketOpcode::text, "fr\xC3") +
                            part(WebSocketOpcode::continuation, "\xA4g") +
                            frame(WebSocketOpcode::ping, "now") +
                            frame(WebSocketOpcode::continuation, "!") + closing(1000, "bye");
  for (std::size_t piece : {0U, 1U, 2U, 5U, 100U}) {
    const Said said = say(bytes, {.piece_max = piece});
    ASSERT_EQ(said.heard.messages.size(), 4U) << piece;
    EXPECT_EQ(said.heard.messages[0], "one");
    EXPECT_EQ(said.heard.messages[1], std::string(200, '\xff'));
    EXPECT_EQ(said.heard.messages[2], "");
    EXPECT_EQ(said.heard.messages[3], "fr\xC3\xA4g!");
    ASSERT_EQ(said.heard.controls.size(), 1U);
    EXPECT_EQ(said.heard.controls[0], "pong:now");
    EXPECT_EQ(said.heard.close_code, 1000);
    EXPECT_EQ(said.ended.error, Errc::closed);
    EXPECT_EQ(said.ended.code, ws::CloseCode::normal);
    EXPECT_EQ(said.ended.reason, "bye");
  }
  EXPECT_EQ(say(text(large) + closing(1000)).heard.messages.at(0), large);
}

TEST(WsSocket, copiesNoMessageThatLiesInOneBuffer) {
  const Said said = say(text("a") + text("b") + text("c") + closing(1000));
  EXPECT_EQ(said.ended.statistics.messages_received, 3U);
  EXPECT_EQ(said.ended.statistics.copied, 0U);
}

TEST(WsSocket, takesAMessageOfManyTinyFragments) {
  std::string bytes = part(WebSocketOpcode::binary, "x");
  for (int i = 0; i < 65'535; ++i) bytes += part(WebSocketOpcode::continuation, "x");
  bytes += frame(WebSocketOpcode::continuation, "") + closing(1000);
  const Said said = say(bytes);
  ASSERT_EQ(said.heard.messages.size(), 1U);
  EXPECT_EQ(said.heard.messages[0].size(), 65'536U);
}

TEST(WsSocket, failsTheConnectionWithTheRightCode) {
  const auto limited = [] {
    ws::Options made;
    made.message_max = 1'000;
    return made;
  };
  std::string unmasked = text("a");
  unmasked[1] = 1;
  std::string long_ping = frame(WebSocketOpcode::binary, std::string(126, 'p'));
  long_ping[0] = static_cast<char>(0x89);
  std::string reserved = text("a");
  reserved[0] = static_cast<char>(reserved[0] | 0x40);
  struct Case {
    const char* what;
    std::string bytes;
    int code;
    Errc error;
  };
  const Case cases[] = {
      {"no mask", unmasked, 1002, Errc::protocol_error},
      {"RSV1", reserved, 1002, Errc::protocol_error},
      {"unknown opcode", frame(static_cast<WebSocketOpcode>(3), "a"), 1002, Errc::protocol_error},
      {"lone continuation", frame(WebSocketOpcode::continuation, "a"), 1002, Errc::protocol_error},
      {"message inside a message", part(WebSocketOpcode::text, "a") + text("b"), 1002,
       Errc::protocol_error},
      {"long ping", long_ping, 1002, Errc::protocol_error},
      {"ping in fragments", part(WebSocketOpcode::ping, "p"), 1002, Errc::protocol_error},
      {"close with one byte", frame(WebSocketOpcode::close, "x"), 1002, Errc::protocol_error},
      {"close with 1005", closing(1005), 1002, Errc::protocol_error},
      {"close with 999", closing(999), 1002, Errc::protocol_error},
      {"close reason no UTF-8", closing(1000, "\xff"), 1007, Errc::bad_message},
      {"bad UTF-8", text("\xC0\xAF"), 1007, Errc::bad_message},
      {"half a character", text("\xC3"), 1007, Errc::bad_message},
      {"bad UTF-8 before the end", part(WebSocketOpcode::text, "\xff"), 1007, Errc::bad_message},
      {"too long", frame(WebSocketOpcode::binary, std::string(1'001, 'x')), 1009, Errc::too_large},
      {"too long in fragments", part(WebSocketOpcode::binary, std::string(600, 'x')) +
                                    frame(WebSocketOpcode::continuation, std::string(600, 'x')),
       1009, Errc::too_large},
  };
  for (const Case& one : cases) {
    for (std::size_t piece : {0U, 1U}) {
      const Said said = say(one.bytes + text("after"), {.piece_max = piece}, limited);
      EXPECT_EQ(said.heard.close_code, one.code) << one.what;
      EXPECT_EQ(said.ended.error, one.error) << one.what;
      EXPECT_TRUE(said.heard.messages.empty()) << one.what;
      EXPECT_TRUE(said.outcome.server_closed) << one.what;
    }
  }
}

TEST(WsSocket, answersOnePingOfABatchAndCutsAFlood) {
  std::string some;
  for (int i = 0; i < 50; ++i) some += frame(WebSocketOpcode::ping, std::to_string(i));
  const Said few = say(some + closing(1000));
  EXPECT_LE(few.heard.controls.size(), 2U);
  EXPECT_EQ(few.heard.close_code, 1000);
  std::string flood;
  for (int i = 0; i < 1'100; ++i) flood += frame(WebSocketOpcode::pong, "");
  const Said cut = say(flood);
  EXPECT_EQ(cut.heard.close_code, 1008);
  EXPECT_EQ(cut.ended.error, Errc::protocol_error);
}

TEST(WsSocket, tellsAnEndWithoutAClose) {
  const Said said = say(text("a"));
  EXPECT_EQ(said.ended.error, Errc::end_of_stream);
  EXPECT_EQ(said.ended.code, ws::CloseCode::abnormal);
}

/// Plays `session` against a client.
Said meet(Session session, std::function<Task<>(ByteStream&, std::string&)> client,
          std::function<ws::Options()> options = {}, MemoryPairOptions pair = {}) {
  Said said;
  http::Router router;
  router.get("/ws", [&](http::Request& in, http::Response& out) -> Task<> {
    auto socket = co_await ws::accept(in, out, options ? options() : ws::Options{});
    if (socket) co_await session(*socket);
  });
  said.outcome = play({.router = std::move(router),
                       .pair = pair,
                       .client = [&](ByteStream& peer, std::string& heard) -> Task<> {
                         const std::string request = handshake();
                         (void)co_await peer.write_all(std::string_view(request));
                         if (client) co_await client(peer, heard);
                       }});
  said.heard = decode(said.outcome.heard);
  return said;
}

TEST(WsSocket, closesAndWaitsForTheAnswer) {
  bool closed = false;
  const Said said = meet(
      [&](ws::Socket& socket) -> Task<> {
        closed = (co_await socket.close(ws::CloseCode::try_again_later, "slow")).has_value();
        EXPECT_FALSE(co_await socket.send_text("late"));
      },
      [](ByteStream& peer, std::string& heard) -> Task<> {
        while (decode(heard).close_code == 0) heard.append((co_await peer.read())->text());
        const std::string answer = text("crossing") + closing(1013);
        (void)co_await peer.write_all(std::string_view(answer));
      });
  EXPECT_TRUE(closed);
  EXPECT_EQ(said.heard.close_code, 1013);
  EXPECT_EQ(said.heard.close_reason, "slow");
}

TEST(WsSocket, doesNotWaitForEverForTheAnswer) {
  Errc error{0};
  Duration waited{};
  const Said said = meet(
      [&](ws::Socket& socket) -> Task<> {
        const TimePoint start = now();
        auto closed = co_await socket.close();
        waited = now() - start;
        if (!closed) error = closed.error().code();
      },
      {});
  EXPECT_EQ(error, Errc::timed_out);
  EXPECT_EQ(waited, 5s);
  EXPECT_TRUE(said.outcome.server_closed);
}

TEST(WsSocket, sends1000WhenTheHandlerJustReturns) {
  const Said said = meet(
      [](ws::Socket& socket) -> Task<> { (void)co_await socket.send_text("hi"); }, {});
  EXPECT_EQ(said.heard.messages.at(0), "hi");
  EXPECT_EQ(said.heard.close_code, 1000);
  EXPECT_TRUE(said.outcome.server_closed);
}

TEST(WsSocket, pingsAndGivesUpAfterTwoMisses) {
  Ended ended;
  Duration lived{};
  const Said said = meet(
      [&](ws::Socket& socket) -> Task<> {
        co_await echo(socket, ended);
        lived = Duration(now().time_since_epoch());
      },
      {});
  EXPECT_EQ(ended.error, Errc::timed_out);
  EXPECT_EQ(said.heard.controls.size(), 2U);
  EXPECT_EQ(ended.statistics.pings_sent, 2U);
}

TEST(WsSocket, anAnsweringPeerStays) {
  Ended ended;
  meet([&](ws::Socket& socket) -> Task<> { co_await echo(socket, ended); },
       [](ByteStream& peer, std::string& heard) -> Task<> {
         for (int i = 0; i < 20; ++i) {
           const std::size_t before = decode(heard).controls.size();
           while (decode(heard).controls.size() == before) {
             heard.append((co_await peer.read())->text());
           }
           const std::string pong = frame(WebSocketOpcode::pong, "");
           (void)co_await peer.write_all(std::string_view(pong));
         }
         const std::string bye = closing(1001);
         (void)co_await peer.write_all(std::string_view(bye));
       });
  EXPECT_EQ(ended.error, Errc::closed);
  EXPECT_EQ(ended.code, ws::CloseCode::going_away);
  EXPECT_GE(ended.statistics.pings_sent, 20U);
}

TEST(WsSocket, trySendSharesAFrameAndSaysWhenTheQueueIsFull) {
  const SharedBytes shared = ws::encode_text(std::string(10'000, 's'));
  int sent = 0;
  Errc error{0};
  const Said said = meet(
      [&](ws::Socket& socket) -> Task<> {
        while (true) {
          auto done = socket.try_send(shared);
          if (!done) {
            error = done.error().code();
            break;
          }
          ++sent;
        }
        EXPECT_LE(socket.unsent(), 262'144U);
        socket.start_close(ws::CloseCode::try_again_later);
        (void)co_await socket.receive();
      },
      {});
  EXPECT_EQ(error, Errc::would_exceed);
  EXPECT_EQ(sent, 26);
  EXPECT_EQ(said.heard.messages.size(), 26U);
  EXPECT_EQ(said.heard.close_code, 1013);
}

TEST(WsSocket, aFrameQueuedBesideALargeMessageComesAfterIt) {
  const Said said = meet(
      [&](ws::Socket& socket) -> Task<> {
        const std::string large(50'000, 'L');
        co_await with_scope([&](Scope& scope) -> Task<> {
          scope.start([&]() -> Task<> { (void)co_await socket.send_text(large); });
          co_await sleep_for(1ms);
          EXPECT_TRUE(socket.try_send(ws::encode_text("small")));
        });
      },
      [](ByteStream& peer, std::string& heard) -> Task<> {
        for (int i = 0; i < 5; ++i) {
          co_await sleep_for(10ms);
          heard.append((co_await peer.read())->text());
        }
      },
      {}, {.capacity = 8'192});
  ASSERT_EQ(said.heard.messages.size(), 2U);
  EXPECT_EQ(said.heard.messages[0].size(), 50'000U);
  EXPECT_EQ(said.heard.messages[1], "small");
}

TEST(WsSocket, aLargeMessageCancelledBehindItsHeadEndsTheConnection) {
  const Said said = meet(
      [&](ws::Socket& socket) -> Task<> {
        const std::string large(50'000, 'L');
        auto cut = co_await with_timeout(10ms, socket.send_text(large));
        EXPECT_EQ(cut.error().code(), Errc::timed_out);
        EXPECT_EQ(socket.try_send(ws::encode_text("small")).error().code(), Errc::closed);
        EXPECT_EQ((co_await socket.send_text("x")).error().code(), Errc::closed);
        EXPECT_EQ((co_await socket.receive()).error().code(), Errc::broken);
      },
      [](ByteStream&, std::string&) -> Task<> { co_await sleep_for(1s); }, {},
      {.capacity = 8'192});
  EXPECT_TRUE(said.heard.messages.empty());
  EXPECT_EQ(said.heard.close_code, 0);
}

TEST(WsSocket, aSoftStopSends1001AndEndsTheSession) {
  Ended ended;
  const Said said = meet([&](ws::Socket& socket) -> Task<> { co_await echo(socket, ended); },
                         [](ByteStream& peer, std::string& heard) -> Task<> {
                           co_await sleep_for(1s);
                           loop().request_stop();
                           while (decode(heard).close_code == 0) {
                             heard.append((co_await peer.read())->text());
                           }
                           const std::string answer = closing(1001);
                           (void)co_await peer.write_all(std::string_view(answer));
                         });
  EXPECT_EQ(said.heard.close_code, 1001);
  EXPECT_EQ(ended.error, Errc::stopping);
  EXPECT_TRUE(said.outcome.server_closed);
}

TEST(WsSocket, aCancelledReceiveLosesNothing) {
  std::string got;
  meet(
      [&](ws::Socket& socket) -> Task<> {
        auto none = co_await with_timeout(5ms, socket.receive());
        EXPECT_FALSE(none.has_value());
        auto message = co_await socket.receive();
        if (message) got = message->text();
      },
      [](ByteStream& peer, std::string&) -> Task<> {
        const std::string message = text("whole");
        (void)co_await peer.write_all(std::string_view(message).substr(0, 4));
        co_await sleep_for(20ms);
        (void)co_await peer.write_all(std::string_view(message).substr(4));
        co_await sleep_for(20ms);
      });
  EXPECT_EQ(got, "whole");
}

TEST(WsSocket, aPeerThatTakesNothingIsCutOff) {
  bool unwound = false;
  Duration took{};
  SimLoop sim;
  sim.run([&]() -> Task<> {
    http::Router router;
    router.get("/ws", [&](http::Request& in, http::Response& out) -> Task<> {
      struct Note {
        bool& told;
        ~Note() { told = true; }
      } note{unwound};
      auto socket = co_await ws::accept(in, out);
      const std::string large(500'000, 'L');
      while (co_await socket->send_text(large)) {
      }
    });
    http::Server server(std::move(router));
    MemoryPair pair({.capacity = 8'192});
    co_await with_scope([&](Scope& scope) -> Task<> {
      scope.start([&]() -> Task<> {
        co_await server.serve(pair.first());
        took = sim.now();
      });
      const std::string request = handshake();
      (void)co_await pair.second().write_all(std::string_view(request));
    });
  });
  EXPECT_TRUE(unwound);
  EXPECT_GE(took, 30s);
  EXPECT_LE(took, 61s);
}

TEST(WsSending, nothingFollowsACloseThatCameWhileAMessageWasDeflated) {
  Errc sent = Errc{0};
  http::Router router;
  router.get("/ws", [&](http::Request& in, http::Response& out) -> Task<> {
    auto socket = (co_await ws::accept(in, out, {.deflate = true})).or_throw();
    const std::string large(100'000, 'x');  // It is deflated on a thread.
    co_await with_scope([&](Scope& scope) -> Task<> {
      scope.start([&]() -> Task<> {
        if (auto done = co_await socket.send_text(large); !done) sent = done.error().code();
      });
      scope.start([&]() -> Task<> {
        socket.start_close(ws::CloseCode::normal);
        co_return;
      });
      co_return;
    });
    (void)co_await socket.receive();
  });
  const Outcome outcome =
      ask(std::move(router),
          handshake("Sec-WebSocket-Extensions: permessage-deflate\r\n") + closing(1000));
  EXPECT_EQ(sent, Errc::closed);
  const std::size_t end = outcome.heard.find("\r\n\r\n");
  ASSERT_NE(end, std::string::npos);
  const std::string frames = outcome.heard.substr(end + 4);
  EXPECT_NE(outcome.heard.find("permessage-deflate"), std::string::npos);
  EXPECT_EQ(frames, "\x88\x02\x03\xe8") << "a Close, and nothing behind it";
}

}  // namespace
}  // namespace rondo::testing
