// SPDX-License-Identifier: Apache-2.0
// Children: the same child programs on every driver: real ones, or stand-ins under sim.
//
// Thread rule: one thread.
#pragma once

#include <dirent.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

#include "every_driver.hpp"
#include "rondo/process/process.hpp"
#include "testing/sim_programs.hpp"

namespace rondo::testing {

using process::Captured;
using process::Environment;
using process::ExitStatus;
using process::Process;
using process::SpawnOptions;
using process::Stdio;

inline Task<int> play_cat(SimProcess& self) {
  while (auto got = co_await self.input().read()) {
    if (got->empty()) break;
    if (!co_await self.output().write_all(got->bytes())) co_return 1;
  }
  co_return 0;
}
inline Task<int> play_exits(SimProcess& self) {
  co_return std::atoi(self.arguments().at(0).c_str());
}
inline Task<int> play_sleep(SimProcess&) {
  co_await sleep_for(1'000s);
  co_return 0;
}
inline Task<int> play_stubborn(SimProcess& self) {
  self.ignore(SIGTERM);
  static_cast<void>(co_await self.output().write_all("ready\n"));
  co_await sleep_for(1'000s);
  co_return 0;
}
inline Task<int> play_flood(SimProcess& self) {
  const std::string block(4'096, 'x');
  while (co_await self.output().write_all(block)) co_await checkpoint();
  co_return 1;
}

class WithChildren : public EveryDriver {
 public:
  WithChildren() {
    programs_.add("cat", play_cat);
    programs_.add("exits", play_exits);
    programs_.add("sleep", play_sleep);
    programs_.add("stubborn", play_stubborn);
    programs_.add("flood", play_flood);
  }

  SpawnOptions cat() const { return {.program = "cat"}; }
  SpawnOptions exits(int code) const {
    if (is_sim()) return {.program = "exits", .arguments = {std::to_string(code)}};
    return process::shell("exit " + std::to_string(code));
  }
  SpawnOptions sleeps() const { return {.program = "sleep", .arguments = {"1000"}}; }
  /// Writes "ready", then ignores SIGTERM.
  SpawnOptions stubborn() const {
    if (is_sim()) return {.program = "stubborn"};
    return process::shell("trap '' TERM; echo ready; while :; do sleep 1000; done");
  }
  /// Writes for ever.
  SpawnOptions flood() const {
    if (is_sim()) return {.program = "flood"};
    return {.program = "yes"};
  }

  /// As run(), and no child, zombie or descriptor of this process may be left.
  template <class F>
  void run_children(F body) {
    const std::size_t before = is_sim() ? 0 : open_descriptors().size();
    auto options = loop_options({.buffer_count = 64, .buffer_size = 4'096});
    if (is_sim()) programs_.attach(sim());
    run_on(std::move(options), std::move(body));
    if (is_sim()) return;
    EXPECT_EQ(open_descriptors().size(), before) << "descriptors leaked";
    EXPECT_FALSE(has_children()) << "a child or zombie is left";
  }

  static std::vector<std::string> open_descriptors(const std::string& pid = "self") {
    std::vector<std::string> all;
    const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir(("/proc/" + pid + "/fd").c_str()),
                                                     &::closedir);
    while (const dirent* entry = folder ? ::readdir(folder.get()) : nullptr) {
      if (entry->d_name[0] != '.') all.emplace_back(entry->d_name);
    }
    std::sort(all.begin(), all.end());
    return all;
  }
  static bool has_children() {
    siginfo_t info{};
    return ::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
  }
  /// What /proc says about `pid` in the line that begins with `field`.
  static std::string status_of(int pid, const std::string& field) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/status");
    for (std::string line; std::getline(file, line);) {
      if (line.starts_with(field)) return line.substr(line.find_last_of(" \t") + 1);
    }
    return "";
  }

 private:
  SimPrograms programs_;
};

inline Task<std::string> read_all(process::PipeStream& from) {
  std::string text;
  while (auto got = co_await from.read()) {
    if (got->empty()) break;
    text.append(got->text());
  }
  co_return text;
}

}  // namespace rondo::testing
