// SPDX-License-Identifier: Apache-2.0
#include "rondo/proto/multipart.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace rondo::proto {
namespace {

using ::testing::ElementsAre;

/// What a parser says, as text: "[name|filename|type]data" for each part, "!" and the reason.
std::string read(std::string_view body, std::size_t cut, MultipartLimits limits = {}) {
  MultipartParser parser("B", limits);
  std::string heard;
  while (true) {
    const std::size_t size = std::min(cut, body.size());
    ByteView input = as_bytes(body.substr(0, size));
    body.remove_prefix(size);
    while (true) {
      const MultipartEvent event = parser.next(input);
      if (event == MultipartEvent::need_more) break;
      if (event == MultipartEvent::part) {
        const PartHead& head = parser.head();
        heard += "[" + head.name + "|" + (head.has_filename ? head.filename : "-") + "|" +
                 head.content_type + "]";
      } else if (event == MultipartEvent::data) {
        EXPECT_FALSE(parser.data().empty());
        heard.append(as_text(parser.data()));
      } else if (event == MultipartEvent::part_end) {
        heard += ".";
      } else if (event == MultipartEvent::end) {
        return heard + "end";
      } else {
        return heard + "!" + std::string(parser.reason());
      }
    }
    EXPECT_TRUE(input.empty());
    if (body.empty()) return heard + "open";
  }
}

std::string read_any_cut(std::string_view body) {
  const std::string whole = read(body, body.size() + 1);
  for (std::size_t cut = 1; cut < 12; ++cut) EXPECT_EQ(read(body, cut), whole) << cut;
  return whole;
}

TEST(Multipart, readsWhatBrowsersSend) {
  EXPECT_EQ(read_any_cut("--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\none\r\n"
                         "--B\r\nContent-Disposition: form-data; name=\"f\"; "
                         "filename=\"x;y.png\"\r\n"
                         "Content-Type: image/png\r\n\r\n\r\n\r\n--C\r\n--\r\n\r\n--B--\r\nbehind"),
            "[a|-|text/plain]one.[f|x;y.png|image/png]\r\n\r\n--C\r\n--\r\n.end");
  EXPECT_EQ(read_any_cut("--B\r\n\r\n\r\n--B--"), "[|-|text/plain].end") << "no head, no bytes";
  EXPECT_EQ(read_any_cut("before\r\n--B \t\r\n\r\nx\r\n--B--"), "[|-|text/plain]x.end");
  EXPECT_EQ(read_any_cut("--B\r\nContent-Disposition: form-data; name=a; "
                         "filename=\"C:\\a\\\"b\"\r\n\r\n\r\n--B--"),
            "[a|C:\\a\"b|text/plain].end");
}

TEST(Multipart, whatOnlyLooksLikeABoundaryIsData) {
  EXPECT_EQ(read_any_cut("--B\r\n\r\n\r\r\n\r\n-\r\n--\r\n--A\r\n--B--"),
            "[|-|text/plain]\r\r\n\r\n-\r\n--\r\n--A.end");
  EXPECT_EQ(read_any_cut("--A\r\n--B\r\n\r\nx\r\n--B--"), "[|-|text/plain]x.end");
}

TEST(Multipart, refusesWhatIsBroken) {
  EXPECT_EQ(read_any_cut("--B\r\n\r\nx\r\n--Bad\r\n"),
            "[|-|text/plain]x.!a boundary is followed by something else");
  EXPECT_EQ(read_any_cut("--B-\r\n"), "!a boundary is followed by something else");
  EXPECT_EQ(read_any_cut("--B\r\nno field\r\n\r\n"), "!a part's head is broken");
  EXPECT_EQ(read_any_cut("--B\r\na\x01: b\r\n\r\n"), "!a part's head is broken");
  EXPECT_EQ(read_any_cut("--B\r\n\r\nx"), "[|-|text/plain]xopen");
  EXPECT_EQ(read_any_cut(""), "open");
  EXPECT_EQ(read("--B\r\n\r\n\r\n--B\r\n\r\n\r\n--B--", 99, {.parts_max = 1}),
            "[|-|text/plain].!too many parts");
  EXPECT_EQ(read("--B\r\nA: " + std::string(100, 'x'), 7, {.head_max = 64}),
            "!a part's head is too large");
  EXPECT_EQ(read("--B" + std::string(1'000, ' '), 7), "!a boundary is followed by something else");
}

TEST(Multipart, theBoundaryIsTheContentTypes) {
  EXPECT_EQ(multipart_boundary("multipart/form-data; boundary=abc").or_throw(), "abc");
  EXPECT_EQ(multipart_boundary("Multipart/Form-Data; x=y; Boundary=\"a b\"").or_throw(), "a b");
  for (const char* bad : {"", "text/plain; boundary=a", "multipart/form-data",
                          "multipart/form-data; boundary=", "multipart/form-data; boundary=\"a \"",
                          "multipart/form-data; boundary=a\x01"}) {
    EXPECT_EQ(multipart_boundary(bad).error(), Errc::bad_message) << bad;
  }
  EXPECT_FALSE(multipart_boundary("multipart/form-data; boundary=" + std::string(71, 'a')));
}

TEST(Multipart, whatIsWrittenIsReadBack) {
  MultipartWriter writer("B");
  writer.text("a", "one").file("f", "na\"me\r\n", "image/png", "\r\n--A");
  EXPECT_EQ(writer.content_type(), "multipart/form-data; boundary=B");
  EXPECT_EQ(read_any_cut(writer.finish()),
            "[a|-|text/plain]one.[f|na%22me%0D%0A|image/png]\r\n--A.end");
}

}  // namespace
}  // namespace rondo::proto
