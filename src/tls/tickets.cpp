// SPDX-License-Identifier: Apache-2.0
#include "tls/tickets.hpp"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>

#include <algorithm>
#include <cstring>

namespace rondo::tls::detail {
namespace {

constexpr int k_iv = 16;

bool set_mac(EVP_MAC_CTX* mac, std::array<unsigned char, 32>& key) {
  char digest[] = "SHA256";
  OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key.data(), key.size()),
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
      OSSL_PARAM_construct_end()};
  return EVP_MAC_CTX_set_params(mac, parameters) == 1;
}

template <std::size_t N>
bool fill(std::array<unsigned char, N>& bytes) {
  return RAND_bytes(bytes.data(), static_cast<int>(N)) == 1;
}

}  // namespace

TicketKeys::~TicketKeys() {
  for (Key& key : keys_) OPENSSL_cleanse(&key, sizeof key);
}

/// Drops what is too old and sees to it that the first may seal.
bool TicketKeys::rotate(TimePoint now) {
  while (!keys_.empty() && now - keys_.back().made >= 3 * rotation_) {
    OPENSSL_cleanse(&keys_.back(), sizeof(Key));
    keys_.pop_back();
  }
  if (!keys_.empty() && now - keys_.front().made < rotation_) return true;
  Key key{.made = now, .name = {}, .cipher = {}, .mac = {}};
  if (!fill(key.name) || !fill(key.cipher) || !fill(key.mac)) return false;
  keys_.push_front(key);
  OPENSSL_cleanse(&key, sizeof key);
  return true;
}

int TicketKeys::seal(TimePoint now, unsigned char* name, unsigned char* iv,
                     EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac) {
  const std::scoped_lock lock(mutex_);
  if (!rotate(now) || RAND_bytes(iv, k_iv) != 1) return -1;
  Key& key = keys_.front();
  std::memcpy(name, key.name.data(), key.name.size());
  const bool good =
      EVP_EncryptInit_ex2(cipher, EVP_aes_256_cbc(), key.cipher.data(), iv, nullptr) == 1 &&
      set_mac(mac, key.mac);
  return good ? 1 : -1;
}

int TicketKeys::open(TimePoint now, const unsigned char* name, const unsigned char* iv,
                     EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac) {
  const std::scoped_lock lock(mutex_);
  if (!rotate(now)) return -1;
  const auto key = std::ranges::find_if(
      keys_, [&](const Key& each) { return std::memcmp(each.name.data(), name, k_name) == 0; });
  if (key == keys_.end()) return 0;
  const bool good =
      set_mac(mac, key->mac) &&
      EVP_DecryptInit_ex2(cipher, EVP_aes_256_cbc(), key->cipher.data(), iv, nullptr) == 1;
  if (!good) return -1;
  return key == keys_.begin() ? 1 : 2;
}

}  // namespace rondo::tls::detail
