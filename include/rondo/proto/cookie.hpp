// SPDX-License-Identifier: Apache-2.0
// Cookies (RFC 6265bis): the fields Cookie and Set-Cookie, read as browsers read them and written
// as the RFC wants them, and which domains are nobody's own.
//
//   auto sid = cookie_value(request_field, "sid");
//   auto field = write_set_cookie({.name = "sid", .value = token, .http_only = true}).or_throw();
//   auto cookie = parse_set_cookie("sid=1; Path=/; Secure; Max-Age=60");
//
// Lifetime: values; cookie_value() is a view of the field. Thread rule: any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "rondo/base/result.hpp"
#include "rondo/base/time.hpp"

namespace rondo::proto {

/// The value of the first cookie of that name in a Cookie field ("a=1; b=2"), without its quotes.
std::optional<std::string_view> cookie_value(std::string_view field,
                                             std::string_view name) noexcept;

enum class SameSite : std::uint8_t { unset, lax, strict, none };

struct SetCookie {
  std::string name;
  std::string value;
  std::string domain = {};                           ///< empty: the host that sets it only
  std::string path = {};                             ///< empty: the folder of the page that sets it
  std::optional<std::chrono::seconds> max_age = {};  ///< zero or less: it is removed
  std::optional<WallTime> expires = {};              ///< counts when there is no max_age
  bool secure = false;
  bool http_only = false;  ///< not for scripts
  SameSite same_site = SameSite::unset;
};

/// The value of a Set-Cookie field. Errors: invalid_argument with what is wrong: a name that is no
/// token, a byte that no value may hold (controls, space, `"`, `,`, `;`, `\`, not ASCII), a domain
/// or path with a `;`, `SameSite=None` or the prefixes `__Secure-` and `__Host-` without what
/// browsers want beside them, more than 4,096 bytes.
Result<std::string> write_set_cookie(const SetCookie& cookie);

/// Reads one as browsers do (section 5.6). Errors: bad_message when they would drop it: no name
/// and no value, a control in it, name and value over 4,096 bytes. Unknown and broken attributes
/// are left out.
Result<SetCookie> parse_set_cookie(std::string_view field);

/// Dates of the Expires attribute, in any order and form (section 5.1.1). Errors: bad_message.
Result<WallTime> parse_cookie_date(std::string_view text);

/// True when everybody may register names below it: "com", "co.uk", "github.io", by the list of
/// publicsuffix.org that libpsl has in it. A cookie for one would be sent to strangers.
bool is_public_suffix(std::string_view domain);

}  // namespace rondo::proto
