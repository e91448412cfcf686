// SPDX-License-Identifier: Apache-2.0
#include "core/thread_start.hpp"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <csignal>
#include <fstream>
#include <string>

#include "rondo/core/offload.hpp"

namespace rondo {
namespace detail {
namespace {

sigset_t signals_of_loops() noexcept {
  sigset_t set;
  sigfillset(&set);
  for (const int own : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS, SIGPROF}) {
    sigdelset(&set, own);
  }
  for (int number = SIGRTMIN; number <= SIGRTMAX; ++number) sigdelset(&set, number);
  return set;
}

/// The CPUs this process may use, as they were when first asked for: afterwards threads may have
/// been pinned, and a mask is always that of one thread.
const cpu_set_t& allowed_cpus() noexcept {
  static const cpu_set_t found = [] {
    cpu_set_t set;
    CPU_ZERO(&set);
    // A machine with more CPUs than fit says so by an error.
    if (sched_getaffinity(0, sizeof set, &set) != 0 || CPU_COUNT(&set) == 0) CPU_SET(0, &set);
    return set;
  }();
  return found;
}

std::atomic<bool> any_pinned{false};

/// The quota of this process's cgroup and of those around it, version 2.
std::size_t cpus_of_cgroup() {
  std::ifstream own("/proc/self/cgroup");
  std::string line;
  while (std::getline(own, line) && !line.starts_with("0::")) {
  }
  if (!line.starts_with("0::")) return 0;
  std::size_t least = 0;
  for (std::string path = line.substr(3);; path.resize(path.rfind('/'))) {
    std::ifstream file("/sys/fs/cgroup" + path + "/cpu.max");
    std::string text;
    std::getline(file, text);
    const std::size_t cpus = cpus_of_quota(text);
    if (cpus != 0 && (least == 0 || cpus < least)) least = cpus;
    if (path.empty() || path.rfind('/') == std::string::npos) return least;
  }
}

}  // namespace

std::thread start_thread(std::string_view name, MoveFn<void()> run) {
  const sigset_t blocked = signals_of_loops();
  sigset_t before;
  // A thread inherits its maker's mask: no instant is left in which it takes a signal.
  pthread_sigmask(SIG_BLOCK, &blocked, &before);
  std::thread thread;
  try {
    thread = std::thread([run = std::move(run)]() mutable {
      // Else it would stay on its maker's CPU. Here, before it may pin itself.
      if (any_pinned.load(std::memory_order_acquire)) unpin_this_thread();
      run();
    });
  } catch (...) {
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    throw;
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  char kept[16] = {};  // What the kernel keeps: 15 characters.
  name.copy(kept, sizeof kept - 1);
  pthread_setname_np(thread.native_handle(), kept);
  return thread;
}

void pin_this_thread(std::size_t index) noexcept {
  const cpu_set_t& all = allowed_cpus();
  std::size_t nth = index % static_cast<std::size_t>(CPU_COUNT(&all));
  for (std::size_t cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &all) || nth-- != 0) continue;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    any_pinned.store(true, std::memory_order_release);
    pthread_setaffinity_np(pthread_self(), sizeof one, &one);  // Refused: it runs anywhere.
    return;
  }
}

void unpin_this_thread() noexcept {
  const cpu_set_t& all = allowed_cpus();
  pthread_setaffinity_np(pthread_self(), sizeof all, &all);
}

std::size_t cpus_of_quota(std::string_view cpu_max) noexcept {
  std::uint64_t quota = 0;
  std::uint64_t period = 0;
  const char* end = cpu_max.data() + cpu_max.size();
  const auto first = std::from_chars(cpu_max.data(), end, quota);
  if (first.ec != std::errc() || first.ptr == end || *first.ptr != ' ') return 0;
  const auto second = std::from_chars(first.ptr + 1, end, period);
  if (second.ec != std::errc() || quota == 0 || period == 0) return 0;
  return static_cast<std::size_t>(1 + (quota - 1) / period);
}

}  // namespace detail

std::size_t usable_cpus() noexcept {
  const cpu_set_t& set = detail::allowed_cpus();
  std::size_t cpus = static_cast<std::size_t>(std::max(1, CPU_COUNT(&set)));
  try {
    const std::size_t quota = detail::cpus_of_cgroup();
    if (quota != 0) cpus = std::min(cpus, quota);
  } catch (...) {
    // No memory for a path: the mask alone is right enough.
  }
  return cpus;
}

}  // namespace rondo
