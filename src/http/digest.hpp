// SPDX-License-Identifier: Apache-2.0
// Digest authentication of a client (RFC 7616): the answer to a challenge, and the answers to
// those that are not asked any more because the nonce is known. The password itself never leaves.
// Without `qop` (RFC 2069) it is refused: such an answer can be played again for ever.
// Lifetime: values. Thread rule: one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "proto/challenge.hpp"
#include "tls/hash.hpp"

namespace rondo::http::detail {

/// What one request is, as far as its answer depends on it.
struct DigestRequest {
  std::string_view method;
  std::string_view uri;  ///< path and query, as they are sent
  /// For servers that want the body hashed too (qop=auth-int); null: it is not known yet.
  const std::string* body = nullptr;
};

/// The stronger, the larger; 0: one that we do not have.
int digest_strength(const proto::Challenge& challenge) noexcept;

class DigestSession {
 public:
  /// Nothing when the challenge is not one of Digest that can be answered. `cnonce` is random, and
  /// the same as long as the nonce is: of the -sess algorithms the key is made with both.
  static std::optional<DigestSession> begin(const proto::Challenge& challenge,
                                            std::string_view user, std::string_view password,
                                            std::string cnonce);
  /// The Authorization field of the next request; its count goes up by one. Nothing when the body
  /// has to be known and is not.
  std::optional<std::string> authorize(const DigestRequest& request);

 private:
  std::string hash(const std::string& text) const;

  tls::detail::Hash hash_ = tls::detail::Hash::md5;
  std::string key_;   ///< H(A1)
  std::string user_;  ///< the field, or fields, that say who it is
  std::string rest_;  ///< those that are the same each time
  std::string nonce_, cnonce_;
  std::uint32_t count_ = 0;
  bool with_body_ = false;  ///< auth-int
};

}  // namespace rondo::http::detail
