// SPDX-License-Identifier: Apache-2.0
// Json: writes JSON text into one string. Reading is Boost.JSON's (protocol.cpp).
//
//   Json out;
//   out.open().text("t", "ack").number("seq", 13).flag("dup", false).close();
//   send(out.take());
//
// It places the commas; names are literals and are not escaped. Text must be valid UTF-8.
// Thread rule: a value.
#pragma once

#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace rondo::chat {

/// `text` in quotes, escaped as RFC 8259 asks; also U+2028 and U+2029 pass as they are.
inline void append_quoted(std::string& out, std::string_view text) {
  static constexpr char k_hex[] = "0123456789abcdef";
  out.push_back('"');
  std::size_t plain = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c >= 0x20 && c != '"' && c != '\\') continue;
    out.append(text.substr(plain, i - plain));
    plain = i + 1;
    if (c == '"' || c == '\\')
      out.append({'\\', static_cast<char>(c)});
    else if (c == '\n')
      out.append("\\n");
    else if (c == '\t')
      out.append("\\t");
    else if (c == '\r')
      out.append("\\r");
    else
      out.append("\\u00").append({k_hex[c >> 4], k_hex[c & 15]});
  }
  out.append(text.substr(plain));
  out.push_back('"');
}

inline void append_number(std::string& out, std::int64_t value) {
  char digits[24];
  const auto end = std::to_chars(digits, digits + sizeof digits, value);
  out.append(digits, end.ptr);
}

class Json {
 public:
  Json& open() { return begin('{'); }
  Json& close() { return end('}'); }
  Json& open_list() { return begin('['); }
  Json& close_list() { return end(']'); }
  /// `"name":`, to be followed by open() or open_list().
  Json& name(std::string_view name) {
    comma();
    text_.append("\"").append(name).append("\":");
    fresh_ = true;
    return *this;
  }
  Json& text(std::string_view field, std::string_view value) {
    name(field);
    return item(value);
  }
  Json& number(std::string_view field, std::int64_t value) {
    name(field);
    append_number(text_, value);
    fresh_ = false;
    return *this;
  }
  Json& flag(std::string_view field, bool value) {
    name(field);
    text_.append(value ? "true" : "false");
    fresh_ = false;
    return *this;
  }
  /// A field whose value is JSON already.
  Json& raw(std::string_view field, std::string_view json) {
    name(field);
    text_.append(json);
    fresh_ = false;
    return *this;
  }
  /// A text as an item of a list.
  Json& item(std::string_view value) {
    comma();
    append_quoted(text_, value);
    fresh_ = false;
    return *this;
  }
  std::size_t size() const noexcept { return text_.size(); }
  std::string take() { return std::move(text_); }

 private:
  Json& begin(char c) {
    comma();
    text_.push_back(c);
    fresh_ = true;
    return *this;
  }
  Json& end(char c) {
    text_.push_back(c);
    fresh_ = false;
    return *this;
  }
  void comma() {
    if (!std::exchange(fresh_, true)) text_.push_back(',');
  }

  std::string text_;
  bool fresh_ = true;  // Nothing stands before in this object or list.
};

}  // namespace rondo::chat
