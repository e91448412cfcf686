// SPDX-License-Identifier: Apache-2.0
#include "http/fields.hpp"

#include <algorithm>
#include <span>

#include "rondo/proto/http1.hpp"

namespace rondo::http::detail {

namespace {

bool is_one_of(std::span<const std::string_view> names, std::string_view name) noexcept {
  return std::ranges::any_of(names,
                             [&](std::string_view each) { return proto::iequals(each, name); });
}

}  // namespace

bool is_of_http1(std::string_view name) noexcept {
  constexpr std::string_view k_names[] = {"connection", "keep-alive", "proxy-connection",
                                          "transfer-encoding", "upgrade"};
  return is_one_of(k_names, name);
}

std::string_view trimmed(std::string_view value) noexcept {
  while (value.starts_with(' ') || value.starts_with('\t')) value.remove_prefix(1);
  while (value.ends_with(' ') || value.ends_with('\t')) value.remove_suffix(1);
  return value;
}

bool may_be_trailer(std::string_view name, std::string_view value) noexcept {
  constexpr std::string_view k_not[] = {"connection",   "content-length",
                                        "expect",       "host",
                                        "keep-alive",   "te",
                                        "trailer",      "transfer-encoding",
                                        "upgrade",      "proxy-connection",
                                        "authorization"};
  return !is_one_of(k_not, name) && proto::is_token(name) && proto::is_field_value(value);
}

}  // namespace rondo::http::detail
