// SPDX-License-Identifier: Apache-2.0
// Authenticator: whom a client is to which server, and its answers to their challenges (RFC 9110,
// section 11). One for each client; LoginAttempt is the part of it that belongs to one request.
// Lifetime: outlives its attempts. Thread rule: the client's loop.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "http/digest.hpp"
#include "rondo/http/client.hpp"
#include "rondo/proto/http1.hpp"

namespace rondo::http::detail {

struct Target;

/// Credentials of one origin, and what its server has told so far.
struct Account {
  bool is_of(const Target& target) const noexcept;

  std::string host;  ///< "example.org:443", in small letters
  bool secure = false;
  std::string user;
  std::string password;
  /// How requests are authorized without being asked: by digest, or by the very field of Basic.
  std::variant<std::monostate, DigestSession, std::string> known = {};
};

class Authenticator {
 public:
  /// The origins are asserted to be URLs.
  explicit Authenticator(const std::vector<Credentials>& credentials);
  /// Null: the server of that target gets nothing.
  Account* account_of(const Target& target) noexcept;

 private:
  std::vector<Account> accounts_;
};

/// One request, from its first attempt to its last answer.
class LoginAttempt {
 public:
  explicit LoginAttempt(Authenticator& of) noexcept : authenticator_(of) {}

  /// Before each attempt: puts the Authorization field that is known for the target, in place of
  /// the one it had put before. A field of the request's own stays, and is never answered for.
  void authorize(ClientRequest& request, const Target& target);
  /// Whether the request is to be sent again: a 401 that can be answered, and was not before.
  bool answers(const ClientRequest& request, const Target& target, const proto::ResponseHead& head);
  /// Another origin has its own turn.
  void redirected() noexcept { answered_ = 0; }

 private:
  Authenticator& authenticator_;
  bool ours_ = false;         ///< the field in the request was put by authorize()
  std::size_t answered_ = 0;  ///< challenges of this origin
};

}  // namespace rondo::http::detail
