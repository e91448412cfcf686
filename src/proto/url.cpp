// SPDX-License-Identifier: Apache-2.0
#include "rondo/proto/url.hpp"

#include <algorithm>
#include <vector>

namespace rondo::proto {
namespace {

/// 0..15, or -1 when `c` is no hex digit.
int hex_value(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool is_alpha(char c) noexcept { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
bool is_unreserved(char c) noexcept {
  return is_alpha(c) || is_digit(c) || c == '-' || c == '.' || c == '_' || c == '~';
}
bool is_sub_delim(char c) noexcept {
  return std::string_view("!$&'()*+,;=").find(c) != std::string_view::npos;
}

Error bad(const char* operation, std::string_view text) {
  return {Errc::invalid_argument, operation, text.substr(0, 256)};
}

/// RFC 3986 reg-name and IPv4address: one grammar covers both.
bool is_reg_name(std::string_view host) noexcept {
  for (std::size_t i = 0; i < host.size(); ++i) {
    const char c = host[i];
    if (is_unreserved(c) || is_sub_delim(c)) continue;
    if (c != '%' || host.size() - i < 3) return false;
    if (hex_value(host[i + 1]) < 0 || hex_value(host[i + 2]) < 0) return false;
    i += 2;
  }
  return true;
}

/// The inside of [ ]: the characters of an IPv6 address; the resolver judges the rest.
bool is_ip_literal(std::string_view inside) noexcept {
  return inside.size() >= 2 && std::ranges::all_of(inside, [](char c) {
           return hex_value(c) >= 0 || c == ':' || c == '.';
         }) && inside.find(':') != std::string_view::npos;
}

/// Puts one decoded segment on the stack of segments; false when it climbs above the root.
bool push_segment(std::vector<std::string>& kept, std::string&& segment) {
  if (segment.empty() || segment == ".") return true;
  if (segment != "..") {
    kept.push_back(std::move(segment));
    return true;
  }
  if (kept.empty()) return false;
  kept.pop_back();
  return true;
}

std::optional<std::uint16_t> parse_port(std::string_view digits) noexcept {
  unsigned port = 0;
  if (digits.empty() || digits.size() > 5) return std::nullopt;
  for (const char c : digits) {
    if (!is_digit(c)) return std::nullopt;
    port = port * 10 + static_cast<unsigned>(c - '0');
  }
  if (port > 65'535) return std::nullopt;
  return static_cast<std::uint16_t>(port);
}

bool is_scheme(std::string_view text) noexcept {
  return !text.empty() && is_alpha(text.front()) && std::ranges::all_of(text, [](char c) {
    return is_alpha(c) || is_digit(c) || c == '+' || c == '-' || c == '.';
  });
}

}  // namespace

bool is_target_byte(char c) noexcept {
  return c > ' ' && c < '\x7F' && c != '"' && c != '#' && c != '<' && c != '>';
}

Result<std::string> percent_decode(std::string_view text, Plus plus) {
  std::string decoded;
  decoded.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+' && plus == Plus::space) {
      decoded += ' ';
    } else if (text[i] != '%') {
      decoded += text[i];
    } else {
      if (text.size() - i < 3) return bad("percent decode", text);
      const int high = hex_value(text[i + 1]);
      const int low = hex_value(text[i + 2]);
      if (high < 0 || low < 0 || high + low == 0) return bad("percent decode", text);
      decoded += static_cast<char>(high * 16 + low);
      i += 2;
    }
  }
  return decoded;
}

std::string percent_encode(std::string_view text) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  std::string encoded;
  encoded.reserve(text.size());
  for (const char c : text) {
    if (is_unreserved(c)) {
      encoded += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    encoded += '%';
    encoded += digits[byte >> 4];
    encoded += digits[byte & 15U];
  }
  return encoded;
}

Result<std::string> normalise_path(std::string_view path) {
  if (!path.starts_with('/')) return bad("normalise path", path);
  std::vector<std::string> kept;
  std::string last;
  for (PathSegments left(path); auto raw = left.next();) {
    Result<std::string> segment = percent_decode(*raw);
    if (!segment) return segment.error();
    if (segment->find_first_of(std::string_view("/\\\0", 3)) != std::string::npos)
      return bad("normalise path", path);
    last = *segment;
    if (!push_segment(kept, std::move(*segment))) return bad("normalise path", path);
  }
  std::string made;
  for (const std::string& segment : kept) made.append("/").append(segment);
  const bool is_folder = last.empty() || last == "." || last == "..";
  if (made.empty() || is_folder) made += '/';
  return made;
}

PathSegments::PathSegments(std::string_view path) noexcept : rest_(path) {
  if (rest_.starts_with('/')) rest_.remove_prefix(1);
}

std::optional<std::string_view> PathSegments::next() noexcept {
  if (done_) return std::nullopt;
  const std::size_t slash = rest_.find('/');
  const std::string_view segment = rest_.substr(0, slash);
  done_ = slash == std::string_view::npos;
  if (!done_) rest_.remove_prefix(slash + 1);
  return segment;
}

std::optional<QueryReader::Pair> QueryReader::next() noexcept {
  while (!rest_.empty()) {
    const std::size_t end = rest_.find('&');
    const std::string_view piece = rest_.substr(0, end);
    rest_ = end == std::string_view::npos ? std::string_view() : rest_.substr(end + 1);
    if (piece.empty()) continue;
    const std::size_t equals = piece.find('=');
    if (equals == std::string_view::npos) return Pair{piece, {}};
    return Pair{piece.substr(0, equals), piece.substr(equals + 1)};
  }
  return std::nullopt;
}

std::optional<std::string> query_value(std::string_view query, std::string_view name) {
  for (QueryReader left(query); auto pair = left.next();) {
    const Result<std::string> decoded = percent_decode(pair->name, Plus::space);
    if (!decoded || *decoded != name) continue;
    Result<std::string> value = percent_decode(pair->value, Plus::space);
    if (!value) return std::nullopt;
    return std::move(*value);
  }
  return std::nullopt;
}

Result<Authority> parse_authority(std::string_view text) {
  Authority made;
  std::string_view rest;
  if (text.starts_with('[')) {
    const std::size_t close = text.find(']');
    if (close == std::string_view::npos || !is_ip_literal(text.substr(1, close - 1)))
      return bad("parse authority", text);
    made.host = text.substr(0, close + 1);
    rest = text.substr(close + 1);
  } else {
    made.host = text.substr(0, text.find(':'));
    rest = text.substr(made.host.size());
    if (!is_reg_name(made.host)) return bad("parse authority", text);
  }
  if (rest.empty() || rest == ":") return made;  // RFC 3986: an empty port is no port.
  if (rest.front() != ':') return bad("parse authority", text);
  made.port = parse_port(rest.substr(1));
  if (!made.port) return bad("parse authority", text);
  return made;
}

Result<UrlView> parse_url(std::string_view text) {
  const std::size_t mark = text.find("://");
  if (mark == std::string_view::npos || !is_scheme(text.substr(0, mark)))
    return bad("parse url", text);
  UrlView made{.scheme = text.substr(0, mark), .authority = {}, .path = "/", .query = {}};
  std::string_view rest = text.substr(mark + 3);
  rest = rest.substr(0, rest.find('#'));
  if (!std::ranges::all_of(rest, is_target_byte)) return bad("parse url", text);
  const std::size_t end = std::min(rest.find_first_of("/?"), rest.size());
  Result<Authority> authority = parse_authority(rest.substr(0, end));
  if (!authority || authority->host.empty()) return bad("parse url", text);
  made.authority = *authority;
  rest.remove_prefix(end);
  const std::size_t question = std::min(rest.find('?'), rest.size());
  if (question > 0) made.path = rest.substr(0, question);
  if (question < rest.size()) made.query = rest.substr(question + 1);
  return made;
}

namespace {

/// RFC 3986, section 5.2.4, on a path that begins with a slash. What is encoded stays encoded.
std::string remove_dot_segments(std::string_view path) {
  std::vector<std::string_view> kept;
  bool is_folder = false;
  for (PathSegments left(path); auto segment = left.next();) {
    is_folder = *segment == "." || *segment == "..";
    if (*segment == ".." && !kept.empty()) kept.pop_back();
    if (!is_folder) kept.push_back(*segment);
  }
  std::string made;
  for (const std::string_view segment : kept) made.append("/").append(segment);
  if (is_folder || made.empty()) made += '/';
  return made;
}

/// "http://a:1" of "http://a:1/b?c".
std::string_view origin_of(std::string_view url) {
  return url.substr(0, std::min(url.find_first_of("/?#", url.find("://") + 3), url.size()));
}

Result<std::string> normalised(std::string_view url) {
  const auto parts = parse_url(url);
  if (!parts) return bad("resolve url", url);
  std::string made(origin_of(url));
  made += remove_dot_segments(parts->path);
  if (!parts->query.empty()) made.append("?").append(parts->query);
  return made;
}

}  // namespace

Result<std::string> resolve_reference(std::string_view base, std::string_view reference) {
  auto from = parse_url(base);
  if (!from) return from.error();
  reference = reference.substr(0, reference.find('#'));
  if (!std::ranges::all_of(reference, is_target_byte)) return bad("resolve url", reference);
  const std::size_t colon = reference.find_first_of(":/?");
  const bool absolute = colon != std::string_view::npos && reference[colon] == ':' &&
                        is_scheme(reference.substr(0, colon));
  if (absolute) return normalised(reference);
  if (reference.starts_with("//"))
    return normalised(std::string(from->scheme).append(":").append(reference));
  const std::string_view origin = origin_of(base);
  const std::size_t question = std::min(reference.find('?'), reference.size());
  const std::string_view path = reference.substr(0, question);
  std::string made(origin);
  if (path.starts_with('/')) {
    made += path;
  } else if (!path.empty()) {
    made.append(from->path.substr(0, from->path.rfind('/') + 1)).append(path);
  } else {
    made += from->path;
    if (reference.empty() && !from->query.empty()) made.append("?").append(from->query);
  }
  return normalised(made.append(reference.substr(question)));
}

}  // namespace rondo::proto
