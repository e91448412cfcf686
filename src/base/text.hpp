// SPDX-License-Identifier: Apache-2.0
// Small helpers of everything that reads text of a protocol: ASCII only, whatever the locale is.
#pragma once

#include <string>
#include <string_view>

namespace rondo {

constexpr char lower(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}

constexpr std::string lower(std::string_view text) {
  std::string made(text);
  for (char& c : made) c = lower(c);
  return made;
}

constexpr std::string_view trimmed_front(std::string_view text) noexcept {
  while (text.starts_with(' ') || text.starts_with('\t')) text.remove_prefix(1);
  return text;
}

/// Without spaces and tabs at both ends: the OWS of RFC 9110, section 5.6.3.
constexpr std::string_view trimmed(std::string_view text) noexcept {
  text = trimmed_front(text);
  while (text.ends_with(' ') || text.ends_with('\t')) text.remove_suffix(1);
  return text;
}

}  // namespace rondo
