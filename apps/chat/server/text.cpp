// SPDX-License-Identifier: Apache-2.0
// Characters: classes as ranges, simple case mapping.
#include "chat/server/text.hpp"

#include "cli/characters.hpp"
#include "rondo/proto/utf8.hpp"

namespace rondo::chat {

namespace {

using cli::append_character;
using cli::is_control;
using cli::take_character;

/// Directs, joins or hides other characters: invisible by itself.
bool is_invisible(char32_t c) noexcept {
  return c == 0xad || c == 0x61c || c == 0x180e || (c >= 0x200b && c <= 0x200f) ||
         (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) || c == 0xfeff ||
         (c >= 0xfff0 && c <= 0xfffb) || (c >= 0xe0000 && c <= 0xe0fff) || c == 0x115f ||
         c == 0x1160 || c == 0x3164 || c == 0xffa0;
}
bool is_space(char32_t c) noexcept {
  return c == ' ' || (c >= '\t' && c <= '\r') || c == 0xa0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f ||
         c == 0x3000;
}
bool is_combining(char32_t c) noexcept {
  return (c >= 0x300 && c <= 0x36f) || (c >= 0x483 && c <= 0x489) || (c >= 0x591 && c <= 0x5bd) ||
         (c >= 0x1ab0 && c <= 0x1aff) || (c >= 0x1dc0 && c <= 0x1dff) ||
         (c >= 0x20d0 && c <= 0x20ff) || (c >= 0xfe20 && c <= 0xfe2f);
}
bool is_ascii_letter(char32_t c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

char32_t to_lower(char32_t c) noexcept {
  if (c >= 'A' && c <= 'Z') return c + 32;
  if (c >= 0xc0 && c <= 0xde && c != 0xd7) return c + 32;
  if (c >= 0x391 && c <= 0x3a9) return c + 32;
  if (c >= 0x410 && c <= 0x42f) return c + 32;
  if (c >= 0x400 && c <= 0x40f) return c + 80;
  return c;
}
char32_t to_upper(char32_t c) noexcept {
  if (c >= 'a' && c <= 'z') return c - 32;
  if (c >= 0xe0 && c <= 0xfe && c != 0xf7) return c - 32;
  if (c >= 0x3b1 && c <= 0x3c9 && c != 0x3c2) return c - 32;
  if (c >= 0x430 && c <= 0x44f) return c - 32;
  if (c >= 0x450 && c <= 0x45f) return c - 80;
  return c;
}
bool is_letter(char32_t c) noexcept {
  return is_ascii_letter(c) || (c >= 0xc0 && c != 0xd7 && c != 0xf7 && !is_space(c) &&
                                !is_invisible(c) && !(c >= 0x2010 && c <= 0x2bff));
}

std::string_view trim(std::string_view text) noexcept {
  std::string_view rest = text;
  std::size_t first = text.size();
  std::size_t last = 0;
  while (!rest.empty()) {
    const std::size_t at = text.size() - rest.size();
    if (is_space(take_character(rest))) continue;
    if (first == text.size()) first = at;
    last = text.size() - rest.size();
  }
  return first < last ? text.substr(first, last - first) : std::string_view();
}

}  // namespace

Result<std::string> clean_name(std::string_view text) {
  if (!proto::is_valid_utf8(text)) return Error(Errc::bad_message, "name", "not UTF-8");
  const std::string_view name = trim(text);
  if (name.empty()) return Error(Errc::bad_message, "name", "a name needs a visible character");
  if (const std::size_t count = count_characters(name); count > k_name_characters_max) {
    return Error(Errc::bad_message, "name",
                 "a name has at most 32 characters; this one has " + std::to_string(count));
  }
  if (name.size() > k_name_bytes_max)
    return Error(Errc::bad_message, "name", "a name has at most 96 bytes of UTF-8; shorten it");
  int marks = 0;
  for (std::string_view rest = name; !rest.empty();) {
    const char32_t c = take_character(rest);
    marks = is_combining(c) ? marks + 1 : 0;
    if (is_control(c) || is_invisible(c) || marks > 4) {
      return Error(Errc::bad_message, "name", "a name holds no control or hidden characters");
    }
  }
  return std::string(name);
}

bool is_room_name(std::string_view text) noexcept {
  if (text.empty() || text.size() > k_room_bytes_max || !proto::is_valid_utf8(text)) return false;
  if (count_characters(text) > k_room_characters_max) return false;
  while (!text.empty()) {
    const char32_t c = take_character(text);
    const bool plain = is_letter(c) || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';
    if (!plain || is_control(c)) return false;
  }
  return true;
}

bool is_body(std::string_view text) noexcept {
  if (text.size() > k_body_bytes_max || !proto::is_valid_utf8(text)) return false;
  return text.find('\0') == std::string_view::npos && !trim(text).empty();
}

bool is_cid(std::string_view text) noexcept {
  if (text.empty() || text.size() > k_cid_bytes_max) return false;
  for (const char c : text) {
    if (c <= ' ' || c > '~') return false;
  }
  return true;
}

std::size_t count_characters(std::string_view text) noexcept {
  std::size_t count = 0;
  for (const char c : text) count += (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  return count;
}

std::string title_case(std::string_view text) {
  std::string out;
  bool inside = false;
  while (!text.empty()) {
    const char32_t c = take_character(text);
    const bool letter = is_letter(c);
    append_character(out, !letter ? c : inside ? to_lower(c) : to_upper(c));
    inside = letter || (inside && is_combining(c));
  }
  return out;
}

std::string fold_name(std::string_view text) {
  std::string out;
  while (!text.empty()) append_character(out, to_lower(take_character(text)));
  return out;
}

}  // namespace rondo::chat
