// SPDX-License-Identifier: Apache-2.0
// Randomness and hashing behind random.hpp.
#include "chat/server/random.hpp"

#include <sodium.h>

#include "rondo/core/loop.hpp"

namespace rondo::chat {

std::string random_hex(std::size_t bytes) {
  static constexpr char k_hex[] = "0123456789abcdef";
  std::array<std::byte, 64> raw{};
  RONDO_ASSERT(bytes <= raw.size(), "at most 64 random bytes at once");
  loop().driver().random(ByteSpan(raw).first(bytes));
  std::string text;
  for (std::size_t i = 0; i < bytes; ++i) {
    const auto value = std::to_integer<unsigned>(raw[i]);
    text.push_back(k_hex[value >> 4]);
    text.push_back(k_hex[value & 15]);
  }
  return text;
}

TokenHash hash_token(std::string_view token) {
  TokenHash hash{};
  crypto_generichash(reinterpret_cast<unsigned char*>(hash.data()), hash.size(),
                     reinterpret_cast<const unsigned char*>(token.data()), token.size(), nullptr,
                     0);
  return hash;
}

}  // namespace rondo::chat
