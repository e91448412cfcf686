// SPDX-License-Identifier: Apache-2.0
#include "fetch/page.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace rondo::fetch {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> needs(std::string_view html) {
  std::vector<std::string> found;
  for (const Spot& spot : parse_page(html).spots) {
    if (spot.form == Spot::Form::base) continue;
    for (const SpotUrl& each : spot.urls) {
      if (each.use != Use::link) found.push_back(each.url);
    }
  }
  return found;
}

/// Every URL with "new/" before it.
std::string renewed(std::string_view html) {
  return rewrite(html, parse_page(html),
                 [](std::string_view url, Use) { return "new/" + std::string(url); });
}

TEST(Page, findsEverythingAPageLoads) {
  EXPECT_THAT(needs("<link rel=stylesheet href=a.css><link rel='shortcut icon' href=i.ico>"
                    "<link rel=canonical href=no><link rel=preload as=font href=f.woff2>"),
              ElementsAre("a.css", "i.ico", "f.woff2"));
  EXPECT_THAT(needs("<script src=a.js></script><script>no = '<img src=x>'</script>"),
              ElementsAre("a.js"));
  EXPECT_THAT(needs("<img src=a srcset='b 1x, c 2x,d'><picture><source srcset=e><img src=f>"),
              ElementsAre("a", "b", "c", "d", "e", "f"));
  EXPECT_THAT(needs("<video src=a poster=b><source src=c><track src=d></video><audio src=e>"),
              ElementsAre("a", "b", "c", "d", "e"));
  EXPECT_THAT(needs("<iframe src=a></iframe><embed src=b><object data=c></object>"
                    "<input type=image src=d>"),
              ElementsAre("a", "b", "c", "d"));
  EXPECT_THAT(needs("<svg><image href=a /><image xlink:href=b /><use href='c#d'/></svg>"),
              ElementsAre("a", "b", "c#d"));
  EXPECT_THAT(needs("<p style='background: url(a)'><style>p { background: url(b) }</style>"),
              ElementsAre("a", "b"));
  EXPECT_THAT(needs("<noscript><img src=a></noscript><template><img src=b></template>"),
              ElementsAre("a", "b"));
  EXPECT_THAT(needs("<body background=a><!-- <img src=no> --><img src=' b '><img src=''>"),
              ElementsAre("a", "b"));
  EXPECT_THAT(needs("<img src='a&amp;b'>"), ElementsAre("a&b"));
}

TEST(Page, aSrcsetIsReadAsBrowsersDo) {
  EXPECT_THAT(needs("<img srcset=' a.png 100w , b.png(x,y) 2x,c.png'>"),
              ElementsAre("a.png", "b.png(x,y)", "c.png"));
  EXPECT_THAT(needs("<img srcset='data:image/png;base64,AA== 1x, b.png 2x'>"),
              ElementsAre("data:image/png;base64,AA==", "b.png"));
  EXPECT_THAT(needs("<img srcset=', , a.png,, b.png'>"), ElementsAre("a.png", "b.png"));
}

TEST(Page, rewritesTheUrlsAndNothingElse) {
  EXPECT_EQ(renewed("<!doctype html>\n<P  class=x>a<IMG alt='y' src=a.png >"),
            "<!doctype html>\n<P  class=x>a<IMG alt='y' src=\"new/a.png\" >");
  EXPECT_EQ(renewed("<img src='a&amp;b'>"), "<img src=\"new/a&amp;b\">");
  EXPECT_EQ(renewed("<img srcset=\"a 1x, b 2x\">"), "<img srcset=\"new/a 1x, new/b 2x\">");
  EXPECT_EQ(renewed("<p style=\"background:url(a)\">"),
            "<p style=\"background:url(&quot;new/a&quot;)\">");
  EXPECT_EQ(renewed("<style>p{background:url(a)}</style>"),
            "<style>p{background:url(\"new/a\")}</style>");
  EXPECT_EQ(renewed("<base href='http://a/b/'><a href=c>"), "<base href=\"./\"><a href=\"new/c\">");
  EXPECT_EQ(renewed("<link rel=stylesheet href=a integrity='sha1-x' crossorigin>"),
            "<link rel=stylesheet href=\"new/a\"  >");
  const char* plain = "<p>no url <b>at</b> all &amp; <unclosed";
  EXPECT_EQ(renewed(plain), plain);
}

TEST(Page, theFirstBaseCounts) {
  EXPECT_EQ(parse_page("<base target=x><base href=a><base href=b>").base, "a");
}

TEST(Page, aUrlCannotEndWhatItStandsIn) {
  const std::string html = "<style>p{background:url(a)}</style>";
  const Rename evil = [](std::string_view, Use) { return "</style><script>x</script>"; };
  EXPECT_EQ(rewrite(html, parse_page(html), evil), html);
  const std::string image = "<img src=a>";
  const Rename quote = [](std::string_view, Use) { return "\"><script>"; };
  EXPECT_EQ(rewrite(image, parse_page(image), quote), "<img src=\"&quot;&gt;&lt;script&gt;\">");
}

TEST(Page, aPageNestedAsDeepAsItsSizeAllowsIsRead) {
  std::string deep;
  for (int i = 0; i < 20'000; ++i) deep += "<div>";
  EXPECT_THAT(needs(deep + "<img src=a>"), ElementsAre("a"));
  EXPECT_THAT(needs(""), IsEmpty());
  EXPECT_THAT(needs(std::string_view("\0<img src=\0>", 12)), testing::SizeIs(testing::Le(1u)));
}

}  // namespace
}  // namespace rondo::fetch
