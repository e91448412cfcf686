// SPDX-License-Identifier: Apache-2.0
// W10: 10,000 files of 4 KiB, in the page cache, read whole: 64 at a time, and one at a time. The
// files are those of the peers, made on first use.
#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "rondo/core/loop.hpp"
#include "rondo/core/map_concurrent.hpp"
#include "rondo/fs/dir.hpp"
#include "rondo/fs/file.hpp"

namespace {

using namespace rondo;

constexpr std::size_t k_count = 10'000;
constexpr std::size_t k_size = 4'096;
constexpr std::size_t k_at_once = 64;

double cpu_us() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  const auto us = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_usec);
  };
  return us(used.ru_utime) + us(used.ru_stime);
}

Task<std::vector<std::string>> make_files() {
  const char* build = std::getenv("PEERS_BUILD");
  const std::string folder = std::string(build ? build : ".") + "/files";
  co_await fs::make_directories(folder).or_throw();
  const std::string text(k_size, '\0');
  std::vector<std::string> names;
  for (std::size_t i = 0; i < k_count; ++i) {
    names.push_back(folder + "/" + std::to_string(i));
    if (!co_await fs::exists(names.back()).or_throw())
      co_await fs::write_file(names.back(), std::string_view(text)).or_throw();
  }
  co_return names;
}

Task<std::size_t> read_one(const std::string& name) {
  co_return (co_await fs::read_file(name).or_throw()).size();
}

Task<std::size_t> read_many(const std::vector<std::string>& names, std::size_t at_once) {
  std::size_t bytes = 0;
  co_await for_each_concurrent(names, at_once, [&](const std::string& name) -> Task<> {
    bytes += co_await read_one(name);
  });
  co_return bytes;
}

Task<int> read_files() {
  const auto names = co_await make_files();
  for (const std::size_t at_once : {k_at_once, std::size_t{1}}) {
    (void)co_await read_many(names, at_once);  // Warms up.
    const auto start = std::chrono::steady_clock::now();
    const double cpu = cpu_us();
    if (co_await read_many(names, at_once) != k_count * k_size) co_return 1;
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    const char* mark = at_once == 1 ? ", one at a time" : "";
    std::printf("{\"metric\":\"files%s\",\"value\":%.0f,\"unit\":\"per s\"}\n", mark,
                k_count / took.count());
    std::printf("{\"metric\":\"CPU per file%s\",\"value\":%.2f,\"unit\":\"us\"}\n", mark,
                (cpu_us() - cpu) / k_count);
  }
  co_return 0;
}

}  // namespace

int bench_files() { return rondo::run(read_files()); }
