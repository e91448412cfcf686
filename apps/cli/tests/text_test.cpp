// SPDX-License-Identifier: Apache-2.0
#include "cli/text.hpp"

#include <gtest/gtest.h>

namespace rondo::cli {
namespace {

TEST(TerminalText, showsNothingThatATerminalObeys) {
  EXPECT_EQ(terminal_text("a\x1b]52;c;eA==\x07z"), "a]52;c;eA==z");
  EXPECT_EQ(terminal_text("a\x1b]0;title\x1b\\b"), "a]0;title\\b");
  EXPECT_EQ(terminal_text("a\u009b2Jb\u202ec\r\nd\te\x7f"), "a2Jbc d\te");
  EXPECT_EQ(terminal_text(std::string_view("a\0b", 3)), "ab");
  for (char32_t c = 0x80; c <= 0x9f; ++c) {
    const std::string control = {'\xc2', static_cast<char>(c)};
    EXPECT_EQ(terminal_text("a" + control + "b"), "ab") << static_cast<int>(c);
  }
}

TEST(TerminalText, aByteThatIsNoUtf8IsAQuestionMarkAndTheRestStays) {
  EXPECT_EQ(terminal_text("\xc3\xa4\x9b"
                          "2J"),
            "\xc3\xa4?2J");
  EXPECT_EQ(terminal_text("\xe2\x82"), "??") << "cut short";
  EXPECT_EQ(terminal_text("\xc0\x9b\xed\xa0\x80"), "?????") << "overlong, and a surrogate";
  EXPECT_EQ(terminal_text("\xf0\x9f\x98\x80"), "\xf0\x9f\x98\x80");
}

}  // namespace
}  // namespace rondo::cli
