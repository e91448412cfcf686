// SPDX-License-Identifier: Apache-2.0
// Characters of UTF-8 that is known to be valid, one by one.
//
//   while (!text.empty()) use(take_character(text));
//
// Thread rule: pure functions.
#pragma once

#include <string>
#include <string_view>

namespace rondo::cli {

/// The next character; takes it off `text`, which is not empty.
char32_t take_character(std::string_view& text) noexcept;
void append_character(std::string& out, char32_t c);

/// C0, DEL and C1: what a terminal may take for an order.
constexpr bool is_control(char32_t c) noexcept { return c < 0x20 || (c >= 0x7f && c < 0xa0); }
/// Makes the text around it run the other way, or hides where it does.
constexpr bool is_bidi(char32_t c) noexcept {
  return c == 0x61c || c == 0x200e || c == 0x200f || (c >= 0x202a && c <= 0x202e) ||
         (c >= 0x2066 && c <= 0x2069);
}

}  // namespace rondo::cli
