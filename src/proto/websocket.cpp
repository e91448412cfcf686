// SPDX-License-Identifier: Apache-2.0
#include "rondo/proto/websocket.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "rondo/base/assert.hpp"
#include "rondo/proto/base64.hpp"
#include "rondo/proto/http1.hpp"

namespace rondo::proto {
namespace {

constexpr std::byte k_final{0x80};
constexpr std::byte k_reserved{0x70};
constexpr std::byte k_packed{0x40};
constexpr std::byte k_masked{0x80};

bool is_control(WebSocketOpcode opcode) noexcept {
  return opcode >= WebSocketOpcode::close;
}

/// Big-endian number.
std::uint64_t read_number(ByteView bytes) noexcept {
  std::uint64_t value = 0;
  for (const std::byte byte : bytes) value = value << 8 | std::to_integer<std::uint64_t>(byte);
  return value;
}

void write_number(std::uint64_t value, ByteSpan into) noexcept {
  for (std::size_t i = into.size(); i-- > 0; value >>= 8)
    into[i] = static_cast<std::byte>(value & 0xFFU);
}

/// Bytes of the frame header that say the length after the second byte.
std::size_t length_bytes(std::byte second) noexcept {
  const std::byte shown = second & ~k_masked;
  if (shown == std::byte{126}) return 2;
  return shown == std::byte{127} ? 8 : 0;
}

}  // namespace

bool is_sendable_close_code(std::uint16_t code) noexcept {
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
         (code >= 3000 && code <= 4999);
}

void apply_mask(ByteSpan bytes, MaskKey key, std::size_t offset) noexcept {
  MaskKey turned;
  for (std::size_t i = 0; i < 4; ++i) turned[i] = key[(offset + i) % 4];
  std::uint64_t word;
  std::memcpy(&word, turned.data(), 4);
  std::memcpy(reinterpret_cast<char*>(&word) + 4, turned.data(), 4);
  std::byte* at = bytes.data();
  const std::size_t words = bytes.size() / 8;
  for (std::size_t i = 0; i < words; ++i) {  // The compiler turns this into vectors.
    std::uint64_t value;
    std::memcpy(&value, at + i * 8, 8);
    value ^= word;
    std::memcpy(at + i * 8, &value, 8);
  }
  for (std::size_t i = words * 8; i < bytes.size(); ++i) at[i] ^= turned[i % 4];
}

WebSocketEvent WebSocketDecoder::fail(std::uint16_t code, const char* reason) noexcept {
  state_ = State::failed;
  close_code_ = code;
  reason_ = reason;
  payload_ = {};
  return WebSocketEvent::error;
}

std::string_view WebSocketDecoder::close_reason() const noexcept {
  if (control_size_ < 2 || state_ != State::closed) return {};
  return as_text(ByteView(control_).subspan(2, control_size_ - 2U));
}

WebSocketEvent WebSocketDecoder::next(ByteSpan& input) noexcept {
  if (state_ == State::failed) return WebSocketEvent::error;
  payload_ = {};
  while (true) {
    if (state_ == State::closed) {
      input = {};  // RFC 6455, 5.5.1: whatever follows a close frame is ignored.
      return WebSocketEvent::need_more;
    }
    if (state_ == State::header && !take_header(input)) break;
    if (state_ == State::failed) break;
    if (state_ == State::data) {
      if (take_data(input)) return WebSocketEvent::data;
      if (state_ == State::data || state_ == State::failed) break;
    } else if (state_ == State::control) {
      if (!take_control(input)) break;
      return end_control();
    }
  }
  return state_ == State::failed ? WebSocketEvent::error : WebSocketEvent::need_more;
}

/// Takes header bytes one by one, so that each is judged as soon as it is there. True when the
/// header is complete (the state says what follows) or wrong.
bool WebSocketDecoder::take_header(ByteSpan& input) noexcept {
  while (!input.empty()) {
    header_[header_size_++] = input.front();
    input = input.subspan(1);
    if (header_size_ == 1 && !check_first_byte()) return true;
    if (header_size_ == 2 && !check_second_byte()) return true;
    const std::size_t mask_at = 2 + length_bytes(header_[1]);
    if (header_size_ >= 2 && header_size_ == mask_at && !check_length()) return true;
    if (header_size_ >= 2 && header_size_ == header_need_) return begin_frame();
  }
  return false;
}

bool WebSocketDecoder::check_first_byte() noexcept {
  const std::byte first = header_[0];
  const std::byte reserved = first & k_reserved;
  const auto opcode = std::to_integer<std::uint8_t>(first & std::byte{0x0F});
  if ((opcode > 2 && opcode < 8) || opcode > 10) {
    fail(close_code::protocol_error, "reserved opcode");
    return false;
  }
  opcode_ = static_cast<WebSocketOpcode>(opcode);
  // RFC 7692, section 6.1: only the first frame of a message may say that it is deflated.
  const bool begins = opcode_ == WebSocketOpcode::text || opcode_ == WebSocketOpcode::binary;
  if (reserved != std::byte{0} && !(options_.deflate && begins && reserved == k_packed)) {
    fail(close_code::protocol_error, "reserved bit set");
    return false;
  }
  final_ = (first & k_final) != std::byte{0};
  if (is_control(opcode_)) {
    if (!final_) fail(close_code::protocol_error, "fragmented control frame");
  } else if (in_message_ != (opcode_ == WebSocketOpcode::continuation)) {
    fail(close_code::protocol_error,
         in_message_ ? "new message inside a message" : "continuation of nothing");
  }
  return state_ != State::failed;
}

bool WebSocketDecoder::check_second_byte() noexcept {
  const bool masked = (header_[1] & k_masked) != std::byte{0};
  const bool wants_mask = options_.role == WebSocketRole::server;
  if (masked != wants_mask) {
    fail(close_code::protocol_error, masked ? "masked frame of a server" : "frame without a mask");
    return false;
  }
  if (is_control(opcode_) && length_bytes(header_[1]) > 0) {
    fail(close_code::protocol_error, "control frame over 125 bytes");
    return false;
  }
  header_need_ = static_cast<std::uint8_t>(2 + length_bytes(header_[1]) + (masked ? 4U : 0U));
  return true;
}

bool WebSocketDecoder::check_length() noexcept {
  const std::size_t bytes = length_bytes(header_[1]);
  left_ = std::to_integer<std::uint64_t>(header_[1] & ~k_masked);
  if (bytes > 0) left_ = read_number(ByteView(header_).subspan(2, bytes));
  const bool longer_than_needed = (bytes == 2 && left_ < 126) || (bytes == 8 && left_ <= 0xFFFF);
  if (longer_than_needed || left_ >> 63 != 0) {
    fail(close_code::protocol_error, "bad length encoding");
    return false;
  }
  if (is_control(opcode_)) return true;
  const std::uint64_t so_far = in_message_ ? message_bytes_ : 0;
  if (left_ > options_.message_max - std::min(options_.message_max, so_far)) {
    fail(close_code::too_big, "message too long");
    return false;
  }
  return true;
}

bool WebSocketDecoder::begin_frame() noexcept {
  if (options_.role == WebSocketRole::server)
    std::copy_n(header_.begin() + header_need_ - 4, 4, mask_.begin());
  mask_at_ = 0;
  header_size_ = 0;
  if (is_control(opcode_)) {
    control_size_ = 0;
    state_ = State::control;
    return true;
  }
  if (!in_message_) {
    message_type_ = opcode_;
    packed_ = (header_[0] & k_packed) != std::byte{0};
    message_bytes_ = 0;
    utf8_.reset();
  }
  in_message_ = true;
  message_bytes_ += left_;
  state_ = State::data;
  return true;
}

ByteSpan WebSocketDecoder::unmask(ByteSpan bytes) noexcept {
  if (options_.role == WebSocketRole::server) {
    apply_mask(bytes, mask_, mask_at_);
    mask_at_ = static_cast<std::uint8_t>((mask_at_ + bytes.size()) % 4);
  }
  return bytes;
}

/// True when there is a piece to hand on. A frame that adds nothing (empty, not final) is passed
/// over: the state is `header` again.
bool WebSocketDecoder::take_data(ByteSpan& input) noexcept {
  const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(left_, input.size()));
  if (size == 0 && left_ > 0) return false;
  payload_ = unmask(input.first(size));
  input = input.subspan(size);
  left_ -= size;
  message_end_ = left_ == 0 && final_;
  if (message_type_ == WebSocketOpcode::text && !packed_) {
    if (!utf8_.feed(payload_) || (message_end_ && !utf8_.complete())) {
      fail(close_code::bad_payload, "text is not UTF-8");
      return false;
    }
  }
  if (left_ == 0) state_ = State::header;
  if (message_end_) in_message_ = false;
  return size > 0 || message_end_;
}

