// SPDX-License-Identifier: Apache-2.0
// UTF-8: an incremental validator (RFC 3629; Unicode 15, table 3-7).
//
//   Utf8Validator check;
//   if (!check.feed(piece)) fail(1007);            // any cut, also inside a character
//   if (!check.complete()) fail(1007);             // at the end of the message
//   bool whole = is_valid_utf8(text);
//
// Overlong forms, surrogates (U+D800..U+DFFF) and what lies above U+10FFFF are refused at the
// first byte that makes them certain: no valid text begins so. ASCII costs one test per 8 bytes.
// It refuses to replace or to normalise: it only says yes or no.
// Lifetime: keeps no view. Thread rule: a value.
#pragma once

#include <cstdint>
#include <string_view>

#include "rondo/base/bytes.hpp"

namespace rondo::proto {

class Utf8Validator {
 public:
  /// Takes the next bytes. False as soon as they cannot be part of valid UTF-8, and from then on.
  bool feed(ByteView bytes) noexcept;
  /// True between two characters: text may end here.
  bool complete() const noexcept { return missing_ == 0 && !failed_; }
  /// Forgets everything, for the next text.
  void reset() noexcept { *this = {}; }

 private:
  bool begin(std::uint8_t lead) noexcept;

  std::uint8_t missing_ = 0;      // Continuation bytes the current character still needs.
  std::uint8_t lowest_ = 0x80;    // Bounds of the next continuation byte: narrower after the
  std::uint8_t highest_ = 0xBF;   // leads E0, ED, F0 and F4.
  bool failed_ = false;
};

/// True when `text` is wholly valid UTF-8; the empty text is.
bool is_valid_utf8(std::string_view text) noexcept;

}  // namespace rondo::proto
