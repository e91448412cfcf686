// SPDX-License-Identifier: Apache-2.0
// What has a name on every driver: directories, links, trees, temporary files, attributes.
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
using fs::FileType;
using FileNames = FileSystem;

TEST_P(FileNames, status_tells_type_size_and_time) {
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

TEST_P(FileNames, links_share_or_name_a_file) {
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

TEST_P(FileNames, rename_replaces_unless_it_is_told_not_to) {
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

TEST_P(FileNames, directories_are_made_listed_and_removed) {
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
TEST_P(FileNames, a_walk_meets_everything_once_directories_first_by_name) {
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

TEST_P(FileNames, remove_tree_removes_links_and_not_what_they_name) {
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

TEST_P(FileNames, files_and_trees_are_copied_with_content_and_permissions) {
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

TEST_P(FileNames, copying_a_file_onto_itself_is_refused_and_keeps_it) {
  in_directory([](std::string at) -> Task<> {
    co_await fs::write_file(at + "a", "text").or_throw();
    EXPECT_FALSE((co_await fs::copy_file(at + "a", at + "a")).has_value());
    EXPECT_EQ(co_await fs::read_file(at + "a").or_throw(), "text");
  });
}

TEST_P(FileNames, a_directory_held_open_lets_nobody_out) {
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

TEST_P(FileNames, names_beneath_a_directory_are_made_renamed_and_removed) {
  in_directory([](std::string at) -> Task<> {
    co_await fs::make_directories(at + "root").or_throw();
    auto root = co_await fs::Directory::open(at + "root").or_throw();
    co_await root.make_directories("a/b/c").or_throw();
    co_await root.make_directories("a/b/c").or_throw();
    co_await fs::write_file(at + "root/a/x", "text").or_throw();
    EXPECT_EQ((co_await root.make_directories("a/x")).error(), errc(ENOTDIR));
    EXPECT_EQ((co_await root.make_directories("a/x/y")).error(), errc(ENOTDIR));
    co_await root.rename("a/x", "a/b/c/y").or_throw();
    EXPECT_EQ(co_await fs::read_file(at + "root/a/b/c/y").or_throw(), "text");
    co_await fs::write_file(at + "root/z", "other").or_throw();
    EXPECT_EQ((co_await root.rename("a/b/c/y", "z", {.replace = false})).error(), Errc::exists);
    co_await root.remove("z").or_throw();
    EXPECT_EQ((co_await root.remove("z")).error(), Errc::no_such_file);
    for (const char* out : {"../x", "a/../../x", "/x", "..", "a/.."}) {
      EXPECT_EQ((co_await root.make_directories(out)).error(), Errc::access_denied) << out;
      EXPECT_EQ((co_await root.rename("a", out)).error(), Errc::access_denied) << out;
      EXPECT_EQ((co_await root.remove(out)).error(), Errc::access_denied) << out;
    }
    EXPECT_EQ((co_await root.remove("")).error(), Errc::invalid_argument);
    EXPECT_EQ((co_await fs::list(at)).or_throw().size(), 1u);
  });
}

TEST_P(FileNames, temporary_files_have_names_of_their_own_and_anonymous_ones_none) {
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

TEST_P(FileNames, a_temporary_directory_goes_with_its_bracket_however_that_ends) {
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

TEST_P(FileNames, attributes_are_changed_and_told_or_not_supported) {
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

ON_EVERY_DRIVER(FileNames);

}  // namespace
}  // namespace rondo::testing
