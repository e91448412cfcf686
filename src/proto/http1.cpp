// SPDX-License-Identifier: Apache-2.0
#include "rondo/proto/http1.hpp"

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "base/text.hpp"
#include "http1_chars.hpp"
#include "http1_head.hpp"
#include "http1_llhttp.hpp"

namespace rondo::proto {
namespace {

// Method, two spaces, version and CRLF around a target: what a request line has beside it.
constexpr std::size_t k_request_line_rest = 64;
constexpr std::size_t k_chunk_digits_max = 15;  // 60 bits: their sum cannot overflow.

const char* chars(ByteView bytes) noexcept { return reinterpret_cast<const char*>(bytes.data()); }

const char* find_lf(const char* at, std::size_t size) noexcept {
  return static_cast<const char*>(std::memchr(at, '\n', size));
}

}  // namespace

template <class Head>
void MessageParser<Head>::reset() noexcept {
  head_.clear();
  body_ = {};
  state_ = State::start;
  status_ = 0;
  reason_ = "";
  no_body_ = false;
}

template <class Head>
HttpEvent MessageParser<Head>::fail(int status, const char* reason) noexcept {
  state_ = State::failed;
  status_ = status;
  reason_ = reason;
  return HttpEvent::error;
}

template <class Head>
bool MessageParser<Head>::refuse(int status, const char* reason) noexcept {
  fail(status, reason);
  return false;
}

template <class Head>
bool MessageParser<Head>::feed(std::string_view bytes, Heard& heard) noexcept {
  Llhttp llhttp(llhttp_);
  return llhttp.feed(bytes, heard) || refuse(400, llhttp.error());
}

template <class Head>
HttpEvent MessageParser<Head>::next(ByteView& input) {
  switch (state_) {
    case State::start:
    case State::head:
      return read_head(input);
    case State::body_begin:
      if (HttpEvent event = begin_body(); event != HttpEvent::need_more) return event;
      return read_body(input);
    case State::body_end:
      return end_message();
    case State::failed:
      return HttpEvent::error;
    default:
      return read_body(input);
  }
}

template <class Head>
HttpEvent MessageParser<Head>::finish() {
  if (state_ == State::start) return HttpEvent::need_more;
  if (state_ == State::failed) return HttpEvent::error;
  if (state_ == State::body_begin && !head_.has_body_) return end_message();
  if (state_ == State::body_begin && head_.until_close_) return end_message();
  if (state_ == State::until_close || state_ == State::body_end) return end_message();
  return fail(400, "truncated message");
}

// --- The head ---------------------------------------------------------------------------------

template <class Head>
HttpEvent MessageParser<Head>::read_head(ByteView& input) {
  if (input.empty()) return HttpEvent::need_more;
  if (state_ == State::start) {
    head_.clear();
    line_at_ = 0;
    first_line_ = true;
    skipped_empty_ = false;
    Llhttp::begin(llhttp_, std::is_same_v<Head, RequestHead> ? HTTP_REQUEST : HTTP_RESPONSE);
    state_ = State::head;
  }
  return head_.text_.empty() ? read_head_from(input) : read_more_head(input);
}

/// A head that lies in the input from its first byte: parsed there and copied once.
template <class Head>
HttpEvent MessageParser<Head>::read_head_from(ByteView& input) {
  const char* const head = chars(input);
  const std::size_t size = input.size();
  while (const char* lf = find_lf(head + line_at_, size - line_at_)) {
    take_line(head, static_cast<std::size_t>(lf + 1 - (head + line_at_)));
    if (state_ == State::head) continue;
    if (state_ == State::failed) return HttpEvent::error;
    head_.text_.assign(head, line_at_);
    input = input.subspan(line_at_);
    return finish_head();
  }
  if (!line_fits(size - line_at_, size)) return HttpEvent::error;
  head_.text_.assign(head, size);
  input = {};
  return HttpEvent::need_more;
}

/// The rest of a head that arrived in pieces: each line is completed in our text, then parsed.
template <class Head>
HttpEvent MessageParser<Head>::read_more_head(ByteView& input) {
  std::string& text = head_.text_;
  while (!input.empty()) {
    const char* const lf = find_lf(chars(input), input.size());
    const std::size_t taken =
        lf ? static_cast<std::size_t>(lf + 1 - chars(input)) : input.size();
    if (!line_fits(text.size() + taken - line_at_, text.size() + taken)) return HttpEvent::error;
    text.append(chars(input), taken);
    input = input.subspan(taken);
    if (!lf) break;
    take_line(text.data(), text.size() - line_at_);
    if (state_ == State::failed) return HttpEvent::error;
    if (state_ == State::body_begin) return finish_head();
  }
  return HttpEvent::need_more;
}

/// Checks what a head may grow to, also when the line is not complete, so that the answer does
/// not depend on how the input was cut: the limit that is reached first decides.
template <class Head>
bool MessageParser<Head>::line_fits(std::size_t line_size, std::size_t head_size) noexcept {
  const std::size_t line_max = limits_.target_max + k_request_line_rest;
  if (std::is_same_v<Head, RequestHead> && first_line_ && line_size > line_max &&
      line_at_ + line_max <= limits_.head_max) {
    fail(414, "request target too long");
    return false;
  }
  if (head_size <= limits_.head_max) return true;
  fail(431, "head too long");
  return false;
}

/// Takes the line at line_at_, `size` bytes up to its LF: what llhttp must not see is refused
/// before it is fed, what it reports is judged after. The empty line ends the head.
template <class Head>
void MessageParser<Head>::take_line(const char* head, std::size_t size) {
  if (!line_fits(size, line_at_ + size)) return;
  const std::string_view line(head + line_at_, size);
  // RFC 9112, 2.2: llhttp takes a bare LF after the first line and as the empty line.
  if (size < 2 || line.find('\r') != size - 2) {
    fail(400, "line not ended by CRLF");
    return;
  }
  if (size == 2 && first_line_ && !skipped_empty_) {
    skipped_empty_ = true;  // One empty line before a message is let pass; llhttp takes any number.
    line_at_ += size;
    return;
  }
  const bool taken = first_line_ ? take_first_line(head, line) : take_field_line(head, line);
  first_line_ = false;
  if (taken) line_at_ += size;
}

template <class Head>
bool MessageParser<Head>::take_first_line(const char* head, std::string_view line) {
  Heard heard;
  Verdict verdict;
  const std::string_view content = line.substr(0, line.size() - 2);
  if constexpr (std::is_same_v<Head, RequestHead>) {
    verdict = HeadJudge::method(head_, head, content);
    if (!verdict.ok()) return refuse(verdict.status, verdict.reason);
    // RFC 9110, 9.1: methods are open ended, llhttp's are a list with grammars of their own.
    const bool known = head_.method_ != Method::other;
    if (!known && !feed("POST", heard)) return false;
    if (!feed(known ? line : line.substr(head_.method_text_.size), heard)) return false;
    verdict = HeadJudge::request_line(head_, head, content, heard, limits_);
  } else {
    if (!feed(line, heard)) return false;
    head_.status_ = Llhttp(llhttp_).status();
    verdict = HeadJudge::status_line(head_, head, content, heard);
  }
  return verdict.ok() || refuse(verdict.status, verdict.reason);
}

template <class Head>
bool MessageParser<Head>::take_field_line(const char* head, std::string_view line) {
  Heard heard;
  if (line.size() > 2) {
    if (head_.fields_.size() >= limits_.fields_max) return refuse(431, "too many fields");
    // RFC 9112, 5.2: llhttp unfolds, after any field but the first.
    if (line[0] == ' ' || line[0] == '\t') return refuse(400, "folded field line");
  }
  if (!feed(line, heard)) return false;
  if (heard.complete) {
    state_ = State::body_begin;
    return true;
  }
  const Verdict verdict = HeadJudge::field_line(head_, head, heard);
  return verdict.ok() || refuse(verdict.status, verdict.reason);
}

template <class Head>
HttpEvent MessageParser<Head>::finish_head() {
  const Llhttp llhttp(llhttp_);
  head_.chunked_ = llhttp.chunked();
  head_.has_content_length_ = llhttp.has_content_length();
  head_.content_length_ = llhttp.has_content_length() ? llhttp.content_length() : 0;
  Verdict verdict;
  if constexpr (std::is_same_v<Head, RequestHead>) {
    verdict = HeadJudge::complete(head_);
  } else {
    verdict = HeadJudge::complete(head_, no_body_);
    if (head_.status() >= 200) no_body_ = false;  // An interim 1xx is not yet the answer.
  }
  if (!verdict.ok()) return fail(verdict.status, verdict.reason);
  return HttpEvent::head;
}

// --- The body ---------------------------------------------------------------------------------

template <class Head>
HttpEvent MessageParser<Head>::end_message() noexcept {
  state_ = State::start;
  body_ = {};
  return HttpEvent::end;
}

template <class Head>
HttpEvent MessageParser<Head>::begin_body() {
  trailers_.clear_fields();
  if (!head_.has_body_) return end_message();
  Llhttp(llhttp_).resume();
  body_bytes_ = 0;
  extension_bytes_ = trailer_fields_ = 0;
  digits_ = 0;
  after_cr_ = false;
  if (head_.chunked_) {
    state_ = State::chunk_size;
  } else if (head_.until_close_) {
    state_ = State::until_close;
  } else {
    if (head_.content_length_ > limits_.body_max) return fail(413, "body too long");
    left_ = head_.content_length_;
    state_ = State::fixed;
  }
  return HttpEvent::need_more;
}

template <class Head>
HttpEvent MessageParser<Head>::read_body(ByteView& input) {
  while (!input.empty()) {
    if (state_ == State::fixed || state_ == State::chunk_data || state_ == State::until_close)
      return read_piece(input);
    const char c = static_cast<char>(input.front());
    input = input.subspan(1);
    const HttpEvent event = step(c);
    if (event != HttpEvent::need_more) return event;
  }
  return HttpEvent::need_more;
}

template <class Head>
HttpEvent MessageParser<Head>::read_piece(ByteView& input) {
  std::uint64_t wanted = left_;
  if (state_ == State::until_close) {
    wanted = limits_.body_max - std::min(limits_.body_max, body_bytes_);
    if (wanted == 0) return fail(413, "body too long");
  }
  const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(wanted, input.size()));
  Heard heard;
  if (!feed({chars(input), size}, heard)) return HttpEvent::error;
  body_ = as_bytes(heard.body);
  input = input.subspan(size);
  if (state_ == State::until_close) {
    body_bytes_ += size;
    return HttpEvent::body;
  }
  left_ -= size;
  if (left_ == 0) state_ = state_ == State::fixed ? State::body_end : State::chunk_data_end;
  return HttpEvent::body;
}

