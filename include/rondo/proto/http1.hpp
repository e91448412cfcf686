// SPDX-License-Identifier: Apache-2.0
// HTTP/1.1 messages (RFC 9112): an incremental, strict parser of requests and of responses.
// llhttp parses; what it lets pass and the RFC does not is refused here.
//
//   RequestParser parser;                       // one per connection, reused for each message
//   for (ByteView input = received;;) switch (parser.next(input)) {     // takes from the front
//     case HttpEvent::need_more: return receive_again();
//     case HttpEvent::head:  begin(parser.head()); break;
//     case HttpEvent::body:  take(parser.body()); break;                // a view of the input
//     case HttpEvent::end:   answer(); break;                           // the next may follow
//     case HttpEvent::error: return refuse(parser.status(), parser.reason());
//   }
//
// It stops after each event, so the caller pulls; what it did not take stays in `input` (after a
// head that switches protocols: the other protocol's first bytes). Any cut of the input gives
// the same heads, the same body bytes and the same error. Nothing is parsed after an error.
// Writing heads: http1_write.hpp. No I/O, no clock, no allocation once the buffers have grown.
// Lifetime: views of a head hold until next() begins the following message; body() until the
// next call or the end of the input's memory. Thread rule: one thread at a time.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "rondo/base/bytes.hpp"
#include "rondo/base/limits.hpp"

namespace rondo::proto {

/// Equal but for ASCII case, as field names and most tokens of HTTP are.
bool iequals(std::string_view a, std::string_view b) noexcept;
/// True when `list` ("a, b ,c") has `token` as one of its comma-separated items, in any case.
bool has_token(std::string_view list, std::string_view token) noexcept;
/// True for one or more token characters (RFC 9110, section 5.6.2): a legal field name.
bool is_token(std::string_view text) noexcept;
/// True when `text` has no control but HTAB and no DEL: a legal field value.
bool is_field_value(std::string_view text) noexcept;

struct Field {
  std::string_view name;   ///< as sent: compare with iequals
  std::string_view value;  ///< without the white space around it
};

/// Fields in order, over one reusable block of text: those of a head, or trailers (RFC 9110,
/// section 6.5).
class FieldList {
 public:
  std::size_t field_count() const noexcept { return fields_.size(); }
  Field field(std::size_t index) const noexcept;
  /// The value of the first field of that name (in any case), or `otherwise`.
  std::string_view get(std::string_view name, std::string_view otherwise = {}) const noexcept;
  bool has(std::string_view name) const noexcept { return find(name) < fields_.size(); }
  /// Index of the first such field at or after `from`, field_count() when there is none.
  std::size_t find(std::string_view name, std::size_t from = 0) const noexcept;

 protected:
  template <class>
  friend class MessageParser;
  friend class HeadJudge;
  friend class Http2Head;
  struct Span {
    std::uint32_t at = 0;
    std::uint32_t size = 0;
  };
  struct FieldSpan {
    Span name;
    Span value;
  };
  std::string_view view(Span span) const noexcept { return {text_.data() + span.at, span.size}; }
  /// Forgets all fields and keeps the memory.
  void clear_fields() noexcept {
    text_.clear();
    fields_.clear();
  }

  std::string text_;
  std::vector<FieldSpan> fields_;
};

/// First line and fields of a message.
class MessageHead : public FieldList {
 public:
  /// The whole head as received, first line to the empty line.
  std::string_view text() const noexcept { return text_; }

  /// 1, or 2 for a head that came over HTTP/2.
  int major_version() const noexcept { return major_version_; }
  /// 0 for HTTP/1.0, 1 for HTTP/1.1 and later 1.x, and for HTTP/2, which has 1.1's semantics.
  int minor_version() const noexcept { return minor_version_; }
  /// The connection may carry another message after this one.
  bool keep_alive() const noexcept { return keep_alive_; }
  bool chunked() const noexcept { return chunked_; }
  bool has_content_length() const noexcept { return has_content_length_; }
  /// Content-Length, 0 when not given.
  std::uint64_t content_length() const noexcept { return content_length_; }
  /// True when body bytes may follow (a positive length, chunked, or up to the end of stream).
  bool has_body() const noexcept { return has_body_; }
  /// The Upgrade field when Connection names `upgrade` (HTTP/1.1 only), else empty.
  std::string_view upgrade() const noexcept;

