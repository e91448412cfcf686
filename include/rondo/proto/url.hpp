// SPDX-License-Identifier: Apache-2.0
// URLs: percent decoding, paths, queries and authorities (RFC 3986; form encoding of WHATWG URL).
//
//   auto path = normalise_path("/a/./b%20c/../d");      // "/a/d"; an Error for "/../x"
//   for (PathSegments left("/rooms/42"); auto segment = left.next();) match(*segment);
//   for (QueryReader left("q=a+b&n"); auto pair = left.next();) use(pair->name, pair->value);
//   auto host = parse_authority("[::1]:8080");          // host "[::1]", port 8080
//   auto url = parse_url("http://example.org/x?y=1");
//
// Text that is not as the RFC wants it yields Errc::invalid_argument, never a guess.
// Lifetime: what is called a view (PathSegments, QueryReader, Authority, UrlView) points into the
// text it was made of; decoding returns owned strings. Thread rule: any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "rondo/base/result.hpp"

namespace rondo::proto {

/// What a `+` means: a plus in paths, a space in form data and query values.
enum class Plus : unsigned char { literal, space };

/// `text` with %XX replaced by the byte. Errors: invalid_argument for a `%` without two hex
/// digits and for an encoded NUL.
Result<std::string> percent_decode(std::string_view text, Plus plus = Plus::literal);

/// `text` with every byte but unreserved ones (letters, digits, `-._~`) as %XX.
std::string percent_encode(std::string_view text);

/// A decoded absolute path without `.` and `..` segments and without empty segments; a final
/// slash stays. Errors: invalid_argument when the path does not begin with `/`, climbs above the
/// root, or holds (also encoded) a NUL or a backslash, or an encoded slash.
Result<std::string> normalise_path(std::string_view path);

/// The segments of a path, as they are written, in order: "/a//b/" gives "a", "", "b", "".
class PathSegments {
 public:
  explicit PathSegments(std::string_view path) noexcept;
  std::optional<std::string_view> next() noexcept;

 private:
  std::string_view rest_;
  bool done_ = false;
};

/// The pairs of a query (what follows the `?`) or of form data, as they are written.
/// "a=1&b&&=c" gives (a,1) (b,) (,c); empty pieces are skipped.
class QueryReader {
 public:
  struct Pair {
    std::string_view name;
    std::string_view value;  ///< still encoded: percent_decode(value, Plus::space)
  };
  explicit QueryReader(std::string_view query) noexcept : rest_(query) {}
  std::optional<Pair> next() noexcept;

 private:
  std::string_view rest_;
};

/// The decoded value of the first pair whose decoded name is `name`; nothing when there is none
/// or its encoding is bad.
std::optional<std::string> query_value(std::string_view query, std::string_view name);

/// Host and port of a Host field or of a URL (RFC 3986, section 3.2; RFC 9110, section 7.2).
struct Authority {
  std::string_view host;              ///< an IPv6 address keeps its brackets; may be empty
  std::optional<std::uint16_t> port;  ///< not given, or 0..65535
};
/// Errors: invalid_argument for user information (`user@`), bad characters, a bad port or an
/// IPv6 address that is not closed.
Result<Authority> parse_authority(std::string_view text);

/// An absolute URL, taken apart (RFC 3986, section 3). The fragment is dropped.
struct UrlView {
  std::string_view scheme;  ///< as written
  Authority authority;
  std::string_view path;    ///< "/" when the URL has none
  std::string_view query;   ///< without the `?`
};
/// Errors: invalid_argument when there is no `scheme://`, no host, or a byte that no URL may
/// hold (controls, space, non-ASCII, `"`, `<`, `>`).
Result<UrlView> parse_url(std::string_view text);

/// `reference` (a Location field, a link) as an absolute URL, seen from `base` (RFC 3986, section
/// 5.2): "../c?d" from "http://a/b/x/y" is "http://a/b/c?d". Without its fragment.
/// Errors: invalid_argument when `base` is no absolute URL or the reference no URL.
Result<std::string> resolve_reference(std::string_view base, std::string_view reference);

/// True for the bytes a request target or URL may hold as they are: visible ASCII without
/// `"`, `#`, `<` and `>`. Browsers leave `[]{}|^` and the backtick of queries unencoded.
bool is_target_byte(char c) noexcept;

}  // namespace rondo::proto
