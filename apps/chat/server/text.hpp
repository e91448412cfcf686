// SPDX-License-Identifier: Apache-2.0
// Text from users: what a name, a room's name and a message body may be. What a terminal may be
// shown of it: cli::terminal_text.
//
//   auto name = clean_name("  Ada ");              // "Ada"; an Error for what is no name
//   std::string shown = title_case("ada lovelace");  // "Ada Lovelace"
//
// Only valid UTF-8 comes in here; everything else is refused before.
// Thread rule: pure functions.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "rondo/base/result.hpp"

namespace rondo::chat {

inline constexpr std::size_t k_name_characters_max = 32;
inline constexpr std::size_t k_name_bytes_max = 96;
inline constexpr std::size_t k_room_characters_max = 64;
inline constexpr std::size_t k_room_bytes_max = 192;
inline constexpr std::size_t k_body_bytes_max = 16'384;
inline constexpr std::size_t k_cid_bytes_max = 64;

/// A user's name without surrounding space. Errors: bad_message for an empty or overlong one, for
/// control, zero-width and bidirectional characters, for more than four combining marks in a row.
Result<std::string> clean_name(std::string_view text);

/// What a room may be called, for whoever chose another name.
inline constexpr std::string_view k_room_name_rule =
    "a room's name has 1 to 64 letters, digits, dots, dashes and underscores, and no spaces";

/// Letters, digits, `_`, `.`, `-` and what is neither space, control nor punctuation outside ASCII.
bool is_room_name(std::string_view text) noexcept;

/// A body with something to see in it, of at most k_body_bytes_max bytes, without NUL.
bool is_body(std::string_view text) noexcept;

/// A client's id of a message: 1..64 visible ASCII characters.
bool is_cid(std::string_view text) noexcept;

/// How many characters (code points) valid UTF-8 holds.
std::size_t count_characters(std::string_view text) noexcept;

/// The first letter of each word large, the others small; ASCII, Latin-1, Greek and Cyrillic.
std::string title_case(std::string_view text);

/// Names that differ only in case or surrounding marks are one for whoever looks at them.
std::string fold_name(std::string_view text);

}  // namespace rondo::chat
