// SPDX-License-Identifier: Apache-2.0
// Hashes of libcrypto, for what a protocol wants hashed. Thread rule: any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace rondo::tls::detail {

enum class Hash : std::uint8_t { md5, sha256, sha512_256 };

/// The hash of `text` as small hex digits; nothing when the library is told not to have it, as
/// those that follow FIPS 140 are with MD5.
std::optional<std::string> hex_hash(Hash hash, std::string_view text);

}  // namespace rondo::tls::detail
