// SPDX-License-Identifier: Apache-2.0
// fs::Watcher on the drivers that have files of the kernel's: what it tells of each change, that it
// follows trees while they change, and how it fails.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "every_driver.hpp"
#include "rondo/core/offload.hpp"
#include "rondo/core/when.hpp"
#include "rondo/fs/dir.hpp"
#include "rondo/fs/file.hpp"
#include "rondo/fs/notify.hpp"

namespace rondo::testing {
namespace {

using fs::ChangeKind;
using fs::Watcher;
using fs::WatchOptions;
using Texts = std::vector<std::string>;

class Notify : public EveryDriver {
 protected:
  /// Runs `body(directory)` in a directory of its own, which ends with "/".
  template <class F>
  void in_directory(F body) {
    run([&]() -> Task<> {
      co_await fs::make_directories("/tmp").or_throw();
      co_await fs::with_temporary_directory([&](std::string path) { return body(path + "/"); });
    });
  }
};

constexpr WatchOptions k_names{.recursive = true, .modified = false, .closed_after_write = false};

/// A change in words, its paths without the directory of the test.
std::string words(const fs::Change& change, const std::string& at) {
  std::string text = change.describe();
  for (std::size_t found = 0; (found = text.find(at, found)) != std::string::npos;)
    text.erase(found, at.size());
  return text;
}

Task<std::string> next(Watcher& watcher, const std::string& at) {
  auto change = co_await watcher.next();
  if (!change) co_return "error " + change.error().message();
  if (!*change) co_return "nothing is watched";
  co_return words(**change, at);
}

Task<Texts> take(Watcher& watcher, std::string at, std::size_t count) {
  Texts texts;
  while (texts.size() < count) texts.push_back(co_await next(watcher, at));
  co_return std::move(texts);
}

/// Everything up to the making of a file that is made now, in a directory that is watched.
Task<Texts> take_all(Watcher& watcher, std::string at) {
  static int number = 0;
  const std::string end = "end" + std::to_string(++number);
  co_await fs::write_file(at + end, "").or_throw();
  Texts texts;
  while (true) {
    std::string text = co_await next(watcher, at);
    if (text == "created " + end) co_return std::move(texts);
    if (text.find(" end") == std::string::npos) texts.push_back(std::move(text));
    if (texts.size() > 1'000'000) co_return Texts{"no end"};
  }
}

Texts sorted(Texts texts) {
  std::ranges::sort(texts);
  return texts;
}

// ---- What is told

TEST_P(Notify, a_simulated_disk_is_not_supported_and_others_are) {
  run([this]() -> Task<> {
    auto watcher = Watcher::open();
    EXPECT_EQ(watcher.has_value(), !is_sim());
    if (!watcher) EXPECT_EQ(watcher.error().code(), Errc::not_supported);
    co_return;
  });
}

/// On the drivers that can.
class Watching : public Notify {};

TEST_P(Watching, every_kind_is_told_in_order_with_its_path) {
  in_directory([](std::string at) -> Task<> {
    auto watcher = Watcher::open().or_throw();
    co_await watcher.add(at, {.attributes = true}).or_throw();
    co_await fs::write_file(at + "a", "x").or_throw();
    EXPECT_EQ(co_await take(watcher, at, 3),
              (Texts{"created a", "modified a", "closed after write a"}));
    co_await fs::set_permissions(at + "a", 0600).or_throw();
    co_await fs::rename(at + "a", at + "b").or_throw();
    co_await fs::make_directory(at + "d").or_throw();
    co_await fs::remove(at + "b").or_throw();
    co_await fs::remove_directory(at + "d").or_throw();
    EXPECT_EQ(co_await take(watcher, at, 5), (Texts{"attributes a", "renamed a -> b", "created d/",
                                                    "removed b", "removed d/"}));
  });
}

TEST_P(Watching, only_what_was_asked_for_is_told) {
  in_directory([](std::string at) -> Task<> {
    auto watcher = Watcher::open().or_throw();
    co_await watcher
        .add(at, {.created = false, .removed = false, .moved = false, .modified = false})
        .or_throw();
    co_await fs::write_file(at + "a", "x").or_throw();
    co_await fs::rename(at + "a", at + "b").or_throw();
    co_await fs::remove(at + "b").or_throw();
    co_await fs::write_file(at + "c", "x").or_throw();
    EXPECT_EQ(co_await take(watcher, at, 2),
              (Texts{"closed after write a", "closed after write c"}));
  });
}

TEST_P(Watching, what_is_below_is_told_by_a_recursive_watch_only) {
  in_directory([](std::string at) -> Task<> {
    co_await fs::make_directories(at + "old/deep").or_throw();
    auto flat = Watcher::open().or_throw();
    auto deep = Watcher::open().or_throw();
    co_await flat.add(at, {.modified = false, .closed_after_write = false}).or_throw();
    co_await deep.add(at, k_names).or_throw();
    EXPECT_EQ(flat.statistics().watches, 1u);
    EXPECT_EQ(deep.statistics().watches, 3u);
    co_await fs::write_file(at + "old/deep/a", "x").or_throw();
    EXPECT_EQ(co_await take_all(flat, at), Texts{});
    EXPECT_EQ((co_await take_all(deep, at)), Texts{"created old/deep/a"});
  });
}

TEST_P(Watching, a_file_is_watched_until_it_is_gone) {
  in_directory([](std::string at) -> Task<> {
    co_await fs::write_file(at + "a", "x").or_throw();
    auto watcher = Watcher::open().or_throw();
    EXPECT_EQ(co_await next(watcher, at), "nothing is watched");
    co_await watcher.add(at + "a").or_throw();
    co_await fs::write_file(at + "a", "more", {.append = true}).or_throw();
    EXPECT_EQ(co_await take(watcher, at, 2), (Texts{"modified a", "closed after write a"}));
    co_await fs::remove(at + "a").or_throw();
    EXPECT_EQ(co_await take(watcher, at, 2), (Texts{"removed a", "nothing is watched"}));
  });
}

TEST_P(Watching, a_watched_directory_that_goes_away_ends_its_watch) {
  in_directory([](std::string at) -> Task<> {
    co_await fs::make_directories(at + "a/b").or_throw();
    co_await fs::make_directories(at + "c/d").or_throw();
    auto watcher = Watcher::open().or_throw();
    co_await watcher.add(at + "a", k_names).or_throw();
    co_await watcher.add(at + "c", k_names).or_throw();
    co_await fs::rename(at + "a", at + "elsewhere").or_throw();
    EXPECT_EQ(co_await next(watcher, at), "moved from a/");
    co_await fs::remove_tree(at + "c").or_throw();
    EXPECT_EQ(co_await take(watcher, at, 3),
              (Texts{"removed c/d/", "removed c/", "nothing is watched"}));
    co_await watcher.add(at + "elsewhere", k_names).or_throw();
    co_await fs::write_file(at + "elsewhere/b/x", "").or_throw();
    EXPECT_EQ(co_await next(watcher, at), "created elsewhere/b/x");
  });
}

TEST_P(Watching, halves_of_a_rename_that_nobody_pairs_are_moves) {
  in_directory([](std::string at) -> Task<> {
    co_await fs::make_directory(at + "in").or_throw();
    co_await fs::make_directory(at + "out").or_throw();
    auto watcher = Watcher::open().or_throw();
    co_await watcher.add(at + "in", k_names).or_throw();
    co_await fs::write_file(at + "in/a", "").or_throw();
    co_await fs::write_file(at + "out/b", "").or_throw();
    co_await fs::rename(at + "in/a", at + "out/a").or_throw();
    co_await fs::rename(at + "out/b", at + "in/b").or_throw();
    EXPECT_EQ(co_await take(watcher, at, 3),
              (Texts{"created in/a", "moved from in/a", "moved to in/b"}));
  });
}

TEST_P(Watching, remove_ends_a_watch_with_what_was_queued_of_it) {
  in_directory([](std::string at) -> Task<> {
    co_await fs::make_directories(at + "a/b").or_throw();
    co_await fs::make_directory(at + "c").or_throw();
    auto watcher = Watcher::open().or_throw();
    co_await watcher.add(at + "a", k_names).or_throw();
    co_await watcher.add(at + "c", k_names).or_throw();
    co_await fs::write_file(at + "a/1", "").or_throw();
    co_await fs::write_file(at + "a/b/2", "").or_throw();
    EXPECT_EQ(co_await next(watcher, at), "created a/1");
    EXPECT_EQ(watcher.remove(at + "none").error().code(), Errc::no_such_file);
    watcher.remove(at + "a").or_throw();
    co_await fs::write_file(at + "a/b/3", "").or_throw();
    co_await fs::write_file(at + "c/4", "").or_throw();
    EXPECT_EQ(co_await next(watcher, at), "created c/4");
    EXPECT_EQ(watcher.statistics().watches, 1u);
    watcher.remove(at + "c").or_throw();
    EXPECT_EQ(co_await next(watcher, at), "nothing is watched");
    co_await watcher.add(at + "a", k_names).or_throw();
  });
}

TEST_P(Watching, removing_the_last_watch_ends_a_next_that_waits) {
  in_directory([](std::string at) -> Task<> {
    auto watcher = Watcher::open().or_throw();
    co_await watcher.add(at).or_throw();
    co_await with_scope([&](Scope& scope) -> Task<> {
      scope.start([&]() -> Task<> {
        EXPECT_EQ(co_await next(watcher, at), "nothing is watched");
      });
      co_await turns(5);
      watcher.remove(at.substr(0, at.size() - 1)).or_throw();
    });
  });
}

TEST_P(Watching, paths_are_added_while_a_task_waits) {
  in_directory([](std::string at) -> Task<> {
    co_await fs::make_directories(at + "a").or_throw();
    co_await fs::make_directories(at + "b/c").or_throw();
    auto watcher = Watcher::open().or_throw();
    co_await watcher.add(at + "a", k_names).or_throw();
    co_await with_scope([&](Scope& scope) -> Task<> {
      scope.start([&]() -> Task<> {
        EXPECT_EQ(co_await next(watcher, at), "created b/c/x");
      });
      co_await turns(5);
      co_await watcher.add(at + "b", k_names).or_throw();
      co_await fs::write_file(at + "b/c/x", "").or_throw();
    });
  });
}

// ---- Trees

TEST_P(Watching, what_is_made_at_once_in_new_directories_is_told_once_each) {
  in_directory([](std::string at) -> Task<> {
    auto watcher = Watcher::open().or_throw();
    co_await watcher.add(at, k_names).or_throw();
    co_await fs::make_directories(at + "a/b/c").or_throw();
    co_await fs::write_file(at + "a/1", "").or_throw();
    co_await fs::write_file(at + "a/b/c/2", "").or_throw();
    EXPECT_EQ(sorted(co_await take_all(watcher, at)),
              (Texts{"created a/", "created a/1", "created a/b/", "created a/b/c/",
                     "created a/b/c/2"}));
    co_await fs::write_file(at + "a/b/c/3", "").or_throw();
    EXPECT_EQ(co_await next(watcher, at), "created a/b/c/3");
  });
}

TEST_P(Watching, a_directory_that_is_moved_in_is_followed_and_its_content_told) {
  in_directory([](std::string at) -> Task<> {
    co_await fs::make_directory(at + "in").or_throw();
    co_await fs::make_directories(at + "out/d/e").or_throw();
    co_await fs::write_file(at + "out/d/e/1", "").or_throw();
    auto watcher = Watcher::open().or_throw();
    co_await watcher.add(at + "in", k_names).or_throw();
    co_await fs::rename(at + "out/d", at + "in/d").or_throw();
    EXPECT_EQ(co_await take(watcher, at, 3),
              (Texts{"moved to in/d/", "created in/d/e/", "created in/d/e/1"}));
    co_await fs::write_file(at + "in/d/e/2", "").or_throw();
    EXPECT_EQ(co_await next(watcher, at), "created in/d/e/2");
  });
}

TEST_P(Watching, a_directory_that_is_moved_out_is_no_longer_followed) {
  in_directory([](std::string at) -> Task<> {
    co_await fs::make_directories(at + "in/d/e").or_throw();
    auto watcher = Watcher::open().or_throw();
    co_await watcher.add(at + "in", k_names).or_throw();
    EXPECT_EQ(watcher.statistics().watches, 3u);
    co_await fs::rename(at + "in/d", at + "d").or_throw();
    EXPECT_EQ(co_await next(watcher, at), "moved from in/d/");
    EXPECT_EQ(watcher.statistics().watches, 1u);
    co_await fs::write_file(at + "d/e/1", "").or_throw();
    co_await fs::write_file(at + "in/2", "").or_throw();
    EXPECT_EQ(co_await next(watcher, at), "created in/2");
  });
}

TEST_P(Watching, a_directory_that_is_renamed_has_its_new_path_at_every_depth) {
  in_directory([](std::string at) -> Task<> {
    co_await fs::make_directories(at + "a/b/c").or_throw();
    co_await fs::make_directories(at + "ab").or_throw();
    auto watcher = Watcher::open().or_throw();
    co_await watcher.add(at, k_names).or_throw();
    co_await fs::rename(at + "a", at + "z").or_throw();
    co_await fs::write_file(at + "z/b/c/1", "").or_throw();
    co_await fs::write_file(at + "ab/2", "").or_throw();
    co_await fs::rename(at + "z/b", at + "ab/b").or_throw();
    co_await fs::write_file(at + "ab/b/c/3", "").or_throw();
    EXPECT_EQ(co_await take(watcher, at, 5),
              (Texts{"renamed a/ -> z/", "created z/b/c/1", "created ab/2",
                     "renamed z/b/ -> ab/b/", "created ab/b/c/3"}));
    EXPECT_EQ(watcher.statistics().watches, 5u);
  });
}

TEST_P(Watching, a_directory_renamed_before_it_could_be_scanned_is_followed) {
  in_directory([](std::string at) -> Task<> {
    auto watcher = Watcher::open().or_throw();
    co_await watcher.add(at, k_names).or_throw();
    co_await fs::make_directories(at + "a/b").or_throw();
    co_await fs::rename(at + "a", at + "z").or_throw();
    co_await fs::make_directory(at + "a").or_throw();
    co_await fs::rename(at + "z/b", at + "a/b").or_throw();
    (void)co_await take_all(watcher, at);
    for (const char* path : {"a", "z", "a/b"}) {
      co_await fs::write_file(at + path + "/x", "").or_throw();
      EXPECT_EQ(co_await next(watcher, at), "created " + std::string(path) + "/x");
    }
  });
}

TEST_P(Watching, removed_directories_take_their_watches_along) {
  in_directory([](std::string at) -> Task<> {
    co_await fs::make_directories(at + "a/b/c").or_throw();
    auto watcher = Watcher::open().or_throw();
    co_await watcher.add(at, k_names).or_throw();
    co_await fs::remove_tree(at + "a").or_throw();
    EXPECT_EQ(co_await take(watcher, at, 3),
              (Texts{"removed a/b/c/", "removed a/b/", "removed a/"}));
    EXPECT_EQ(co_await take_all(watcher, at), Texts{});
    EXPECT_EQ(watcher.statistics().watches, 1u);
  });
}

TEST_P(Watching, a_symbolic_link_is_a_name_and_is_not_entered) {
  in_directory([](std::string at) -> Task<> {
    co_await fs::make_directories(at + "in").or_throw();
    co_await fs::make_directories(at + "out/d").or_throw();
    co_await fs::symbolic_link("../out", at + "in/link").or_throw();
    co_await fs::symbolic_link("in", at + "alias").or_throw();
    auto watcher = Watcher::open().or_throw();
    co_await watcher.add(at + "alias", k_names).or_throw();
    EXPECT_EQ(watcher.statistics().watches, 1u) << "the path given is followed";
    co_await fs::symbolic_link("../out/d", at + "in/new").or_throw();
    co_await fs::write_file(at + "out/d/1", "").or_throw();
    co_await fs::write_file(at + "in/2", "").or_throw();
    EXPECT_EQ(co_await take(watcher, at, 2), (Texts{"created alias/new", "created alias/2"}));
  });
}

/// Makes 40 directories of 10 files each, nested by the digits of their numbers.
void make_files(const std::string& at) {
  for (int i = 0; i < 40; ++i) {
    std::string path = at;
    for (int rest = i; rest > 0; rest /= 3) path += "d" + std::to_string(rest % 3) + "/";
    std::filesystem::create_directories(path);
    for (int n = 0; n < 10; ++n) std::ofstream(path + "f" + std::to_string(n)) << n;
  }
}

TEST_P(Watching, a_tree_made_by_a_thread_meanwhile_is_told_without_gap_or_double) {
  in_directory([](std::string at) -> Task<> {
    auto watcher = Watcher::open().or_throw();
    co_await watcher.add(at, k_names).or_throw();
    std::map<std::string, int> told;
    co_await with_scope([&](Scope& scope) -> Task<> {
      auto making = scope.start([&]() -> Task<> {
        co_await run_blocking([&] { make_files(at); }).or_throw();
        co_await fs::write_file(at + "end", "").or_throw();
      });
      while (true) {
        const std::string text = co_await next(watcher, at);
        if (text == "created end") break;
        ++told[text];
      }
    });
    for (const std::string& late : co_await take_all(watcher, at)) ++told[late];
    std::size_t names = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(at)) {
      const std::string path = entry.path().string().substr(at.size());
      if (path.starts_with("end")) continue;
      ++names;
      EXPECT_EQ(told["created " + path + (entry.is_directory() ? "/" : "")], 1) << path;
    }
    EXPECT_EQ(told.size(), names);
  });
}

/// Makes, renames and removes directories at random, by blocking calls.
void shuffle(const std::string& at, const std::string& outside, std::uint64_t seed) {
  const auto below = [&seed](std::uint64_t n) {
    seed = seed * 6'364'136'223'846'793'005ULL + 1'442'695'040'888'963'407ULL;
    return static_cast<std::size_t>((seed >> 33) % n);
  };
  const auto path = [&] {
    std::string name = below(8) == 0 ? outside : at;
    for (std::size_t depth = below(3) + 1; depth > 0; --depth)
      name += std::string(1, static_cast<char>('a' + below(4))) + "/";
    name.pop_back();
    return name;
  };
  std::error_code ignored;
  for (int step = 0; step < 400; ++step) {
    switch (below(5)) {
      case 0:
      case 1: std::filesystem::create_directories(path(), ignored); break;
      case 2:
      case 3: std::filesystem::rename(path(), path(), ignored); break;
      default: std::filesystem::remove_all(path(), ignored);
    }
  }
}

TEST_P(Watching, after_any_shuffle_of_directories_every_one_has_its_right_path) {
  in_directory([](std::string at) -> Task<> {
    for (std::uint64_t seed = 1; seed <= 8; ++seed) {
      const std::string tree = at + std::to_string(seed) + "/";
      co_await fs::make_directories(tree + "in").or_throw();
      co_await fs::make_directories(tree + "out").or_throw();
      auto watcher = Watcher::open().or_throw();
      co_await watcher.add(tree + "in", k_names).or_throw();
      co_await with_scope([&](Scope& scope) -> Task<> {
        auto reading = scope.start([&]() -> Task<> {
          while (co_await watcher.next().or_throw()) {
          }
        });
        co_await run_blocking([&] { shuffle(tree + "in/", tree + "out/", seed); }).or_throw();
        reading.cancel();
      });
      const std::string in = tree + "in/";
      (void)co_await take_all(watcher, in);
      (void)co_await take_all(watcher, in);  // What a scan found last is told behind the first end.
      std::size_t directories = 1;
      for (const auto& entry : std::filesystem::recursive_directory_iterator(in)) {
        if (!entry.is_directory()) continue;
        ++directories;
        const std::string path = entry.path().string() + "/mark";
        co_await fs::write_file(path, "").or_throw();
        EXPECT_EQ(co_await next(watcher, in), "created " + path.substr(in.size())) << seed;
        co_await fs::remove(path).or_throw();
        EXPECT_EQ(co_await next(watcher, in), "removed " + path.substr(in.size())) << seed;
      }
      EXPECT_EQ(watcher.statistics().watches, directories) << seed;
    }
  });
}

// ---- Limits and errors

std::size_t number_in(const char* path) {
  std::size_t number = 0;
  std::ifstream(path) >> number;
  return number;
}

TEST_P(Watching, an_overflow_of_the_kernels_queue_is_told_and_the_tree_is_followed_again) {
  const std::size_t queue_max = number_in("/proc/sys/fs/inotify/max_queued_events");
  in_directory([&](std::string at) -> Task<> {
    co_await fs::make_directory(at + "old").or_throw();
    auto watcher = Watcher::open().or_throw();
    co_await watcher.add(at, k_names).or_throw();
    co_await run_blocking([&] {
      for (std::size_t i = 0; i < queue_max / 2 + 10; ++i) {
        const int fd = ::open((at + "f").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        ::close(fd);
        ::unlink((at + "f").c_str());
      }
      // Nobody is told of these.
      std::filesystem::rename(at + "old", at + "renamed");
      std::filesystem::create_directories(at + "new/deep");
    }).or_throw();
    while (co_await next(watcher, at) != "overflow") {
    }
    EXPECT_EQ(co_await take_all(watcher, at), Texts{});
    EXPECT_EQ(watcher.statistics().overflows, 1u);
    for (const char* path : {"renamed/1", "new/2", "new/deep/3"}) {
      co_await fs::write_file(at + path, "").or_throw();
      EXPECT_EQ(co_await next(watcher, at), std::string("created ") + path);
    }
    EXPECT_EQ(watcher.statistics().watches, 4u);
  });
}

TEST_P(Watching, a_root_that_went_in_an_overflow_is_told_to_be_gone) {
  const std::size_t queue_max = number_in("/proc/sys/fs/inotify/max_queued_events");
  in_directory([&](std::string at) -> Task<> {
    co_await fs::make_directory(at + "gone").or_throw();
    co_await fs::make_directory(at + "kept").or_throw();
    co_await fs::write_file(at + "file", "").or_throw();
    auto watcher = Watcher::open().or_throw();
    for (const char* path : {"gone", "kept", "file"})
      co_await watcher.add(at + path, k_names).or_throw();
    co_await run_blocking([&] {
      for (std::size_t i = 0; i < queue_max / 2 + 10; ++i) {
        const int fd = ::open((at + "kept/f").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        ::close(fd);
        ::unlink((at + "kept/f").c_str());
      }
      std::filesystem::remove(at + "gone");
    }).or_throw();
    Texts rest;
    while (rest.empty() || rest.back() != "removed gone/") {
      std::string text = co_await next(watcher, at);
      if (!text.ends_with("kept/f")) rest.push_back(std::move(text));
    }
    EXPECT_EQ(rest, (Texts{"overflow", "removed gone/"}));
    EXPECT_EQ(watcher.statistics().watches, 2u);
  });
}

TEST_P(Watching, more_than_the_queue_holds_is_an_overflow_and_the_rest_is_followed) {
  in_directory([](std::string at) -> Task<> {
    co_await fs::make_directory(at + "in").or_throw();
    co_await fs::make_directories(at + "out/d").or_throw();
    const std::size_t count = limits::watch_queue_max.value + 10;
    co_await run_blocking([&] {
      for (std::size_t i = 0; i < count; ++i) {
        const std::string path = at + "out/d/" + std::to_string(i);
        ::close(::open(path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
      }
    }).or_throw();
    auto watcher = Watcher::open().or_throw();
    co_await watcher.add(at + "in", k_names).or_throw();
    co_await fs::rename(at + "out/d", at + "in/d").or_throw();
    EXPECT_EQ(co_await next(watcher, at), "moved to in/d/");
    std::size_t created = 0;
    std::string text;
    while ((text = co_await next(watcher, at)).starts_with("created ")) ++created;
    EXPECT_EQ(text, "overflow");
    EXPECT_LE(created, limits::watch_queue_max.value);
    EXPECT_GT(created, limits::watch_queue_max.value / 2);
    co_await fs::write_file(at + "in/d/new", "").or_throw();
    EXPECT_EQ(co_await next(watcher, at), "created in/d/new");
  });
}

TEST_P(Watching, adding_fails_with_operation_and_path_and_leaves_nothing) {
  in_directory([](std::string at) -> Task<> {
    auto watcher = Watcher::open().or_throw();
    auto missing = co_await watcher.add(at + "none");
    EXPECT_EQ(missing.error().code(), Errc::no_such_file);
    EXPECT_EQ(missing.error().object(), at + "none");
    EXPECT_STREQ(missing.error().operation(), "watch");
    EXPECT_EQ((co_await watcher.add("")).error().code(), Errc::invalid_argument);
    EXPECT_EQ((co_await watcher.add(std::string("a\0b", 3))).error().code(),
              Errc::invalid_argument);
    co_await fs::write_file(at + "a", "").or_throw();
    EXPECT_EQ((co_await watcher.add(at + "a/b")).error().code(), static_cast<Errc>(ENOTDIR));
    co_await fs::symbolic_link("loop", at + "loop").or_throw();
    EXPECT_EQ((co_await watcher.add(at + "loop")).error().code(), static_cast<Errc>(ELOOP));
    EXPECT_EQ(watcher.statistics().watches, 0u);
    co_await watcher.add(at).or_throw();
    EXPECT_EQ((co_await watcher.add(at + ".")).error().code(), Errc::exists);
    EXPECT_EQ((co_await watcher.add(at)).error().code(), Errc::exists);
    EXPECT_EQ(watcher.statistics().watches, 1u);
  });
}

TEST_P(Watching, too_deep_a_tree_is_too_large) {
  in_directory([](std::string at) -> Task<> {
    std::string path = at + "t";
    for (std::size_t i = 0; i < limits::walk_depth_max.value + 2; ++i) path += "/d";
    co_await run_blocking([&] { std::filesystem::create_directories(path); }).or_throw();
    auto watcher = Watcher::open().or_throw();
    EXPECT_EQ((co_await watcher.add(at + "t", k_names)).error().code(), Errc::too_large);
    EXPECT_EQ(watcher.statistics().watches, 0u);
    co_await run_blocking([&] { std::filesystem::remove_all(at + "t"); }).or_throw();
  });
}

/// Allows this process (a child, in a user namespace of its own) so many inotify watches.
bool allow_watches(const char* count) {
  if (::unshare(CLONE_NEWUSER) != 0) return false;
  const int fd = ::open("/proc/sys/user/max_inotify_watches", O_WRONLY | O_CLOEXEC);
  const bool done = fd >= 0 && ::write(fd, count, std::strlen(count)) > 0;
  ::close(fd);
  return done;
}

/// 0 when the limit is an error that names the setting, first of add(), then of next().
Task<int> meet_the_limit(std::string at) {
  auto watcher = Watcher::open().or_throw();
  auto added = co_await watcher.add(at + "deep", k_names);
  if (added || added.error().code() != Errc::no_space) co_return 1;
  if (added.error().message().find("fs.inotify.max_user_watches") == std::string::npos) co_return 2;
  if (watcher.statistics().watches != 0) co_return 3;
  if (!co_await watcher.add(at + "in", k_names)) co_return 4;
  std::filesystem::create_directories(at + "in/1/2/3/4");
  auto change = co_await watcher.next();
  if (change || change.error().code() != Errc::no_space) co_return 5;
  change = co_await watcher.next();
  if (!change || words(**change, at) != "created in/1/") co_return 6;
  std::filesystem::create_directories(at + "in/1/again");
  while ((change = co_await watcher.next()) && words(**change, at) != "created in/1/again/") {
  }
  co_return change.has_value() || change.error().code() == Errc::no_space ? 0 : 7;
}

TEST_P(Watching, the_users_limit_of_watches_is_an_error_that_names_the_setting) {
  char name[] = "/tmp/rondo-notify-XXXXXX";
  const std::string at = std::string(::mkdtemp(name)) + "/";
  std::filesystem::create_directories(at + "deep/1/2/3");
  std::filesystem::create_directories(at + "in");
  const int status = in_child([&] {
    if (!allow_watches("3")) return 77;
    Loop loop(loop_options({.buffer_count = 16, .buffer_size = 4'096}));
    auto ended = loop.run(meet_the_limit(at));
    return ended ? *ended : 99;
  });
  std::filesystem::remove_all(at);
  // Where user namespaces are forbidden nobody can lower the limit.
  EXPECT_TRUE(status == 0 || status == 77) << status;
  RecordProperty("has_user_namespaces", status == 77 ? "no" : "yes");
}

// ---- Cancellation and the end

TEST_P(Watching, a_next_cancelled_before_it_starts_takes_nothing) {
  in_directory([](std::string at) -> Task<> {
    auto watcher = Watcher::open().or_throw();
    co_await watcher.add(at, k_names).or_throw();
    co_await fs::write_file(at + "a", "").or_throw();
    auto end = co_await with_scope([&](Scope& scope) -> Task<> {
      scope.cancel();
      (void)co_await watcher.next();
      ADD_FAILURE() << "a cancelled scope took a change";
    });
    EXPECT_TRUE(end.cancelled);
    EXPECT_EQ(co_await next(watcher, at), "created a");
  });
}

TEST_P(Watching, a_next_cancelled_in_flight_only_stops_waiting) {
  in_directory([](std::string at) -> Task<> {
    auto watcher = Watcher::open().or_throw();
    co_await watcher.add(at, k_names).or_throw();
    auto waited = co_await with_timeout(1ms, watcher.next());
    EXPECT_EQ(waited.error().code(), Errc::timed_out);
    co_await fs::write_file(at + "a", "").or_throw();
    EXPECT_EQ(co_await next(watcher, at), "created a");
  });
}

TEST_P(Watching, cancels_at_any_moment_lose_no_change_and_double_none) {
  in_directory([](std::string at) -> Task<> {
    auto watcher = Watcher::open().or_throw();
    co_await watcher.add(at, k_names).or_throw();
    Texts told;
    Texts made;
    for (int round = 0; round < 60; ++round) {
      const std::string name = std::to_string(100 + round);
      co_await fs::make_directories(at + name + "/below").or_throw();
      co_await fs::rename(at + name, at + name + "r").or_throw();
      co_await with_scope([&](Scope& scope) -> Task<> {
        auto reading = scope.start([&]() -> Task<> {
          while (true) told.push_back(co_await next(watcher, at));
        });
        co_await turns(round % 23);
        reading.cancel();
      });
      made.push_back("created " + name + "r/below/");
    }
    for (std::string& text : co_await take_all(watcher, at)) told.push_back(std::move(text));
    for (const std::string& text : made)
      EXPECT_EQ(std::ranges::count(told, text), 1) << text;
    for (const std::string& text : told) EXPECT_FALSE(text.starts_with("error")) << text;
  });
}

TEST_P(Watching, an_add_cancelled_at_any_moment_can_be_said_again) {
  in_directory([](std::string at) -> Task<> {
    co_await fs::make_directories(at + "a/b").or_throw();
    for (int round = 0; round < 20; ++round) {
      auto watcher = Watcher::open().or_throw();
      co_await with_scope([&](Scope& scope) -> Task<> {
        auto adding = scope.start([&]() -> Task<> { (void)co_await watcher.add(at, k_names); });
        co_await turns(round % 5);
        adding.cancel();
      });
      auto again = co_await watcher.add(at, k_names);
      EXPECT_TRUE(again || again.error() == Errc::exists);
      EXPECT_EQ(watcher.statistics().watches, 3u);
    }
  });
}

std::size_t open_descriptors() {
  const std::filesystem::directory_iterator all("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

TEST_P(Watching, its_descriptor_is_closed_with_it) {
  in_directory([](std::string at) -> Task<> {
    co_await fs::make_directories(at + "a/b").or_throw();
    co_await run_blocking([] {}).or_throw();
    const std::size_t before = open_descriptors();
    for (int round = 0; round < 5; ++round) {
      auto watcher = Watcher::open().or_throw();
      co_await watcher.add(at, k_names).or_throw();
      auto moved = std::move(watcher);
      co_await fs::write_file(at + "f", "").or_throw();
      (void)co_await next(moved, at);
      co_await fs::remove(at + "f").or_throw();
    }
    // A thread closes them: the last may still be at it, so ask until it is done.
    while (open_descriptors() > before) co_await run_blocking([] {}).or_throw();
    EXPECT_EQ(open_descriptors(), before);
  });
}

ON_EVERY_DRIVER(Notify);
INSTANTIATE_TEST_SUITE_P(kernel_drivers, Watching,
                         ::testing::Values(std::string("uring"), std::string("epoll")),
                         [](const auto& which) { return which.param; });

}  // namespace
}  // namespace rondo::testing
