// SPDX-License-Identifier: Apache-2.0
#include "http1_head.hpp"

#include <algorithm>
#include <cstring>

#include "base/text.hpp"
#include "http1_chars.hpp"
#include "http1_llhttp.hpp"
#include "rondo/proto/url.hpp"

namespace rondo::proto {
namespace {

constexpr std::size_t k_method_max = 32;  // Longer than any method there is: 501 (RFC 9112, 3).

constexpr std::size_t k_version_size = std::string_view(" HTTP/1.1").size();

constexpr std::string_view k_methods[] = {"GET",     "HEAD",    "POST",  "PUT",   "DELETE",
                                          "CONNECT", "OPTIONS", "TRACE", "PATCH", "OTHER"};

Method find_method(std::string_view text) noexcept {
  for (std::size_t i = 0; i < static_cast<std::size_t>(Method::other); ++i)
    if (k_methods[i] == text) return static_cast<Method>(i);
  return Method::other;
}

bool all_in_class(std::string_view text, std::uint8_t wanted) noexcept {
  return std::ranges::all_of(text, [&](char c) { return in_class(c, wanted); });
}

/// Calls f(item) for each item of a comma-separated list, white space around it removed.
template <class F>
void for_each_item(std::string_view list, F&& f) {
  for (;;) {
    const std::size_t comma = list.find(',');
    f(trimmed(list.substr(0, comma)));
    if (comma == std::string_view::npos) return;
    list.remove_prefix(comma + 1);
  }
}

/// 64 bits at a time: is there a byte below 0x20, or 0x7F? (The usual carry trick; HTAB counts,
/// the caller looks again.)
bool may_hold_control(std::string_view text) noexcept {
  constexpr std::uint64_t ones = 0x0101010101010101U;
  constexpr std::uint64_t highs = 0x8080808080808080U;
  if (text.size() < 8) return !all_in_class(text, k_is_value);
  std::uint64_t found = 0;
  const auto look = [&](const char* at) {
    std::uint64_t word;
    std::memcpy(&word, at, sizeof word);
    const std::uint64_t del = word ^ (ones * 0x7F);
    found |= (((word - ones * 0x20) & ~word) | ((del - ones) & ~del)) & highs;
  };
  const char* const last = text.data() + text.size() - 8;
  for (const char* at = text.data(); at < last; at += 8) look(at);
  look(last);  // Overlaps the word before it: no tail byte by byte.
  return found != 0;
}

}  // namespace

bool iequals(std::string_view a, std::string_view b) noexcept {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (lower(a[i]) != lower(b[i])) return false;
  return true;
}

bool has_token(std::string_view list, std::string_view token) noexcept {
  bool found = false;
  for_each_item(list, [&](std::string_view item) { found = found || iequals(item, token); });
  return found;
}

bool is_token(std::string_view text) noexcept {
  return !text.empty() && all_in_class(text, k_is_token);
}

bool is_field_value(std::string_view text) noexcept {
  return !may_hold_control(text) || all_in_class(text, k_is_value);
}

std::string_view method_name(Method method) noexcept {
  return k_methods[static_cast<std::size_t>(method)];
}

Field FieldList::field(std::size_t index) const noexcept {
  const FieldSpan& span = fields_[index];
  return {view(span.name), view(span.value)};
}

std::size_t FieldList::find(std::string_view name, std::size_t from) const noexcept {
  while (from < fields_.size() && !iequals(view(fields_[from].name), name)) ++from;
  return std::min(from, fields_.size());
}

std::string_view FieldList::get(std::string_view name, std::string_view otherwise) const noexcept {
  const std::size_t index = find(name);
  return index < fields_.size() ? view(fields_[index].value) : otherwise;
}

std::string_view MessageHead::upgrade() const noexcept {
  return wants_upgrade_ && minor_version_ >= 1 ? get("upgrade") : std::string_view();
}

void MessageHead::clear() noexcept {
  std::string text = std::move(text_);  // The memory stays: a connection reuses it.
  std::vector<FieldSpan> fields = std::move(fields_);
  *this = MessageHead();
  text.clear();
  fields.clear();
  text_ = std::move(text);
  fields_ = std::move(fields);
}

std::string_view RequestHead::authority() const noexcept {
  return view(has_target_authority_ ? target_authority_ : host_);
}

Verdict HeadJudge::version(MessageHead& head, std::string_view text) {
  if (text[0] != '1') return {505, "not HTTP/1"};
  head.minor_version_ = text[2] == '0' ? 0 : 1;  // RFC 9110, 2.5: a later 1.x speaks 1.1 with us.
  return {};
}

Verdict HeadJudge::method(RequestHead& head, const char* base, std::string_view line) {
  const std::size_t size = line.find(' ');
  if (size == std::string_view::npos) return {400, "malformed request line"};
  const std::string_view text = line.substr(0, size);
  if (!is_token(text)) return {400, "bad method"};
  if (size > k_method_max) return {501, "unknown method"};
  head.method_ = find_method(text);
  head.method_text_ = span(base, text);
  return {};
}

Verdict HeadJudge::request_line(RequestHead& head, const char* base, std::string_view line,
                                const Heard& heard, const HttpLimits& limits) {
  head.path_ = head.query_ = head.target_authority_ = {};
  head.has_target_authority_ = false;
  head.default_path_ = {};
  const std::string_view text = heard.target;
  if (text.size() > limits.target_max) return {414, "request target too long"};
  // RFC 9112, 3: llhttp also takes more spaces, a line without version and RTSP's.
  const std::size_t before = head.method_text_.size + 1;
  const std::size_t after = before + text.size();
  if (text.data() != line.data() + before || line.size() != after + k_version_size ||
      line.substr(after, 6) != " HTTP/")
    return {400, "malformed request line"};
  if (Verdict v = version(head, heard.version); !v.ok()) return v;
  head.target_ = span(base, text);
  return target(head, base, text);
}

Verdict HeadJudge::target(RequestHead& head, const char* base, std::string_view text) {
  // RFC 9112, 3.2: llhttp takes fragments and characters no URI has.
  if (!all_in_class(text, k_is_target)) return {400, "bad request target"};
  if (head.method_ == Method::connect) {
    const Result<Authority> peer = parse_authority(text);
    if (!peer || peer->host.empty() || !peer->port) return {400, "bad CONNECT target"};
    head.target_authority_ = span(base, text);
    head.has_target_authority_ = true;
    return {};
  }
  if (text.front() == '/') {
    path_and_query(head, base, text);
    return {};
  }
  if (text == "*" && head.method_ == Method::options) {
    head.path_ = span(base, text);
    return {};
  }
  return absolute_target(head, base, text);
}

Verdict HeadJudge::absolute_target(RequestHead& head, const char* base, std::string_view text) {
  const Result<UrlView> url = parse_url(text);
  if (!url || !(iequals(url->scheme, "http") || iequals(url->scheme, "https")))
    return {400, "bad request target"};
  const std::string_view rest = text.substr(url->scheme.size() + 3);
  const std::size_t end = std::min(rest.find_first_of("/?"), rest.size());
  head.target_authority_ = span(base, rest.substr(0, end));
  head.has_target_authority_ = true;
  head.default_path_ = "/";
  path_and_query(head, base, rest.substr(end));
  return {};
}

void HeadJudge::path_and_query(RequestHead& head, const char* base, std::string_view text) {
  const std::size_t question = text.find('?');
  head.path_ = span(base, text.substr(0, question));
  if (question != std::string_view::npos) head.query_ = span(base, text.substr(question + 1));
}

Verdict HeadJudge::status_line(ResponseHead& head, const char* base, std::string_view line,
                               const Heard& heard) {
  // RFC 9112, 4: llhttp also takes more spaces and one or two digits. The space before an empty
  // reason is required, but too many servers leave it out.
  if (line.size() < 12 || line[8] != ' ') return {400, "malformed status line"};
  if (Verdict v = version(head, heard.version); !v.ok()) return v;
  if (head.status_ < 100 || (line.size() > 12 && line[12] != ' ')) return {400, "bad status code"};
  if (!is_field_value(heard.reason)) return {400, "bad reason phrase"};
  head.reason_ = heard.reason.empty() ? Span{} : span(base, heard.reason);
  return {};
}

Verdict HeadJudge::field_line(MessageHead& head, const char* base, const Heard& heard) {
  if (heard.name.empty()) return {400, "empty field name"};  // RFC 9110, 5.1.
  const std::string_view value =
      heard.value.empty() ? heard.name.substr(heard.name.size()) : trimmed(heard.value);
  const Field field{heard.name, value};
  head.fields_.push_back({span(base, field.name), span(base, field.value)});
  return known_field(head, base, field);
}

Verdict HeadJudge::known_field(MessageHead& head, const char* base, Field field) {
  switch (field.name.size()) {
    case 4:
      if (!iequals(field.name, "host")) break;
      if (head.host_count_ < 2) ++head.host_count_;
      head.host_ = span(base, field.value);
      if (!parse_authority(field.value)) return {400, "bad Host"};
      break;
    case 6:
      if (iequals(field.name, "expect") && iequals(field.value, "100-continue"))
        head.expect_continue_ = true;
      break;
    case 10:
      if (iequals(field.name, "connection")) connection(head, field.value);
      break;
    case 17:
      if (!iequals(field.name, "transfer-encoding")) break;
      head.has_transfer_encoding_ = true;
      if (!iequals(field.value, "chunked")) head.unknown_coding_ = true;
      break;
    default:
      break;
  }
  return {};
}

/// RFC 9110, 5.6.3 and 7.6.1: llhttp overlooks an option that HTAB follows.
void HeadJudge::connection(MessageHead& head, std::string_view value) {
  for_each_item(value, [&](std::string_view item) {
    if (iequals(item, "close")) head.wants_close_ = true;
    else if (iequals(item, "keep-alive")) head.wants_keep_alive_ = true;
    else if (iequals(item, "upgrade")) head.wants_upgrade_ = true;
  });
}

Verdict HeadJudge::complete(RequestHead& head) {
  // RFC 9112, 6.1: llhttp frames HTTP/1.0 by it, where a proxy may not know it.
  if (head.has_transfer_encoding_ && head.minor_version_ == 0)
    return {400, "Transfer-Encoding in HTTP/1.0"};
  if (head.has_transfer_encoding_ && !head.chunked_)
    return {400, "chunked is not the last transfer coding"};
  if (head.unknown_coding_) return {501, "unknown transfer coding"};
  if (head.host_count_ > 1) return {400, "two Host fields"};
  if (head.host_count_ == 0 && head.minor_version_ > 0) return {400, "no Host field"};
  if (head.minor_version_ == 0) head.expect_continue_ = false;
  head.keep_alive_ =
      !head.wants_close_ && (head.minor_version_ > 0 || head.wants_keep_alive_);
  head.has_body_ = head.chunked_ || head.content_length_ > 0;
  return {};
}

Verdict HeadJudge::complete(ResponseHead& head, bool no_body) {
  if (head.has_transfer_encoding_ && head.minor_version_ == 0)
    return {400, "Transfer-Encoding in HTTP/1.0"};
  if (head.has_transfer_encoding_ && (head.unknown_coding_ || !head.chunked_))
    return {501, "unknown transfer coding"};
  const int status = head.status_;
  const bool never = no_body || status / 100 == 1 || status == 204 || status == 304;
  const bool measured = head.has_content_length_ || head.chunked_;
  head.until_close_ = !never && !measured;
  head.has_body_ =
      !never && (head.chunked_ || head.content_length_ > 0 || head.until_close_);
  head.keep_alive_ = !head.until_close_ && !head.wants_close_ &&
                     (head.minor_version_ > 0 || head.wants_keep_alive_);
  return {};
}

}  // namespace rondo::proto
