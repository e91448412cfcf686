// SPDX-License-Identifier: Apache-2.0
// Files and directories on every driver: what each call does, and how each fails.
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <set>
#include <string>
#include <vector>

#include "every_driver.hpp"
#include "rondo/core/when.hpp"
#include "rondo/fs/buffered.hpp"
#include "rondo/fs/dir.hpp"
#include "rondo/fs/directory.hpp"
#include "rondo/fs/file.hpp"

namespace rondo::testing {
namespace {

using fs::BufferedFile;
using fs::File;
using fs::FileType;

class FileSystem : public EveryDriver {
 protected:
  /// Runs `body(directory)` in a directory of its own, which is empty again at the end.
  template <class F>
  void in_directory(F body) {
    run([&]() -> Task<> {
      co_await fs::make_directories("/tmp").or_throw();
      co_await fs::with_temporary_directory([&](std::string path) { return body(path + "/"); });
    });
  }
};

constexpr Errc errc(int number) { return static_cast<Errc>(number); }

std::string pattern(std::size_t size) {
  std::string text(size, ' ');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>('a' + (i * 7 + i / 251) % 26);
  return text;
}

ByteSpan span_of(std::string& text) { return std::as_writable_bytes(std::span(text)); }

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

// ---- Names

TEST_P(FileSystem, status_tells_type_size_and_time) {
  in_directory([](std::string at) -> Task<> {
    co_await fs::write_file(at + "a", "four", {.permissions = 0600}).or_throw();
    const auto file = co_await fs::status(at + "a").or_throw();
    EXPECT_EQ(file.type, FileType::regular);
    EXPECT_EQ(file.size, 4u);
    EXPECT_EQ(file.permissions, 0600u);
    EXPECT_EQ(file.links, 1u);
    EXPECT_GT(file.inode, 0u);
    EXPECT_GT(file.modified_ns, 0);
    EXPECT_EQ((co_await fs::status(at).or_throw()).type, FileType::directory);
    EXPECT_EQ((co_await fs::status(at + "none")).error().code(), Errc::no_such_file);
    EXPECT_EQ((co_await fs::status(at + "a/b")).error().code(), errc(ENOTDIR));
    EXPECT_FALSE(co_await fs::exists(at + "a/b").or_throw());
  });
}

TEST_P(FileSystem, links_share_or_name_a_file) {
  in_directory([](std::string at) -> Task<> {
    co_await fs::write_file(at + "a", "text").or_throw();
    co_await fs::hard_link(at + "a", at + "b").or_throw();
    co_await fs::symbolic_link("a", at + "c").or_throw();
    co_await fs::symbolic_link("nowhere", at + "d").or_throw();
    EXPECT_EQ((co_await fs::status(at + "b").or_throw()).links, 2u);
    EXPECT_EQ(co_await fs::read_file(at + "c").or_throw(), "text");
    EXPECT_EQ((co_await fs::status(at + "c").or_throw()).type, FileType::regular);
    EXPECT_EQ((co_await fs::link_status(at + "c").or_throw()).type, FileType::symlink);
    EXPECT_EQ((co_await fs::status(at + "d")).error().code(), Errc::no_such_file);
    EXPECT_EQ((co_await fs::hard_link(at + "a", at + "b")).error().code(), Errc::exists);
    EXPECT_EQ((co_await File::open(at + "c", {.follow = false})).error().code(), errc(ELOOP));
    co_await fs::symbolic_link("loop", at + "loop").or_throw();
    EXPECT_EQ((co_await fs::read_file(at + "loop")).error().code(), errc(ELOOP));
  });
}

TEST_P(FileSystem, rename_replaces_unless_it_is_told_not_to) {
  in_directory([](std::string at) -> Task<> {
    co_await fs::write_file(at + "a", "A").or_throw();
    co_await fs::write_file(at + "b", "B").or_throw();
    EXPECT_EQ((co_await fs::rename(at + "a", at + "b", {.replace = false})).error().code(),
              Errc::exists);
    co_await fs::rename(at + "a", at + "b").or_throw();
    EXPECT_EQ(co_await fs::read_file(at + "b").or_throw(), "A");
    EXPECT_FALSE(co_await fs::exists(at + "a").or_throw());
    EXPECT_EQ((co_await fs::rename(at + "a", at + "c")).error().code(), Errc::no_such_file);
    co_await fs::make_directories(at + "d/e").or_throw();
    co_await fs::rename(at + "d", at + "f").or_throw();
    EXPECT_TRUE(co_await fs::exists(at + "f/e").or_throw());
    EXPECT_FALSE((co_await fs::rename(at + "b", at + "f")).has_value());
  });
}

TEST_P(FileSystem, directories_are_made_listed_and_removed) {
  in_directory([](std::string at) -> Task<> {
    co_await fs::make_directories(at + "a/b/c").or_throw();
    co_await fs::make_directories(at + "a/b/c").or_throw();
    EXPECT_EQ((co_await fs::make_directory(at + "a")).error().code(), Errc::exists);
    EXPECT_EQ((co_await fs::make_directory(at + "x/y")).error().code(), Errc::no_such_file);
    co_await fs::write_file(at + "file", "x").or_throw();
    EXPECT_EQ((co_await fs::make_directories(at + "file")).error().code(), Errc::exists);
    EXPECT_EQ((co_await fs::make_directories(at + "file/below")).error().code(), errc(ENOTDIR));
    const auto entries = co_await fs::list(at).or_throw();
    EXPECT_EQ(entries.size(), 2u);
    EXPECT_EQ(entries[0].name, "a");
    EXPECT_EQ(entries[0].type, FileType::directory);
    EXPECT_EQ(entries[1].name, "file");
    EXPECT_EQ((co_await fs::list(at + "file")).error().code(), errc(ENOTDIR));
    EXPECT_EQ((co_await fs::remove_directory(at + "a")).error().code(), errc(ENOTEMPTY));
    EXPECT_EQ((co_await fs::remove_directory(at + "file")).error().code(), errc(ENOTDIR));
    EXPECT_FALSE((co_await fs::remove(at + "a")).has_value());
    EXPECT_EQ(co_await fs::remove_tree(at + "a").or_throw(), 3u);
    EXPECT_EQ((co_await fs::remove_tree(at + "a")).error().code(), Errc::no_such_file);
    EXPECT_EQ(co_await fs::remove_tree(at + "file").or_throw(), 1u);
  });
}

Task<> make_tree(std::string at) {
  for (const char* path : {"a/b", "a/empty", "c"}) {
    co_await fs::make_directories(at + path).or_throw();
  }
  for (const char* path : {"a/1", "a/b/2", "a/b/3", "top"}) {
    co_await fs::write_file(at + path, std::string_view(path)).or_throw();
  }
}

TEST_P(FileSystem, a_walk_meets_everything_once_directories_first_by_name) {
  in_directory([](std::string at) -> Task<> {
    co_await fs::make_directory(at + "t").or_throw();
    co_await make_tree(at + "t/");
    co_await fs::symbolic_link("..", at + "t/c/up").or_throw();
    std::string seen;
    fs::Walk walk(at + "t");
    while (auto entry = co_await walk.next().or_throw()) {
      seen += entry->path.substr(at.size() + 2) + "@" + std::to_string(entry->depth) + " ";
    }
    EXPECT_EQ(seen, "a@0 a/1@1 a/b@1 a/b/2@2 a/b/3@2 a/empty@1 c@0 c/up@1 top@0 ");
    EXPECT_FALSE((co_await walk.next().or_throw()).has_value()) << "the end stays the end";
    seen.clear();
    fs::Walk shallow(at + "t", {.depth_max = 0});
    while (auto entry = co_await shallow.next().or_throw()) seen += entry->path.back();
    EXPECT_EQ(seen, "acp");
    seen.clear();
    fs::Walk skipping(at + "t");
    while (auto entry = co_await skipping.next().or_throw()) {
      seen += entry->path.back();
      if (entry->path.ends_with("t/a")) skipping.skip();
    }
    EXPECT_EQ(seen, "acpp");
    fs::Walk nowhere(at + "none");
    EXPECT_EQ((co_await nowhere.next()).error().code(), Errc::no_such_file);
  });
}

TEST_P(FileSystem, remove_tree_removes_links_and_not_what_they_name) {
  in_directory([](std::string at) -> Task<> {
    co_await fs::make_directories(at + "keep").or_throw();
    co_await fs::write_file(at + "keep/precious", "gold").or_throw();
    co_await fs::make_directory(at + "t").or_throw();
    co_await make_tree(at + "t/");
    co_await fs::symbolic_link("../keep", at + "t/link").or_throw();
    EXPECT_EQ(co_await fs::remove_tree(at + "t").or_throw(), 10u);
    EXPECT_EQ(co_await fs::read_file(at + "keep/precious").or_throw(), "gold");
    co_await fs::symbolic_link("keep", at + "alias").or_throw();
    EXPECT_EQ(co_await fs::remove_tree(at + "alias").or_throw(), 1u);
    EXPECT_TRUE(co_await fs::exists(at + "keep").or_throw());
  });
}

TEST_P(FileSystem, files_and_trees_are_copied_with_content_and_permissions) {
  in_directory([](std::string at) -> Task<> {
    const std::string text = pattern(600'000);
    co_await fs::write_file(at + "a", std::string_view(text), {.permissions = 0640}).or_throw();
    EXPECT_EQ(co_await fs::copy_file(at + "a", at + "b", {.sync = true}).or_throw(), text.size());
    EXPECT_EQ(co_await fs::read_file(at + "b").or_throw(), text);
    EXPECT_EQ((co_await fs::status(at + "b").or_throw()).permissions, 0640u);
    EXPECT_EQ((co_await fs::copy_file(at + "a", at + "b", {.replace = false})).error().code(),
              Errc::exists);
    EXPECT_EQ((co_await fs::copy_file(at + "none", at + "c")).error().code(), Errc::no_such_file);
    EXPECT_FALSE(co_await fs::exists(at + "c").or_throw()) << "no empty copy of nothing";
    EXPECT_EQ((co_await fs::copy_file(at, at + "c")).error().code(), errc(EISDIR));
    co_await fs::make_directory(at + "t").or_throw();
    co_await make_tree(at + "t/");
    EXPECT_EQ(co_await fs::copy_tree(at + "t", at + "t/inside").or_throw(), 4u)
        << "a copy inside of the tree does not copy itself";
    co_await fs::remove_tree(at + "t/inside").or_throw();
    EXPECT_EQ(co_await fs::copy_tree(at + "t", at + "u").or_throw(), 4u);
    EXPECT_EQ(co_await fs::read_file(at + "u/a/b/3").or_throw(), "a/b/3");
    EXPECT_EQ((co_await fs::copy_tree(at + "t", at + "u")).error().code(), Errc::exists);
  });
}

TEST_P(FileSystem, copying_a_file_onto_itself_is_refused_and_keeps_it) {
  in_directory([](std::string at) -> Task<> {
    co_await fs::write_file(at + "a", "text").or_throw();
    EXPECT_FALSE((co_await fs::copy_file(at + "a", at + "a")).has_value());
    EXPECT_EQ(co_await fs::read_file(at + "a").or_throw(), "text");
  });
}

TEST_P(FileSystem, a_directory_held_open_lets_nobody_out) {
  in_directory([](std::string at) -> Task<> {
    co_await fs::make_directories(at + "root/sub").or_throw();
    co_await fs::write_file(at + "root/sub/a", "inside").or_throw();
    co_await fs::write_file(at + "secret", "outside").or_throw();
    auto root = co_await fs::Directory::open(at + "root").or_throw();
    auto file = co_await root.open_file("sub/../sub/a").or_throw();
    EXPECT_EQ(co_await file.read_to_end(100).or_throw(), "inside");
    EXPECT_EQ(file.path(), at + "root/sub/../sub/a");
    const std::string outside[] = {"../secret", at + "secret", "sub/../.."};
    for (const std::string& out : outside)
      EXPECT_EQ((co_await root.open_file(out)).error(), Errc::access_denied) << out;
    EXPECT_EQ((co_await root.open_file("none")).error(), Errc::no_such_file);
    EXPECT_EQ((co_await root.open_file("")).error(), Errc::invalid_argument);
    EXPECT_EQ((co_await fs::Directory::open(at + "secret")).error(), errc(ENOTDIR));
    EXPECT_EQ((co_await fs::Directory::open(at + "none")).error(), Errc::no_such_file);
    auto made = co_await root.open_file("new", {.write = true, .create_new = true}).or_throw();
    co_await made.write_all("x").or_throw();
    EXPECT_EQ(co_await fs::read_file(at + "root/new").or_throw(), "x");
  });
}

TEST_P(FileSystem, temporary_files_have_names_of_their_own_and_anonymous_ones_none) {
  in_directory([](std::string at) -> Task<> {
    auto one = co_await fs::make_temporary_file(at + "t-").or_throw();
    auto two = co_await fs::make_temporary_file(at + "t-").or_throw();
    EXPECT_NE(one.path(), two.path());
    co_await one.write_all("kept").or_throw();
    EXPECT_EQ(co_await fs::read_file(one.path()).or_throw(), "kept");
    EXPECT_EQ((co_await fs::status(one.path()).or_throw()).permissions & 0777, 0600u);
    auto none = co_await fs::anonymous_file(at).or_throw();
    co_await none.write_all_at(as_bytes("nameless"), 0).or_throw();
    std::string back(8, ' ');
    co_await none.read_exact_at(span_of(back), 0).or_throw();
    EXPECT_EQ(back, "nameless");
    EXPECT_EQ((co_await fs::list(at).or_throw()).size(), 2u);
    EXPECT_EQ((co_await fs::anonymous_file(at + "none")).error(), Errc::no_such_file);
  });
}

TEST_P(FileSystem, a_temporary_directory_goes_with_its_bracket_however_that_ends) {
  run([]() -> Task<> {
    co_await fs::make_directories("/tmp").or_throw();
    std::string path;
    auto fill = [&](std::string at) -> Task<int> {
      path = at;
      co_await fs::make_directories(at + "/a/b").or_throw();
      co_return 7;
    };
    EXPECT_EQ(co_await fs::with_temporary_directory(fill), 7);
    EXPECT_FALSE(co_await fs::exists(path).or_throw());
    auto throws = [&](std::string at) -> Task<> {
      path = at;
      co_await fs::write_file(at + "/x", "x").or_throw();
      throw std::runtime_error("no");
    };
    bool thrown = false;
    try {
      co_await fs::with_temporary_directory(throws);
    } catch (const std::runtime_error&) {
      thrown = true;
    }
    EXPECT_TRUE(thrown);
    EXPECT_FALSE(co_await fs::exists(path).or_throw());
    auto hangs = [&](std::string at) -> Task<> {
      path = at;
      co_await sleep_for(1h);
    };
    (void)co_await with_timeout(5ms, fs::with_temporary_directory(hangs));
    EXPECT_FALSE(co_await fs::exists(path).or_throw());
  });
}

TEST_P(FileSystem, attributes_are_changed_and_told_or_not_supported) {
  in_directory([this](std::string at) -> Task<> {
    co_await fs::write_file(at + "a", "x").or_throw();
    co_await fs::symbolic_link("a", at + "l").or_throw();
    auto target = co_await fs::read_link(at + "l");
    auto mode = co_await fs::set_permissions(at + "a", 0604);
    auto times = co_await fs::set_times(at + "a", -5, 1'700'000'000'123'456'789);
    auto whole = co_await fs::canonical(at + "./l");
    auto space = co_await fs::disk_space(at);
    if (is_sim()) {
      EXPECT_EQ(mode.error().code(), Errc::not_supported);
      EXPECT_EQ(times.error().code(), Errc::not_supported);
      EXPECT_EQ(whole.error().code(), Errc::not_supported);
      EXPECT_EQ(space.error().code(), Errc::not_supported);
      co_return;
    }
    EXPECT_EQ(*target, "a");
    EXPECT_TRUE(mode && times && space);
    EXPECT_EQ(*whole, at + "a");
    EXPECT_GE(space->size, space->available);
    const auto now = co_await fs::status(at + "a").or_throw();
    EXPECT_EQ(now.permissions, 0604u);
    EXPECT_EQ(now.modified_ns, 1'700'000'000'123'456'789);
    EXPECT_EQ(now.accessed_ns, -5);
    EXPECT_EQ((co_await fs::read_link(at + "a")).error().code(), Errc::invalid_argument);
    EXPECT_EQ((co_await fs::canonical(at + "none")).error().code(), Errc::no_such_file);
  });
}

// ---- BufferedFile

TEST_P(FileSystem, lines_are_read_whatever_the_buffer_and_the_line_ends) {
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

TEST_P(FileSystem, a_line_beyond_the_limit_is_too_large_and_stays_unread) {
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

TEST_P(FileSystem, buffered_reads_and_writes_share_one_position) {
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
TEST_P(FileSystem, a_buffered_file_behaves_like_a_string_in_memory) {
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

TEST_P(FileSystem, many_files_at_once) {
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

ON_EVERY_DRIVER(FileSystem);

}  // namespace
}  // namespace rondo::testing
