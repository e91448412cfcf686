// SPDX-License-Identifier: Apache-2.0
#include "rondo/proto/compress.hpp"

#include <gtest/gtest.h>

#include <array>
#include <string>

namespace rondo::proto {
namespace {

constexpr std::array k_all = {Coding::gzip, Coding::brotli, Coding::zstd};

std::string text_of(std::size_t size) {
  std::string text;
  for (std::size_t i = 0; i < size; ++i) text += static_cast<char>(i * i >> 3);
  return text;
}

TEST(Compress, goesBothWaysAndRefusesWhatIsCutOrTooMuch) {
  for (const Coding coding : k_all) {
    for (const std::size_t size : {0u, 1u, 1'000u, 65'536u, 300'000u}) {
      const std::string text = text_of(size);
      const std::string packed = pack(coding, text).or_throw();
      EXPECT_EQ(unpack(coding, packed, size).or_throw(), text) << size;
      if (size > 0) {
        EXPECT_EQ(unpack(coding, packed, size - 1).error(), Errc::too_large);
      }
      for (const std::size_t cut : {std::size_t{0}, packed.size() / 2, packed.size() - 1}) {
        const auto short_of = std::string_view(packed).substr(0, cut);
        EXPECT_EQ(unpack(coding, short_of, size).error(), Errc::bad_message)
            << name_of(coding) << " " << size << " " << cut;
      }
      EXPECT_FALSE(unpack(coding, packed + "x", size).has_value()) << "what follows it";
    }
    EXPECT_EQ(unpack(coding, "not of this kind at all", 100).error(), Errc::bad_message);
    EXPECT_LT(pack(coding, std::string(100'000, 'x')).or_throw().size(), 500U);
  }
}

TEST(Compress, severalMembersAreOneTextButOfBrotli) {
  const std::string text = text_of(1'000);
  for (const Coding coding : {Coding::gzip, Coding::zstd}) {
    const std::string packed = pack(coding, text).or_throw();
    EXPECT_EQ(unpack(coding, packed + packed, 2'000).or_throw(), text + text);
  }
}

TEST(Compress, aWrongChecksumIsSeen) {
  std::string packed = pack(Coding::gzip, text_of(1'000)).or_throw();
  packed[packed.size() - 6] ^= 1;
  EXPECT_EQ(unpack(Coding::gzip, packed, 1'000).error(), Errc::bad_message);
}

TEST(Compress, piecesOfAnySizeGiveTheSameText) {
  const std::string text = text_of(20'000);
  for (const Coding coding : k_all) {
    const std::string packed = pack(coding, text).or_throw();
    for (const std::size_t in : {std::size_t{1}, std::size_t{7}, packed.size()}) {
      for (const std::size_t out : {std::size_t{1}, std::size_t{100}, std::size_t{100'000}}) {
        Unpacker unpacker(coding);
        EXPECT_TRUE(unpacker.at_end());
        std::string got;
        std::string room(out, ' ');
        for (std::size_t at = 0; at < packed.size(); at += in) {
          ByteView input = as_bytes(std::string_view(packed).substr(at, in));
          while (true) {
            const auto size =
                unpacker.next(input, std::as_writable_bytes(std::span(room))).or_throw();
            if (size == 0) break;
            got.append(room, 0, size);
          }
          EXPECT_TRUE(input.empty());
          EXPECT_EQ(unpacker.at_end(), at + in >= packed.size()) << at;
        }
        EXPECT_EQ(got, text) << name_of(coding) << " " << in << " " << out;
      }
    }
  }
}

TEST(Compress, namesAreThoseOfHttp) {
  EXPECT_EQ(coding_of("BR"), Coding::brotli);
  EXPECT_EQ(coding_of("x-gzip"), Coding::gzip);
  EXPECT_EQ(coding_of("deflate"), std::nullopt);
  for (const Coding coding : k_all) EXPECT_EQ(coding_of(name_of(coding)), coding);
}

}  // namespace
}  // namespace rondo::proto
