// SPDX-License-Identifier: Apache-2.0
#include "rondo/proto/multipart.hpp"

#include <algorithm>
#include <cstring>

#include "base/text.hpp"
#include "proto/parameters.hpp"
#include "rondo/proto/http1.hpp"

namespace rondo::proto {
namespace {

constexpr std::size_t k_boundary_max = 70;  // RFC 2046, section 5.1.1.
constexpr std::size_t k_padding_max = 256;  // White space behind a mark.

bool is_boundary_char(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("'()+_,-./:=? ").find(c) != std::string_view::npos;
}

/// As browsers write names (WHATWG HTML, "multipart/form-data encoding algorithm").
void put_quoted(std::string& into, std::string_view text) {
  into += '"';
  for (const char c : text) {
    if (c == '"')
      into += "%22";
    else if (c == '\r')
      into += "%0D";
    else if (c == '\n')
      into += "%0A";
    else
      into += c;
  }
  into += '"';
}

}  // namespace

Result<std::string> multipart_boundary(std::string_view content_type) {
  Parameters parameters(content_type);
  const bool is_form =
      parameters.value().size() > 10 && iequals(parameters.value().substr(0, 10), "multipart/");
  while (auto each = is_form ? parameters.next() : std::nullopt) {
    if (!iequals(each->name, "boundary")) continue;
    const std::string& text = each->value;
    const bool legal = !text.empty() && text.size() <= k_boundary_max && !text.ends_with(' ') &&
                       std::ranges::all_of(text, is_boundary_char);
    if (legal) return text;
    break;
  }
  return Error(Errc::bad_message, "multipart boundary", content_type);
}

MultipartParser::MultipartParser(std::string_view boundary, MultipartLimits limits)
    : mark_("\r\n--" + std::string(boundary)), limits_(limits) {}

MultipartEvent MultipartParser::fail(Errc code, std::string_view reason) noexcept {
  state_ = State::failed;
  code_ = code;
  reason_ = reason;
  return MultipartEvent::error;
}

MultipartEvent MultipartParser::next(ByteView& input) {
  while (true) {
    const State before = state_;
    MultipartEvent event = MultipartEvent::need_more;
    switch (state_) {
      case State::preamble:
        event = scan(input, false);
        break;
      case State::behind_mark:
        event = read_behind_mark(input);
        break;
      case State::head:
        event = read_head(input);
        break;
      case State::body:
        event = scan(input, true);
        break;
      case State::epilogue:
        input = {};
        return MultipartEvent::end;
      case State::failed:
        return MultipartEvent::error;
    }
    if (event != MultipartEvent::need_more || (state_ == before && input.empty())) return event;
  }
}

/// Goes on with a mark that has begun. True when it is complete or the input is used up.
bool MultipartParser::match_mark(ByteView& input) noexcept {
  while (matched_ < mark_.size() && !input.empty()) {
    if (std::to_integer<char>(input.front()) != mark_[matched_]) return false;
    ++matched_;
    input = input.subspan(1);
  }
  return true;
}

/// Bytes up to the next mark: of a part, or before the first, which are dropped.
MultipartEvent MultipartParser::scan(ByteView& input, bool is_body) {
  while (!input.empty() || matched_ == mark_.size()) {
    if (matched_ > 0) {
      if (match_mark(input)) {
        if (matched_ < mark_.size()) return MultipartEvent::need_more;
        matched_ = 0;
        state_ = State::behind_mark;
        return is_body ? MultipartEvent::part_end : MultipartEvent::need_more;
      }
      // It was none. A mark has one CR only: nothing of what was taken can begin another.
      data_ = rondo::as_bytes(mark_).first(std::exchange(matched_, 0));
      if (is_body) return MultipartEvent::data;
      continue;
    }
    const void* found = std::memchr(input.data(), '\r', input.size());
    const std::size_t size =
        found ? static_cast<std::size_t>(static_cast<const std::byte*>(found) - input.data())
              : input.size();
    data_ = input.first(size);
    input = input.subspan(size);
    if (found) {
      matched_ = 1;
      input = input.subspan(1);
    }
    if (is_body && size > 0) return MultipartEvent::data;
  }
  return MultipartEvent::need_more;
}

/// "--" after the last part, else white space and a line's end.
MultipartEvent MultipartParser::read_behind_mark(ByteView& input) {
  while (!input.empty()) {
    line_ += std::to_integer<char>(input.front());
    input = input.subspan(1);
    if (line_ == "--") {
      state_ = State::epilogue;
      return MultipartEvent::need_more;
    }
    if (!line_.starts_with('-') && line_.ends_with("\r\n")) {
      line_.clear();
      if (++parts_ > limits_.parts_max) return fail(Errc::too_large, "too many parts");
      state_ = State::head;
      return MultipartEvent::need_more;
    }
    const char last = line_.back();
    const bool good =
        line_ == "-" || (!line_.starts_with('-') && (last == ' ' || last == '\t' || last == '\r'));
    if (!good || line_.size() > k_padding_max)
      return fail(Errc::bad_message, "a boundary is followed by something else");
  }
  return MultipartEvent::need_more;
}

MultipartEvent MultipartParser::read_head(ByteView& input) {
  while (!input.empty()) {
    const void* found = std::memchr(input.data(), '\n', input.size());
    const std::size_t size =
        found ? static_cast<std::size_t>(static_cast<const std::byte*>(found) - input.data()) + 1
              : input.size();
    if (line_.size() + size > limits_.head_max)
      return fail(Errc::too_large, "a part's head is too large");
    line_.append(as_text(input.first(size)));
    input = input.subspan(size);
    if (line_ != "\r\n" && !line_.ends_with("\r\n\r\n")) continue;
    if (!parse_head()) return fail(Errc::bad_message, "a part's head is broken");
    line_.clear();
    state_ = State::body;
    return MultipartEvent::part;
  }
  return MultipartEvent::need_more;
}

bool MultipartParser::parse_head() {
  head_ = {};
  head_.content_type = "text/plain";
  std::string_view rest = line_;
  while (rest != "\r\n") {
    const std::size_t end = rest.find("\r\n");
    const std::string_view field = rest.substr(0, end);
    rest.remove_prefix(end + 2);
    if (rest.empty()) break;
    const std::size_t colon = field.find(':');
    if (colon == field.npos || !is_token(field.substr(0, colon))) return false;
    const std::string_view value = trimmed(field.substr(colon + 1));
    if (!is_field_value(value)) return false;
    head_.fields.emplace_back(std::string(field.substr(0, colon)) + ": " + std::string(value));
    if (iequals(field.substr(0, colon), "content-type")) head_.content_type = value;
    if (!iequals(field.substr(0, colon), "content-disposition")) continue;
    Parameters parameters(value);
    while (auto each = parameters.next()) {
      if (iequals(each->name, "name")) {
        head_.name = std::move(each->value);
      } else if (iequals(each->name, "filename")) {
        head_.filename = std::move(each->value);
        head_.has_filename = true;
      }
    }
  }
  return true;
}

// ---- Writing

void MultipartWriter::begin(std::string_view name) {
  body_.append("--").append(boundary_).append("\r\nContent-Disposition: form-data; name=");
  put_quoted(body_, name);
}

MultipartWriter& MultipartWriter::text(std::string_view name, std::string_view value) {
  begin(name);
  body_.append("\r\n\r\n").append(value).append("\r\n");
  return *this;
}

MultipartWriter& MultipartWriter::file(std::string_view name, std::string_view filename,
                                       std::string_view content_type, std::string_view bytes) {
  begin(name);
  body_.append("; filename=");
  put_quoted(body_, filename);
  RONDO_ASSERT(is_field_value(content_type), "a part's type is one line");
  body_.append("\r\nContent-Type: ").append(content_type).append("\r\n\r\n");
  body_.append(bytes).append("\r\n");
  return *this;
}

std::string MultipartWriter::finish() {
  body_.append("--").append(boundary_).append("--\r\n");
  return std::move(body_);
}

}  // namespace rondo::proto
