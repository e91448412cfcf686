// SPDX-License-Identifier: Apache-2.0
// Random names and tokens, from the loop's driver: seeded under simulation.
//
//   std::string token = random_hex(32);            // 256 bits
//   auto hash = hash_token(token);                 // what is stored of it
// Thread rule: the loop's thread; hash_token any.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

namespace rondo::chat {

/// `bytes` random bytes as hexadecimal digits; at most 64 bytes.
std::string random_hex(std::size_t bytes);

using TokenHash = std::array<std::byte, 32>;
/// BLAKE2b-256 (libsodium's crypto_generichash). A token has 256 random bits: no salt is needed.
TokenHash hash_token(std::string_view token);

}  // namespace rondo::chat
