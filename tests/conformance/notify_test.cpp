// SPDX-License-Identifier: Apache-2.0
// Watcher on the kernel's drivers: what is reported, in which order, and that nothing is missed.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "every_driver.hpp"
#include "rondo/fs/dir.hpp"
#include "rondo/fs/notify.hpp"

namespace rondo::testing {
namespace {

using fs::Change;
using fs::ChangeKind;
using fs::Watcher;
using ::testing::ElementsAre;
namespace disk = std::filesystem;

class Notify : public EveryDriver {
 protected:
  /// Runs `body(directory)` in a directory of its own.
  template <class F>
  void in_directory(F body) {
    if (is_sim()) {
      run([]() -> Task<> {
        EXPECT_EQ(Watcher::open().error(), Errc::not_supported);
        co_return;
      });
      return;
    }
    run([&]() -> Task<> {
      co_await fs::with_temporary_directory([&](std::string path) { return body(path + "/"); });
    });
  }
};

void write(const std::string& path, std::string_view text = "x") { std::ofstream(path) << text; }

/// "created a", relative to `at`; directories end in '/'.
std::string line_of(const Change& change, const std::string& at) {
  const auto below = [&](const std::string& path) {
    return path.starts_with(at) ? path.substr(at.size()) : path;
  };
  std::string line = std::string(fs::describe(change.kind)) + " ";
  if (!change.from.empty()) line += below(change.from) + " > ";
  line += below(change.path);
  if (change.is_directory) line += "/";
  return line;
}

/// The changes up to and with the making of `last`, which the caller makes last of all.
Task<std::vector<std::string>> until(Watcher& watcher, std::string at, std::string last) {
  std::vector<std::string> lines;
  while (true) {
    auto change = co_await with_timeout(10s, watcher.next());
    if (!change) {
      ADD_FAILURE() << change.error().message();
      co_return lines;
    }
    if (change->path == at + last) co_return lines;
    if (change->kind != ChangeKind::modified) lines.push_back(line_of(*change, at));
  }
}

TEST_P(Notify, tells_what_happens_in_a_directory_in_its_order) {
  in_directory([](std::string at) -> Task<> {
    auto watcher = Watcher::open().or_throw();
    co_await watcher.add(at).or_throw();
    write(at + "a");
    disk::rename(at + "a", at + "b");
    disk::create_directory(at + "d");
    disk::remove(at + "b");
    write(at + "end");
    EXPECT_THAT(co_await until(watcher, at, "end"),
                ElementsAre("created a", "written a", "renamed a > b", "created d/", "removed b"));
    EXPECT_EQ(watcher.statistics().watches, 1u) << "not recursive";
  });
}

TEST_P(Notify, a_file_by_itself_is_watched_and_its_end_ends_the_watching) {
  in_directory([](std::string at) -> Task<> {
    write(at + "a");
    auto watcher = Watcher::open().or_throw();
    co_await watcher.add(at + "a", {.modified = false, .attributes = true}).or_throw();
    write(at + "a", "more");
    EXPECT_EQ((co_await watcher.next().or_throw()).kind, ChangeKind::written);
    ::chmod((at + "a").c_str(), 0600);
    EXPECT_EQ((co_await watcher.next().or_throw()).kind, ChangeKind::attributes);
    disk::remove(at + "a");
    EXPECT_EQ((co_await watcher.next().or_throw()).kind, ChangeKind::attributes) << "its links";
    EXPECT_EQ((co_await watcher.next().or_throw()).kind, ChangeKind::removed);
    EXPECT_EQ((co_await watcher.next()).error(), Errc::no_such_file) << "nothing is watched";
  });
}

TEST_P(Notify, writes_are_told_while_they_go_on) {
  in_directory([](std::string at) -> Task<> {
    auto watcher = Watcher::open().or_throw();
    write(at + "a");
    co_await watcher.add(at).or_throw();
    const int fd = ::open((at + "a").c_str(), O_WRONLY | O_CLOEXEC);
    EXPECT_EQ(::write(fd, "y", 1), 1);
    EXPECT_EQ((co_await watcher.next().or_throw()).kind, ChangeKind::modified);
    ::close(fd);
    EXPECT_EQ((co_await watcher.next().or_throw()).kind, ChangeKind::written);
  });
}

TEST_P(Notify, recursive_watching_follows_directories_that_come_and_go) {
  in_directory([](std::string at) -> Task<> {
    disk::create_directories(at + "old/deep");
    auto watcher = Watcher::open().or_throw();
    co_await watcher.add(at, {.recursive = true}).or_throw();
    EXPECT_EQ(watcher.statistics().watches, 3u);
    write(at + "old/deep/a");
    disk::rename(at + "old", at + "new");
    write(at + "new/deep/b");
    write(at + "1");
    EXPECT_THAT(co_await until(watcher, at, "1"),
                ElementsAre("created old/deep/a", "written old/deep/a", "renamed old > new/",
                            "created new/deep/b", "written new/deep/b"));
    disk::remove_all(at + "new");
    write(at + "2");
    EXPECT_THAT(co_await until(watcher, at, "2"),
                ::testing::IsSupersetOf(
                    {"removed new/deep/a", "removed new/deep/", "removed new/"}));
    EXPECT_EQ(watcher.statistics().watches, 1u);
  });
}

TEST_P(Notify, what_is_made_in_a_new_directory_before_it_is_watched_is_told_once) {
  in_directory([](std::string at) -> Task<> {
    auto watcher = Watcher::open().or_throw();
    co_await watcher.add(at, {.recursive = true}).or_throw();
    // Everything is there before the first event is read.
    disk::create_directories(at + "x/y");
    write(at + "x/y/a");
    write(at + "x/b");
    std::multiset<std::string> seen;
    while (seen.size() < 4) seen.insert(line_of(co_await watcher.next().or_throw(), at));
    EXPECT_THAT(seen, ElementsAre("created x/", "created x/b", "created x/y/", "created x/y/a"));
    // From here on it is watched.
    write(at + "x/y/c");
    write(at + "end");
    EXPECT_THAT(co_await until(watcher, at, "end"),
                ElementsAre("created x/y/c", "written x/y/c"));
  });
}

TEST_P(Notify, a_tree_moved_in_is_told_whole_and_one_moved_out_is_let_go) {
  in_directory([](std::string at) -> Task<> {
    disk::create_directories(at + "outside/tree/deep");
    write(at + "outside/tree/deep/a");
    disk::create_directory(at + "in");
    auto watcher = Watcher::open().or_throw();
    co_await watcher.add(at + "in", {.recursive = true}).or_throw();
    disk::rename(at + "outside/tree", at + "in/tree");
    std::multiset<std::string> seen;
    while (seen.size() < 3) seen.insert(line_of(co_await watcher.next().or_throw(), at));
    EXPECT_THAT(seen, ElementsAre("created in/tree/", "created in/tree/deep/",
                                  "created in/tree/deep/a"));
    disk::rename(at + "in/tree", at + "outside/tree");
    EXPECT_EQ(line_of(co_await watcher.next().or_throw(), at), "removed in/tree/");
    write(at + "outside/tree/deep/b");
    write(at + "in/end");
    EXPECT_THAT(co_await until(watcher, at, "in/end"), ElementsAre());
    EXPECT_EQ(watcher.statistics().watches, 1u);
  });
}

TEST_P(Notify, a_directory_that_is_gone_before_it_is_looked_at_is_no_error) {
  in_directory([](std::string at) -> Task<> {
    auto watcher = Watcher::open().or_throw();
    co_await watcher.add(at, {.recursive = true}).or_throw();
    for (int i = 0; i < 20; ++i) {
      disk::create_directory(at + "d");
      disk::remove(at + "d");
    }
    write(at + "end");
    const auto lines = co_await until(watcher, at, "end");
    EXPECT_EQ(std::ranges::count(lines, "created d/"), 20);
    EXPECT_EQ(std::ranges::count(lines, "removed d/"), 20);
  });
}

TEST_P(Notify, a_full_queue_of_the_kernel_is_reported_and_new_directories_are_found) {
  in_directory([](std::string at) -> Task<> {
    int queue_max = 16'384;
    std::ifstream("/proc/sys/fs/inotify/max_queued_events") >> queue_max;
    if (queue_max > 100'000) co_return ADD_FAILURE() << "too large a queue to be filled";
    auto watcher = Watcher::open().or_throw();
    co_await watcher.add(at, {.recursive = true}).or_throw();
    for (int i = 0; i <= queue_max; ++i) {  // Two events each, no two alike in a row.
      const std::string path = at + (i % 2 == 0 ? "a" : "b");
      write(path);
      disk::remove(path);
    }
    disk::create_directory(at + "late");
    bool overflow = false;
    while (!overflow) overflow = (co_await watcher.next().or_throw()).kind == ChangeKind::overflow;
    EXPECT_EQ(watcher.statistics().overflows, 1u);
    // What happens from here on is seen, in the directory whose making was lost, too.
    while (watcher.statistics().watches < 2) {
      EXPECT_EQ((co_await with_timeout(1ms, watcher.next())).error(), Errc::timed_out);
    }
    write(at + "late/c");
    EXPECT_EQ(line_of(co_await watcher.next().or_throw(), at), "created late/c");
  });
}

TEST_P(Notify, a_cancelled_wait_loses_nothing) {
  in_directory([](std::string at) -> Task<> {
    auto watcher = Watcher::open().or_throw();
    co_await watcher.add(at, {.recursive = true}).or_throw();
    disk::create_directories(at + "x/y");
    write(at + "x/y/a");
    std::multiset<std::string> seen;
    for (int moment = 0; seen.size() < 3 && moment < 1'000; ++moment) {
      auto one = co_await move_on_after(moment % 2 == 0 ? 0us : 200us, [&](Scope&) -> Task<> {
        auto change = co_await watcher.next();
        seen.insert(line_of(change.or_throw(), at));
      });
      (void)one;
    }
    EXPECT_THAT(seen, ElementsAre("created x/", "created x/y/", "created x/y/a"));
    co_await move_on_after(0us, [&](Scope&) -> Task<> {
      (void)co_await watcher.next();
      ADD_FAILURE() << "struck before it starts";
    });
  });
}

TEST_P(Notify, errors_name_their_path_and_what_is_not_watched_cannot_be_removed) {
  in_directory([](std::string at) -> Task<> {
    auto watcher = Watcher::open().or_throw();
    auto missing = co_await watcher.add(at + "nowhere");
    EXPECT_EQ(missing.error(), Errc::no_such_file);
    EXPECT_THAT(missing.error().message(), ::testing::HasSubstr("nowhere"));
    EXPECT_EQ((co_await watcher.add("")).error(), Errc::invalid_argument);
    EXPECT_EQ((co_await watcher.next()).error(), Errc::no_such_file) << "nothing is watched";
    EXPECT_EQ(watcher.remove(at).error(), Errc::no_such_file);
    disk::create_directory(at + "d");
    co_await watcher.add(at + "d/", {.recursive = true}).or_throw();
    watcher.remove(at + "d").or_throw();
    EXPECT_EQ(watcher.statistics().watches, 0u);
  });
}

ON_EVERY_DRIVER(Notify);

}  // namespace
}  // namespace rondo::testing
