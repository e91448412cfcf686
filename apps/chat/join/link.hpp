// SPDX-License-Identifier: Apache-2.0
// Link: a client's WebSocket over TCP or TLS (RFC 6455), as much of it as the terminal needs.
//
//   auto link = co_await Link::open("127.0.0.1:8080");
//   co_await link->send(text);
//   while (auto text = co_await link->receive()) use(*text);    // pings are answered inside
//
// It sends one frame a message, masked with a fresh key from the loop's driver. It refuses
// redirects and extensions.
// Lifetime: awaits end before it goes. Thread rule: the loop's thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "rondo/base/result.hpp"
#include "rondo/core/task.hpp"
#include "rondo/net/tcp.hpp"
#include "rondo/proto/websocket.hpp"
#include "rondo/tls/stream.hpp"

namespace rondo::chat {

class [[nodiscard]] Link {
 public:
  /// Connects to host:port, over TLS with a context, and asks for /ws. Errors: the connection's;
  /// protocol_error with the status when the server refuses.
  static Task<Result<Link>> open(std::string host_and_port,
                                 std::optional<tls::Context> tls = std::nullopt);
  Link(Link&&) noexcept = default;
  Link& operator=(Link&&) noexcept = default;

  /// The next text message. Errors: closed (the server said goodbye), end_of_stream,
  /// protocol_error, the transport's. One reader.
  Task<Result<std::string>> receive();
  /// Sends a text message. One writer.
  Task<Result<>> send(std::string_view text);

 private:
  struct State;
  explicit Link(State& state) noexcept : state_(&state) {}
  Task<Result<>> greet(std::string host);
  Result<> queue(proto::WebSocketOpcode opcode, ByteView payload);

  struct Freed {
    void operator()(State* state) const noexcept;
  };
  std::unique_ptr<State, Freed> state_;
};

}  // namespace rondo::chat
