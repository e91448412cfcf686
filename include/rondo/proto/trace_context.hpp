// SPDX-License-Identifier: Apache-2.0
// The traceparent field of W3C Trace Context (level 1, section 3.2): which trace a request is part
// of, so that several programs' records of it can be put together.
//
//   auto from = parse_traceparent(request.header("traceparent"));
//   out.field("traceparent", write_traceparent(trace));
//
// Lifetime: values. Thread rule: any thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace rondo::proto {

struct TraceContext {
  std::array<std::byte, 16> trace_id{};  ///< of the whole, never all zero
  std::array<std::byte, 8> parent_id{};  ///< of the step that asks, never all zero
  std::uint8_t flags = 0;                ///< bit 0: it is recorded
  bool is_sampled() const noexcept { return (flags & 1) != 0; }
};

/// Nothing for what is none: another length, capital letters, zero ids, version ff. A later
/// version's further parts are left out, as the standard says.
std::optional<TraceContext> parse_traceparent(std::string_view text) noexcept;
std::string write_traceparent(const TraceContext& context);

/// Bytes as small hex digits.
std::string hex_of(std::span<const std::byte> bytes);

}  // namespace rondo::proto
