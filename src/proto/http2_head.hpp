// SPDX-License-Identifier: Apache-2.0
// Http2Head: the fields of an HTTP/2 message, put together as a head of HTTP/1.1, or as trailers.
//
// nghttp2 has refused what RFC 9113 calls malformed: names in upper case, CR, LF and NUL,
// connection-specific fields, pseudo-fields that are missing, double or late. What follows is
// judged as HTTP/1 judges it (http1_head.hpp), so that a handler can trust a head of either
// version in the same way. One per connection: header blocks do not interleave.
// Internal to src/proto.
#pragma once

#include <string>
#include <string_view>

#include "http1_head.hpp"
#include "rondo/proto/http2.hpp"

namespace rondo::proto {

class Http2Head {
 public:
  /// Begins a head, or trailers, in `into`, whose memory is reused.
  void begin(RequestHead& into) noexcept;
  void begin(ResponseHead& into) noexcept;
  void begin(FieldList& trailers) noexcept;
  /// Takes a field or pseudo-field. Beyond a limit it is dropped, and finish() says so; false: so
  /// far beyond that this is a few bytes packed to unpack for ever.
  bool field(std::string_view name, std::string_view value, const Http2Limits& limits);
  /// The head is complete; `ended`: no body follows.
  Verdict finish(bool ended, const Http2Limits& limits);
  /// No limit was exceeded so far.
  bool is_good() const noexcept { return verdict_.ok(); }
  /// Of the answer at hand, from its pseudo-field on.
  int status() const noexcept { return status_; }

 private:
  using Span = MessageHead::Span;
  void begin_any(FieldList& into) noexcept;
  void begin_head(MessageHead& into) noexcept;
  void take(std::string_view name, std::string_view value, const Http2Limits& limits);
  bool take_special(std::string_view name, std::string_view value);
  void pseudo(std::string_view name, std::string_view value);
  void put_first_line();
  Span put(std::string_view text);
  void put_field(std::string_view name, std::string_view value);
  Verdict judge_request(const Http2Limits& limits);
  Verdict take_length();

  FieldList* list_ = nullptr;
  MessageHead* head_ = nullptr;        // Null: trailers.
  RequestHead* request_ = nullptr;     // Null: an answer.
  std::string method_, target_, authority_, protocol_, cookies_;
  Verdict verdict_;
  std::size_t unpacked_ = 0;     // Bytes of names and values, also of those that were dropped.
  int status_ = 0;
  bool in_pseudo_ = true;
};

}  // namespace rondo::proto
