// SPDX-License-Identifier: Apache-2.0
// The classic protocol's frames: a header of 10 characters, the length left-justified in decimal
// and padded with spaces, then that many *characters* (not bytes) of UTF-8.
//
//   std::string frame = classic_frame("Grüße");       // "5         Grüße"
//   ClassicReader reader;
//   reader.feed(bytes);                                // any cut, several frames at once
//   while (auto text = reader.next()) use(**text);     // Result<optional<string>>
//
// The header's spaces may stand on either side of the digits; a length over k_classic_max, a
// header without digits and bytes that are no UTF-8 are errors, and final.
// Thread rule: a value.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "rondo/base/result.hpp"

namespace rondo::chat {

inline constexpr std::size_t k_classic_header = 10;
inline constexpr std::size_t k_classic_max = 16'384;  ///< characters of one frame

std::string classic_frame(std::string_view text);

class ClassicReader {
 public:
  void feed(std::string_view bytes) { buffer_.append(bytes); }
  /// The next whole frame, or nothing until more is fed. Errors: protocol_error, again and again.
  Result<std::optional<std::string>> next();
  /// Bytes that wait for the rest of their frame.
  std::size_t pending() const noexcept { return buffer_.size() - taken_; }

 private:
  Result<std::size_t> length_of(std::string_view header) const;

  std::string buffer_;
  std::size_t taken_ = 0;    // Bytes of buffer_ that are done with.
  std::size_t scanned_ = 0;  // Bytes of the body already counted...
  std::size_t counted_ = 0;  // ...and the characters in them.
  bool failed_ = false;
};

}  // namespace rondo::chat
