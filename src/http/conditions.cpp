// SPDX-License-Identifier: Apache-2.0
#include "http/conditions.hpp"

#include <algorithm>
#include <charconv>

#include "base/text.hpp"
#include "rondo/proto/http1_write.hpp"

namespace rondo::http {
namespace {

/// Calls f(item) for each of a comma-separated list until it returns true; whether it did.
template <class F>
bool any_item(std::string_view list, F f) {
  while (!list.empty()) {
    const std::size_t end = std::min(list.find(','), list.size());
    if (f(trimmed(list.substr(0, end)))) return true;
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return false;
}

/// Section 8.8.3.2. A tag of ours holds no comma.
bool tag_matches(std::string_view list, std::string_view etag, bool weakly) {
  if (trimmed(list) == "*") return true;
  return any_item(list, [&](std::string_view item) {
    if (weakly && item.starts_with("W/")) item.remove_prefix(2);
    return item == etag;
  });
}

std::optional<std::uint64_t> number(std::string_view text) noexcept {
  std::uint64_t value = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || read.ec != std::errc() || read.ptr != text.data() + text.size())
    return std::nullopt;
  return value;
}

/// If-Range: the range only counts for exactly what the client has a part of.
bool range_counts(const proto::RequestHead& head, const Representation& what) {
  if (!head.has("If-Range")) return true;
  const std::string_view mark = head.get("If-Range");
  if (mark.starts_with('"')) return mark == what.etag;
  const auto date = proto::parse_http_date(mark);
  return date && *date == what.modified;
}

}  // namespace

int judge(const proto::RequestHead& head, const Representation& what) {
  if (head.has("If-Match")) {
    if (!tag_matches(head.get("If-Match"), what.etag, false)) return 412;
  } else if (head.has("If-Unmodified-Since")) {
    const auto since = proto::parse_http_date(head.get("If-Unmodified-Since"));
    if (since && what.modified > *since) return 412;
  }
  if (head.has("If-None-Match"))
    return tag_matches(head.get("If-None-Match"), what.etag, true) ? 304 : 200;
  const auto since = proto::parse_http_date(head.get("If-Modified-Since"));
  return since && what.modified <= *since ? 304 : 200;
}

RangeAnswer choose_range(const proto::RequestHead& head, const Representation& what) {
  const RangeAnswer whole{.status = 200, .range = {0, what.size}};
  std::string_view text = head.get("Range");
  constexpr std::string_view k_unit = "bytes=";
  if (head.method() != proto::Method::get || !text.starts_with(k_unit)) return whole;
  if (!range_counts(head, what)) return whole;
  text = trimmed(text.substr(k_unit.size()));
  const std::size_t dash = text.find('-');
  if (dash == std::string_view::npos || text.find(',') != std::string_view::npos) return whole;
  const auto first = number(text.substr(0, dash));
  const auto last = number(text.substr(dash + 1));
  if (dash == 0) {  // "-500": the last 500 bytes.
    if (!last) return whole;
    const std::uint64_t length = std::min(*last, what.size);
    if (length == 0) return {.status = 416, .range = {}};
    return {.status = 206, .range = {what.size - length, length}};
  }
  if (!first || (!last && dash + 1 < text.size()) || (last && *last < *first)) return whole;
  if (*first >= what.size) return {.status = 416, .range = {}};
  const std::uint64_t end = last ? std::min(*last, what.size - 1) : what.size - 1;
  return {.status = 206, .range = {*first, end - *first + 1}};
}

bool accepts(const proto::RequestHead& head, std::string_view coding) noexcept {
  return any_item(head.get("Accept-Encoding"), [&](std::string_view item) {
    const std::size_t semicolon = std::min(item.find(';'), item.size());
    if (!proto::iequals(trimmed(item.substr(0, semicolon)), coding)) return false;
    std::string_view weight = trimmed(item.substr(std::min(semicolon + 1, item.size())));
    if (!weight.starts_with("q=") && !weight.starts_with("Q=")) return true;
    weight.remove_prefix(2);
    return weight.find_first_not_of("0.") != std::string_view::npos;
  });
}

}  // namespace rondo::http
