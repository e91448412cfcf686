// SPDX-License-Identifier: Apache-2.0
// Buffered files on every driver: lines, one position for reading and writing, many at once.
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <vector>

#include "fs_fixture.hpp"
#include "rondo/core/when.hpp"
#include "rondo/fs/buffered.hpp"

namespace rondo::testing {
namespace {

using fs::BufferedFile;
using fs::File;
using BufferedFiles = FileSystem;

TEST_P(BufferedFiles, lines_are_read_whatever_the_buffer_and_the_line_ends) {
  in_directory([](std::string at) -> Task<> {
    std::string text;
    std::vector<std::string> lines;
    for (int i = 0; i < 50; ++i) {
      lines.push_back(pattern(static_cast<std::size_t>(i * 3 % 41)));
      text += lines.back() + (i % 3 == 0 ? "\r\n" : "\n");
    }
    lines.push_back("the last without an end");
    text += lines.back();
    co_await fs::write_file(at + "a", std::string_view(text)).or_throw();
    for (const std::size_t buffer : {1u, 7u, 64u, 65'536u}) {
      BufferedFile file(co_await File::open(at + "a").or_throw(), buffer);
      std::vector<std::string> got;
      while (auto line = co_await file.read_line().or_throw()) got.push_back(*line);
      EXPECT_EQ(got, lines) << buffer;
      EXPECT_EQ(file.tell(), text.size());
    }
  });
}

TEST_P(BufferedFiles, a_line_beyond_the_limit_is_too_large_and_stays_unread) {
  in_directory([](std::string at) -> Task<> {
    co_await fs::write_file(at + "a", "0123456789\nrest").or_throw();
    BufferedFile file(co_await File::open(at + "a").or_throw(), 4);
    EXPECT_EQ((co_await file.read_line(9)).error().code(), Errc::too_large);
    EXPECT_EQ(file.tell(), 0u);
    EXPECT_EQ(*co_await file.read_line(10).or_throw(), "0123456789");
    std::string room(4, ' ');
    co_await file.read_exact(span_of(room)).or_throw();
    EXPECT_EQ(room, "rest");
    EXPECT_EQ((co_await file.read_exact(span_of(room))).error().code(), Errc::end_of_stream);
  });
}

TEST_P(BufferedFiles, buffered_reads_and_writes_share_one_position) {
  in_directory([](std::string at) -> Task<> {
    BufferedFile file(
        co_await File::open(at + "a", {.write = true, .create = true}).or_throw(), 16);
    co_await file.write("first line\n").or_throw();
    co_await file.write("second line that is longer than the buffer\n").or_throw();
    co_await file.seek(6).or_throw();
    EXPECT_EQ(*co_await file.read_line().or_throw(), "line");
    EXPECT_EQ(file.tell(), 11u);
    co_await file.write("SECOND").or_throw();
    EXPECT_EQ(*co_await file.read_line().or_throw(), " line that is longer than the buffer");
    EXPECT_EQ(co_await file.seek_end().or_throw(), 54u);
    co_await file.write("end").or_throw();
    co_await file.truncate(56).or_throw();
    co_await file.sync_data().or_throw();
    co_await file.seek(48).or_throw();
    EXPECT_EQ(co_await file.read_to_end().or_throw(), "uffer\nen");
    EXPECT_EQ((co_await file.read_to_end(0).or_throw()), "");
    co_await file.close().or_throw();
    EXPECT_EQ((co_await fs::read_file(at + "a").or_throw()).substr(0, 18), "first line\nSECOND ");
  });
}

/// The same random calls on a BufferedFile and on a string.
TEST_P(BufferedFiles, a_buffered_file_behaves_like_a_string_in_memory) {
  in_directory([](std::string at) -> Task<> {
    std::uint64_t state = 99;
    const auto below = [&](std::uint64_t n) {
      state = state * 6'364'136'223'846'793'005ULL + 1'442'695'040'888'963'407ULL;
      return static_cast<std::size_t>((state >> 33) % n);
    };
    std::string model;
    std::size_t position = 0;
    BufferedFile file(
        co_await File::open(at + "a", {.write = true, .create = true}).or_throw(), 32);
    for (int step = 0; step < 400; ++step) {
      switch (below(4)) {
        case 0: {
          const std::string text = pattern(below(60));
          co_await file.write(text).or_throw();
          if (model.size() < position + text.size()) model.resize(position + text.size(), '\0');
          model.replace(position, text.size(), text);
          position += text.size();
          break;
        }
        case 1: {
          std::string room(1 + below(50), ' ');
          const std::size_t got = co_await file.read(span_of(room)).or_throw();
          const std::size_t left = position < model.size() ? model.size() - position : 0;
          EXPECT_TRUE(got > 0 || left == 0);
          EXPECT_LE(got, left);
          EXPECT_EQ(room.substr(0, got), model.substr(std::min(position, model.size()), got));
          position += got;
          break;
        }
        case 2:
          position = below(model.size() + 20);
          co_await file.seek(position).or_throw();
          break;
        default:
          model.resize(below(model.size() + 20), '\0');
          co_await file.truncate(model.size()).or_throw();
      }
      EXPECT_EQ(file.tell(), position);
    }
    co_await file.close().or_throw();
    EXPECT_EQ(co_await fs::read_file(at + "a").or_throw(), model);
  });
}

TEST_P(BufferedFiles, many_files_at_once) {
  in_directory([](std::string at) -> Task<> {
    co_await with_scope([&](Scope& scope) -> Task<> {
      for (int i = 0; i < 100; ++i) {
        scope.start([](std::string path, int n) -> Task<> {
          const std::string text = pattern(static_cast<std::size_t>(n) * 37);
          co_await fs::write_file(path, std::string_view(text)).or_throw();
          EXPECT_EQ(co_await fs::read_file(path).or_throw(), text);
        }, at + std::to_string(i), i);
      }
      co_return;
    });
    EXPECT_EQ((co_await fs::list(at).or_throw()).size(), 100u);
  });
}

ON_EVERY_DRIVER(BufferedFiles);

}  // namespace
}  // namespace rondo::testing