/// Collects a control frame's payload; true when it is complete.
bool WebSocketDecoder::take_control(ByteSpan& input) noexcept {
  const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(left_, input.size()));
  const ByteSpan piece = unmask(input.first(size));
  std::ranges::copy(piece, control_.begin() + control_size_);
  input = input.subspan(size);
  control_size_ = static_cast<std::uint8_t>(control_size_ + size);
  left_ -= size;
  return left_ == 0;
}

WebSocketEvent WebSocketDecoder::end_control() noexcept {
  state_ = State::header;
  payload_ = ByteSpan(control_).first(control_size_);
  if (opcode_ == WebSocketOpcode::close) return end_close();
  return opcode_ == WebSocketOpcode::ping ? WebSocketEvent::ping : WebSocketEvent::pong;
}

WebSocketEvent WebSocketDecoder::end_close() noexcept {
  close_code_ = close_code::none;
  if (control_size_ == 1) return fail(close_code::protocol_error, "close payload of one byte");
  if (control_size_ >= 2) {
    const auto code = static_cast<std::uint16_t>(read_number(ByteView(control_).first(2)));
    if (!is_sendable_close_code(code)) return fail(close_code::protocol_error, "bad close code");
    if (!is_valid_utf8(as_text(payload_.subspan(2))))
      return fail(close_code::bad_payload, "close reason is not UTF-8");
    close_code_ = code;
  }
  state_ = State::closed;
  return WebSocketEvent::close;
}

