// SPDX-License-Identifier: Apache-2.0
// Whole files and File on every driver: what each call does, and how each fails. Names are in
// fs_names_test.cpp, buffered files in fs_buffered_test.cpp.
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <set>
#include <string>
#include <vector>

#include "fs_fixture.hpp"
#include "rondo/fs/file.hpp"

namespace rondo::testing {
namespace {

using fs::File;

TEST_P(FileSystem, a_close_that_is_cancelled_behind_its_checkpoint_closes_all_the_same) {
  run([this]() -> Task<> {
    auto made = co_await fs::write_file("/tmp/closed", std::string_view("x"));
    made.or_throw();
    auto file = co_await File::open("/tmp/closed").or_throw();
    const int fd = file.fd();
    co_await with_scope([&](Scope& scope) -> Task<> {
      const auto close = [](File& f) -> Task<> { (void)co_await f.close(); };
      auto handle = scope.start(close, std::ref(file));
      co_await checkpoint();  // It stands in the ready queue, behind its checkpoint.
      handle.cancel();
    });
    EXPECT_FALSE(file.is_open());
    if (is_sim())
      EXPECT_EQ(sim().open_descriptors(), 0u);
    else
      EXPECT_EQ(::fcntl(fd, F_GETFD), -1) << "the descriptor leaked";
    co_await fs::remove("/tmp/closed").or_throw();
  });
}

// ---- Whole files

TEST_P(FileSystem, no_limit_at_all_is_a_limit_too) {
  in_directory([](std::string at) -> Task<> {
    const std::string text = pattern(100'000);
    co_await fs::write_file(at + "a", std::string_view(text)).or_throw();
    auto file = co_await File::open(at + "a").or_throw();
    EXPECT_EQ(co_await file.read_to_end(SIZE_MAX).or_throw(), text);
    EXPECT_EQ(co_await fs::read_file(at + "a", {.max = SIZE_MAX}).or_throw(), text);
  });
}

TEST_P(FileSystem, what_was_written_is_read_at_every_size) {
  in_directory([](std::string at) -> Task<> {
    for (const std::size_t size : {0u, 1u, 4'096u, 16'384u, 16'385u, 100'000u, 700'001u}) {
      const std::string text = pattern(size);
      co_await fs::write_file(at + "a", std::string_view(text)).or_throw();
      const std::string read = co_await fs::read_file(at + "a").or_throw();
      EXPECT_EQ(read, text) << size;
      if (size <= 4'096) EXPECT_LE(read.capacity(), size + 64) << "not what was read into";
    }
  });
}

TEST_P(FileSystem, writing_empties_appending_adds_and_sync_completes) {
  in_directory([](std::string at) -> Task<> {
    co_await fs::write_file(at + "a", "a longer text").or_throw();
    co_await fs::write_file(at + "a", "short", {.sync = true}).or_throw();
    co_await fs::write_file(at + "a", ", longer", {.append = true}).or_throw();
    EXPECT_EQ(co_await fs::read_file(at + "a").or_throw(), "short, longer");
  });
}

TEST_P(FileSystem, a_file_beyond_the_limit_is_too_large_and_one_at_it_is_not) {
  in_directory([](std::string at) -> Task<> {
    for (const std::size_t limit : {0u, 10u, 50'000u}) {
      co_await fs::write_file(at + "a", std::string_view(pattern(limit))).or_throw();
      EXPECT_EQ((co_await fs::read_file(at + "a", {.max = limit}).or_throw()).size(), limit);
      co_await fs::write_file(at + "a", std::string_view(pattern(limit + 1))).or_throw();
      auto read = co_await fs::read_file(at + "a", {.max = limit});
      EXPECT_FALSE(read.has_value());
      if (!read) EXPECT_EQ(read.error().code(), Errc::too_large);
    }
  });
}

TEST_P(FileSystem, errors_name_operation_and_path) {
  in_directory([](std::string at) -> Task<> {
    auto missing = co_await fs::read_file(at + "none");
    EXPECT_EQ(missing.error().code(), Errc::no_such_file);
    EXPECT_EQ(missing.error().object(), at + "none");
    EXPECT_STREQ(missing.error().operation(), "read");
    EXPECT_EQ((co_await File::open(at + "none")).error().code(), Errc::no_such_file);
    EXPECT_EQ((co_await fs::read_file(at)).error().code(), errc(EISDIR));
    EXPECT_EQ((co_await fs::write_file(at + "no/such/dir", "x")).error().code(),
              Errc::no_such_file);
    const std::string zero = at + std::string("a\0b", 3);
    EXPECT_EQ((co_await fs::read_file(zero)).error().code(), Errc::invalid_argument);
    EXPECT_EQ((co_await fs::make_directory(zero)).error().code(), Errc::invalid_argument);
    EXPECT_EQ((co_await fs::write_file_atomic("", "x")).error().code(), Errc::invalid_argument);
    const std::string long_name = at + std::string(300, 'n');
    EXPECT_EQ((co_await fs::write_file(long_name, "x")).error().code(), errc(ENAMETOOLONG));
  });
}

TEST_P(FileSystem, an_atomic_write_replaces_and_leaves_no_other_name) {
  in_directory([](std::string at) -> Task<> {
    co_await fs::write_file(at + "a", "old").or_throw();
    co_await fs::write_file_atomic(at + "a", "new").or_throw();
    EXPECT_EQ(co_await fs::read_file(at + "a").or_throw(), "new");
    EXPECT_FALSE((co_await fs::write_file_atomic(at + "none/a", "x")).has_value());
    co_await fs::make_directory(at + "d").or_throw();
    EXPECT_FALSE((co_await fs::write_file_atomic(at + "d", "x")).has_value())
        << "a directory is not replaced";
    const auto left = co_await fs::list(at).or_throw();
    EXPECT_EQ(left.size(), 2u) << "temporary files were removed";
  });
}

TEST_P(FileSystem, atomic_writes_cancelled_anywhere_leave_old_or_new_and_nothing_else) {
  in_directory([](std::string at) -> Task<> {
    const std::string old_text = pattern(20'000);
    const std::string new_text = pattern(30'000);
    for (int turns_before = 0; turns_before < 40; ++turns_before) {
      co_await fs::write_file(at + "a", std::string_view(old_text)).or_throw();
      co_await with_scope([&](Scope& scope) -> Task<> {
        auto writing = scope.start([&]() -> Task<> {
          (void)co_await fs::write_file_atomic(at + "a", std::string_view(new_text));
        });
        co_await turns(turns_before);
        writing.cancel();
      });
      const std::string found = co_await fs::read_file(at + "a").or_throw();
      EXPECT_TRUE(found == old_text || found == new_text) << found.size();
      EXPECT_EQ((co_await fs::list(at).or_throw()).size(), 1u);
    }
  });
}

// ---- File

TEST_P(FileSystem, open_does_what_its_options_say) {
  in_directory([](std::string at) -> Task<> {
    EXPECT_EQ((co_await File::open(at + "a", {.write = true})).error().code(),
              Errc::no_such_file);
    {
      auto made = co_await File::open(at + "a", {.write = true, .create = true}).or_throw();
      co_await made.write_all("0123456789").or_throw();
    }
    EXPECT_EQ((co_await File::open(at + "a", {.write = true, .create_new = true})).error().code(),
              Errc::exists);
    auto again = co_await File::open(at + "a", {.write = true, .create = true}).or_throw();
    EXPECT_EQ((co_await again.status().or_throw()).size, 10u) << "create does not empty";
    auto emptied = co_await File::open(at + "a", {.write = true, .truncate = true}).or_throw();
    EXPECT_EQ((co_await emptied.status().or_throw()).size, 0u);
    for (const fs::OpenOptions wrong :
         {fs::OpenOptions{.read = false}, fs::OpenOptions{.create = true},
          fs::OpenOptions{.truncate = true}, fs::OpenOptions{.append = true, .truncate = true}}) {
      EXPECT_EQ((co_await File::open(at + "a", wrong)).error().code(), Errc::invalid_argument);
    }
  });
}

TEST_P(FileSystem, reading_and_writing_move_the_position_and_offsets_do_not) {
  in_directory([](std::string at) -> Task<> {
    auto file = co_await File::open(at + "a", {.write = true, .create = true}).or_throw();
    co_await file.write_all("hello world").or_throw();
    EXPECT_EQ(file.tell(), 11u);
    co_await file.write_all_at(as_bytes("W"), 6).or_throw();
    EXPECT_EQ(file.tell(), 11u);
    file.seek(4);
    std::string room(4, ' ');
    EXPECT_EQ(co_await file.read(span_of(room)).or_throw(), 4u);
    EXPECT_EQ(room, "o Wo");
    EXPECT_EQ(file.tell(), 8u);
    EXPECT_EQ(co_await file.read_at(span_of(room), 100).or_throw(), 0u) << "behind the end";
    co_await file.read_exact_at(span_of(room), 7).or_throw();
    EXPECT_EQ(room, "orld");
    EXPECT_EQ((co_await file.read_exact_at(span_of(room), 8)).error().code(), Errc::end_of_stream);
    EXPECT_EQ(co_await file.read_to_end().or_throw(), "rld");
    EXPECT_EQ(co_await file.seek_end().or_throw(), 11u);
    co_await file.write_all_at(as_bytes("!"), 20).or_throw();
    EXPECT_EQ((co_await fs::read_file(at + "a").or_throw())[15], '\0') << "a hole reads as zeros";
  });
}

TEST_P(FileSystem, truncate_cuts_and_grows_and_sync_completes) {
  in_directory([](std::string at) -> Task<> {
    auto file = co_await File::open(at + "a", {.write = true, .create = true}).or_throw();
    co_await file.write_all("0123456789").or_throw();
    co_await file.truncate(3).or_throw();
    co_await file.truncate(5).or_throw();
    co_await file.sync_data().or_throw();
    co_await file.sync_all().or_throw();
    EXPECT_EQ(co_await fs::read_file(at + "a").or_throw(), std::string("012\0\0", 5));
    co_await file.close().or_throw();
    EXPECT_FALSE(file.is_open());
    EXPECT_EQ((co_await file.close()).error().code(), Errc::closed);
    EXPECT_EQ((co_await file.sync_all()).error().code(), Errc::bad_descriptor);
  });
}

TEST_P(FileSystem, appending_writes_go_to_the_end_whatever_the_position) {
  in_directory([](std::string at) -> Task<> {
    co_await fs::write_file(at + "a", "one").or_throw();
    auto log = co_await File::open(at + "a", {.read = false, .append = true}).or_throw();
    co_await log.write_all(" two").or_throw();
    EXPECT_EQ(log.tell(), 7u);
    log.seek(0);
    co_await log.write_all(" three").or_throw();
    EXPECT_EQ(co_await fs::read_file(at + "a").or_throw(), "one two three");
  });
}

TEST_P(FileSystem, a_file_not_opened_for_it_refuses) {
  in_directory([](std::string at) -> Task<> {
    co_await fs::write_file(at + "a", "text").or_throw();
    auto reader = co_await File::open(at + "a").or_throw();
    EXPECT_EQ((co_await reader.write_all("x")).error().code(), Errc::bad_descriptor);
    auto writer = co_await File::open(at + "a", {.read = false, .write = true}).or_throw();
    std::string room(4, ' ');
    EXPECT_EQ((co_await writer.read(span_of(room))).error().code(), Errc::bad_descriptor);
  });
}

TEST_P(FileSystem, an_unlinked_file_lives_until_it_is_closed) {
  in_directory([](std::string at) -> Task<> {
    co_await fs::write_file(at + "a", "still here").or_throw();
    auto file = co_await File::open(at + "a").or_throw();
    co_await fs::remove(at + "a").or_throw();
    EXPECT_FALSE(co_await fs::exists(at + "a").or_throw());
    EXPECT_EQ(co_await file.read_to_end().or_throw(), "still here");
    EXPECT_EQ((co_await file.status().or_throw()).links, 0u);
  });
}

TEST_P(FileSystem, a_struck_task_starts_no_operation) {
  in_directory([](std::string at) -> Task<> {
    auto end = co_await with_scope([&](Scope& scope) -> Task<> {
      scope.cancel();
      (void)co_await fs::write_file(at + "a", "x");
      ADD_FAILURE() << "a cancelled scope wrote";
    });
    EXPECT_TRUE(end.cancelled);
    EXPECT_FALSE(co_await fs::exists(at + "a").or_throw());
  });
}

TEST_P(FileSystem, random_cancels_leak_no_descriptor_and_no_frame) {
  in_directory([](std::string at) -> Task<> {
    co_await fs::write_file(at + "a", std::string_view(pattern(50'000))).or_throw();
    const int lowest = (co_await File::open(at + "a").or_throw()).fd();
    for (int round = 0; round < 100; ++round) {
      co_await with_scope([&](Scope& scope) -> Task<> {
        auto reading = scope.start([&]() -> Task<> {
          auto file = co_await File::open(at + "a").or_throw();
          (void)co_await file.read_to_end().or_throw();
          (void)co_await fs::list(at).or_throw();
          co_await file.close().or_throw();
        });
        co_await turns(round % 17);
        reading.cancel();
      });
    }
    // Descriptors that leaked would have taken the low numbers.
    auto first = co_await File::open(at + "a").or_throw();
    EXPECT_LE(first.fd(), lowest + 3);
  });
}

ON_EVERY_DRIVER(FileSystem);

}  // namespace
}  // namespace rondo::testing