 protected:
  template <class>
  friend class MessageParser;
  friend class HeadJudge;
  friend class Http2Head;
  void clear() noexcept;

  std::uint64_t content_length_ = 0;
  std::int8_t major_version_ = 1;
  std::int8_t minor_version_ = 1;
  bool keep_alive_ = true;
  bool chunked_ = false;
  bool has_body_ = false;
  bool until_close_ = false;
  bool has_content_length_ = false;
  bool wants_close_ = false;
  bool wants_keep_alive_ = false;
  bool wants_upgrade_ = false;
  bool has_transfer_encoding_ = false;
  bool unknown_coding_ = false;
  bool expect_continue_ = false;
  std::uint8_t host_count_ = 0;
  Span host_;
};

enum class Method : std::uint8_t {
  get, head, post, put, delete_, connect, options, trace, patch, other  ///< other: method_text()
};
std::string_view method_name(Method method) noexcept;

class RequestHead : public MessageHead {
 public:
  Method method() const noexcept { return method_; }
  std::string_view method_text() const noexcept { return view(method_text_); }
  /// The request target as sent: "/a?b", "http://host/a?b", "host:port" (CONNECT), "*" (OPTIONS).
  std::string_view target() const noexcept { return view(target_); }
  /// The target's path, still percent-encoded, beginning with `/`; "*" for OPTIONS *, empty for
  /// CONNECT.
  std::string_view path() const noexcept { return path_.size ? view(path_) : default_path_; }
  /// What follows the first `?` of the target.
  std::string_view query() const noexcept { return view(query_); }
  /// Host and port the request is for: the target's own (absolute form, CONNECT), else Host.
  /// Valid for parse_authority; may be empty.
  std::string_view authority() const noexcept;
  /// Asked by CONNECT with :protocol (RFC 8441): the head reads as the GET with Upgrade that asks
  /// for the same over HTTP/1.1.
  bool extended_connect() const noexcept { return extended_connect_; }
  /// Expect: 100-continue on HTTP/1.1: the client waits for `100 Continue` before the body.
  bool expect_continue() const noexcept { return expect_continue_; }

 private:
  template <class>
  friend class MessageParser;
  friend class HeadJudge;
  friend class Http2Head;
  Method method_ = Method::get;
  Span method_text_, target_, path_, query_, target_authority_;
  bool has_target_authority_ = false;
  bool extended_connect_ = false;
  std::string_view default_path_;
};

class ResponseHead : public MessageHead {
 public:
  /// 100..999.
  int status() const noexcept { return status_; }
  std::string_view reason() const noexcept { return view(reason_); }

 private:
  template <class>
  friend class MessageParser;
  friend class HeadJudge;
  friend class Http2Head;
  int status_ = 0;
  Span reason_;
};

struct Heard;  // src/proto/http1_llhttp.hpp
inline constexpr std::size_t k_llhttp_size = 96;  // Of llhttp's state, in 64 bits.

enum class HttpEvent : unsigned char {
  need_more,  ///< all input was taken and more is needed
  head,       ///< head() is complete
  body,       ///< body() is the next piece, at least 1 byte
  end,        ///< the message is complete; the next call begins another
  error,      ///< status() and reason(): answer, close, parse nothing more
};

/// Limits of one parser; the defaults are those of base/limits.hpp.
struct HttpLimits {
  std::size_t head_max = limits::http_head_max.value;       ///< bytes, trailers apart: 431
  std::size_t fields_max = limits::http_fields_max.value;   ///< fields, trailers apart: 431
  std::size_t target_max = limits::http_target_max.value;   ///< bytes: 414
  std::uint64_t body_max = limits::http_body_max.value;     ///< bytes: 413
  std::size_t chunk_extensions_max = limits::http_chunk_extensions_max.value;  ///< bytes: 413
};

template <class Head>
class MessageParser {
 public:
  explicit MessageParser(const HttpLimits& limits = {}) noexcept : limits_(limits) {}

