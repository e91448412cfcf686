// SPDX-License-Identifier: Apache-2.0
// W10: 10,000 files of 4 KiB out of the page cache, 64 at a time and one at a time, beside plain
// open + read + close in this process. The files are those of the peers: $PEERS_BUILD/files.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <span>
#include <string>
#include <vector>

#include "measure.hpp"
#include "rondo/core/loop.hpp"
#include "rondo/core/map_concurrent.hpp"
#include "rondo/fs/file.hpp"

namespace bench {
namespace {

using namespace rondo;

constexpr std::size_t k_files = 10'000;
constexpr std::size_t k_size = 4'096;

/// The names; what is not there is made.
Result<std::vector<std::string>> make_files() {
  const char* base = std::getenv("PEERS_BUILD");
  const std::string directory = std::string(base ? base : ".") + "/files";
  ::mkdir(directory.c_str(), 0755);
  std::vector<std::string> names;
  const std::string content(k_size, '\0');
  for (std::size_t i = 0; i < k_files; ++i) {
    names.push_back(directory + "/" + std::to_string(i));
    if (::access(names.back().c_str(), R_OK) == 0) continue;
    const UniqueFd fd(::open(names.back().c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
    if (::write(fd.get(), content.data(), k_size) != ssize_t{k_size})
      return Error(Errc::io_error, "write", names.back());
  }
  return names;
}

void put_both(const char* how, const Stopwatch& watch) {
  constexpr double k_count = k_files;
  const double per_s = watch.per_s(k_count);
  const double cpu = watch.cpu_us_per(k_count);
  put(("files" + std::string(how)).c_str(), per_s, "per s");
  put(("CPU per file" + std::string(how)).c_str(), cpu, "us");
}

Result<> plain_calls(std::span<const std::string> names) {
  char buffer[65'536];
  for (const std::string& name : names) {
    const UniqueFd fd(::open(name.c_str(), O_RDONLY | O_CLOEXEC));
    if (::read(fd.get(), buffer, sizeof buffer) != ssize_t{k_size})
      return Error(Errc::io_error, "read", name);
  }
  return {};
}

Task<Result<>> read_one(const std::string& name) {
  auto text = co_await fs::read_file(name);
  if (!text) co_return text.error();
  if (text->size() != k_size) co_return Error(Errc::io_error, "read", name);
  co_return Result<>{};
}

Task<Result<>> one_by_one(std::span<const std::string> names) {
  for (const std::string& name : names) {
    if (auto read = co_await read_one(name); !read) co_return read;
  }
  co_return Result<>{};
}

Task<Result<>> all_kept(std::span<const std::string> names) {
  auto texts = co_await map_concurrent(names, 64,
                                       [](const std::string& name) { return fs::read_file(name); });
  if (!texts) co_return texts.error();
  co_return Result<>{};
}

Task<> measure() {
  const auto names = make_files().or_throw();
  for (int pass = 0; pass < 2; ++pass) {  // The first warms the cache.
    const Stopwatch together;
    (co_await for_each_concurrent(std::span(names), 64, read_one)).or_throw();
    if (pass == 1) put_both("", together);
    const Stopwatch kept;
    (co_await all_kept(names)).or_throw();
    if (pass == 1) put_both(", all kept in memory", kept);
    const Stopwatch single;
    (co_await one_by_one(names)).or_throw();
    if (pass == 1) put_both(", one at a time", single);
    const Stopwatch beside;
    plain_calls(names).or_throw();
    if (pass == 1) put_both(", plain calls in this process", beside);
  }
}

}  // namespace

int files() { return rondo::run(measure()); }

}  // namespace bench