/// One byte of the chunked framing (RFC 9112, section 7.1), judged, then fed: byte by byte the
/// answer cannot depend on cuts.
template <class Head>
HttpEvent MessageParser<Head>::step(char c) {
  if (!framing_allows(c)) return HttpEvent::error;
  // RFC 9112, 7.1.1: unknown extensions are ignored. llhttp refuses some that are legal.
  if (state_ == State::chunk_extension) return HttpEvent::need_more;
  Heard heard;
  if (!feed({&c, 1}, heard)) return HttpEvent::error;
  if (heard.complete) return take_trailers() ? end_message() : HttpEvent::error;
  if (heard.chunk_begins) return begin_chunk();
  if (state_ == State::chunk_data_end && c == '\n') {
    state_ = State::chunk_size;
    digits_ = 0;
  }
  return HttpEvent::need_more;
}

/// False after an error: a byte that llhttp would let pass, or a limit.
template <class Head>
bool MessageParser<Head>::framing_allows(char c) {
  // RFC 9112, 2.2: llhttp takes a bare LF in trailers.
  if ((c == '\n') != after_cr_) return refuse(400, "line not ended by CRLF");
  after_cr_ = c == '\r';
  switch (state_) {
    case State::chunk_size:
      if (c == '\r') state_ = State::chunk_size_end;
      else if (c == ';' && digits_ > 0) state_ = State::chunk_extension;
      else if (++digits_ > k_chunk_digits_max) return refuse(400, "bad chunk size");
      return true;
    case State::chunk_extension:
      if (++extension_bytes_ > limits_.chunk_extensions_max)
        return refuse(413, "chunk extensions too long");
      if (c == '\r') state_ = State::chunk_size_end;
      else if (!in_class(c, k_is_value)) return refuse(400, "bad chunk extension");
      return true;
    case State::trailers:
      return trailer_allows(c);
    default:
      return true;
  }
}