  /// Parses from the front of `input`, which is shortened by what was taken, up to one event.
  /// Errors are HttpEvent::error, for good, with status() 400 (malformed or ambiguous), 413
  /// (body or chunk extensions too long), 414 (target), 431 (head), 501 (an unknown method of
  /// more than 32 bytes or an unknown transfer coding) or 505 (not HTTP/1).
  HttpEvent next(ByteView& input);
  /// Tells that no more input comes. HttpEvent::end when that ends a response without a length;
  /// need_more when no message had begun; else an error (400: truncated).
  HttpEvent finish();

  /// The head of the current message; complete from HttpEvent::head on.
  const Head& head() const noexcept { return head_; }
  ByteView body() const noexcept { return body_; }
  /// Of the current message's chunked body; complete from HttpEvent::end on, until the next begins.
  const FieldList& trailers() const noexcept { return trailers_; }
  int status() const noexcept { return status_; }
  /// Why, in a few words, for logs and for the answer: "two Content-Length fields".
  const char* reason() const noexcept { return reason_; }
  /// True while part of a message has been taken: an idle connection is not.
  bool in_message() const noexcept { return state_ != State::start; }

  /// For this connection from now on. HttpEvent::head is delivered even when the declared length
  /// exceeds the limit, so that a route can raise it; the call after that fails with 413.
  void set_body_max(std::uint64_t bytes) noexcept { limits_.body_max = bytes; }
  /// Responses: the one to come answers HEAD (or CONNECT with 2xx) and has no body.
  void expect_no_body() noexcept { no_body_ = true; }
  /// Begins anew, for another connection; keeps its memory.
  void reset() noexcept;

 private:
  enum class State : std::uint8_t {
    start, head, body_begin, fixed, until_close, body_end, chunk_size, chunk_extension,
    chunk_size_end, chunk_data, chunk_data_end, trailers, failed
  };
  HttpEvent read_head(ByteView& input);
  HttpEvent read_head_from(ByteView& input);
  HttpEvent read_more_head(ByteView& input);
  bool line_fits(std::size_t line_size, std::size_t head_size) noexcept;
  void take_line(const char* head, std::size_t size);
  bool take_first_line(const char* head, std::string_view line);
  bool take_field_line(const char* head, std::string_view line);
  HttpEvent finish_head();
  HttpEvent begin_body();
  HttpEvent read_body(ByteView& input);
  HttpEvent read_piece(ByteView& input);
  HttpEvent step(char c);
  bool framing_allows(char c);
  bool trailer_allows(char c);
  bool take_trailers();
  HttpEvent begin_chunk();
  HttpEvent end_message() noexcept;
  bool feed(std::string_view bytes, Heard& heard) noexcept;
  bool refuse(int status, const char* reason) noexcept;
  HttpEvent fail(int status, const char* reason) noexcept;

  Head head_;
  FieldList trailers_;
  HttpLimits limits_;
  ByteView body_;
  alignas(8) std::byte llhttp_[k_llhttp_size] = {};  // What parses; begun anew with each message.
  std::uint64_t left_ = 0;         // Bytes left of the body or of the current chunk.
  std::uint64_t body_bytes_ = 0;   // Of a chunked body, so far.
  std::size_t line_at_ = 0;        // Offset in the head of the line being read.
  std::size_t extension_bytes_ = 0;
  std::size_t trailer_fields_ = 0;
  const char* reason_ = "";
  int status_ = 0;
  std::uint8_t digits_ = 0;        // Of the current chunk size.
  State state_ = State::start;
  bool first_line_ = true;
  bool skipped_empty_ = false;
  bool after_cr_ = false;          // In the framing of a chunked body.
  bool line_begins_ = false;       // In the trailers.
  bool no_body_ = false;
};

extern template class MessageParser<RequestHead>;
extern template class MessageParser<ResponseHead>;
using RequestParser = MessageParser<RequestHead>;
using ResponseParser = MessageParser<ResponseHead>;

}  // namespace rondo::proto
