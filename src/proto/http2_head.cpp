// SPDX-License-Identifier: Apache-2.0
#include "http2_head.hpp"

#include <charconv>

namespace rondo::proto {

/// A head that is this many times too long is no longer looked at: honest clients were told
/// head_max, and each packed byte of a bomb unpacks to thousands.
constexpr std::size_t k_bomb = 4;

void Http2Head::begin(RequestHead& into) noexcept {
  head_ = &into;
  into.clear();
  into.major_version_ = 2;
  into.method_text_ = into.target_ = into.path_ = into.query_ = into.target_authority_ = {};
  into.has_target_authority_ = false;
  into.default_path_ = {};
  method_.clear();
  target_.clear();
  authority_.clear();
  cookies_.clear();
  verdict_ = {};
  unpacked_ = 0;
  in_pseudo_ = true;
}

void Http2Head::pseudo(std::string_view name, std::string_view value) {
  if (name == ":method") method_ = value;
  else if (name == ":path") target_ = value;
  else if (name == ":authority") authority_ = value;
}

MessageHead::Span Http2Head::put(std::string_view text) {
  const auto at = static_cast<std::uint32_t>(head_->text_.size());
  head_->text_.append(text);
  return {at, static_cast<std::uint32_t>(text.size())};
}

void Http2Head::put_field(std::string_view name, std::string_view value) {
  const Span name_span = put(name);
  put(": ");
  const Span value_span = put(value);
  put("\r\n");
  head_->fields_.push_back({name_span, value_span});
}

/// The pseudo-fields came first (RFC 9113, section 8.3): they make the first line and Host.
void Http2Head::put_first_line() {
  in_pseudo_ = false;
  if (target_.empty()) target_ = authority_;  // CONNECT has no :path.
  head_->method_text_ = put(method_);
  put(" ");
  head_->target_ = put(target_);
  put(" HTTP/2\r\n");
  if (!authority_.empty()) put_field("host", authority_);
}

bool Http2Head::field(std::string_view name, std::string_view value, const Http2Limits& limits) {
  unpacked_ += name.size() + value.size();
  if (verdict_.ok()) take(name, value, limits);
  return unpacked_ <= k_bomb * limits.head_max;
}

void Http2Head::take(std::string_view name, std::string_view value, const Http2Limits& limits) {
  if (name == ":path" && value.size() > limits.target_max) {
    verdict_ = {414, "request target too long"};
    return;
  }
  const std::size_t before = head_->text_.size() + method_.size() + target_.size() +
                             authority_.size() + cookies_.size();
  // As many bytes as its line has in HTTP/1.1.
  if (before + name.size() + value.size() + 4 > limits.head_max) {
    verdict_ = {431, "head too long"};
    return;
  }
  if (name.starts_with(':')) return pseudo(name, value);
  if (in_pseudo_) put_first_line();
  // Split by clients so that it packs better; one field for everybody else (section 8.2.3).
  if (name == "cookie") {
    // An empty one would leave a space at the end.
    if (!cookies_.empty() && !value.empty()) cookies_.append("; ");
    cookies_.append(value);
    return;
  }
  if (name == "host" && !authority_.empty()) {
    if (value != authority_) verdict_ = {400, "Host differs from :authority"};
    return;
  }
  if (head_->fields_.size() >= limits.fields_max) {
    verdict_ = {431, "too many fields"};
    return;
  }
  put_field(name, value);
}

/// nghttp2 has checked the number, and counts the body against it.
Verdict Http2Head::take_length() {
  const std::size_t at = head_->find("content-length");
  if (at == head_->field_count()) return {};
  const std::string_view text = head_->field(at).value;
  const auto end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, head_->content_length_);
  if (read.ec != std::errc() || read.ptr != end) return {400, "bad Content-Length"};
  head_->has_content_length_ = true;
  return {};
}

Verdict Http2Head::finish(bool ended, const Http2Limits& limits) {
  if (in_pseudo_) put_first_line();
  if (!cookies_.empty() && verdict_.ok()) put_field("cookie", cookies_);
  put("\r\n");
  const char* const base = head_->text_.data();
  const std::string_view line = std::string_view(head_->text_);
  const Verdict method = HeadJudge::method(*head_, base, line);
  if (verdict_.ok()) verdict_ = method;
  if (verdict_.ok() && target_.size() > limits.target_max)
    verdict_ = {414, "request target too long"};
  if (verdict_.ok() && target_.empty()) verdict_ = {400, "no request target"};
  if (verdict_.ok()) verdict_ = HeadJudge::target(*head_, base, head_->view(head_->target_));
  for (std::size_t i = 0; i < head_->field_count() && verdict_.ok(); ++i) {
    const Field field = head_->field(i);
    verdict_ = HeadJudge::known_field(*head_, base, field);
  }
  if (verdict_.ok()) verdict_ = take_length();
  if (verdict_.ok()) verdict_ = HeadJudge::complete(*head_);
  head_->has_body_ = !ended;
  return verdict_;
}

}  // namespace rondo::proto
