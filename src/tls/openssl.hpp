// SPDX-License-Identifier: Apache-2.0
// OpenSSL's objects with owners, and its errors as text.
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <string>

namespace rondo::tls::detail {

template <auto Free>
struct FreeBy {
  template <class T>
  void operator()(T* object) const noexcept {
    Free(object);
  }
};
using SslContext = std::unique_ptr<SSL_CTX, FreeBy<SSL_CTX_free>>;
using SslSession = std::unique_ptr<SSL_SESSION, FreeBy<SSL_SESSION_free>>;
using Ssl = std::unique_ptr<SSL, FreeBy<SSL_free>>;

/// The oldest error of this thread's queue in a few words, and empties the queue.
std::string take_reason();

}  // namespace rondo::tls::detail
