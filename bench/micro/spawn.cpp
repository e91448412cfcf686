// SPDX-License-Identifier: Apache-2.0
// W9: /bin/true spawned and waited for, and /bin/echo with its output captured, one after the
// other. In turns with the floor, plain posix_spawn and waitpid in this very process: what it
// costs depends on the process that asks (its mappings, its descriptors).
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "measure.hpp"
#include "rondo/core/loop.hpp"
#include "rondo/process/process.hpp"

extern char** environ;

namespace bench {
namespace {

using namespace rondo;

constexpr int k_blocks = 10;
constexpr int k_block = 200;

/// Sums over the blocks of one contender.
struct Total {
  double wall_us = 0;
  double cpu = 0;
  void add(const Stopwatch& watch) {
    wall_us += watch.us_per(1);
    cpu += watch.cpu_us_per(1);
  }
  double wall_per_child() const { return wall_us / (k_blocks * k_block); }
  double cpu_per_child() const { return cpu / (k_blocks * k_block); }
};

bool floor_spawn() {
  char program[] = "/bin/true";
  char* const arguments[] = {program, nullptr};
  pid_t pid = 0;
  int status = 0;
  if (::posix_spawn(&pid, program, nullptr, nullptr, arguments, environ) != 0) return false;
  return ::waitpid(pid, &status, 0) == pid && status == 0;
}

bool floor_capture() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return false;
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
  char program[] = "/bin/echo";
  char word[] = "hello";
  char* const arguments[] = {program, word, nullptr};
  pid_t pid = 0;
  const bool spawned = ::posix_spawn(&pid, program, &actions, nullptr, arguments, environ) == 0;
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  char text[4096];
  ssize_t size = 0;
  for (ssize_t got = 1; spawned && got > 0; size += got) {
    got = ::read(ends[0], text + size, sizeof text - static_cast<std::size_t>(size));
  }
  ::close(ends[0]);
  int status = 0;
  return spawned && ::waitpid(pid, &status, 0) == pid && size == 6;
}

Task<bool> spawn_one() {
  const auto ended = co_await process::run_process({.program = "/bin/true"});
  co_return ended && ended->success();
}

Task<bool> capture_one() {
  const auto got = co_await process::capture(
      {.program = "/bin/echo", .arguments = {"hello"}, .errors = process::Stdio::inherit()});
  co_return got && got->output == "hello\n";
}

/// Blocks of both in turns; false when a child failed.
Task<bool> measure(Total& ours, Task<bool> (*one)(), Total& floor, bool (*plain)()) {
  for (int block = 0; block < k_blocks; ++block) {
    const Stopwatch watch;
    for (int i = 0; i < k_block; ++i) {
      if (!co_await one()) co_return false;
    }
    ours.add(watch);
    const Stopwatch beside;
    for (int i = 0; i < k_block; ++i) {
      if (!plain()) co_return false;
    }
    floor.add(beside);
  }
  co_return true;
}

Task<int> both() {
  Total ours;
  Total floor;
  if (!co_await measure(ours, spawn_one, floor, floor_spawn)) co_return 1;
  put("spawn+wait", 1e6 / ours.wall_per_child(), "per s");
  put("parent CPU per spawn", ours.cpu_per_child(), "us");
  put("parent CPU per spawn, posix_spawn in this process", floor.cpu_per_child(), "us");
  put("wall per spawn", ours.wall_per_child(), "us");
  put("wall per spawn, posix_spawn in this process", floor.wall_per_child(), "us");
  ours = floor = {};
  if (!co_await measure(ours, capture_one, floor, floor_capture)) co_return 1;
  put("parent CPU per capture", ours.cpu_per_child(), "us");
  put("parent CPU per capture, posix_spawn in this process", floor.cpu_per_child(), "us");
  put("wall per capture", ours.wall_per_child(), "us");
  put("wall per capture, posix_spawn in this process", floor.wall_per_child(), "us");
  co_return 0;
}

}  // namespace

int spawn() { return rondo::run(both()); }

}  // namespace bench
