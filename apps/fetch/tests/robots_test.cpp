// SPDX-License-Identifier: Apache-2.0
#include "fetch/robots.hpp"

#include <gtest/gtest.h>

namespace rondo::fetch {
namespace {

bool allows(std::string_view text, std::string_view path) {
  return parse_robots(text, "rondo").allows(path);
}

TEST(Robots, theLongestRuleWinsAndAllowOfTwoAsLong) {
  // The examples of RFC 9309, section 5.2 and of Google's, which it was made from.
  const char* text = "user-agent: *\nallow: /p\ndisallow: /\n";
  EXPECT_TRUE(allows(text, "/page"));
  EXPECT_FALSE(allows(text, "/other"));
  EXPECT_TRUE(allows("User-Agent: *\nAllow: /folder\nDisallow: /folder\n", "/folder/page"));
  EXPECT_FALSE(allows("user-agent: *\nallow: /page\ndisallow: /*.htm\n", "/page.htm"));
  EXPECT_TRUE(allows("user-agent: *\nallow: /$\ndisallow: /\n", "/"));
  EXPECT_FALSE(allows("user-agent: *\nallow: /$\ndisallow: /\n", "/page.htm"));
}

TEST(Robots, patternsAreAnyTextAndTheEnd) {
  const auto matches = [](std::string pattern, std::string_view path) {
    return !Robots{.rules = {{.allow = false, .pattern = std::move(pattern)}}}.allows(path);
  };
  EXPECT_TRUE(matches("/fish*", "/fish.html"));
  EXPECT_TRUE(matches("/*.php$", "/folder/any.php"));
  EXPECT_FALSE(matches("/*.php$", "/any.php?x"));
  EXPECT_TRUE(matches("/a*b*c", "/aXbYbZc"));
  EXPECT_FALSE(matches("/a*b*c$", "/aXbYbZ"));
  EXPECT_TRUE(matches("/a$", "/a"));
  EXPECT_FALSE(matches("/a$", "/ab"));
  EXPECT_TRUE(matches("*", ""));
  EXPECT_FALSE(matches("/a*a*a*a*a*a*a*a*a*b", "/" + std::string(10'000, 'a'))) << "and soon";
}

TEST(Robots, theOwnGroupCountsElseThatOfAll) {
  const char* text =
      "User-agent: other\nDisallow: /\n\n"
      "User-agent: a\nUser-agent: Rondo # us\nDisallow: /own\nCrawl-delay: 0.5\n\n"
      "User-agent: *\nDisallow: /all\n";
  EXPECT_FALSE(allows(text, "/own"));
  EXPECT_TRUE(allows(text, "/all"));
  EXPECT_EQ(parse_robots(text, "rondo").delay, std::chrono::milliseconds(500));
  EXPECT_FALSE(parse_robots(text, "x").allows("/all"));
  EXPECT_TRUE(parse_robots(text, "x").allows("/own"));
  EXPECT_TRUE(allows("User-agent: rondo\nDisallow:\nUser-agent: *\nDisallow: /", "/x"));
}

TEST(Robots, anyTextIsARuleOrNothing) {
  EXPECT_TRUE(allows("", "/"));
  EXPECT_TRUE(allows("<html>Disallow: /", "/"));
  EXPECT_TRUE(allows("Disallow: /", "/")) << "a rule outside of any group";
  EXPECT_FALSE(allows("\xef\xbb\xbfUser-agent:*\rDisallow:/x", "/x"));
  EXPECT_EQ(parse_robots("User-agent: *\nCrawl-delay: 1e9\n", "x").delay, std::chrono::seconds(30));
  EXPECT_EQ(parse_robots("User-agent: *\nCrawl-delay: -1\n", "x").delay, Duration::zero());
}

}  // namespace
}  // namespace rondo::fetch
