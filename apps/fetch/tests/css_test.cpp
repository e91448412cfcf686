// SPDX-License-Identifier: Apache-2.0
#include "fetch/css.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace rondo::fetch {
namespace {

using ::testing::ElementsAre;

std::vector<std::string> urls(std::string_view css) {
  std::vector<std::string> found;
  for (const CssUrl& each : css_urls(css)) found.push_back(each.url);
  return found;
}

TEST(Css, findsWhatASheetLoads) {
  EXPECT_THAT(urls("a { background: url(a.png) } b { background: URL( \"b c.png\" ) }"),
              ElementsAre("a.png", "b c.png"));
  EXPECT_THAT(urls("@import 'x.css'; @import url(y.css) screen;"), ElementsAre("x.css", "y.css"));
  EXPECT_THAT(urls("@IMPORT \"x.css\" layer(a) supports(display: grid); p::after{content:'no'}"),
              ElementsAre("x.css"));
  EXPECT_THAT(urls("a{b:image-set('1.png' 1x, url(2.png) 2x)} c{d:-webkit-image-set(url('3') 1x)}"),
              ElementsAre("1.png", "2.png", "3"));
  EXPECT_THAT(urls("@font-face { src: local('Arial'), url(f.woff2) format('woff2') }"),
              ElementsAre("f.woff2"));
  EXPECT_THAT(urls("a{background:url(one.png),url(two.png)no-repeat}"),
              ElementsAre("one.png", "two.png"));
}

TEST(Css, tellsWhatEachIsFor) {
  const auto found = css_urls("@import url(a); @font-face{src:url(b)} p{background:url(c)}");
  ASSERT_EQ(found.size(), 3u);
  EXPECT_EQ(found[0].of, CssUrl::Of::import);
  EXPECT_EQ(found[1].of, CssUrl::Of::font);
  EXPECT_EQ(found[2].of, CssUrl::Of::image);
}

TEST(Css, readsEscapesAndSkipsWhatIsNoUrl) {
  EXPECT_THAT(urls(R"(a{b:url(\61 \)b)} c{d:url("\22 q")} e{f:ur\6c(x)})"),
              ElementsAre("a)b", "\"q", "x"));
  EXPECT_THAT(urls("/* url(no) */ a{content:'url(no)'} b{c:curl(no)} d{e:url-x(no)}"),
              ElementsAre());
  EXPECT_THAT(urls("@namespace url(http://www.w3.org/1999/xhtml); a{b:url(yes)}"),
              ElementsAre("yes"));
  EXPECT_THAT(urls("a{b:url()} c{d:url( )} e{f:url('')}"), ElementsAre());
}

TEST(Css, goesOnBehindWhatIsBroken) {
  EXPECT_THAT(urls("a{b:url(x y)} c{d:url(z)}"), ElementsAre("z"));
  EXPECT_THAT(urls("a{b:url(x'y)} c{d:url(z)}"), ElementsAre("z"));
  EXPECT_THAT(urls("a{b:url(\"x\n)} c{d:url(z)}"), ElementsAre("z"));
  EXPECT_THAT(urls("a{b:url(open"), ElementsAre("open"));
  EXPECT_THAT(urls("/* never closed url(x)"), ElementsAre());
  EXPECT_THAT(urls(std::string(100'000, '(') + "url(z)"), ElementsAre("z"));
  EXPECT_THAT(urls("\\"), ElementsAre());
}

TEST(Css, aStringOfCssIsReadBackAsItWas) {
  for (const char* url : {"a", "a\"b", "a\\b", "a\nb", "\xc3\xa4"}) {
    EXPECT_THAT(urls("a{b:url(" + css_string(url) + ")}"), ElementsAre(url));
  }
}

}  // namespace
}  // namespace rondo::fetch
