// SPDX-License-Identifier: Apache-2.0
// Character classes of HTTP (RFC 9110, section 5.6.2) as one table. Internal to src/proto.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace rondo::proto {

enum : std::uint8_t { k_is_token = 1, k_is_value = 2, k_is_target = 4 };

inline constexpr std::array<std::uint8_t, 256> k_char_class = [] {
  std::array<std::uint8_t, 256> classes{};
  for (unsigned c = 0; c < 256; ++c) {
    const bool is_alnum =
        (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    const bool is_mark =
        c != 0 && c < 128 &&
        std::string_view("!#$%&'*+-.^_`|~").find(static_cast<char>(c)) != std::string_view::npos;
    if (is_alnum || is_mark) classes[c] |= k_is_token;
    if (c == '\t' || (c >= ' ' && c != 0x7F)) classes[c] |= k_is_value;
    const bool refused = c == '"' || c == '#' || c == '<' || c == '>';
    if (c > ' ' && c < 0x7F && !refused) classes[c] |= k_is_target;
  }
  return classes;
}();

inline bool in_class(char c, std::uint8_t wanted) noexcept {
  return (k_char_class[static_cast<unsigned char>(c)] & wanted) != 0;
}

}  // namespace rondo::proto
