// SPDX-License-Identifier: Apache-2.0
// Watching a directory with all below it. What is made in a new directory before anybody could
// watch it is told all the same, and a directory that is renamed stays watched.
#include <cstdio>
#include <rondo/rondo.hpp>

using namespace rondo;

namespace {

/// Prints the changes up to and with the one of `last`.
Task<> tell(fs::Watcher& watcher, std::string at, std::string last) {
  const auto shown = [&](const std::string& path) { return path.substr(at.size() + 1); };
  while (true) {
    const fs::Change change = co_await watcher.next().or_throw();
    const std::string from = change.from.empty() ? "" : shown(change.from) + " -> ";
    std::printf("  %-8s %s%s%s\n", fs::describe(change.kind), from.c_str(),
                shown(change.path).c_str(), change.is_directory ? "/" : "");
    if (shown(change.path) == last) co_return;
  }
}

Task<int> program(std::string at) {
  auto watcher = fs::Watcher::open().or_throw();
  co_await watcher.add(at, {.recursive = true, .modified = false}).or_throw();

  std::puts("a tree is made, and only then looked at:");
  co_await fs::make_directories(at + "/src/deep").or_throw();
  co_await fs::write_file(at + "/src/deep/main.cpp", "int main() {}\n").or_throw();
  co_await tell(watcher, at, "src/deep/main.cpp");

  std::puts("it is renamed, and stays watched:");
  co_await fs::rename(at + "/src", at + "/source").or_throw();
  co_await fs::write_file(at + "/source/deep/main.cpp", "int main() { return 1; }\n").or_throw();
  co_await tell(watcher, at, "source/deep/main.cpp");

  std::puts("it is removed:");
  co_await fs::remove_tree(at + "/source").or_throw();
  co_await tell(watcher, at, "source");
  std::printf("watched: %zu directory\n", watcher.statistics().watches);
  co_return 0;
}

}  // namespace

int main() { return run(fs::with_temporary_directory(program)); }
