// SPDX-License-Identifier: Apache-2.0
// Cookies of both sides: read and set by handlers, kept by a client.
//
//   auto sid = http::cookie(request, "sid");
//   http::set_cookie(response, {.name = "sid", .value = token, .path = "/", .secure = true,
//                               .http_only = true, .same_site = proto::SameSite::lax}).or_throw();
//
//   http::CookieJar jar;
//   http::Client client({.cookies = &jar});            // sends and keeps them as a browser does
//
// Source: RFC 6265bis. Lifetime: a jar outlives its clients. Thread rule: the loop's thread.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "rondo/base/memory.hpp"
#include "rondo/base/result.hpp"
#include "rondo/http/message.hpp"
#include "rondo/proto/cookie.hpp"

namespace rondo::http {

using proto::SameSite;
using proto::SetCookie;

/// The value of the request's first cookie of that name.
std::optional<std::string> cookie(const Request& request, std::string_view name);

/// Adds a Set-Cookie field. Errors: those of proto::write_set_cookie; nothing is added then.
Result<> set_cookie(Response& response, const SetCookie& cookie);
/// Asks the client to forget one; `path` and `domain` as it was set with.
Result<> remove_cookie(Response& response, std::string_view name, std::string_view path = "/",
                       std::string_view domain = {});

/// What servers have asked a client to keep, for as long as the jar lives. At most
/// limits::http_cookies_per_domain_max for a domain and limits::http_cookies_max in all; the one
/// used longest ago goes.
class CookieJar {
 public:
  /// Takes a Set-Cookie field of an answer from `url`. One that a browser would refuse is dropped:
  /// for another host's domain or everybody's (a public suffix), Secure over http, a prefix's
  /// promise that is not kept (also of a value without a name), one of an insecure page that would
  /// replace a secure one, or stand beside it on the same path, also in a domain above or below.
  void store(std::string_view url, std::string_view set_cookie);
  /// The value of the Cookie field for a request to `url`; "" when there is none for it. Those of
  /// longer paths come first; what goes beyond limits::http_cookie_field_max is left out.
  std::string header_for(std::string_view url);
  std::size_t size() const noexcept;
  void clear() noexcept;

  CookieJar();
  CookieJar(CookieJar&& other) noexcept;
  ~CookieJar();

 private:
  struct State;
  Owned<State> state_;
};

}  // namespace rondo::http
