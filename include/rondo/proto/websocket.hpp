// SPDX-License-Identifier: Apache-2.0
// WebSocket frames (RFC 6455): an incremental, strict decoder for both roles, and encoders.
//
//   WebSocketDecoder decoder({.role = WebSocketRole::server});      // one per connection
//   for (ByteSpan input = received;;) switch (decoder.next(input)) { // takes from the front
//     case WebSocketEvent::need_more: return receive_again();
//     case WebSocketEvent::data:  take(decoder.payload()); if (decoder.message_end()) ...; break;
//     case WebSocketEvent::ping:  answer(WebSocketOpcode::pong, decoder.payload()); break;
//     case WebSocketEvent::pong:  break;
//     case WebSocketEvent::close: return answer_close(decoder.close_code());
//     case WebSocketEvent::error: return close(decoder.close_code());   // 1002, 1007, 1009
//   }
//
// Data is unmasked in the input itself and handed on as views, piece by piece: a message that lies
// whole in the input is one piece and is not copied. Any cut gives the same bytes and errors.
// RSV bits are errors, but for the first where permessage-deflate (RFC 7692) was agreed on: such a
// message's pieces come as they are, packed(), and whoever unpacks them checks size and UTF-8.
// Other text is checked to be UTF-8 as it arrives.
// Lifetime: payload() holds until the next call or the end of the input's memory.
// Thread rule: one thread at a time.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "rondo/base/bytes.hpp"
#include "rondo/base/limits.hpp"
#include "rondo/proto/utf8.hpp"

namespace rondo::proto {

class RequestHead;

enum class WebSocketRole : unsigned char { server, client };
enum class WebSocketOpcode : std::uint8_t {
  continuation = 0, text = 1, binary = 2, close = 8, ping = 9, pong = 10
};

/// Close codes (RFC 6455, section 7.4.1). 1005 and 1006 are never on the wire.
namespace close_code {
inline constexpr std::uint16_t normal = 1000, going_away = 1001, protocol_error = 1002,
                               unsupported_data = 1003, none = 1005, abnormal = 1006,
                               bad_payload = 1007, policy = 1008, too_big = 1009,
                               mandatory_extension = 1010, internal_error = 1011,
                               restart = 1012, try_again_later = 1013;
}
/// True for a code an endpoint may send: 1000..1003, 1007..1014, 3000..4999.
bool is_sendable_close_code(std::uint16_t code) noexcept;

enum class WebSocketEvent : unsigned char {
  need_more,  ///< all input was taken and more is needed (after `close`: dropped)
  data,       ///< payload() is the next piece of a message; empty only at message_end()
  ping,       ///< payload(): 0..125 bytes, to be sent back
  pong,       ///< payload(): 0..125 bytes
  close,      ///< close_code() and close_reason(); nothing after it is parsed
  error,      ///< fail the connection with close_code(); reason() says why
};

class WebSocketDecoder {
 public:
  struct Options {
    WebSocketRole role = WebSocketRole::server;  ///< what this end is: a server wants masks
    std::uint64_t message_max = limits::ws_message_max.value;  ///< bytes over all fragments: 1009
    bool deflate = false;  ///< permessage-deflate was agreed on
  };
  explicit WebSocketDecoder(const Options& options) noexcept : options_(options) {}
  WebSocketDecoder() noexcept : WebSocketDecoder(Options()) {}

  /// Decodes from the front of `input`, which is shortened by what was taken, up to one event.
  WebSocketEvent next(ByteSpan& input) noexcept;

  ByteSpan payload() const noexcept { return payload_; }
  /// `text` or `binary`: the message the last data piece belongs to.
  WebSocketOpcode message_type() const noexcept { return message_type_; }
  /// The last data piece ended its message. A text message is then complete UTF-8.
  bool message_end() const noexcept { return message_end_; }
  /// The message the last data piece belongs to was deflated.
  bool packed() const noexcept { return packed_; }
  /// At `close`: the peer's code, 1005 when it gave none. At `error`: 1002, 1007 or 1009.
  std::uint16_t close_code() const noexcept { return close_code_; }
  /// At `close`: valid UTF-8, 0..123 bytes.
  std::string_view close_reason() const noexcept;
  /// At `error`: why, in a few words, for logs.
  const char* reason() const noexcept { return reason_; }

