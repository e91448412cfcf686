// SPDX-License-Identifier: Apache-2.0
// Framing by characters: the length of a body in bytes is only known by counting its characters.
#include "chat/server/classic_codec.hpp"

#include "chat/server/text.hpp"
#include "rondo/proto/utf8.hpp"

namespace rondo::chat {

namespace {

/// Bytes of the character that begins with `first`.
std::size_t size_of(char first) noexcept {
  const auto lead = static_cast<unsigned char>(first);
  return lead < 0xc0 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

}  // namespace

std::string classic_frame(std::string_view text) {
  std::string frame = std::to_string(count_characters(text));
  frame.resize(k_classic_header, ' ');
  return frame.append(text);
}

Result<std::size_t> ClassicReader::length_of(std::string_view header) const {
  const Error bad(Errc::protocol_error, "classic",
                  "a header is 10 characters: a length and spaces");
  std::size_t value = 0;
  enum { before, digits, after } at = before;
  for (const char c : header) {
    if (c == ' ' && at == digits) at = after;
    if (c == ' ') continue;
    if (c < '0' || c > '9' || at == after) return bad;
    at = digits;
    value = value * 10 + static_cast<std::size_t>(c - '0');
  }
  if (at == before) return bad;
  if (value > k_classic_max) return Error(Errc::too_large, "classic", "a frame is too long");
  return value;
}

Result<std::optional<std::string>> ClassicReader::next() {
  if (failed_) return Error(Errc::protocol_error, "classic");
  const std::string_view rest = std::string_view(buffer_).substr(taken_);
  if (rest.size() < k_classic_header) {
    buffer_.erase(0, std::exchange(taken_, 0));
    return std::optional<std::string>();
  }
  const auto length = length_of(rest.substr(0, k_classic_header));
  if (!length) {
    failed_ = true;
    return length.error();
  }
  const std::string_view body = rest.substr(k_classic_header);
  // Whole characters are counted by their first bytes; what is no UTF-8 is found below.
  while (counted_ < *length && scanned_ < body.size()) {
    const std::size_t size = size_of(body[scanned_]);
    if (scanned_ + size > body.size()) break;
    scanned_ += size;
    ++counted_;
  }
  const bool whole = counted_ == *length;
  const std::string_view text = body.substr(0, whole ? scanned_ : body.size());
  proto::Utf8Validator check;
  if (!check.feed(as_bytes(text)) || (whole && !check.complete())) {
    failed_ = true;
    return Error(Errc::protocol_error, "classic", "a frame is not UTF-8");
  }
  if (!whole) return std::optional<std::string>();
  std::string frame(text);
  taken_ += k_classic_header + scanned_;
  scanned_ = counted_ = 0;
  return std::optional<std::string>(std::move(frame));
}

}  // namespace rondo::chat
