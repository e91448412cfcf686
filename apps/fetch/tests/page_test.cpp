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
  for (const Spot& spot : parse_page(html).or_throw().spots) {
    if (spot.form == Spot::Form::base) continue;
    for (const SpotUrl& each : spot.urls) {
      if (each.use != Use::link) found.push_back(each.url);
    }
  }
  return found;
}

/// Every URL with "new/" before it.
std::string renewed(std::string_view html) {
  return rewrite(html, parse_page(html).or_throw(),
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
  EXPECT_EQ(parse_page("<base target=x><base href=a><base href=b>").or_throw().base, "a");
}

TEST(Page, aUrlCannotEndWhatItStandsIn) {
  const std::string html = "<style>p{background:url(a)}</style>";
  const Rename evil = [](std::string_view, Use) { return "</style><script>x</script>"; };
  EXPECT_EQ(rewrite(html, parse_page(html).or_throw(), evil), html);
  const std::string image = "<img src=a>";
  const Rename quote = [](std::string_view, Use) { return "\"><script>"; };
  EXPECT_EQ(rewrite(image, parse_page(image).or_throw(), quote),
            "<img src=\"&quot;&gt;&lt;script&gt;\">");
}

TEST(Page, aPageNestedAsDeepAsItsSizeAllowsIsRead) {
  std::string deep;
  for (int i = 0; i < 20'000; ++i) deep += "<div>";
  EXPECT_THAT(needs(deep + "<img src=a>"), ElementsAre("a"));
  EXPECT_THAT(needs(""), IsEmpty());
  EXPECT_THAT(needs(std::string_view("\0<img src=\0>", 12)), testing::SizeIs(testing::Le(1u)));
}

std::string beyond(const Result<Page>& page) {
  return page ? "" : std::string(page.error().object());
}

TEST(Page, aSmallPageThatWouldMakeAHugeTreeIsGivenUp) {
  // A <b> that is open at the end of a <p> is opened again in the next: 1,000 times 3,000 elements.
  std::string html = "<p>";
  for (int i = 0; i < 1'000; ++i) html += "<b a" + std::to_string(i) + ">";
  for (int i = 0; i < 3'000; ++i) html += "<p>x";
  ASSERT_LT(html.size(), 20'000u);
  const auto page = parse_page(html);
  ASSERT_FALSE(page.has_value());
  EXPECT_EQ(page.error(), Errc::too_large);
  EXPECT_EQ(beyond(page), "its tree has more than 134217728 bytes");
  EXPECT_THAT(needs("<img src=a>"), ElementsAre("a")) << "nothing is left behind";
}

TEST(Page, aTreeTakesNoMoreThanItsBudget) {
  std::string html;
  for (int i = 0; i < 2'000; ++i) html += "<i>x</i>";
  const std::size_t needed = HtmlTree::parse(html, {}).or_throw().bytes();
  EXPECT_EQ(HtmlTree::parse(html, {.tree_max = needed}).or_throw().bytes(), needed);
  // Wherever it ends, the parse is left cleanly: the sanitizers see to that.
  for (std::size_t budget = 0; budget < needed; budget += 4'999) {
    const auto tree = HtmlTree::parse(html, {.tree_max = budget});
    EXPECT_TRUE(tree ? tree->bytes() <= budget : tree.error() == Errc::too_large) << budget;
  }
  EXPECT_EQ(HtmlTree::parse(html, {.tree_max = needed / 2}).error(), Errc::too_large);
}

TEST(Page, whatIsBeyondABoundIsSaidInWords) {
  EXPECT_EQ(beyond(parse_page("12345", {.size_max = 5})), "");
  EXPECT_EQ(beyond(parse_page("123456", {.size_max = 5})), "it has more than 5 bytes");
  EXPECT_EQ(beyond(parse_style("123456", {.size_max = 5})), "it has more than 5 bytes");
  // Quadratic in Gumbo: each <div> looks for a <p> in all that are open.
  std::string deep;
  for (int i = 0; i < 2'000; ++i) deep += "<div>";
  EXPECT_EQ(beyond(parse_page(deep, {.time_max = Duration::zero()})), "it takes too long");
  const char* const several[] = {"<img src=a><img src=b><img src=c>", "<img srcset='a, b, c'>",
                                 "<p style='x:url(a) url(b) url(c)'>",
                                 "<style>p{x:url(a) url(b) url(c)}</style>"};
  for (const char* html : several) {
    EXPECT_EQ(beyond(parse_page(html, {.urls_max = 3})), "") << html;
    EXPECT_EQ(beyond(parse_page(html, {.urls_max = 2})), "it names more than 2 URLs") << html;
  }
  EXPECT_EQ(beyond(parse_style("p{x:url(a) url(b) url(c)}", {.urls_max = 3})), "");
  EXPECT_EQ(beyond(parse_style("p{x:url(a) url(b) url(c)}", {.urls_max = 2})),
            "it names more than 2 URLs");
}

TEST(Page, anElementThatIsOpenedAgainIsFoundOnce) {
  EXPECT_THAT(needs("<p><font style='x:url(a)'>1<p>2<p>3"), ElementsAre("a"));
  EXPECT_EQ(renewed("<p><a href=x>1<p>2</a>"), "<p><a href=\"new/x\">1<p>2</a>");
  EXPECT_EQ(renewed("<a href=x><div>1</a>2</div>"), "<a href=\"new/x\"><div>1</a>2</div>");
  EXPECT_EQ(renewed("<table><a href=x>1<tr><td>2</a></table>"),
            "<table><a href=\"new/x\">1<tr><td>2</a></table>");
}

TEST(Page, aStyleSheetIsAPageOfOneSpot) {
  const auto renewed_css = [](std::string_view css) {
    return rewrite(css, parse_style(css).or_throw(),
                   [](std::string_view url, Use) { return "new/" + std::string(url); });
  };
  EXPECT_EQ(renewed_css("@import 'a'; p{x:url(b)} /* </style> */"),
            "@import \"new/a\"; p{x:url(\"new/b\")} /* </style> */");
  EXPECT_EQ(renewed_css("p{}"), "p{}");
  EXPECT_EQ(renewed_css(""), "");
}

}  // namespace
}  // namespace rondo::fetch
