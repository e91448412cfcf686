// SPDX-License-Identifier: Apache-2.0
#include "rondo/proto/message_deflate.hpp"

#include <gtest/gtest.h>

#include <string>

namespace rondo::proto {
namespace {

TEST(MessageDeflate, goesBothWaysInAnyPieces) {
  for (const std::size_t size : {0u, 1u, 1'000u, 70'000u}) {
    std::string text;
    for (std::size_t i = 0; i < size; ++i) text += static_cast<char>(i * i >> 3);
    for (const int window : {9, 12, 15}) {
      const std::string packed = deflate_message(as_bytes(text), window).or_throw();
      for (const std::size_t cut : {std::size_t{1}, std::size_t{100}, packed.size() + 1}) {
        MessageInflater inflater;
        std::string got;
        for (std::size_t at = 0; at < packed.size(); at += cut) {
          const auto piece = std::string_view(packed).substr(at, cut);
          inflater.feed(as_bytes(piece), got, size).or_throw();
        }
        inflater.finish(got, size).or_throw();
        EXPECT_EQ(got, text) << size << " " << window << " " << cut;
      }
    }
  }
}

TEST(MessageDeflate, readsTheExamplesOfTheRfc) {
  // RFC 7692, section 7.2.3: compressed, with two blocks, and with a final block.
  for (const std::string& packed :
       {std::string("\xf2\x48\xcd\xc9\xc9\x07\x00", 7),
        std::string("\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", 13),
        std::string("\xf3\x48\xcd\xc9\xc9\x07\x00\x00", 8),
        std::string("\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00", 11)}) {
    MessageInflater inflater;
    std::string got;
    inflater.feed(as_bytes(packed), got, 100).or_throw();
    inflater.finish(got, 100).or_throw();
    EXPECT_EQ(got, "Hello");
  }
}

TEST(MessageDeflate, refusesBombsAndNonsense) {
  const std::string bomb = deflate_message(as_bytes(std::string(1'000'000, 'x')), 15).or_throw();
  MessageInflater inflater;
  std::string got;
  EXPECT_EQ(inflater.feed(as_bytes(bomb), got, 1'000).error(), Errc::too_large);
  EXPECT_LE(got.size(), 1'001u);
  EXPECT_EQ(inflater.finish(got, 1'000).error(), Errc::too_large) << "it is final";
  MessageInflater other;
  EXPECT_EQ(other.feed(as_bytes("nonsense"), got, 1'000'000).error(), Errc::bad_message);
}

TEST(MessageDeflate, theFirstOfferThatCanBeDoneIsTaken) {
  EXPECT_EQ(choose_deflate("permessage-deflate")->server_window, 15);
  EXPECT_EQ(choose_deflate("x-other, permessage-deflate; client_max_window_bits")->server_window,
            15);
  EXPECT_EQ(choose_deflate("permessage-deflate; server_max_window_bits=10")->server_window, 10);
  EXPECT_EQ(choose_deflate("permessage-deflate; server_max_window_bits=8, permessage-deflate")
                ->server_window,
            15);
  for (const char* none :
       {"", "x-webkit-deflate-frame", "permessage-deflate; unknown",
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits=010",
        "permessage-deflate; client_max_window_bits=7",
        "permessage-deflate; server_no_context_takeover=1",
        "permessage-deflate; server_no_context_takeover; server_no_context_takeover"})
    EXPECT_FALSE(choose_deflate(none).has_value()) << none;
  EXPECT_EQ(deflate_answer({.server_window = 10}),
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
            "server_max_window_bits=10");
}

TEST(MessageDeflate, anAnswerKeepsToWhatWasOffered) {
  EXPECT_FALSE(check_deflate_answer("").or_throw().has_value());
  EXPECT_TRUE(check_deflate_answer(deflate_answer({})).or_throw().has_value());
  EXPECT_TRUE(check_deflate_answer(deflate_answer({.server_window = 9})).or_throw().has_value());
  for (const char* bad :
       {"permessage-deflate", "other; server_no_context_takeover",
        "permessage-deflate; server_no_context_takeover; client_max_window_bits=10",
        "permessage-deflate; server_no_context_takeover, other"})
    EXPECT_EQ(check_deflate_answer(bad).error(), Errc::protocol_error) << bad;
}

}  // namespace
}  // namespace rondo::proto
