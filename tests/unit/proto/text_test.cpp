// SPDX-License-Identifier: Apache-2.0
// UTF-8, Base64, URLs and written heads.
#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

#include "rondo/proto/base64.hpp"
#include "rondo/proto/http1.hpp"
#include "rondo/proto/http1_write.hpp"
#include "rondo/proto/url.hpp"
#include "rondo/proto/utf8.hpp"

using namespace rondo;
using namespace rondo::proto;
using namespace std::string_literals;

namespace {

TEST(Utf8, FirstAndLastOfEachLengthAreValid) {
  for (const std::string& good :
       {""s, "\0"s, "\x7F"s, "\xC2\x80"s, "\xDF\xBF"s, "\xE0\xA0\x80"s, "\xED\x9F\xBF"s,
        "\xEE\x80\x80"s, "\xEF\xBF\xBF"s, "\xF0\x90\x80\x80"s, "\xF4\x8F\xBF\xBF"s})
    EXPECT_TRUE(is_valid_utf8(std::string(61, 'a') + good + "a")) << good;
}

TEST(Utf8, OverlongSurrogatesAndBeyondAreRefusedAtTheFirstCertainByte) {
  for (const std::string& bad : {"\x80"s, "\xC0"s, "\xC1"s, "\xE0\x9F"s, "\xED\xA0"s, "\xF0\x8F"s,
                                 "\xF4\x90"s, "\xF5"s, "\xFF"s, "\xE2\x28"s}) {
    Utf8Validator check;
    EXPECT_TRUE(check.feed(as_bytes(bad).first(bad.size() - 1))) << bad;
    EXPECT_FALSE(check.feed(as_bytes(bad).last(1))) << bad;
    EXPECT_FALSE(check.feed(as_bytes("a"))) << "it stays refused";
  }
  EXPECT_FALSE(is_valid_utf8("\xE2\x82"));
}

TEST(Base64, TheExamplesOfTheRfcGoBothWays) {
  const char* const pairs[][2] = {{"", ""},         {"f", "Zg=="},         {"fo", "Zm8="},
                                  {"foo", "Zm9v"},  {"foob", "Zm9vYg=="},  {"fooba", "Zm9vYmE="},
                                  {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, coded] : pairs) {
    EXPECT_EQ(base64_encode(as_bytes(plain)), coded);
    std::array<std::byte, 8> room;
    const auto size = base64_decode(coded, room);
    ASSERT_TRUE(size);
    EXPECT_EQ(as_text(ByteView(room).first(*size)), plain);
  }
  std::array<std::byte, 2> room;
  for (const char* bad : {"Zg", "Zg=", "Zh==", "Z===", "Z\ng=", "Zm9v", "Zg==Zg=="})
    EXPECT_FALSE(base64_decode(bad, room)) << bad;
  // Found by the fuzzer: a text's end may hold only the padding that its last group lacks.
  std::array<std::byte, 16> wide;
  for (const char* bad : {"====", "Zm9v====", "Zm8=====", "dGhlIS2jZQ======"})
    EXPECT_FALSE(base64_decode(bad, wide)) << bad;
}

TEST(Url, PathsThatTryToLeaveTheRootAreRefused) {
  for (const std::string& bad :
       {"/.."s, "/../etc"s, "/a/../../b"s, "/%2e%2e/b"s, "/.%2E/b"s, "/a%2fb"s, "/a%5cb"s,
        "/a\\b"s, "/%00"s, "/a\0"s, "/%"s, "/%4"s, "/%zz"s, "a"s, ""s})
    EXPECT_FALSE(normalise_path(bad)) << bad;
  EXPECT_EQ(normalise_path("/a/./b%20c/../d").or_throw(), "/a/d");
  EXPECT_EQ(normalise_path("//a//").or_throw(), "/a/");
  EXPECT_EQ(normalise_path("/a/..").or_throw(), "/");
  EXPECT_EQ(normalise_path("/...").or_throw(), "/...");
}

TEST(Url, ReferencesAreResolvedAsTheRfcsExamplesSay) {
  // RFC 3986, sections 5.4.1 and 5.4.2; fragments are dropped.
  const char* const rows[][2] = {
      {"http:h", ""},          {"g", "/b/c/g"},           {"./g", "/b/c/g"},
      {"g/", "/b/c/g/"},       {"/g", "/g"},              {"?y", "/b/c/d;p?y"},
      {"g?y", "/b/c/g?y"},     {"#s", "/b/c/d;p?q"},      {"g#s", "/b/c/g"},
      {";x", "/b/c/;x"},       {"g;x?y#s", "/b/c/g;x?y"}, {"", "/b/c/d;p?q"},
      {".", "/b/c/"},          {"./", "/b/c/"},           {"..", "/b/"},
      {"../", "/b/"},          {"../g", "/b/g"},          {"../..", "/"},
      {"../../g", "/g"},       {"../../../g", "/g"},      {"/./g", "/g"},
      {"/../g", "/g"},         {"g.", "/b/c/g."},         {"..g", "/b/c/..g"},
      {"./../g", "/b/g"},      {"./g/.", "/b/c/g/"},      {"g/../h", "/b/c/h"},
      {"g?y/../x", "/b/c/g?y/../x"}};
  for (const auto& [reference, path] : rows) {
    auto got = resolve_reference("http://a/b/c/d;p?q", reference);
    if (*path == '\0') {
      EXPECT_FALSE(got) << reference;
      continue;
    }
    EXPECT_EQ(std::move(got).or_throw(), "http://a" + std::string(path)) << reference;
  }
  EXPECT_EQ(resolve_reference("https://a", "//g:8/x").or_throw(), "https://g:8/x");
  EXPECT_EQ(resolve_reference("http://a?b", "").or_throw(), "http://a/?b");
  EXPECT_EQ(resolve_reference("http://a/b", "https://c/../d").or_throw(), "https://c/d");
  for (const char* bad : {"x y", "\x01", "http://", "javascript:alert(1)", "//"})
    EXPECT_FALSE(resolve_reference("http://a/", bad)) << bad;
  EXPECT_FALSE(resolve_reference("/no/base", "x"));
}

TEST(Url, QueriesAndSegmentsComeInOrder) {
  std::string seen;
  for (QueryReader left("a=1&b&&=c&d=e=f"); auto pair = left.next();)
    seen.append(pair->name).append(":").append(pair->value).append(" ");
  EXPECT_EQ(seen, "a:1 b: :c d:e=f ");
  std::vector<std::string_view> segments;
  for (PathSegments left("/a//b/"); auto segment = left.next();) segments.push_back(*segment);
  EXPECT_EQ(segments, (std::vector<std::string_view>{"a", "", "b", ""}));
  EXPECT_EQ(query_value("x=1&q=a+b%21", "q"), "a b!");
  EXPECT_EQ(query_value("x=1", "q"), std::nullopt);
  EXPECT_EQ(percent_decode("a+b").or_throw(), "a+b");
  EXPECT_EQ(percent_encode("a b/~"), "a%20b%2F~");
}

TEST(Url, AuthoritiesAndUrlsAreTakenApart) {
  EXPECT_EQ(parse_authority("[::1]:8080").or_throw().host, "[::1]");
  EXPECT_EQ(parse_authority("[::1]:8080").or_throw().port, 8080);
  EXPECT_EQ(parse_authority("a.b").or_throw().port, std::nullopt);
  for (const char* bad : {"u@a", "a:b", "a:65536", "a:1:2", "[::1", "[]", "[::1]a", "a b", "a/"})
    EXPECT_FALSE(parse_authority(bad)) << bad;
  const UrlView url = parse_url("http://example.org:81?y=1#z").or_throw();
  EXPECT_EQ(url.authority.host, "example.org");
  EXPECT_EQ(url.path, "/");
  EXPECT_EQ(url.query, "y=1");
  for (const char* bad : {"example.org", "http:/a", "http://", "://a", "http://a/ b", "1x://a"})
    EXPECT_FALSE(parse_url(bad)) << bad;
}

TEST(HeadWriter, AHeadItWroteIsReadBackAndInjectionIsRefused) {
  std::array<std::byte, 256> room;
  HeadWriter head(room);
  head.status(404).field("Content-Type", "text/plain").field("Content-Length", 0);
  const std::size_t size = head.finish().or_throw();
  ResponseParser parser;
  ByteView input = ByteView(room).first(size);
  ASSERT_EQ(parser.next(input), HttpEvent::head);
  EXPECT_EQ(parser.head().status(), 404);
  EXPECT_EQ(parser.head().reason(), "Not Found");
  EXPECT_EQ(parser.head().get("content-type"), "text/plain");
  for (const std::string& bad : {"a\r\nb"s, "a\n"s, "a\rb"s, "a\0"s, "long enough\x7F"s}) {
    EXPECT_EQ(HeadWriter(room).status(200).field("X", bad).finish().error(),
              Errc::invalid_argument);
    EXPECT_EQ(HeadWriter(room).status(200, bad).finish().error(), Errc::invalid_argument);
    EXPECT_EQ(HeadWriter(room).status(200).field(bad, "v").finish().error(),
              Errc::invalid_argument);
    EXPECT_EQ(HeadWriter(room).request("GET", bad).finish().error(), Errc::invalid_argument);
  }
  EXPECT_TRUE(HeadWriter(room).status(200).field("X", "tab\tand \xC3\xA4").finish());
}

TEST(HeadWriter, AHeadThatDoesNotFitIsTooLarge) {
  std::array<std::byte, 19> room;  // "HTTP/1.1 200 OK\r\n\r\n"
  EXPECT_EQ(HeadWriter(room).status(200).finish().or_throw(), 19U);
  EXPECT_EQ(HeadWriter(ByteSpan(room).first(18)).status(200).finish().error(), Errc::too_large);
}

TEST(HeadWriter, ChunkHeadsAndDatesAreAsTheRfcWritesThem) {
  char frame[k_chunk_head_max];
  EXPECT_EQ(write_chunk_head(frame, 0x1A4), "1a4\r\n");
  EXPECT_EQ(write_chunk_head(frame, ~std::uint64_t{0}), "ffffffffffffffff\r\n");
  char date[k_http_date_size];
  const WallTime when{std::chrono::seconds(784'111'777)};
  EXPECT_EQ(format_http_date(when, date), "Sun, 06 Nov 1994 08:49:37 GMT");
  EXPECT_EQ(parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").or_throw(), when);
  for (const char* bad : {"Mon, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 24:49:37 GMT",
                          "Sun, 31 Feb 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", ""})
    EXPECT_FALSE(parse_http_date(bad)) << bad;
}

}  // namespace
