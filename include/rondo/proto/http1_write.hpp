// SPDX-License-Identifier: Apache-2.0
// Writing HTTP/1.1 (RFC 9112): heads into a caller's buffer, chunk framing, dates.
//
//   HeadWriter head(buffer);
//   head.status(200).field("Content-Type", "text/plain").field("Content-Length", 13).raw(date);
//   std::size_t size = head.finish().or_throw();     // bytes at the front of `buffer`
//
//   char frame[k_chunk_head_max];
//   write(write_chunk_head(frame, piece.size())); write(piece); write(k_chunk_end);
//   write(k_last_chunk);
//
// Names and values are checked, so that no CR or LF of a user gets into a head. The first error
// is kept and reported by finish(). It refuses to choose fields: Date, Content-Length and
// Connection are the caller's.
// Lifetime: a HeadWriter keeps a view of the buffer. Thread rule: one thread at a time.
#pragma once

#include <cstdint>
#include <string_view>

#include "rondo/base/bytes.hpp"
#include "rondo/base/result.hpp"
#include "rondo/base/time.hpp"

namespace rondo::proto {

class HeadWriter {
 public:
  explicit HeadWriter(ByteSpan into) noexcept;

  /// "HTTP/1.1 200 OK"; the reason phrase of the status when none is given. 100..999.
  HeadWriter& status(int code, std::string_view reason = {}) noexcept;
  /// "GET /target HTTP/1.1".
  HeadWriter& request(std::string_view method, std::string_view target) noexcept;
  HeadWriter& field(std::string_view name, std::string_view value) noexcept;
  HeadWriter& field(std::string_view name, std::uint64_t value) noexcept;
  /// Whole lines, each with its CRLF, that the program made itself (a cached "Date: ...\r\n").
  /// Not checked: never pass what a peer or user sent.
  HeadWriter& raw(std::string_view lines) noexcept;
  /// Appends the empty line. Returns the bytes of the head. Errors: invalid_argument for a bad
  /// name, value, method, target or status; too_large when the buffer is too small.
  Result<std::size_t> finish() noexcept;

 private:
  void put(std::string_view text) noexcept;
  void fail(Errc code) noexcept {
    if (error_ == Errc{0}) error_ = code;
  }

  char* begin_;
  char* at_;
  char* end_;
  Errc error_ = Errc{0};
};

/// The reason phrase of a status, "Unknown" for one without a name.
std::string_view status_text(int code) noexcept;

inline constexpr std::size_t k_chunk_head_max = 18;  ///< 16 hex digits and CRLF
inline constexpr std::string_view k_chunk_end = "\r\n";
inline constexpr std::string_view k_last_chunk = "0\r\n\r\n";
/// "1a4\r\n" in `into`. `size` must not be 0: that would end the body.
std::string_view write_chunk_head(char (&into)[k_chunk_head_max], std::uint64_t size) noexcept;

inline constexpr std::size_t k_http_date_size = 29;
/// "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110, section 5.6.7), no terminating NUL. Years 0..9999.
std::string_view format_http_date(WallTime when, char (&into)[k_http_date_size]) noexcept;
/// Reads that form; the obsolete forms are refused. Errors: invalid_argument.
Result<WallTime> parse_http_date(std::string_view text) noexcept;

}  // namespace rondo::proto
