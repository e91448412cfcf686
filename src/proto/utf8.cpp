// SPDX-License-Identifier: Apache-2.0
#include "rondo/proto/utf8.hpp"

#include <cstring>

namespace rondo::proto {
namespace {

constexpr std::uint64_t k_high_bits = 0x8080808080808080U;

/// The first byte at or after `at` that is not ASCII, or `end`.
const std::uint8_t* skip_ascii(const std::uint8_t* at, const std::uint8_t* end) noexcept {
  while (end - at >= 32) {
    std::uint64_t words[4];
    std::memcpy(words, at, sizeof words);
    if (((words[0] | words[1] | words[2] | words[3]) & k_high_bits) != 0) break;
    at += 32;
  }
  while (end - at >= 8) {
    std::uint64_t word;
    std::memcpy(&word, at, sizeof word);
    if ((word & k_high_bits) != 0) break;
    at += 8;
  }
  while (at != end && *at < 0x80) ++at;
  return at;
}

}  // namespace

bool Utf8Validator::begin(std::uint8_t lead) noexcept {
  lowest_ = 0x80;
  highest_ = 0xBF;
  if (lead >= 0xC2 && lead <= 0xDF) {  // C0 and C1 would be overlong ASCII.
    missing_ = 1;
  } else if (lead >= 0xE0 && lead <= 0xEF) {
    missing_ = 2;
    if (lead == 0xE0) lowest_ = 0xA0;   // Below: overlong.
    if (lead == 0xED) highest_ = 0x9F;  // Above: surrogates.
  } else if (lead >= 0xF0 && lead <= 0xF4) {
    missing_ = 3;
    if (lead == 0xF0) lowest_ = 0x90;   // Below: overlong.
    if (lead == 0xF4) highest_ = 0x8F;  // Above: past U+10FFFF.
  } else {
    failed_ = true;
  }
  return !failed_;
}

bool Utf8Validator::feed(ByteView bytes) noexcept {
  const auto* at = reinterpret_cast<const std::uint8_t*>(bytes.data());
  const std::uint8_t* const end = at + bytes.size();
  while (at != end && !failed_) {
    if (missing_ == 0) {
      at = skip_ascii(at, end);
      if (at == end || !begin(*at++)) break;
      continue;
    }
    if (*at < lowest_ || *at > highest_) failed_ = true;
    ++at;
    --missing_;
    lowest_ = 0x80;
    highest_ = 0xBF;
  }
  return !failed_;
}

bool is_valid_utf8(std::string_view text) noexcept {
  Utf8Validator check;
  return check.feed(as_bytes(text)) && check.complete();
}

}  // namespace rondo::proto
