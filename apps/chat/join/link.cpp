// SPDX-License-Identifier: Apache-2.0
// The client's handshake by hand, frames by proto/websocket.
#include "chat/join/link.hpp"

#include <array>
#include <variant>
#include <vector>

#include "rondo/core/loop.hpp"
#include "rondo/proto/base64.hpp"
#include "rondo/proto/http1.hpp"
#include "rondo/proto/http1_write.hpp"

namespace rondo::chat {

namespace {

using proto::WebSocketEvent;
using proto::WebSocketOpcode;

constexpr std::size_t k_message_max = 1'048'576;

Error refused(std::string_view why) { return Error(Errc::protocol_error, "connect", why); }

}  // namespace

struct Link::State {
  template <class S>
  explicit State(S taken) : connection(std::in_place_type<S>, std::move(taken)) {}
  ByteStream& stream() noexcept {
    return std::visit([](auto& one) -> ByteStream& { return one; }, connection);
  }
  std::variant<tcp::Stream, tls::Stream> connection;
  proto::WebSocketDecoder decoder{
      {.role = proto::WebSocketRole::client, .message_max = k_message_max}};
  std::vector<std::byte> unread;  // What came with the answer's head, then what was read last.
  ByteSpan rest;                  // Of it, not yet decoded.
  std::string message;            // The message being put together.
};

void Link::Freed::operator()(State* state) const noexcept { delete state; }

Task<Result<Link>> Link::open(std::string host_and_port, std::optional<tls::Context> tls) {
  auto stream = co_await tcp::connect(host_and_port);
  if (!stream) co_return stream.error();
  State* state = nullptr;
  if (tls) {
    auto secured = co_await tls::connect(*tls, std::move(*stream), host_and_port);
    if (!secured) co_return secured.error();
    state = new State(std::move(*secured));
  } else {
    state = new State(std::move(*stream));
  }
  Link link(*state);
  auto greeted = co_await link.greet(std::move(host_and_port));
  if (!greeted) co_return greeted.error();
  co_return std::move(link);
}

Task<Result<>> Link::greet(std::string host) {
  std::array<std::byte, 16> nonce{};
  loop().driver().random(nonce);
  std::array<std::byte, 1024> head{};
  proto::HeadWriter writer(head);
  writer.request("GET", "/ws").field("Host", host).field("Connection", "Upgrade");
  writer.field("Upgrade", "websocket").field("Sec-WebSocket-Version", "13");
  auto size = writer.field("Sec-WebSocket-Key", proto::base64_encode(nonce)).finish();
  if (!size) co_return size.error();
  auto sent = co_await state_->stream().write_all(ByteView(head).first(*size));
  if (!sent) co_return sent.error();
  proto::ResponseParser parser;
  for (;;) {
    auto got = co_await state_->stream().read();
    if (!got) co_return got.error();
    if (got->empty()) co_return Error(Errc::end_of_stream, "connect", "the server closed");
    ByteView input = got->bytes();
    const auto event = parser.next(input);
    if (event == proto::HttpEvent::need_more) continue;
    if (event != proto::HttpEvent::head) co_return refused("the server does not speak HTTP");
    if (parser.head().status() != 101) {
      co_return refused("the server answered " + std::to_string(parser.head().status()));
    }
    state_->unread.assign(input.begin(), input.end());
    state_->rest = state_->unread;
    co_return {};
  }
}

Result<> Link::queue(WebSocketOpcode opcode, ByteView payload) {
  proto::MaskKey key{};
  loop().driver().random(key);
  return state_->stream().try_write(proto::make_masked_frame(opcode, payload, key),
                                  2 * k_message_max);
}

Task<Result<>> Link::send(std::string_view text) {
  auto queued = queue(WebSocketOpcode::text, as_bytes(text));
  if (!queued) co_return queued;
  co_return co_await state_->stream().flush();
}

Task<Result<std::string>> Link::receive() {
  State& at = *state_;
  for (;;) {
    switch (at.decoder.next(at.rest)) {
      case WebSocketEvent::need_more: {
        auto got = co_await at.stream().read();
        if (!got) co_return got.error();
        if (got->empty()) co_return Error(Errc::end_of_stream, "receive");
        at.unread.assign(got->bytes().begin(), got->bytes().end());
        at.rest = at.unread;
        break;
      }
      case WebSocketEvent::data:
        at.message.append(as_text(at.decoder.payload()));
        if (at.decoder.message_end()) co_return std::exchange(at.message, {});
        break;
      case WebSocketEvent::ping:
        if (auto answered = queue(WebSocketOpcode::pong, at.decoder.payload()); !answered)
          co_return answered.error();
        break;
      case WebSocketEvent::pong:
        break;
      case WebSocketEvent::close:
        co_return Error(Errc::closed, "receive", at.decoder.close_reason());
      case WebSocketEvent::error:
        co_return Error(Errc::protocol_error, "receive", at.decoder.reason());
    }
  }
}

}  // namespace rondo::chat
