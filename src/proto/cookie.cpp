// SPDX-License-Identifier: Apache-2.0
#include "rondo/proto/cookie.hpp"

#include <libpsl.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "base/text.hpp"
#include "rondo/proto/http1.hpp"
#include "rondo/proto/http1_write.hpp"

namespace rondo::proto {
namespace {

constexpr std::size_t k_cookie_max = 4'096;     // Section 5.6: name and value together.
constexpr std::size_t k_attribute_max = 1'024;  // Longer attribute values are left out.

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

bool is_cookie_octet(char c) noexcept {
  const auto byte = static_cast<unsigned char>(c);
  return byte > 0x20 && byte < 0x7f && c != '"' && c != ',' && c != ';' && c != '\\';
}

bool is_attribute_text(std::string_view text) noexcept {
  return is_field_value(text) && text.find(';') == text.npos;
}

bool starts_with_nocase(std::string_view text, std::string_view prefix) noexcept {
  return text.size() >= prefix.size() && iequals(text.substr(0, prefix.size()), prefix);
}

/// Why a browser would drop it, or "".
std::string_view flaw_of(const SetCookie& cookie) noexcept {
  if (!is_token(cookie.name)) return "the name is no token";
  if (!std::ranges::all_of(cookie.value, is_cookie_octet)) return "the value has an illegal byte";
  if (!is_attribute_text(cookie.domain) || !is_attribute_text(cookie.path))
    return "the domain or path has an illegal byte";
  if (cookie.name.size() + cookie.value.size() > k_cookie_max) return "it is over 4,096 bytes";
  if (cookie.same_site == SameSite::none && !cookie.secure) return "SameSite=None wants Secure";
  if (starts_with_nocase(cookie.name, "__Secure-") && !cookie.secure)
    return "__Secure- wants Secure";
  if (starts_with_nocase(cookie.name, "__Host-") &&
      (!cookie.secure || !cookie.domain.empty() || cookie.path != "/"))
    return "__Host- wants Secure, Path=/ and no Domain";
  return {};
}

void put_attribute(SetCookie& cookie, std::string_view name, std::string_view value) {
  if (value.size() > k_attribute_max) return;
  if (iequals(name, "max-age")) {
    std::int64_t seconds = 0;
    const char* end = value.data() + value.size();
    const auto read = std::from_chars(value.data(), end, seconds);
    if (value.empty() || read.ptr != end) return;
    if (read.ec == std::errc::result_out_of_range) seconds = value[0] == '-' ? 0 : INT32_MAX;
    constexpr std::int64_t k_most = 400LL * 86'400;  // Section 5.5.
    cookie.max_age = std::chrono::seconds(std::clamp<std::int64_t>(seconds, 0, k_most));
  } else if (iequals(name, "expires")) {
    if (auto date = parse_cookie_date(value)) cookie.expires = *date;
  } else if (iequals(name, "domain")) {
    if (value.starts_with('.')) value.remove_prefix(1);
    cookie.domain = lower(value);
  } else if (iequals(name, "path")) {
    cookie.path = value.starts_with('/') ? value : std::string_view();
  } else if (iequals(name, "secure")) {
    cookie.secure = true;
  } else if (iequals(name, "httponly")) {
    cookie.http_only = true;
  } else if (iequals(name, "samesite")) {
    cookie.same_site = iequals(value, "strict") ? SameSite::strict
                       : iequals(value, "lax")  ? SameSite::lax
                       : iequals(value, "none") ? SameSite::none
                                                : SameSite::unset;
  }
}

}  // namespace

std::optional<std::string_view> cookie_value(std::string_view field,
                                             std::string_view name) noexcept {
  while (!field.empty()) {
    const std::size_t end = std::min(field.find(';'), field.size());
    const std::string_view pair = field.substr(0, end);
    field.remove_prefix(std::min(end + 1, field.size()));
    const std::size_t equals = pair.find('=');
    if (equals == pair.npos || trimmed(pair.substr(0, equals)) != name) continue;
    std::string_view value = trimmed(pair.substr(equals + 1));
    const bool quoted = value.size() >= 2 && value.starts_with('"') && value.ends_with('"');
    if (quoted) value = value.substr(1, value.size() - 2);
    return value;
  }
  return std::nullopt;
}

Result<std::string> write_set_cookie(const SetCookie& cookie) {
  if (const std::string_view flaw = flaw_of(cookie); !flaw.empty())
    return Error(Errc::invalid_argument, "set-cookie", flaw);
  std::string field = cookie.name + "=" + cookie.value;
  if (!cookie.domain.empty()) field += "; Domain=" + cookie.domain;
  if (!cookie.path.empty()) field += "; Path=" + cookie.path;
  if (cookie.max_age) field += "; Max-Age=" + std::to_string(cookie.max_age->count());
  if (cookie.expires) {
    char date[k_http_date_size];
    field.append("; Expires=").append(format_http_date(*cookie.expires, date));
  }
  if (cookie.secure) field += "; Secure";
  if (cookie.http_only) field += "; HttpOnly";
  switch (cookie.same_site) {
    case SameSite::unset:
      break;
    case SameSite::lax:
      field += "; SameSite=Lax";
      break;
    case SameSite::strict:
      field += "; SameSite=Strict";
      break;
    case SameSite::none:
      field += "; SameSite=None";
      break;
  }
  return field;
}

Result<SetCookie> parse_set_cookie(std::string_view field) {
  if (!is_field_value(field)) return Error(Errc::bad_message, "set-cookie");
  const std::size_t end = std::min(field.find(';'), field.size());
  const std::string_view pair = field.substr(0, end);
  field.remove_prefix(end);
  const std::size_t equals = pair.find('=');
  SetCookie cookie;
  // Without a `=` all of it is the value of a cookie without a name.
  if (equals != pair.npos) cookie.name = trimmed(pair.substr(0, equals));
  cookie.value = trimmed(equals == pair.npos ? pair : pair.substr(equals + 1));
  const std::size_t size = cookie.name.size() + cookie.value.size();
  if (size == 0 || size > k_cookie_max) return Error(Errc::bad_message, "set-cookie");
  while (!field.empty()) {
    field.remove_prefix(1);
    const std::size_t stop = std::min(field.find(';'), field.size());
    const std::string_view attribute = field.substr(0, stop);
    field.remove_prefix(stop);
    const std::size_t at = std::min(attribute.find('='), attribute.size());
    put_attribute(cookie, trimmed(attribute.substr(0, at)),
                  trimmed(attribute.substr(std::min(at + 1, attribute.size()))));
  }
  return cookie;
}

Result<WallTime> parse_cookie_date(std::string_view text) {
  constexpr std::array<std::string_view, 12> k_months = {"jan", "feb", "mar", "apr", "may", "jun",
                                                         "jul", "aug", "sep", "oct", "nov", "dec"};
  int hour = -1, minute = 0, second = 0, day = 0, year = -1;
  unsigned month = 0;
  const auto number = [](std::string_view& from, std::size_t most, int& into) {
    std::size_t count = 0;
    int value = 0;
    while (count < from.size() && count < most && is_digit(from[count]))
      value = value * 10 + (from[count++] - '0');
    if (count == 0 || (count < from.size() && is_digit(from[count]))) return false;
    from.remove_prefix(count);
    into = value;
    return true;
  };
  const auto is_delimiter = [](char c) {
    const auto b = static_cast<unsigned char>(c);
    return b == 0x09 || (b >= 0x20 && b <= 0x2f) || (b >= 0x3b && b <= 0x40) ||
           (b >= 0x5b && b <= 0x60) || (b >= 0x7b && b <= 0x7e);
  };
  while (!text.empty()) {
    const auto stop = std::ranges::find_if(text, is_delimiter);
    const std::string_view token = text.substr(0, static_cast<std::size_t>(stop - text.begin()));
    text.remove_prefix(std::min(token.size() + 1, text.size()));
    if (token.empty()) continue;
    std::string_view rest = token;
    int h = 0, m = 0, s = 0;
    const bool is_time = hour < 0 && number(rest, 2, h) && rest.starts_with(':') &&
                         (rest.remove_prefix(1), number(rest, 2, m)) && rest.starts_with(':') &&
                         (rest.remove_prefix(1), number(rest, 2, s));
    if (is_time) {
      hour = h, minute = m, second = s;
      continue;
    }
    rest = token;
    int value = 0;
    if (day == 0 && number(rest, 2, value) && value > 0) {
      day = value;
      continue;
    }
    const auto named = std::ranges::find_if(
        k_months, [&](std::string_view name) { return starts_with_nocase(token, name); });
    if (month == 0 && named != k_months.end()) {
      month = static_cast<unsigned>(named - k_months.begin()) + 1;
      continue;
    }
    rest = token;
    if (year < 0 && token.size() >= 2 && number(rest, 4, value)) year = value;
  }
  if (year >= 70 && year <= 99) year += 1900;
  if (year >= 0 && year <= 69) year += 2000;
  const auto date = std::chrono::year(year) / std::chrono::month(month) /
                    std::chrono::day(static_cast<unsigned>(day));
  const bool good =
      date.ok() && year >= 1601 && hour >= 0 && hour < 24 && minute < 60 && second < 60;
  if (!good) return Error(Errc::bad_message, "cookie date");
  // Nanoseconds end in 2262, and nobody keeps a cookie that long.
  if (year < 1970) return WallTime();
  if (year > 2200) return WallTime(std::chrono::sys_days(std::chrono::year(2200) / 1 / 1));
  return WallTime(std::chrono::sys_days(date)) + std::chrono::hours(hour) +
         std::chrono::minutes(minute) + std::chrono::seconds(second);
}

bool is_public_suffix(std::string_view domain) {
  const psl_ctx_t* list = ::psl_builtin();
  if (!list) return domain.find('.') == domain.npos;  // A name of one label at the least.
  return ::psl_is_public_suffix(list, lower(domain).c_str()) != 0;
}

}  // namespace rondo::proto
