// SPDX-License-Identifier: Apache-2.0
// TicketKeys: the keys under which a server seals sessions into tickets (RFC 5077, RFC 8446).
//
// The newest seals; a key is replaced after `rotation` and opens tickets for twice as long after
// that, so that whoever takes the keys can read the past of a bounded time only. They live in
// memory, never in a file, and go with their context.
// Thread rule: any thread.
#pragma once

#include <openssl/evp.h>
#include <openssl/ssl.h>

#include <array>
#include <cstdint>
#include <deque>
#include <mutex>

#include "rondo/base/time.hpp"

namespace rondo::tls::detail {

class TicketKeys {
 public:
  explicit TicketKeys(Duration rotation) noexcept : rotation_(rotation) {}
  ~TicketKeys();

  /// What SSL_CTX_set_tlsext_ticket_key_evp_cb asks: 1 used, 2 used and to be sealed anew,
  /// 0 unknown, -1 failed.
  int seal(TimePoint now, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
           EVP_MAC_CTX* mac);
  int open(TimePoint now, const unsigned char* name, const unsigned char* iv,
           EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac);

 private:
  static constexpr std::size_t k_name = 16;
  struct Key {
    TimePoint made;
    std::array<unsigned char, k_name> name;
    std::array<unsigned char, 32> cipher;
    std::array<unsigned char, 32> mac;
  };
  bool rotate(TimePoint now);

  const Duration rotation_;
  std::mutex mutex_;
  std::deque<Key> keys_;  ///< newest first
};

}  // namespace rondo::tls::detail
