// SPDX-License-Identifier: Apache-2.0
#include "http2_head.hpp"

#include <charconv>

namespace rondo::proto {

/// A head that is this many times too long is no longer looked at: honest clients were told
/// head_max, and each packed byte of a bomb unpacks to thousands.
constexpr std::size_t k_bomb = 4;

void Http2Head::begin_any(FieldList& into) noexcept {
  list_ = &into;
  head_ = nullptr;
  request_ = nullptr;
  verdict_ = {};
  unpacked_ = 0;
  status_ = 0;
  in_pseudo_ = false;
}

void Http2Head::begin_head(MessageHead& into) noexcept {
  into.clear();
  into.major_version_ = 2;
  begin_any(into);
  head_ = &into;
  in_pseudo_ = true;
}

void Http2Head::begin(RequestHead& into) noexcept {
  begin_head(into);
  request_ = &into;
  into.method_text_ = into.target_ = into.path_ = into.query_ = into.target_authority_ = {};
  into.has_target_authority_ = into.extended_connect_ = false;
  into.default_path_ = {};
  for (std::string* text : {&method_, &target_, &authority_, &protocol_, &cookies_}) text->clear();
}

void Http2Head::begin(ResponseHead& into) noexcept {
  begin_head(into);
  into.status_ = 0;
  into.reason_ = {};
}

void Http2Head::begin(FieldList& trailers) noexcept {
  trailers.clear_fields();
  begin_any(trailers);
}

void Http2Head::pseudo(std::string_view name, std::string_view value) {
  if (name == ":method") method_ = value;
  else if (name == ":path") target_ = value;
  else if (name == ":authority") authority_ = value;
  else if (name == ":protocol") protocol_ = value;
  else if (name == ":status") std::from_chars(value.data(), value.data() + value.size(), status_);
}

MessageHead::Span Http2Head::put(std::string_view text) {
  const auto at = static_cast<std::uint32_t>(list_->text_.size());
  list_->text_.append(text);
  return {at, static_cast<std::uint32_t>(text.size())};
}

void Http2Head::put_field(std::string_view name, std::string_view value) {
  const Span name_span = put(name);
  put(": ");
  const Span value_span = put(value);
  put("\r\n");
  list_->fields_.push_back({name_span, value_span});
}

/// The pseudo-fields came first (RFC 9113, section 8.3): they make the first line and Host.
void Http2Head::put_first_line() {
  in_pseudo_ = false;
  if (!request_) {
    char digits[3] = {'0', '0', '0'};
    for (int i = 2, rest = status_; i >= 0; --i, rest /= 10)
      digits[i] = static_cast<char>('0' + rest % 10);
    put("HTTP/2 ");
    put({digits, 3});
    put("\r\n");
    return;
  }
  // RFC 8441: what HTTP/1.1 asks for by GET and Upgrade; handlers and their filters know that.
  const bool extended = method_ == "CONNECT" && !protocol_.empty();
  if (extended) method_ = "GET";
  if (target_.empty()) target_ = authority_;  // CONNECT has no :path.
  request_->method_text_ = put(method_);
  put(" ");
  request_->target_ = put(target_);
  put(" HTTP/2\r\n");
  if (!authority_.empty()) put_field("host", authority_);
  if (!extended) return;
  put_field("upgrade", protocol_);
  request_->extended_connect_ = request_->wants_upgrade_ = true;
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
  std::size_t before = list_->text_.size();
  if (request_)
    before += method_.size() + target_.size() + authority_.size() + protocol_.size() +
              cookies_.size();
  // As many bytes as its line has in HTTP/1.1.
  if (before + name.size() + value.size() + 4 > limits.head_max) {
    verdict_ = {431, "head too long"};
    return;
  }
  if (name.starts_with(':')) return pseudo(name, value);
  if (in_pseudo_) put_first_line();
  if (request_ && take_special(name, value)) return;
  if (list_->fields_.size() >= limits.fields_max) {
    verdict_ = {431, "too many fields"};
    return;
  }
  put_field(name, value);
}

/// Fields of a request that are not kept as they come.
bool Http2Head::take_special(std::string_view name, std::string_view value) {
  // Split by clients so that it packs better; one field for everybody else (section 8.2.3).
  if (name == "cookie") {
    // An empty one would leave a space at the end.
    if (!cookies_.empty() && !value.empty()) cookies_.append("; ");
    cookies_.append(value);
    return true;
  }
  if (name == "host" && !authority_.empty()) {
    if (value != authority_) verdict_ = {400, "Host differs from :authority"};
    return true;
  }
  return false;
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

Verdict Http2Head::judge_request(const Http2Limits& limits) {
  RequestHead& head = *request_;
  const char* const base = head.text_.data();
  if (Verdict v = HeadJudge::method(head, base, head.text_); !v.ok()) return v;
  if (target_.size() > limits.target_max) return {414, "request target too long"};
  if (target_.empty()) return {400, "no request target"};
  return HeadJudge::target(head, base, head.view(head.target_));
}

Verdict Http2Head::finish(bool ended, const Http2Limits& limits) {
  if (!head_) return verdict_;
  if (in_pseudo_) put_first_line();
  if (request_ && !cookies_.empty() && verdict_.ok()) put_field("cookie", cookies_);
  put("\r\n");
  if (verdict_.ok() && request_) verdict_ = judge_request(limits);
  const char* const base = head_->text_.data();
  for (std::size_t i = 0; i < head_->field_count() && verdict_.ok(); ++i) {
    const Field field = head_->field(i);
    verdict_ = HeadJudge::known_field(*head_, base, field);
  }
  if (verdict_.ok()) verdict_ = take_length();
  if (verdict_.ok() && request_) verdict_ = HeadJudge::complete(*request_);
  if (!request_) static_cast<ResponseHead*>(head_)->status_ = status_;
  // RFC 9110, 15: nghttp2 takes any three digits.
  if (!request_ && status_ < 100 && verdict_.ok()) verdict_ = {400, "bad status code"};
  // What follows an extended CONNECT is no body.
  head_->has_body_ = !ended && !(request_ && request_->extended_connect_);
  return verdict_;
}

}  // namespace rondo::proto
