// SPDX-License-Identifier: Apache-2.0
// Watching a tree: what is made, renamed and removed in it is told, also in directories that are
// new. One task changes files, the other prints what it is told.
#include <cstdio>
#include <rondo/rondo.hpp>

using namespace rondo;

namespace {

Task<> change_files(std::string at) {
  co_await fs::make_directories(at + "/notes/old").or_throw();
  co_await fs::write_file(at + "/notes/old/first", "one\n").or_throw();
  co_await fs::rename(at + "/notes/old", at + "/notes/new").or_throw();
  co_await fs::write_file_atomic(at + "/notes/new/first", "two\n").or_throw();
  co_await fs::write_file(at + "/stop", "").or_throw();
}

/// Counts what is created until the file "stop" is made.
Task<> tell(fs::Watcher& watcher, std::string at) {
  int created = 0;
  while (auto change = co_await watcher.next().or_throw()) {
    if (change->kind == fs::ChangeKind::overflow) continue;  // Look at the whole tree again.
    if (change->path == at + "/stop") break;
    created += change->kind == fs::ChangeKind::created;
  }
  std::printf("something was created: %s\n", created > 0 ? "yes" : "no");
}

Task<> in_directory(std::string at) {
  auto watcher = fs::Watcher::open().or_throw();
  co_await watcher.add(at, {.recursive = true, .modified = false}).or_throw();
  // One after the other, each change is told with its kind and path.
  const auto show = [&](std::string text) {
    std::puts(text.erase(text.find(at), at.size() + 1).c_str());
  };
  co_await fs::make_directory(at + "/inbox").or_throw();
  show((co_await watcher.next().or_throw())->describe());
  co_await fs::write_file(at + "/inbox/letter", "hello\n").or_throw();
  show((co_await watcher.next().or_throw())->describe());
  show((co_await watcher.next().or_throw())->describe());
  co_await fs::remove(at + "/inbox/letter").or_throw();
  show((co_await watcher.next().or_throw())->describe());
  // Meanwhile: a task that waits for changes beside the one that makes them.
  co_await when_all(tell(watcher, at), change_files(at));
  std::printf("%zu directories are watched\n", watcher.statistics().watches);
}

Task<int> watch() {
  co_await fs::with_temporary_directory(in_directory);
  co_return 0;
}

}  // namespace

int main() { return run(watch()); }
