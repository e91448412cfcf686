// SPDX-License-Identifier: Apache-2.0
// Files: a tree is made, walked, counted and copied, in a directory that goes with its bracket.
#include <cstdio>
#include <rondo/rondo.hpp>

using namespace rondo;

namespace {

Task<> make_tree(std::string at) {
  co_await fs::make_directories(at + "/docs/old").or_throw();
  co_await fs::write_file(at + "/README", "one\ntwo\nthree\n").or_throw();
  co_await fs::write_file(at + "/docs/guide", "a\nb").or_throw();
  co_await fs::write_file(at + "/docs/old/notes", "").or_throw();
}

Task<int> count_lines(std::string path) {
  fs::BufferedFile file(co_await fs::File::open(std::move(path)).or_throw());
  int lines = 0;
  while (co_await file.read_line().or_throw()) ++lines;
  co_return lines;
}

Task<> count_tree(std::string at) {
  fs::Walk walk(at);
  while (auto entry = co_await walk.next().or_throw()) {
    const std::string name = entry->path.substr(at.size() + 1);
    if (entry->type == fs::FileType::directory) {
      std::printf("%s/\n", name.c_str());
    } else {
      std::printf("%s: %d lines\n", name.c_str(), co_await count_lines(entry->path));
    }
  }
}

Task<> in_directory(std::string at) {
  co_await make_tree(at + "/tree");
  co_await count_tree(at + "/tree");
  const auto copied = co_await fs::copy_tree(at + "/tree", at + "/copy").or_throw();
  std::printf("copied %zu files\n", copied);
  co_await fs::write_file_atomic(at + "/copy/README", "replaced whole\n").or_throw();
  std::printf("%s", (co_await fs::read_file(at + "/copy/README").or_throw()).c_str());
  auto missing = co_await fs::read_file(at + "/copy/none");
  std::printf("none: %s\n", describe(missing.error().code()).c_str());
  std::printf("removed %zu names\n", co_await fs::remove_tree(at + "/copy").or_throw());
}

Task<int> files() {
  co_await fs::with_temporary_directory(in_directory);
  co_return 0;
}

}  // namespace

int main() { return run(files()); }
