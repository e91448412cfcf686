// SPDX-License-Identifier: Apache-2.0
// Names, bodies, terminals, and the classic protocol's frames.
#include <gtest/gtest.h>

#include "chat/server/classic_codec.hpp"
#include "chat/server/text.hpp"

namespace rondo::chat {
namespace {

TEST(Name, SpaceAroundItGoesAndHiddenCharactersAreRefused) {
  EXPECT_EQ(clean_name("  Ada \n").or_throw(), "Ada");
  EXPECT_EQ(clean_name("Ада Лавлейс").or_throw(), "Ада Лавлейс");
  const std::string_view refused[] = {"",         " \t ",     "a\nb",
                                      "a\u202eb", "a\u200bb", "a\u0085b",
                                      "\xff",     "\ufeff",   "z\u0301\u0301\u0301\u0301\u0301",
                                      "\u3164"};
  for (const std::string_view name : refused) EXPECT_FALSE(clean_name(name)) << name;
  EXPECT_TRUE(clean_name(std::string(32, 'a')));
  EXPECT_FALSE(clean_name(std::string(33, 'a')));
}

TEST(Name, RoomsHaveLettersDigitsDotsAndDashes) {
  for (const std::string_view name : {"lobby", "build-42", "日本語", "a.b_c", "größe"}) {
    EXPECT_TRUE(is_room_name(name)) << name;
  }
  for (const std::string_view name : {"", "a b", "a/b", "#a", "a\u202eb", "\xc3", "a\u00a0b"}) {
    EXPECT_FALSE(is_room_name(name)) << name;
  }
  EXPECT_FALSE(is_room_name(std::string(65, 'a')));
}

TEST(Name, TitleCaseIsThatOfTheOldServer) {
  EXPECT_EQ(title_case("ada LOVELACE"), "Ada Lovelace");
  EXPECT_EQ(title_case("jean-luc o'neil 3rd"), "Jean-Luc O'Neil 3Rd");
  EXPECT_EQ(title_case("émile иван"), "Émile Иван");
}

std::vector<std::string> read_all(ClassicReader& reader, bool& failed) {
  std::vector<std::string> frames;
  for (;;) {
    auto frame = reader.next();
    failed = !frame;
    if (!frame || !*frame) return frames;
    frames.push_back(std::move(**frame));
  }
}

TEST(Classic, LengthsCountCharactersNotBytes) {
  EXPECT_EQ(classic_frame("Grüße"), "5         Grüße");
  EXPECT_EQ(classic_frame(""), "0         ");
  EXPECT_EQ(classic_frame("😀"), "1         😀");
}

TEST(Classic, EveryCutGivesTheSameFrames) {
  const std::vector<std::string> texts{"ada", "", "Grüße 😀€", "x", "ä"};
  std::string stream;
  for (const std::string& text : texts) stream += classic_frame(text);
  for (std::size_t cut = 0; cut <= stream.size(); ++cut) {
    ClassicReader reader;
    bool failed = false;
    std::vector<std::string> got;
    for (const auto& part : {stream.substr(0, cut), stream.substr(cut)}) {
      reader.feed(part);
      for (auto& frame : read_all(reader, failed)) got.push_back(std::move(frame));
      ASSERT_FALSE(failed) << cut;
    }
    EXPECT_EQ(got, texts) << cut;
    EXPECT_EQ(reader.pending(), 0u);
  }
}

TEST(Classic, BadFramesFailForGood) {
  for (const std::string_view bad :
       {"abcdefghij", "          ", "1 2       x", "-1        x", "99999999  ",
        "3         \xff\xfe", "1         \xc3z", "2         a\x80"}) {
    ClassicReader reader;
    bool failed = false;
    reader.feed(bad);
    (void)read_all(reader, failed);
    EXPECT_TRUE(failed) << bad;
    reader.feed(classic_frame("good"));
    EXPECT_FALSE(reader.next()) << bad;
  }
}

}  // namespace
}  // namespace rondo::chat