 private:
  enum class State : std::uint8_t { header, data, control, closed, failed };
  static constexpr std::size_t k_control_max = 125;

  WebSocketEvent fail(std::uint16_t code, const char* reason) noexcept;
  bool check_first_byte() noexcept;
  bool check_second_byte() noexcept;
  bool check_length() noexcept;
  bool take_header(ByteSpan& input) noexcept;
  bool begin_frame() noexcept;
  bool take_data(ByteSpan& input) noexcept;
  bool take_control(ByteSpan& input) noexcept;
  WebSocketEvent end_control() noexcept;
  WebSocketEvent end_close() noexcept;
  ByteSpan unmask(ByteSpan bytes) noexcept;

  Options options_;
  ByteSpan payload_;
  std::uint64_t left_ = 0;           // Payload bytes of the current frame still to come.
  std::uint64_t message_bytes_ = 0;  // Of the current message, over its frames.
  const char* reason_ = "";
  std::array<std::byte, 14> header_{};
  std::array<std::byte, k_control_max> control_{};
  std::array<std::byte, 4> mask_{};
  std::uint8_t header_size_ = 0;
  std::uint8_t header_need_ = 2;
  std::uint8_t control_size_ = 0;
  std::uint8_t mask_at_ = 0;         // Which byte of the mask is next.
  std::uint16_t close_code_ = close_code::none;
  Utf8Validator utf8_;
  State state_ = State::header;
  WebSocketOpcode opcode_ = WebSocketOpcode::continuation;
  WebSocketOpcode message_type_ = WebSocketOpcode::text;
  bool final_ = false;
  bool packed_ = false;
  bool in_message_ = false;
  bool message_end_ = false;
};

using MaskKey = std::array<std::byte, 4>;

/// XORs `bytes` with the key, whose first byte used is `key[offset % 4]` (RFC 6455, 5.3): masking
/// and unmasking are the same.
void apply_mask(ByteSpan bytes, MaskKey key, std::size_t offset = 0) noexcept;

inline constexpr std::size_t k_frame_header_max = 14;
struct FrameHeader {
  WebSocketOpcode opcode = WebSocketOpcode::text;
  std::uint64_t size = 0;          ///< payload bytes
  bool final = true;               ///< the last (or only) frame of its message
  bool packed = false;             ///< RSV1: the message is deflated (first frame only)
  const MaskKey* mask = nullptr;   ///< clients must mask, with a fresh random key for each frame
};
/// The header in `into`: 2, 4 or 10 bytes, and 4 for a mask. The payload follows (masked by
/// apply_mask when there is a key).
ByteView write_frame_header(const FrameHeader& header,
                            std::array<std::byte, k_frame_header_max>& into) noexcept;

/// A server's whole frame, encoded once and shared by every receiver. One allocation.
SharedBytes make_frame(WebSocketOpcode opcode, ByteView payload);
/// `text` must be valid UTF-8.
inline SharedBytes make_text_frame(std::string_view text) {
  return make_frame(WebSocketOpcode::text, as_bytes(text));
}
/// A close frame; an empty one for code 1005. The reason is cut to 123 bytes between characters.
/// A client's is masked with `mask`.
SharedBytes make_close_frame(std::uint16_t code, std::string_view reason = {},
                             const MaskKey* mask = nullptr);
/// A client's whole frame, masked with `key`.
SharedBytes make_masked_frame(WebSocketOpcode opcode, ByteView payload, MaskKey key);

/// What to append to the key before SHA-1 for Sec-WebSocket-Accept (RFC 6455, section 4.2.2).
inline constexpr std::string_view k_websocket_guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A request judged as an opening handshake (RFC 6455, section 4.2.1).
struct WebSocketHandshake {
  int status = 400;            ///< 101: accept; 400, 405, 426 (say Sec-WebSocket-Version: 13)
  const char* reason = "";     ///< why not, in a few words
  std::string_view key;        ///< at 101: Sec-WebSocket-Key, a view into the head; "" over HTTP/2
  std::string_view protocols;  ///< Sec-WebSocket-Protocol of the client, "" when absent
  std::string_view origin;     ///< Origin, "" when absent: the caller decides
};
WebSocketHandshake check_handshake(const RequestHead& head) noexcept;

}  // namespace rondo::proto
