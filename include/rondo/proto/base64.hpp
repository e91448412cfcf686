// SPDX-License-Identifier: Apache-2.0
// Base64 (RFC 4648, section 4: the alphabet with + and /, always padded).
//
//   std::string text = base64_encode(digest);
//   std::array<std::byte, 16> nonce;
//   if (base64_decode(key, nonce) != 16) refuse();   // Sec-WebSocket-Key is 16 bytes
//
// Decoding is strict: no white space, exact padding, unused bits zero. It refuses the URL-safe
// alphabet. Lifetime: keeps no view. Thread rule: any thread.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "rondo/base/bytes.hpp"

namespace rondo::proto {

/// Characters that `size` bytes become.
constexpr std::size_t base64_size(std::size_t size) noexcept { return (size + 2) / 3 * 4; }

/// Writes exactly base64_size(bytes.size()) characters to `into`, which must have the room.
void base64_encode_to(ByteView bytes, char* into) noexcept;
std::string base64_encode(ByteView bytes);

/// Decodes into the front of `into`; how many bytes that were, or nothing when `text` is not
/// strict Base64 or does not fit.
std::optional<std::size_t> base64_decode(std::string_view text, ByteSpan into) noexcept;

}  // namespace rondo::proto
