// SPDX-License-Identifier: Apache-2.0
#include "fetch/css.hpp"

#include <algorithm>

#include "rondo/proto/url.hpp"

namespace rondo::fetch {
namespace {

bool is_space(char c) noexcept {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}
bool is_newline(char c) noexcept { return c == '\n' || c == '\r' || c == '\f'; }
bool is_hex(char c) noexcept {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}
bool is_ident(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_' || static_cast<unsigned char>(c) >= 0x80;
}
char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

void put_utf8(std::string& into, unsigned code) {
  if (code == 0 || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) code = 0xfffd;
  const auto put = [&](unsigned byte) { into += static_cast<char>(byte); };
  if (code < 0x80) return put(code);
  if (code < 0x800) {
    put(0xc0 | code >> 6);
  } else {
    if (code < 0x10000)
      put(0xe0 | code >> 12);
    else
      put(0xf0 | code >> 18), put(0x80 | (code >> 12 & 0x3f));
    put(0x80 | (code >> 6 & 0x3f));
  }
  put(0x80 | (code & 0x3f));
}

class Scanner {
 public:
  Scanner(std::string_view css, std::size_t most) : css_(css), most_(most) {}

  std::vector<CssUrl> run() {
    while (at_ < css_.size() && found_.size() < most_) step();
    return std::move(found_);
  }

 private:
  enum class Function : unsigned char { other, url, strings };
  static constexpr std::size_t k_depth_max = 256;  // Deeper ones count as `other`.

  char here(std::size_t ahead = 0) const noexcept {
    return at_ + ahead < css_.size() ? css_[at_ + ahead] : '\0';
  }

  void step() {
    const char c = here();
    if (c == '/' && here(1) == '*') {
      const std::size_t end = css_.find("*/", at_ + 2);
      at_ = end == std::string_view::npos ? css_.size() : end + 2;
    } else if (c == '"' || c == '\'') {
      take_string();
    } else if (c == '@') {
      ++at_;
      rule_ = ident();
    } else if (is_ident(c) || (c == '\\' && !is_newline(here(1)))) {
      word();
    } else {
      if (c == '(') open(Function::other);
      if (c == ')' && depth_ > 0) --depth_;
      if (c == '{') brace();
      if (c == '}' || c == ';') rule_.clear(), depth_ = 0;
      ++at_;
    }
  }

  void brace() {
    in_font_ = rule_ == "font-face";
    rule_.clear();
    depth_ = 0;
  }

  void open(Function function) {
    if (depth_ < k_depth_max) functions_[depth_] = function;
    ++depth_;
  }
  Function innermost() const noexcept {
    return depth_ == 0 || depth_ > k_depth_max ? Function::other : functions_[depth_ - 1];
  }

  /// An identifier in small letters, its escapes resolved.
  std::string ident() {
    std::string name;
    while (at_ < css_.size()) {
      if (is_ident(here())) {
        name += lower(css_[at_++]);
      } else if (here() == '\\' && !is_newline(here(1))) {
        ++at_;
        escape(name);
      } else {
        break;
      }
    }
    return name;
  }

  /// Behind a backslash.
  void escape(std::string& into) {
    if (at_ >= css_.size()) return put_utf8(into, 0xfffd);
    if (!is_hex(here())) {
      into += css_[at_++];
      return;
    }
    unsigned code = 0;
    for (int digits = 0; digits < 6 && is_hex(here()); ++digits, ++at_) {
      const char c = lower(here());
      code = code * 16 + static_cast<unsigned>(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    put_utf8(into, code);
    if (here() == '\r' && here(1) == '\n') ++at_;
    if (at_ < css_.size() && is_space(here())) ++at_;
  }

  void word() {
    const std::size_t before = at_;
    const std::string name = ident();
    if (at_ == before) ++at_;
    if (here() != '(') return;
    ++at_;
    if (name == "url") return url();
    const bool takes = name == "image-set" || name == "-webkit-image-set" || name == "src";
    open(takes ? Function::strings : Function::other);
  }

  /// Behind "url(".
  void url() {
    std::size_t first = at_;
    while (first < css_.size() && is_space(css_[first])) ++first;
    if (first < css_.size() && (css_[first] == '"' || css_[first] == '\'')) {
      at_ = first;
      return open(Function::url);
    }
    const std::size_t begin = at_;
    at_ = first;
    std::string text;
    bool bad = false;
    while (at_ < css_.size() && here() != ')') {
      const char c = here();
      if (c == '\\' && !is_newline(here(1))) {
        ++at_;
        escape(text);
      } else if (is_space(c)) {
        while (at_ < css_.size() && is_space(here())) ++at_;
        bad = bad || here() != ')';
      } else {
        bad = bad || c == '"' || c == '\'' || c == '(' || static_cast<unsigned char>(c) < 0x20;
        text += c;
        ++at_;
      }
    }
    if (!bad) note(begin, at_, std::move(text));
    if (at_ < css_.size()) ++at_;
  }

  void take_string() {
    const std::size_t begin = at_;
    const char quote = css_[at_++];
    std::string text;
    while (at_ < css_.size() && here() != quote) {
      if (is_newline(here())) return;  // A bad string: it ends unclosed.
      if (here() != '\\') {
        text += css_[at_++];
      } else if (is_newline(here(1))) {
        at_ += here(1) == '\r' && here(2) == '\n' ? 3 : 2;
      } else {
        ++at_;
        escape(text);
      }
    }
    if (at_ < css_.size()) ++at_;
    const bool import = rule_ == "import" && depth_ == 0;
    if (import || innermost() != Function::other) note(begin, at_, std::move(text));
    if (import) rule_ = "imported";
  }

  void note(std::size_t begin, std::size_t end, std::string url) {
    if (url.empty() || rule_ == "namespace") return;
    CssUrl each{.begin = begin, .end = end, .url = std::move(url)};
    if (rule_ == "import" || rule_ == "imported")
      each.of = CssUrl::Of::import;
    else if (in_font_)
      each.of = CssUrl::Of::font;
    if (rule_ == "import") rule_ = "imported";
    found_.push_back(std::move(each));
  }

  std::string_view css_;
  std::size_t most_;
  std::size_t at_ = 0;
  std::string rule_;  ///< the at-rule whose beginning this is
  bool in_font_ = false;
  std::size_t depth_ = 0;
  Function functions_[k_depth_max] = {};
  std::vector<CssUrl> found_;
};

}  // namespace

std::vector<CssUrl> css_urls(std::string_view css, std::size_t most) {
  return Scanner(css, most).run();
}

std::string css_string(std::string_view url) {
  std::string text = "\"";
  for (const char c : url) {
    if (c == '"' || c == '\\') text += '\\';
    if (is_newline(c))
      text += "\\a ";
    else
      text += c;
  }
  return text + '"';
}

}  // namespace rondo::fetch
