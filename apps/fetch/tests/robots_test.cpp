// SPDX-License-Identifier: Apache-2.0
#include "fetch/robots.hpp"

#include <gtest/gtest.h>

#include "fetch/limits.hpp"

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

TEST(Robots, patternsOfManyStarsMatchAsTheyShould) {
  const auto matches = [](std::string pattern, std::string_view path) {
    return !Robots{.rules = {{.allow = false, .pattern = std::move(pattern)}}}.allows(path);
  };
  std::string stars;
  for (int i = 0; i < 500; ++i) stars += "*a";
  const std::string path(8'000, 'a');
  EXPECT_TRUE(matches(stars, path));
  EXPECT_TRUE(matches(stars + "$", path));
  EXPECT_FALSE(matches(stars + "*b", path));
  EXPECT_FALSE(matches(stars, path.substr(0, 499)));
  EXPECT_TRUE(matches("/**x***y*", "/axby"));
  EXPECT_TRUE(matches("*$", "/any"));
  EXPECT_TRUE(matches("/a*ab$", "/aab")) << "the end may lie in what was matched last";
  EXPECT_FALSE(matches("/a*ab$", "/ab"));
  EXPECT_TRUE(matches("*", std::string_view()));
}

TEST(Robots, rulesAndPatternsAreBounded) {
  const std::string longest(k_robots_pattern_max.value - 1, 'x');
  const std::string head = "User-agent: *\n";
  EXPECT_FALSE(allows(head + "Disallow: /" + longest, "/" + longest));
  EXPECT_FALSE(allows(head + "Disallow: /" + longest + "y", "/" + longest + "z"))
      << "cut short it forbids more, never less";
  const std::string dollar = longest.substr(1) + "$y";
  EXPECT_FALSE(allows(head + "Disallow: /" + dollar, "/" + dollar));
  EXPECT_TRUE(allows(head + "Disallow: /\nAllow: /" + longest, "/" + longest));
  EXPECT_FALSE(allows(head + "Disallow: /\nAllow: /" + longest + "y", "/" + longest + "y"));
  std::string many = head;
  for (std::uint64_t i = 0; i < k_robots_rules_max.value + 10; ++i) many += "Disallow: /a*b\n";
  EXPECT_EQ(parse_robots(many, "rondo").rules.size(), k_robots_rules_max.value);
  const std::string huge = head + std::string(k_robots_max.value, '#') + "\nDisallow: /";
  EXPECT_TRUE(allows(huge, "/"));
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
