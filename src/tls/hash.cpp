// SPDX-License-Identifier: Apache-2.0
#include "tls/hash.hpp"

#include <openssl/evp.h>

#include <array>

#include "tls/openssl.hpp"

namespace rondo::tls::detail {
namespace {

const EVP_MD* method_of(Hash hash) noexcept {
  switch (hash) {
    case Hash::md5:
      return EVP_md5();
    case Hash::sha256:
      return EVP_sha256();
    case Hash::sha512_256:
      return EVP_sha512_256();
  }
  return nullptr;
}

}  // namespace

std::optional<std::string> hex_hash(Hash hash, std::string_view text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned size = 0;
  if (EVP_Digest(text.data(), text.size(), digest.data(), &size, method_of(hash), nullptr) != 1) {
    (void)take_reason();  // What stays in the queue would be told as the next one's reason.
    return std::nullopt;
  }
  constexpr std::string_view k_digits = "0123456789abcdef";
  std::string made;
  for (unsigned i = 0; i < size; ++i) {
    made += k_digits[digest[i] >> 4U];
    made += k_digits[digest[i] & 15U];
  }
  return made;
}

}  // namespace rondo::tls::detail
