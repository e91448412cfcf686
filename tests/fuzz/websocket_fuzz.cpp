// SPDX-License-Identifier: Apache-2.0
// WebSocket frames in both roles: whole and cut at random give the same messages and outcome; a
// text message handed on complete is UTF-8; no message is longer than its limit.
#include <string>

#include "cuts.hpp"
#include "rondo/proto/websocket.hpp"

using namespace rondo;
using namespace rondo::proto;

namespace {

constexpr std::uint64_t k_message_max = 400;

class Run {
 public:
  explicit Run(WebSocketRole role) : decoder_({.role = role, .message_max = k_message_max}) {}
  bool feed(ByteView bytes) {
    std::string copy(as_text(bytes));  // Unmasked in place.
    for (ByteSpan input = std::as_writable_bytes(std::span(copy));;) {
      switch (decoder_.next(input)) {
        case WebSocketEvent::need_more: require(input.empty()); return true;
        case WebSocketEvent::data: data(); break;
        case WebSocketEvent::ping: control("ping"); break;
        case WebSocketEvent::pong: control("pong"); break;
        case WebSocketEvent::close:
          require(is_valid_utf8(decoder_.close_reason()));
          record += "<close " + std::to_string(decoder_.close_code()) +
                    std::string(decoder_.close_reason()) + ">";
          break;
        case WebSocketEvent::error:
          record += "<error " + std::to_string(decoder_.close_code()) + decoder_.reason() + ">";
          return false;
      }
    }
  }
  std::string record;  // Complete messages, control frames and the outcome, in order.

 private:
  void data() {
    message_ += as_text(decoder_.payload());
    require(message_.size() <= k_message_max);
    if (!decoder_.message_end()) return;
    const bool text = decoder_.message_type() == WebSocketOpcode::text;
    require(!text || is_valid_utf8(message_));
    record += (text ? "<text " : "<binary ") + message_ + ">";
    message_.clear();
  }
  void control(const char* name) {
    require(decoder_.payload().size() <= 125);
    record += "<" + std::string(name) + std::string(as_text(decoder_.payload())) + ">";
  }
  WebSocketDecoder decoder_;
  std::string message_;
};

void check(ByteView text, WebSocketRole role, std::uint32_t seed) {
  Run whole(role);
  whole.feed(text);
  Run pieces(role);
  Cuts cuts(seed);
  for (ByteView left = text; !left.empty();) {
    const std::size_t size = cuts.next(left.size());
    if (!pieces.feed(left.first(size))) break;
    left = left.subspan(size);
  }
  require(whole.record == pieces.record);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const ByteView text = std::as_bytes(std::span(data + 1, size - 1));
  check(text, WebSocketRole::client, data[0]);
  check(text, WebSocketRole::server, data[0]);
  return 0;
}
