// SPDX-License-Identifier: Apache-2.0
// The program `rondo-sim`: runs scenarios on seeds, counts, and says how a failure is replayed.
#include <unistd.h>

#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <exception>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rondo/base/log.hpp"
#include "rondo/base/simulation.hpp"
#include "sim/scenario.hpp"

namespace rondo::sim {
namespace {

constexpr unsigned k_seconds_a_seed = 120;  // Of real time; a seed usually takes well under one.

constexpr std::string_view k_usage =
    "usage: rondo-sim SCENARIO [--seed N | --seeds A..B] [--check-determinism] [--verbose]\n"
    "       rondo-sim --list\n"
    "  --first         stop at the first seed that fails\n"
    "  --plant BUG     wake a planted bug (builds with RONDO_PLANTED_BUGS; see tools/planted)\n";

constexpr const char* k_echo_marks[] = {
    "a receive found no buffer",
    "rearm after ENOBUFS",
    "a multishot receive ended with data",
};

// In the order of PlantedBug.
[[maybe_unused]] constexpr std::string_view k_planted[] = {
    "free-op-at-cancel", "ignore-missing-more", "no-rearm",    "no-retry",
    "lost-wake-up",      "ack-before-commit",   "no-id-check", "order-by-wall-clock",
    "no-queue-limit",    "skipped-cleanup",
};

constexpr Scenario k_scenarios[] = {
    {"chat", "the chat server and clients under network faults and crashes", run_chat},
    {"chat-crash", "the same on a disk that crashes, fails and fills up", run_chat_crash},
    {"echo", "TCP streams and loans with few buffers, cuts and resets", run_echo, k_echo_marks},
    {"cancel", "random trees of tasks, cancelled at random moments", run_cancel},
};

struct Job {
  const Scenario* scenario = nullptr;
  std::uint64_t first = 1;
  std::uint64_t last = 1;
  bool twice = false;
  bool verbose = false;
  bool first_only = false;
};

// What the handler below tells of a seed that ends the process.
char g_replay[160];
std::size_t g_replay_size = 0;
unsigned long g_passed = 0;
unsigned long g_failed = 0;

void tell(std::string_view text) {
  // A full disk under our output is not worth a word: the status still tells.
  if (::write(STDOUT_FILENO, text.data(), text.size()) < 0) return;
}

/// An assertion, a crash or an endless loop: the seed is lost, but its number must not be.
void on_fatal(int signal) {
  tell(std::string_view(g_replay, g_replay_size));
  char text[120];
  const int size = std::snprintf(
      text, sizeof text, "  ended by signal %d (%s)\n%lu passed, %lu failed\n", signal,
      signal == SIGALRM ? "too slow" : "assertion or crash", g_passed, g_failed + 1);
  if (size > 0) tell(std::string_view(text, static_cast<std::size_t>(size)));
  ::_exit(1);
}

std::map<std::string, std::uint64_t, std::less<>> g_marks;

/// A path that no seed takes any more is not tested: the simulation has moved away from it.
void check_marks(const Job& job) {
  if (job.last - job.first + 1 < k_marks_seeds) return;
  for (const char* mark : job.scenario->marks) {
    if (g_marks.contains(mark)) {
      ++g_passed;
    } else {
      ++g_failed;
      std::printf("FAILED: no seed reached the mark \"%s\"\n", mark);
    }
  }
}

void prepare(const Job& job, std::uint64_t seed) {
  const int size = std::snprintf(g_replay, sizeof g_replay, "FAILED: rondo-sim %.*s --seed %llu\n",
                                 static_cast<int>(job.scenario->name.size()),
                                 job.scenario->name.data(), static_cast<unsigned long long>(seed));
  g_replay_size = static_cast<std::size_t>(size);
  ::alarm(k_seconds_a_seed);
}

Outcome run_once(const Job& job, std::uint64_t seed) {
  try {
    return job.scenario->run(seed);
  } catch (const std::exception& error) {
    return {.broken = {std::string("an exception: ") + error.what()}};
  } catch (...) {
    return {.broken = {"an exception"}};
  }
}

Outcome run_seed(const Job& job, std::uint64_t seed) {
  prepare(job, seed);
  Outcome outcome = run_once(job, seed);
  if (job.twice && run_once(job, seed).hash != outcome.hash) {
    outcome.fail("two runs of the seed differ");
  }
  return outcome;
}

int run_job(const Job& job) {
  detail::simulation.mark = [](const char* name) { ++g_marks[name]; };
  for (const int signal : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGALRM}) {
    std::signal(signal, on_fatal);
  }
  for (std::uint64_t seed = job.first;; ++seed) {
    const Outcome outcome = run_seed(job, seed);
    if (job.verbose) {
      std::printf("seed %llu: hash %016llx, %s\n", static_cast<unsigned long long>(seed),
                  static_cast<unsigned long long>(outcome.hash), outcome.note.c_str());
    }
    if (outcome.broken.empty()) {
      ++g_passed;
    } else {
      ++g_failed;
      std::fwrite(g_replay, 1, g_replay_size, stdout);
      for (const std::string& what : outcome.broken) std::printf("  %s\n", what.c_str());
    }
    std::fflush(stdout);
    if (seed == job.last || (job.first_only && g_failed > 0)) break;
  }
  ::alarm(0);
  if (!job.first_only) check_marks(job);
  std::printf("%lu passed, %lu failed\n", g_passed, g_failed);
  return g_failed == 0 ? 0 : 1;
}

std::optional<std::uint64_t> number(std::string_view text) {
  int base = 10;
  if (text.starts_with("0x")) {
    text.remove_prefix(2);
    base = 16;
  }
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

bool take_seeds(std::string_view text, Job& job) {
  const std::size_t dots = text.find("..");
  const auto first = number(text.substr(0, dots));
  const auto last = dots == std::string_view::npos ? first : number(text.substr(dots + 2));
  if (!first || !last || *first > *last) return false;
  job.first = *first;
  job.last = *last;
  return true;
}

bool plant([[maybe_unused]] std::string_view name) {
#ifdef RONDO_PLANTED_BUGS
  for (std::size_t i = 0; i < std::size(k_planted); ++i) {
    if (k_planted[i] != name) continue;
    planted_bug = static_cast<PlantedBug>(i + 1);
    return true;
  }
#endif
  return false;
}

/// The job, or nothing and why in `why`.
std::optional<Job> parse(const std::vector<std::string_view>& arguments, std::string& why) {
  Job job;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string_view word = arguments[i];
    if (word == "--check-determinism") {
      job.twice = true;
    } else if (word == "--verbose") {
      job.verbose = true;
    } else if (word == "--first") {
      job.first_only = true;
    } else if (word == "--plant") {
      if (i + 1 == arguments.size() || !plant(arguments[++i])) {
        why = "--plant wants a planted bug, and a build with RONDO_PLANTED_BUGS";
        return std::nullopt;
      }
    } else if (word == "--seed" || word == "--seeds") {
      const bool good = i + 1 < arguments.size() && take_seeds(arguments[i + 1], job);
      if (!good || (word == "--seed" && job.first != job.last)) {
        why = std::string(word) + (word == "--seed" ? " wants a number" : " wants A..B, A <= B");
        return std::nullopt;
      }
      ++i;
    } else if (word.starts_with('-') || job.scenario) {
      why = std::string(word) + " is not understood";
      return std::nullopt;
    } else if (job.scenario = find_scenario(word); !job.scenario) {
      why = "there is no scenario " + std::string(word) + " (see rondo-sim --list)";
      return std::nullopt;
    }
  }
  if (job.scenario) return job;
  why = "a scenario is wanted (see rondo-sim --list)";
  return std::nullopt;
}

int help() {
  std::fwrite(k_usage.data(), 1, k_usage.size(), stdout);
  for (const Scenario& scenario : k_scenarios) {
    std::printf("  %-10s %s\n", scenario.name.data(), scenario.about.data());
  }
  return 0;
}

int list() {
  for (const Scenario& scenario : k_scenarios) std::printf("%s\n", scenario.name.data());
  return 0;
}

}  // namespace

std::span<const Scenario> scenarios() noexcept { return k_scenarios; }

const Scenario* find_scenario(std::string_view name) noexcept {
  for (const Scenario& scenario : k_scenarios) {
    if (scenario.name == name) return &scenario;
  }
  return nullptr;
}

int main(const std::vector<std::string_view>& arguments) {
  if (arguments.size() == 1 && arguments[0] == "--list") return list();
  if (arguments.size() == 1 && arguments[0] == "--help") return help();
  std::string why;
  const std::optional<Job> job = parse(arguments, why);
  if (job) return run_job(*job);
  std::fprintf(stderr, "rondo-sim: %s\n%s", why.c_str(), k_usage.data());
  return 2;
}

}  // namespace rondo::sim

int main(int count, char** words) {
  return rondo::sim::main(std::vector<std::string_view>(words + 1, words + count));
}
