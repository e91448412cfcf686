// SPDX-License-Identifier: Apache-2.0
#include "fetch/names.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fetch/loader.hpp"

namespace rondo::fetch {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;

TEST(Names, areReadableWhereTheyCanBe) {
  EXPECT_EQ(local_name("https://example.org/", ".html"), "example.org/index.html");
  EXPECT_EQ(local_name("https://example.org/a/b.png", ".bin"), "example.org/a/b.png");
  EXPECT_EQ(local_name("http://a:8080/x", ".html"), "a_8080/x.html");
  EXPECT_EQ(local_name("http://[::1]:80/x.css", ".css"), "__1_80/x.css");
  EXPECT_THAT(local_name("http://a/x.css?v=1", ".css"), MatchesRegex("a/x-[0-9a-f]{8}\\.css"));
}

TEST(Names, stayBelowTheFolderAndApart) {
  for (const char* path : {"/..%2f..%2fetc/passwd", "/%2e%2e/x", "/.ssh/key", "/a%00b", "/a\\..\\b",
                           "/.rondo-fetch", "/a%0ab", "/user."}) {
    const std::string name = local_name(std::string("http://h") + path, ".bin");
    EXPECT_TRUE(name.starts_with("h/")) << name;
    EXPECT_THAT(name, Not(HasSubstr("/."))) << path;
    EXPECT_THAT(name, Not(HasSubstr(".."))) << path;
  }
  EXPECT_NE(local_name("http://h/a?1", ""), local_name("http://h/a?2", ""));
  EXPECT_NE(local_name("http://h/a%20b", ""), local_name("http://h/a_b", ""));
  EXPECT_LT(local_name("http://h/" + std::string(3'000, 'x'), ".html").size(), 200u);
}

TEST(Names, aPartHasANameThatNoUrlHas) {
  EXPECT_EQ(part_name("h/a.png"), "h/a.png#part");
  for (const char* path : {"/a#part", "/a%23part", "/a.png%23part?x"}) {
    const auto url = url_in_page("http://h/", path).or_throw();
    EXPECT_THAT(local_name(url, ".bin"), Not(HasSubstr("#"))) << path;
  }
}

TEST(Names, areNeverThoseOfFoldersOrOfOtherUrls) {
  NamePool names;
  EXPECT_EQ(names.take("h/a.png", "1"), "h/a.png");
  EXPECT_EQ(names.take("h/a.png", "1"), "h/a.png") << "the same URL keeps it";
  EXPECT_EQ(names.take("h/a.png", "2"), "h/a-2.png");
  EXPECT_EQ(names.take("h/a.png/b", "3"), "h/a.png-2/b") << "a file is no folder";
  EXPECT_EQ(names.take("h/a.png/c", "4"), "h/a.png-2/c");
  EXPECT_EQ(names.take("h/x/y/z", "5"), "h/x/y/z");
  EXPECT_EQ(names.take("h/x/y", "6"), "h/x/y-2") << "nor a folder a file";
  EXPECT_EQ(names.take("h/x", "7"), "h/x-2");
  EXPECT_EQ(names.take("h/x-2/y", "8"), "h/x-2-2/y");
  EXPECT_TRUE(names.reserve("h/r", "9"));
  EXPECT_TRUE(names.reserve("h/r", "9"));
  EXPECT_FALSE(names.reserve("h/r", "10"));
  EXPECT_FALSE(names.reserve("h/r/s", "10"));
  EXPECT_FALSE(names.reserve("h/x/y", "10"));
  EXPECT_EQ(names.take("h/r", "10"), "h/r-2");
}

TEST(Names, linksGoFromFileToFile) {
  EXPECT_EQ(link_between("h/index.html", "h/a/b.png"), "a/b.png");
  EXPECT_EQ(link_between("h/a/b/c.html", "h/a/d.png"), "../d.png");
  EXPECT_EQ(link_between("h/a.html", "cdn/x,y.png"), "../cdn/x%2Cy.png");
  EXPECT_EQ(link_between("h/a.html", "h/a.html"), "a.html");
  EXPECT_EQ(link_between("h/ab/c", "h/a/c"), "../a/c");
}

TEST(Urls, areReadAsBrowsersReadThem) {
  const auto in_page = [](std::string_view written) {
    auto url = url_in_page("http://h/a/b?c", written);
    return url ? *url : "none";
  };
  EXPECT_EQ(in_page("x y.png"), "http://h/a/x%20y.png");
  EXPECT_EQ(in_page("../\xc3\xa4"), "http://h/%C3%A4");
  EXPECT_EQ(in_page("//cdn/x#part"), "http://cdn/x");
  EXPECT_EQ(in_page("a\nb"), "http://h/a/ab");
  EXPECT_EQ(in_page("\\x"), "http://h/x");
  EXPECT_EQ(in_page("?d"), "http://h/a/b?d");
  for (const char* other : {"data:text/plain,x", "mailto:a@b", "javascript:x()", "ftp://a/b",
                            "http://", "http://user@h/"}) {
    EXPECT_EQ(in_page(other), "none") << other;
  }
  EXPECT_EQ(url_given("example.org").or_throw(), "http://example.org/");
  EXPECT_FALSE(url_given("ftp://x/").has_value());
}

}  // namespace
}  // namespace rondo::fetch