ByteView write_frame_header(const FrameHeader& header,
                            std::array<std::byte, k_frame_header_max>& into) noexcept {
  RONDO_ASSERT(!is_control(header.opcode) || (header.size <= 125 && header.final),
               "a control frame has at most 125 bytes and is never fragmented");
  std::size_t length = 0;
  std::byte shown = static_cast<std::byte>(header.size & 0x7FU);
  if (header.size > 0xFFFF) {
    length = 8;
    shown = std::byte{127};
  } else if (header.size > 125) {
    length = 2;
    shown = std::byte{126};
  }
  into[0] = static_cast<std::byte>(header.opcode) | (header.final ? k_final : std::byte{0}) |
            (header.packed ? k_packed : std::byte{0});
  into[1] = shown | (header.mask ? k_masked : std::byte{0});
  write_number(header.size, ByteSpan(into).subspan(2, length));
  std::size_t size = 2 + length;
  if (header.mask) {
    std::ranges::copy(*header.mask, into.begin() + static_cast<std::ptrdiff_t>(size));
    size += 4;
  }
  return ByteView(into).first(size);
}

namespace {

SharedBytes encode(const FrameHeader& header, ByteView payload) {
  std::array<std::byte, k_frame_header_max> begin;
  const ByteView head = write_frame_header(header, begin);
  return SharedBytes::make(head.size() + payload.size(), [&](ByteSpan into) {
    std::ranges::copy(head, into.begin());
    const ByteSpan body = into.subspan(head.size());
    std::ranges::copy(payload, body.begin());
    if (header.mask) apply_mask(body, *header.mask);
  });
}

}  // namespace

SharedBytes make_frame(WebSocketOpcode opcode, ByteView payload) {
  return encode({.opcode = opcode, .size = payload.size()}, payload);
}

SharedBytes make_masked_frame(WebSocketOpcode opcode, ByteView payload, MaskKey key) {
  return encode({.opcode = opcode, .size = payload.size(), .mask = &key}, payload);
}

SharedBytes make_close_frame(std::uint16_t code, std::string_view reason, const MaskKey* mask) {
  if (code == close_code::none) return encode({.opcode = WebSocketOpcode::close, .mask = mask}, {});
  RONDO_ASSERT(is_sendable_close_code(code), "this close code never goes on the wire");
  std::array<std::byte, 125> payload;
  write_number(code, ByteSpan(payload).first(2));
  std::size_t size = std::min<std::size_t>(reason.size(), 123);
  // Not inside a character: step back over continuation bytes.
  while (size < reason.size() && size > 0 &&
         (static_cast<unsigned char>(reason[size]) & 0xC0U) == 0x80)
    --size;
  std::ranges::copy(as_bytes(reason.substr(0, size)), payload.begin() + 2);
  return encode({.opcode = WebSocketOpcode::close, .size = size + 2, .mask = mask},
                ByteView(payload).first(size + 2));
}

WebSocketHandshake check_handshake(const RequestHead& head) noexcept {
  WebSocketHandshake made;
  const auto refuse = [&](int status, const char* reason) {
    made.status = status;
    made.reason = reason;
    return made;
  };
  if (head.method() != Method::get) return refuse(405, "a WebSocket begins with GET");
  if (head.minor_version() < 1) return refuse(400, "a WebSocket needs HTTP/1.1");
  if (!has_token(head.upgrade(), "websocket")) return refuse(426, "no Upgrade: websocket");
  if (head.get("sec-websocket-version") != "13") return refuse(426, "WebSocket version is not 13");
  if (!head.extended_connect()) {  // RFC 8441, section 5: there no key, as nothing is to prove.
    const std::size_t key = head.find("sec-websocket-key");
    if (key == head.field_count() || head.find("sec-websocket-key", key + 1) < head.field_count())
      return refuse(400, "not one Sec-WebSocket-Key");
    made.key = head.field(key).value;
    std::array<std::byte, 16> nonce;
    if (base64_decode(made.key, nonce) != 16) return refuse(400, "bad Sec-WebSocket-Key");
  }
  if (head.has_body()) return refuse(400, "a WebSocket handshake has no body");
  made.status = 101;
  made.protocols = head.get("sec-websocket-protocol");
  made.origin = head.get("origin");
  return made;
}

}  // namespace rondo::proto
