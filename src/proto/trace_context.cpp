// SPDX-License-Identifier: Apache-2.0
#include "rondo/proto/trace_context.hpp"

#include <algorithm>

namespace rondo::proto {
namespace {

constexpr std::string_view k_digits = "0123456789abcdef";
constexpr std::size_t k_size = 55;  // 00-32-16-02

/// False unless all of `hex` are small digits and not all are zero.
bool read_hex(std::string_view hex, std::span<std::byte> into, bool may_be_zero) noexcept {
  bool any = may_be_zero;
  for (std::size_t i = 0; i < into.size(); ++i) {
    const std::size_t high = k_digits.find(hex[2 * i]);
    const std::size_t low = k_digits.find(hex[2 * i + 1]);
    if (high == k_digits.npos || low == k_digits.npos) return false;
    into[i] = static_cast<std::byte>(high << 4 | low);
    any = any || into[i] != std::byte{0};
  }
  return any;
}

}  // namespace

std::optional<TraceContext> parse_traceparent(std::string_view text) noexcept {
  if (text.size() < k_size || text[2] != '-' || text[35] != '-' || text[52] != '-')
    return std::nullopt;
  std::array<std::byte, 1> version{};
  if (!read_hex(text.substr(0, 2), version, true) || version[0] == std::byte{0xff})
    return std::nullopt;
  const bool has_more = text.size() > k_size;
  if (has_more && (version[0] == std::byte{0} || text[k_size] != '-')) return std::nullopt;
  TraceContext made;
  std::array<std::byte, 1> flags{};
  const bool good = read_hex(text.substr(3, 32), made.trace_id, false) &&
                    read_hex(text.substr(36, 16), made.parent_id, false) &&
                    read_hex(text.substr(53, 2), flags, true);
  if (!good) return std::nullopt;
  made.flags = std::to_integer<std::uint8_t>(flags[0]) & 1;  // The others have no meaning yet.
  return made;
}

std::string hex_of(std::span<const std::byte> bytes) {
  std::string text;
  for (const std::byte b : bytes) {
    text += k_digits[std::to_integer<std::size_t>(b) >> 4];
    text += k_digits[std::to_integer<std::size_t>(b) & 15];
  }
  return text;
}

std::string write_traceparent(const TraceContext& context) {
  const std::byte flags[] = {static_cast<std::byte>(context.flags)};
  return "00-" + hex_of(context.trace_id) + "-" + hex_of(context.parent_id) + "-" + hex_of(flags);
}

}  // namespace rondo::proto
