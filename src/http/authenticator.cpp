// SPDX-License-Identifier: Apache-2.0
#include "http/authenticator.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "base/text.hpp"
#include "http/client.hpp"
#include "rondo/base/limits.hpp"
#include "rondo/core/loop.hpp"
#include "rondo/proto/trace_context.hpp"
#include "rondo/proto/url.hpp"

namespace rondo::http::detail {
namespace {

using proto::iequals;

bool is_authorization(const Header& field) noexcept { return iequals(field.name, "Authorization"); }

std::string new_cnonce() {
  std::array<std::byte, 16> random;
  Loop::current().driver().random(random);
  return proto::hex_of(random);
}

/// Basic is the password itself: never the better choice, and nothing for a wire that is read.
int strength_of(const proto::Challenge& challenge, bool secure) noexcept {
  constexpr int k_of_digest = 1;
  if (const int digest = digest_strength(challenge); digest > 0) return k_of_digest + digest;
  return secure && iequals(challenge.scheme, "Basic") ? k_of_digest : 0;
}

/// The strongest of all fields; the first of equals, as servers name first what they prefer.
std::optional<proto::Challenge> strongest(const proto::ResponseHead& head, bool secure) {
  std::optional<proto::Challenge> best;
  int strength = 0;
  std::size_t left = limits::http_challenges_max.value;
  constexpr std::string_view k_name = "WWW-Authenticate";
  for (std::size_t i = head.find(k_name); i < head.field_count() && left > 0;
       i = head.find(k_name, i + 1)) {
    auto challenges = proto::parse_challenges(head.field(i).value, left);
    left -= challenges.size();
    for (proto::Challenge& each : challenges) {
      const int own = strength_of(each, secure);
      if (own <= strength) continue;
      strength = own;
      best = std::move(each);
    }
  }
  return best;
}

}  // namespace

bool Account::is_of(const Target& target) const noexcept {
  return target.secure == secure && target.address == host;
}

Authenticator::Authenticator(const std::vector<Credentials>& credentials) {
  for (const Credentials& each : credentials) {
    const auto origin = proto::parse_url(each.origin);
    const bool secure = origin && iequals(origin->scheme, "https");
    RONDO_ASSERT(origin && (secure || iequals(origin->scheme, "http")),
                 "credentials are for an origin, such as \"https://example.org\"");
    RONDO_ASSERT(each.user.find(':') == std::string::npos,
                 "a user's name has no colon: what is behind it would be of the password");
    accounts_.push_back({.host = lower(origin->authority.host) + ":" +
                                 std::to_string(origin->authority.port.value_or(secure ? 443 : 80)),
                         .secure = secure,
                         .user = each.user,
                         .password = each.password});
  }
}

Account* Authenticator::account_of(const Target& target) noexcept {
  const auto found =
      std::ranges::find_if(accounts_, [&](const Account& each) { return each.is_of(target); });
  return found == accounts_.end() ? nullptr : &*found;
}

void LoginAttempt::authorize(ClientRequest& request, const Target& target) {
  if (std::exchange(ours_, false)) std::erase_if(request.headers, is_authorization);
  Account* account = authenticator_.account_of(target);
  if (!account || std::ranges::any_of(request.headers, is_authorization)) return;
  std::optional<std::string> field;
  if (auto* digest = std::get_if<DigestSession>(&account->known)) {
    field = digest->authorize({.method = request.method,
                               .uri = target.path,
                               .body = request.body_source ? nullptr : &request.body});
  } else if (const auto* basic = std::get_if<std::string>(&account->known)) {
    field = *basic;
  }
  if (!field) return;
  request.headers.push_back({"Authorization", std::move(*field)});
  ours_ = true;
}

bool LoginAttempt::answers(const ClientRequest& request, const Target& target,
                           const proto::ResponseHead& head) {
  Account* account = head.status() == 401 ? authenticator_.account_of(target) : nullptr;
  const bool own = !ours_ && std::ranges::any_of(request.headers, is_authorization);
  if (!account || own) return false;
  const auto challenge = strongest(head, target.secure);
  // An answer that was refused is wrong, unless it was too late (section 3.3 of RFC 7616); one
  // that was given unasked may be too late without that being said.
  const bool stale = challenge && iequals(challenge->get("stale"), "true");
  const bool again = challenge && (answered_ == 0 || (answered_ == 1 && stale));
  account->known = std::monostate();
  if (!again) return false;
  if (iequals(challenge->scheme, "Basic")) {
    account->known = basic_authorization(account->user, account->password);
  } else {
    auto session = DigestSession::begin(*challenge, account->user, account->password, new_cnonce());
    if (!session) return false;
    account->known = std::move(*session);
  }
  ++answered_;
  // A body that is gone is not sent again, but the next request knows how.
  return !request.body_source;
}

}  // namespace rondo::http::detail
