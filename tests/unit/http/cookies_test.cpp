// SPDX-License-Identifier: Apache-2.0
#include "rondo/http/cookies.hpp"

#include <gtest/gtest.h>

#include "rondo/core/sleep.hpp"
#include "talk.hpp"

namespace rondo::testing {
namespace {

using http::CookieJar;
using namespace std::chrono_literals;

/// What is sent to `to` after `from` has set one cookie.
std::string sent(std::string_view from, std::string_view field, std::string_view to) {
  std::string header;
  SimLoop().run([&]() -> Task<> {
    CookieJar jar;
    jar.store(from, field);
    header = jar.header_for(to);
    co_return;
  });
  return header;
}

TEST(CookieJar, sendsThemWhereTheyBelong) {
  EXPECT_EQ(sent("http://a.org/x/y", "c=1", "http://a.org/x/z"), "c=1");
  EXPECT_EQ(sent("http://a.org/x/y", "c=1", "http://a.org/other"), "") << "the page's folder";
  EXPECT_EQ(sent("http://a.org/x/y", "c=1; Path=/", "http://A.ORG:81/"), "c=1") << "any port";
  EXPECT_EQ(sent("http://a.org/", "c=1", "http://b.a.org/"), "") << "the host only";
  EXPECT_EQ(sent("http://b.a.org/", "c=1; Domain=a.org", "http://c.a.org/"), "c=1");
  EXPECT_EQ(sent("http://a.org/", "c=1; Path=/x", "http://a.org/xy"), "");
  EXPECT_EQ(sent("https://a.org/", "c=1; Secure", "http://a.org/"), "");
  EXPECT_EQ(sent("https://a.org/", "c=1; Secure", "https://a.org/"), "c=1");
  EXPECT_EQ(sent("http://127.0.0.1/", "c=1", "http://127.0.0.1/"), "c=1");
}

TEST(CookieJar, refusesWhatAForeignServerMayNotSet) {
  EXPECT_EQ(sent("http://a.org/", "c=1; Domain=b.org", "http://b.org/"), "");
  EXPECT_EQ(sent("http://a.org/", "c=1; Domain=x.a.org", "http://x.a.org/"), "");
  EXPECT_EQ(sent("http://a.co.uk/", "c=1; Domain=co.uk", "http://b.co.uk/"), "");
  EXPECT_EQ(sent("http://127.0.0.1/", "c=1; Domain=0.0.1", "http://9.0.0.1/"), "");
  EXPECT_EQ(sent("http://nota.org/", "c=1; Domain=a.org", "http://a.org/"), "");
  EXPECT_EQ(sent("http://a.org/", "c=1; Secure", "https://a.org/"), "");
  EXPECT_EQ(sent("https://a.org/", "__Host-c=1; Secure; Path=/x", "https://a.org/x"), "");
  EXPECT_EQ(sent("https://a.org/", "__host-c=1; Path=/", "https://a.org/x"), "");
}

TEST(CookieJar, refusesAValueWithoutANameThatLooksLikeAPrefix) {
  EXPECT_EQ(sent("https://a.org/", "=value; Secure", "https://a.org/"), "value");
  for (const char* field : {"=__Host-a=1; Secure; Path=/", "__Host-a; Secure; Path=/",
                            "=__secure-a=1; Secure; Path=/", "=__SECURE-a; Secure; Path=/"})
    EXPECT_EQ(sent("https://a.org/", field, "https://a.org/"), "") << field;
}

/// What https://b.a.org/x/y is sent when an insecure page has set s behind a secure one.
std::string beside(std::string_view secure_from, std::string_view secure,
                   std::string_view insecure_from, std::string_view insecure) {
  std::string header;
  SimLoop().run([&]() -> Task<> {
    CookieJar jar;
    jar.store(secure_from, secure);
    jar.store(insecure_from, insecure);
    header = jar.header_for("https://b.a.org/x/y");
    co_return;
  });
  return header;
}

TEST(CookieJar, leavesSecureCookiesAloneInEveryDomainThatMeetsTheirs) {
  const char* host = "https://b.a.org/";
  const char* plain = "http://b.a.org/";
  EXPECT_EQ(beside(host, "s=1; Secure; Path=/", plain, "s=evil; Path=/; Domain=a.org"), "s=1")
      << "from a domain above";
  EXPECT_EQ(beside(host, "s=1; Secure; Path=/; Domain=a.org", plain, "s=evil; Path=/x"), "s=1")
      << "from a host below, on a longer path";
  EXPECT_EQ(beside(host, "s=1; Secure; Path=/x", plain, "s=other; Path=/"), "s=1; s=other")
      << "a path that does not match stands beside it (section 5.7)";
  EXPECT_EQ(beside("https://c.a.org/", "s=1; Secure; Path=/", plain, "s=own; Path=/"), "s=own")
      << "a sister's cookie is another";
  EXPECT_EQ(beside(host, "s=1; Path=/", plain, "s=2; Path=/; Domain=a.org"), "s=1; s=2");
  EXPECT_EQ(beside(host, "s=1; Secure; Path=/", host, "s=2; Path=/; Domain=a.org"), "s=1; s=2");
}

TEST(CookieJar, sendsOnlyAsMuchAsAServerTakes) {
  SimLoop().run([]() -> Task<> {
    CookieJar jar;
    const std::string value(2'000, 'v');
    for (const char* name : {"a", "b", "c"}) jar.store("http://a.org/", name + ("=" + value));
    jar.store("http://a.org/x/", "deep=1; Path=/x");
    const std::string all = "deep=1; a=" + value + "; b=" + value + "; c=" + value;
    EXPECT_EQ(jar.header_for("http://a.org/x"), all);
    jar.store("http://a.org/", "d=" + value);
    jar.store("http://a.org/", "e=1");
    const std::string sent = jar.header_for("http://a.org/x");
    EXPECT_LE(sent.size(), limits::http_cookie_field_max.value);
    EXPECT_EQ(sent, all + "; d=" + value + "; e=1") << "8,035 bytes";
    jar.store("http://a.org/x/", "long=" + value + "; Path=/x");
    EXPECT_EQ(jar.header_for("http://a.org/x"),
              "deep=1; long=" + value + "; a=" + value + "; b=" + value + "; c=" + value);
    co_return;
  });
}

TEST(CookieJar, replacesOrdersExpiresAndForgets) {
  SimLoop().run([&]() -> Task<> {
    CookieJar jar;
    jar.store("http://a.org/", "a=1; Path=/");
    jar.store("http://a.org/", "b=1; Path=/x");
    jar.store("http://a.org/", "c=1; Path=/; Max-Age=60");
    jar.store("http://a.org/", "a=2; Path=/");
    EXPECT_EQ(jar.header_for("http://a.org/x"), "b=1; a=2; c=1") << "longest path, then age";
    co_await sleep_for(61s);
    EXPECT_EQ(jar.header_for("http://a.org/"), "a=2");
    jar.store("http://a.org/", "a=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT");
    EXPECT_EQ(jar.header_for("http://a.org/"), "");
    jar.store("https://a.org/", "s=1; Secure; Path=/");
    jar.store("http://a.org/", "s=evil; Path=/");
    EXPECT_EQ(jar.header_for("https://a.org/"), "s=1") << "no insecure page replaces a secure one";
    jar.clear();
    EXPECT_EQ(jar.size(), 0u);
  });
}

TEST(CookieJar, isBounded) {
  SimLoop().run([&]() -> Task<> {
    CookieJar jar;
    for (int i = 0; i < 200; ++i) {
      jar.store("http://a.org/", "first=1; Path=/");
      jar.store("http://a.org/", "c" + std::to_string(i) + "=1; Path=/");
    }
    EXPECT_EQ(jar.size(), limits::http_cookies_per_domain_max.value);
    EXPECT_NE(jar.header_for("http://a.org/").find("first=1"), std::string::npos) << "it was used";
    for (int i = 0; i < 4'000; ++i) jar.store("http://h" + std::to_string(i) + ".org/", "c=1");
    EXPECT_EQ(jar.size(), limits::http_cookies_max.value);
    EXPECT_EQ(jar.header_for("http://h3999.org/"), "c=1");
    EXPECT_EQ(jar.header_for("http://h0.org/"), "");
    co_return;
  });
}

TEST(Cookies, areReadAndSetByHandlers) {
  http::Router router;
  router.get("/", [](http::Request& in, http::Response& out) {
    const std::string seen = http::cookie(in, "b").value_or("none");
    EXPECT_TRUE(http::set_cookie(out, {.name = "sid", .value = "1", .path = "/"}));
    EXPECT_FALSE(http::set_cookie(out, {.name = "bad", .value = "a\r\nb"}));
    EXPECT_TRUE(http::remove_cookie(out, "old"));
    out.send(seen);
  });
  const Outcome outcome =
      play({.router = std::move(router), .client = [](ByteStream& peer, std::string&) -> Task<> {
              (void)co_await peer.write_all(
                  "GET / HTTP/1.1\r\nHost: a\r\nCookie: a=1\r\nCookie: b=2\r\n"
                  "Connection: close\r\n\r\n");
            }});
  EXPECT_TRUE(outcome.heard.ends_with("2"));
  EXPECT_NE(outcome.heard.find("Set-Cookie: sid=1; Path=/\r\n"), std::string::npos);
  EXPECT_NE(outcome.heard.find("Set-Cookie: old=; Path=/; Max-Age=0\r\n"), std::string::npos);
  EXPECT_EQ(outcome.heard.find("bad="), std::string::npos);
}

}  // namespace
}  // namespace rondo::testing
