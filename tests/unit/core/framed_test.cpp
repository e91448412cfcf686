// SPDX-License-Identifier: Apache-2.0
// Framed, Delimited: every length format, whole and byte by byte, and what a bad peer can do.
#include "rondo/core/framed.hpp"

#include <gtest/gtest.h>

#include <string>

#include "rondo/core/cancel.hpp"
#include "rondo/core/memory_stream.hpp"
#include "rondo/core/scope.hpp"
#include "rondo/core/sleep.hpp"
#include "rondo/testing/sim_loop.hpp"

namespace rondo {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;
using testing::SimLoop;

constexpr FrameFormat k_formats[] = {
    {.length = FrameLength::u8},
    {.length = FrameLength::u16},
    {.length = FrameLength::u16, .little_endian = true},
    {.length = FrameLength::u32},
    {.length = FrameLength::u32, .little_endian = true},
    {.length = FrameLength::varint},
};

Task<std::string> next(Framed& frames) {
  auto got = co_await frames.read();
  if (!got) co_return got.error().message();
  co_return *got ? std::string((*got)->text()) : "(end)";
}

Task<std::string> next(Delimited& lines) {
  auto got = co_await lines.read();
  if (!got) co_return got.error().message();
  co_return *got ? std::string((*got)->text()) : "(end)";
}

TEST(Framed, what_is_written_is_read_in_every_format_and_every_cut) {
  for (const FrameFormat& format : k_formats) {
    for (const std::size_t piece : {std::size_t{0}, std::size_t{1}, std::size_t{3}}) {
      SimLoop sim;
      sim.run([&]() -> Task<> {
        MemoryPair pair({.piece_max = piece});
        Framed near(pair.first(), format);
        Framed far(pair.second(), format);
        for (const auto& text : {"hello"s, ""s, std::string(200, 'x'), "end"s}) {
          (co_await near.write(text)).or_throw();
        }
        pair.first().shutdown_write();
        EXPECT_EQ(co_await next(far), "hello");
        EXPECT_EQ(co_await next(far), "");
        EXPECT_EQ(co_await next(far), std::string(200, 'x'));
        EXPECT_EQ(co_await next(far), "end");
        EXPECT_EQ(co_await next(far), "(end)");
        EXPECT_EQ(co_await next(far), "(end)");
      });
    }
  }
}

TEST(Framed, the_bytes_are_those_of_the_format) {
  struct Row {
    FrameFormat format;
    std::size_t size;
    std::string head;
  };
  const Row rows[] = {
      {{.length = FrameLength::u8}, 5, "\x05"s},
      {{.length = FrameLength::u16}, 300, "\x01\x2c"s},
      {{.length = FrameLength::u16, .little_endian = true}, 300, "\x2c\x01"s},
      {{.length = FrameLength::u32}, 300, "\0\0\x01\x2c"s},
      {{.length = FrameLength::u32, .little_endian = true}, 300, "\x2c\x01\0\0"s},
      {{.length = FrameLength::varint}, 300, "\xac\x02"s},
      {{.length = FrameLength::varint}, 127, "\x7f"s},
  };
  for (const Row& row : rows) {
    SimLoop sim;
    sim.run([&]() -> Task<> {
      MemoryPair pair;
      Framed frames(pair.first(), row.format);
      const std::string payload(row.size, 'p');
      (co_await frames.write(payload)).or_throw();
      std::string got(row.head.size() + row.size, ' ');
      (co_await pair.second().read_exact(std::as_writable_bytes(std::span(got)))).or_throw();
      EXPECT_EQ(got, row.head + payload);
    });
  }
}

TEST(Framed, large_frames_pass_and_larger_ones_are_refused_on_both_sides) {
  SimLoop sim;
  sim.run([]() -> Task<> {
    MemoryPair pair;
    Framed near(pair.first(), {.max = 300'000});
    Framed far(pair.second(), {.max = 200'000});
    const std::string large(200'000, 'l');
    co_await with_scope([&](Scope& scope) -> Task<> {
      scope.start([&]() -> Task<> { (co_await near.write(large)).or_throw(); });
      EXPECT_EQ(co_await next(far), large);
    });
    auto refused = co_await near.write(std::string(300'001, 'x'));
    EXPECT_FALSE(refused.has_value());
    if (!refused) EXPECT_EQ(refused.error().code(), Errc::too_large);
    co_await with_scope([&](Scope& scope) -> Task<> {
      scope.start([&]() -> Task<> { (void)co_await near.write(std::string(200'001, 'x')); });
      EXPECT_EQ(co_await next(far), "read: too large");
      EXPECT_EQ(co_await next(far), "read: too large");  // The position is lost.
      scope.cancel();
    });
    Framed bytes(pair.second(), {.length = FrameLength::u8});
    auto too_wide = co_await bytes.write(std::string(256, 'x'));
    EXPECT_FALSE(too_wide.has_value());
  });
}

TEST(Framed, an_end_inside_a_frame_is_not_an_end) {
  for (const auto& bytes : {"\0\0"s, "\0\0\0\x05"s, "\0\0\0\x05"
                                                    "abc"s}) {
    SimLoop sim;
    sim.run([&]() -> Task<> {
      MemoryPair pair;
      Framed frames(pair.second());
      (co_await pair.first().write_all(bytes)).or_throw();
      pair.first().shutdown_write();
      auto got = co_await frames.read();
      EXPECT_FALSE(got.has_value());
      if (!got) EXPECT_EQ(got.error().code(), Errc::end_of_stream);
    });
  }
}

TEST(Framed, a_varint_without_an_end_is_a_protocol_error) {
  SimLoop sim;
  sim.run([]() -> Task<> {
    MemoryPair pair;
    Framed frames(pair.second(), {.length = FrameLength::varint});
    (co_await pair.first().write_all(std::string(11, '\xff'))).or_throw();
    for (int i = 0; i < 2; ++i) {
      auto got = co_await frames.read();
      EXPECT_FALSE(got.has_value());
      if (!got) EXPECT_EQ(got.error().code(), Errc::protocol_error);
    }
  });
}

TEST(Framed, a_cancelled_read_loses_nothing_wherever_it_is_cut) {
  for (const FrameFormat& format : k_formats) {
    SimLoop sim;
    sim.run([&]() -> Task<> {
      MemoryPair pair;
      Framed near(pair.first(), format);
      Framed far(pair.second(), format);
      MemoryPair source;
      Framed bytes(source.first(), format);
      (co_await bytes.write("some words")).or_throw();
      (co_await source.first().flush()).or_throw();
      source.first().shutdown_write();
      std::string heard;
      while (true) {  // One byte at a time, and after each a read that is cancelled.
        std::array<std::byte, 1> byte;
        if (co_await source.second().read_some(byte).or_throw() == 0) break;
        (co_await pair.first().write_all(byte)).or_throw();
        auto got = co_await with_timeout(1ms, far.read());
        if (got) heard = (*got)->text();
      }
      EXPECT_EQ(heard, "some words");
    });
  }
}

TEST(Framed, a_write_cut_in_two_breaks_the_stream_for_writing) {
  SimLoop sim;
  sim.run([]() -> Task<> {
    MemoryPair pair({.capacity = 1'000});
    Framed frames(pair.first());
    auto cut = co_await with_timeout(1ms, frames.write(std::string(500'000, 'x')));
    EXPECT_FALSE(cut.has_value());
    auto after = co_await frames.write("more");
    EXPECT_FALSE(after.has_value());
    if (!after) EXPECT_EQ(after.error().code(), Errc::broken);
  });
}

TEST(Delimited, messages_are_cut_at_the_delimiter_in_every_cut) {
  for (const std::size_t piece : {std::size_t{0}, std::size_t{1}, std::size_t{5}}) {
    SimLoop sim;
    sim.run([&]() -> Task<> {
      MemoryPair pair({.piece_max = piece});
      Delimited near(pair.first(), "\r\n");
      Delimited far(pair.second(), "\r\n");
      (co_await near.write("one")).or_throw();
      (co_await near.write("")).or_throw();
      (co_await near.write("a\rb\nc")).or_throw();
      (co_await pair.first().write_all("rest\r")).or_throw();
      pair.first().shutdown_write();
      EXPECT_EQ(co_await next(far), "one");
      EXPECT_EQ(co_await next(far), "");
      EXPECT_EQ(co_await next(far), "a\rb\nc");
      EXPECT_EQ(co_await next(far), "rest\r");
      EXPECT_EQ(co_await next(far), "(end)");
    });
  }
}

TEST(Delimited, a_delimiter_that_overlaps_itself_is_found) {
  SimLoop sim;
  sim.run([]() -> Task<> {
    MemoryPair pair({.piece_max = 1});
    Delimited far(pair.second(), "aabaaab");
    (co_await pair.first().write_all("xaabaaabaaabaaab!")).or_throw();
    pair.first().shutdown_write();
    EXPECT_EQ(co_await next(far), "x");
    EXPECT_EQ(co_await next(far), "a");
    EXPECT_EQ(co_await next(far), "!");
  });
}

TEST(Delimited, what_cannot_be_framed_is_refused) {
  SimLoop sim;
  sim.run([]() -> Task<> {
    MemoryPair pair;
    Delimited lines(pair.first(), "\n", 8);
    auto inside = co_await lines.write("a\nb");
    EXPECT_FALSE(inside.has_value());
    if (!inside) EXPECT_EQ(inside.error().code(), Errc::bad_message);
    auto longer = co_await lines.write("12345678");
    EXPECT_FALSE(longer.has_value());
    EXPECT_TRUE((co_await lines.write("1234567")).has_value());
    Delimited far(pair.second(), "\n", 4);
    auto got = co_await far.read();
    EXPECT_FALSE(got.has_value());
    if (!got) EXPECT_EQ(got.error().code(), Errc::too_large);
  });
}

}  // namespace
}  // namespace rondo