/// Trailer fields are held to the rules and limits of header fields, and kept apart from them:
/// nothing that was decided on the head may be changed by what comes after the body (RFC 9110,
/// 6.5.1).
template <class Head>
bool MessageParser<Head>::trailer_allows(char c) {
  if (trailers_.text_.size() >= limits_.head_max) return refuse(431, "trailers too long");
  trailers_.text_.push_back(c);
  if (line_begins_ && c != '\r') {
    // llhttp unfolds lines (RFC 9112, 5.2) and takes an empty name (RFC 9110, 5.1).
    if (!in_class(c, k_is_token)) return refuse(400, "bad trailer name");
    if (++trailer_fields_ > limits_.fields_max) return refuse(431, "too many trailers");
  }
  line_begins_ = c == '\n';
  return true;
}

/// The lines of the trailers, up to the empty one, become fields.
template <class Head>
bool MessageParser<Head>::take_trailers() {
  const std::string_view all = trailers_.text_;
  const auto span = [&](std::string_view part) {
    return FieldList::Span{static_cast<std::uint32_t>(part.data() - all.data()),
                           static_cast<std::uint32_t>(part.size())};
  };
  for (std::size_t at = 0, end = 0; (end = all.find("\r\n", at)) != at && end != all.npos;) {
    const std::string_view line = all.substr(at, end - at);
    const std::size_t colon = line.find(':');
    if (colon == line.npos || !is_token(line.substr(0, colon)))
      return refuse(400, "bad trailer name");
    const std::string_view value = trimmed(line.substr(colon + 1));
    if (!is_field_value(value)) return refuse(400, "bad trailer value");
    trailers_.fields_.push_back({span(line.substr(0, colon)), span(value)});
    at = end + 2;
  }
  return true;
}

template <class Head>
HttpEvent MessageParser<Head>::begin_chunk() {
  left_ = Llhttp(llhttp_).content_length();
  if (left_ == 0) {
    line_begins_ = true;
    state_ = State::trailers;
    return HttpEvent::need_more;
  }
  // Both are at most 2^60: the sum cannot overflow.
  if (body_bytes_ + left_ > limits_.body_max) return fail(413, "body too long");
  body_bytes_ += left_;
  state_ = State::chunk_data;
  return HttpEvent::need_more;
}

template class MessageParser<RequestHead>;
template class MessageParser<ResponseHead>;

}  // namespace rondo::proto
