// SPDX-License-Identifier: Apache-2.0
#include "rondo/proto/base64.hpp"

#include <array>
#include <cstdint>

namespace rondo::proto {
namespace {

constexpr char k_alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

constexpr std::array<std::int8_t, 256> k_values = [] {
  std::array<std::int8_t, 256> values{};
  values.fill(-1);
  for (std::int8_t i = 0; i < 64; ++i) values[static_cast<unsigned char>(k_alphabet[i])] = i;
  return values;
}();

/// The low 6 bits at `shift` as a character.
char letter(std::uint32_t bits, int shift) noexcept { return k_alphabet[(bits >> shift) & 63U]; }

}  // namespace

void base64_encode_to(ByteView bytes, char* into) noexcept {
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    const std::size_t left = bytes.size() - at;
    std::uint32_t bits = std::to_integer<std::uint32_t>(bytes[at]) << 16;
    if (left > 1) bits |= std::to_integer<std::uint32_t>(bytes[at + 1]) << 8;
    if (left > 2) bits |= std::to_integer<std::uint32_t>(bytes[at + 2]);
    *into++ = letter(bits, 18);
    *into++ = letter(bits, 12);
    *into++ = left > 1 ? letter(bits, 6) : '=';
    *into++ = left > 2 ? letter(bits, 0) : '=';
  }
}

std::string base64_encode(ByteView bytes) {
  std::string text(base64_size(bytes.size()), '\0');
  base64_encode_to(bytes, text.data());
  return text;
}

std::optional<std::size_t> base64_decode(std::string_view text, ByteSpan into) noexcept {
  if (text.size() % 4 != 0) return std::nullopt;
  const std::size_t padded = text.size();
  while (!text.empty() && text.back() == '=') text.remove_suffix(1);
  const std::size_t tail = text.size() % 4;  // 0, 2 or 3 letters once the padding is off.
  if (tail == 1 || padded - text.size() != (4 - tail) % 4) return std::nullopt;
  const std::size_t size = text.size() / 4 * 3 + (tail == 0 ? 0 : tail - 1);
  if (size > into.size()) return std::nullopt;
  std::uint32_t bits = 0;
  unsigned held = 0;
  std::size_t written = 0;
  for (const char c : text) {
    const std::int8_t value = k_values[static_cast<unsigned char>(c)];
    if (value < 0) return std::nullopt;
    bits = (bits << 6) | static_cast<std::uint32_t>(value);
    held += 6;
    if (held < 8) continue;
    held -= 8;
    into[written++] = static_cast<std::byte>((bits >> held) & 0xFFU);
  }
  if ((bits & ((1U << held) - 1)) != 0) return std::nullopt;  // Two texts would mean one value.
  return written;
}

}  // namespace rondo::proto
