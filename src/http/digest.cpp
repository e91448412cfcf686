// SPDX-License-Identifier: Apache-2.0
#include "http/digest.hpp"

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <utility>

#include "rondo/proto/http1.hpp"
#include "rondo/proto/url.hpp"

namespace rondo::http::detail {
namespace {

using proto::iequals;
using tls::detail::Hash;

struct Algorithm {
  std::string_view name;
  Hash hash;
  bool session;
  int strength;
};
constexpr Algorithm k_algorithms[] = {
    {"MD5", Hash::md5, false, 1},
    {"MD5-sess", Hash::md5, true, 2},
    {"SHA-256", Hash::sha256, false, 3},
    {"SHA-256-sess", Hash::sha256, true, 4},
    {"SHA-512-256", Hash::sha512_256, false, 5},
    {"SHA-512-256-sess", Hash::sha512_256, true, 6},
};

const Algorithm* algorithm_of(const proto::Challenge& challenge) noexcept {
  const std::string* name = challenge.find("algorithm");
  if (!name) return &k_algorithms[0];  // Section 3.3: MD5 when nothing is said.
  const auto found = std::ranges::find_if(
      k_algorithms, [&](const Algorithm& each) { return iequals(each.name, *name); });
  return found == std::end(k_algorithms) ? nullptr : found;
}

std::string quoted(std::string_view text) {
  std::string made = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') made += '\\';
    made += c;
  }
  return made += '"';
}

/// Section 3.4: a name that no quoted string may hold goes encoded (RFC 8187).
std::string user_field(std::string_view user) {
  const bool plain = std::ranges::all_of(user, [](char c) { return c >= ' ' && c < 0x7f; });
  return plain ? "username=" + quoted(user) : "username*=UTF-8''" + proto::percent_encode(user);
}

}  // namespace

int digest_strength(const proto::Challenge& challenge) noexcept {
  if (!iequals(challenge.scheme, "Digest") || challenge.get("nonce").empty()) return 0;
  const std::string_view qop = challenge.get("qop");
  if (!proto::has_token(qop, "auth") && !proto::has_token(qop, "auth-int")) return 0;
  const Algorithm* algorithm = algorithm_of(challenge);
  return algorithm ? algorithm->strength : 0;
}

std::string DigestSession::hash(const std::string& text) const {
  return tls::detail::hex_hash(hash_, text).value_or(std::string());
}

std::optional<DigestSession> DigestSession::begin(const proto::Challenge& challenge,
                                                  std::string_view user, std::string_view password,
                                                  std::string cnonce) {
  if (digest_strength(challenge) == 0) return std::nullopt;
  const Algorithm& algorithm = *algorithm_of(challenge);
  if (!tls::detail::hex_hash(algorithm.hash, "")) return std::nullopt;
  DigestSession made;
  made.hash_ = algorithm.hash;
  made.nonce_ = challenge.get("nonce");
  made.cnonce_ = std::move(cnonce);
  made.with_body_ = !proto::has_token(challenge.get("qop"), "auth");
  const std::string realm(challenge.get("realm"));
  // Sections 3.4.2 and 3.4.4.
  const std::string who = std::string(user) + ":" + realm;
  made.key_ = made.hash(who + ":" + std::string(password));
  if (algorithm.session) made.key_ = made.hash(made.key_ + ":" + made.nonce_ + ":" + made.cnonce_);
  const bool hide = iequals(challenge.get("userhash"), "true");
  made.user_ = hide ? "username=" + quoted(made.hash(who)) : user_field(user);
  made.rest_ = ", realm=" + quoted(realm) + ", nonce=" + quoted(made.nonce_) +
               ", cnonce=" + quoted(made.cnonce_) +
               (made.with_body_ ? ", qop=auth-int" : ", qop=auth");
  // What was not said is not repeated: some servers know no more than RFC 2617 does.
  if (challenge.find("algorithm")) made.rest_.append(", algorithm=").append(algorithm.name);
  if (const std::string* opaque = challenge.find("opaque"))
    made.rest_ += ", opaque=" + quoted(*opaque);
  if (hide) made.rest_ += ", userhash=true";
  return made;
}

std::optional<std::string> DigestSession::authorize(const DigestRequest& request) {
  if (with_body_ && !request.body) return std::nullopt;
  char count[9];
  (void)std::snprintf(count, sizeof count, "%08x", ++count_);
  std::string what = std::string(request.method) + ":" + std::string(request.uri);
  if (with_body_) what += ":" + hash(*request.body);
  const std::string_view qop = with_body_ ? "auth-int" : "auth";
  std::string text = key_ + ":" + nonce_ + ":" + count + ":" + cnonce_ + ":";
  const std::string response = hash(text.append(qop).append(":") + hash(what));
  return "Digest " + user_ + rest_ + ", uri=" + quoted(request.uri) + ", nc=" + count +
         ", response=\"" + response + "\"";
}

}  // namespace rondo::http::detail
