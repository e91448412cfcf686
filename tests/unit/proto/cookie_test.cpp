// SPDX-License-Identifier: Apache-2.0
#include "rondo/proto/cookie.hpp"

#include <gtest/gtest.h>

#include <string>

namespace rondo::proto {
namespace {

using namespace std::chrono_literals;

TEST(Cookie, valuesAreFoundByTheirWholeName) {
  EXPECT_EQ(cookie_value("a=1; b=2; a=3", "a"), "1");
  EXPECT_EQ(cookie_value("xa=1;a=\"2\"", "a"), "2");
  EXPECT_EQ(cookie_value("a=b=c", "a"), "b=c");
  EXPECT_EQ(cookie_value("a=", "a"), "");
  EXPECT_EQ(cookie_value("a; b=1", "a"), std::nullopt);
  EXPECT_EQ(cookie_value("", "a"), std::nullopt);
}

TEST(Cookie, whatIsWrittenIsReadBack) {
  const SetCookie cookie{.name = "sid",
                         .value = "a=b",
                         .domain = "example.org",
                         .path = "/x",
                         .max_age = 60s,
                         .expires = WallTime(1'700'000'000s),
                         .secure = true,
                         .http_only = true,
                         .same_site = SameSite::none};
  const std::string field = write_set_cookie(cookie).or_throw();
  EXPECT_EQ(field,
            "sid=a=b; Domain=example.org; Path=/x; Max-Age=60; "
            "Expires=Tue, 14 Nov 2023 22:13:20 GMT; Secure; HttpOnly; SameSite=None");
  const SetCookie back = parse_set_cookie(field).or_throw();
  EXPECT_EQ(back.name, cookie.name);
  EXPECT_EQ(back.value, cookie.value);
  EXPECT_EQ(back.domain, cookie.domain);
  EXPECT_EQ(back.path, cookie.path);
  EXPECT_EQ(back.max_age, cookie.max_age);
  EXPECT_EQ(back.expires, cookie.expires);
  EXPECT_TRUE(back.secure && back.http_only && back.same_site == SameSite::none);
}

TEST(Cookie, whatABrowserWouldDropIsNotWritten) {
  const auto refused = [](SetCookie cookie) { return !write_set_cookie(cookie).has_value(); };
  EXPECT_TRUE(refused({.name = "", .value = "x"}));
  EXPECT_TRUE(refused({.name = "a b", .value = "x"}));
  for (const char* value : {"a b", "a;b", "a\r\nSet-Cookie: b=c", "\"", "\xc3\xa4"})
    EXPECT_TRUE(refused({.name = "a", .value = value})) << value;
  EXPECT_TRUE(refused({.name = "a", .value = "", .path = "/;x"}));
  EXPECT_TRUE(refused({.name = "a", .value = std::string(4'096, 'x')}));
  EXPECT_TRUE(refused({.name = "a", .value = "", .same_site = SameSite::none}));
  EXPECT_TRUE(refused({.name = "__Secure-a", .value = ""}));
  EXPECT_TRUE(refused({.name = "__Host-a", .value = "", .path = "/x", .secure = true}));
  EXPECT_FALSE(refused({.name = "__Host-a", .value = "", .path = "/", .secure = true}));
}

TEST(Cookie, attributesAreReadAsBrowsersDo) {
  const SetCookie cookie =
      parse_set_cookie(
          " a = b ; DOMAIN=.Example.ORG; path=nonsense; max-age=1; Max-Age=x; secure=no;"
          " unknown; SameSite=odd")
          .or_throw();
  EXPECT_EQ(cookie.name, "a");
  EXPECT_EQ(cookie.value, "b");
  EXPECT_EQ(cookie.domain, "example.org");
  EXPECT_EQ(cookie.path, "");
  EXPECT_EQ(cookie.max_age, 1s);
  EXPECT_TRUE(cookie.secure);
  EXPECT_EQ(cookie.same_site, SameSite::unset);
  EXPECT_EQ(parse_set_cookie("a=b; Max-Age=-5").or_throw().max_age, 0s);
  EXPECT_EQ(parse_set_cookie("a=b; Max-Age=99999999999999999999").or_throw().max_age,
            400 * 86'400s);
  EXPECT_EQ(parse_set_cookie("flag").or_throw().value, "flag");
  for (const std::string& bad : {std::string(), std::string("="), std::string(" ; Path=/"),
                                 std::string("a=b\x01"), "a=" + std::string(4'096, 'x')})
    EXPECT_EQ(parse_set_cookie(bad).error(), Errc::bad_message) << bad;
}

TEST(Cookie, datesComeInManyForms) {
  const WallTime when(1'445'412'480s);  // 2015-10-21 07:28:00
  for (const char* text :
       {"Wed, 21 Oct 2015 07:28:00 GMT", "Wednesday, 21-Oct-15 07:28:00 GMT",
        "Wed Oct 21 07:28:00 2015", "21 oct 2015 7:28:0", "2015 October 21 07:28:00"})
    EXPECT_EQ(parse_cookie_date(text).or_throw(), when) << text;
  EXPECT_EQ(parse_cookie_date("1 Jan 9999 00:00:00").or_throw(),
            WallTime(std::chrono::sys_days(std::chrono::year(2200) / 1 / 1)));
  EXPECT_EQ(parse_cookie_date("Thu, 01 Jan 1601 00:00:00").or_throw(), WallTime());
  for (const char* bad : {"", "yesterday", "32 Oct 2015 00:00:00", "21 Oct 2015",
                          "21 Oct 2015 24:00:00", "31 Feb 2015 00:00:00", "21 Oct 1500 00:00:00"})
    EXPECT_FALSE(parse_cookie_date(bad).has_value()) << bad;
}

TEST(Cookie, suffixesThatAreEverybodys) {
  for (const char* all : {"com", "co.uk", "github.io", "COM"}) EXPECT_TRUE(is_public_suffix(all));
  for (const char* own : {"example.com", "rondo.github.io"}) EXPECT_FALSE(is_public_suffix(own));
}

}  // namespace
}  // namespace rondo::proto
