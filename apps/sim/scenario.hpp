// SPDX-License-Identifier: Apache-2.0
// What a scenario of rondo-sim is: a function from a seed to what did not hold.
//
//   Outcome outcome = find_scenario("chat")->run(42);
//   for (const std::string& what : outcome.broken) complain(what);
//
// The same seed gives the same hash, in every process and build.
// Thread rule: one thread; scenarios run one after the other.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "rondo/base/time.hpp"

namespace rondo::sim {

inline constexpr std::uint64_t k_marks_seeds = 20;
inline constexpr std::size_t k_broken_max = 20;  ///< sentences kept of one seed; more are dropped

struct Outcome {
  std::uint64_t hash = 0;           ///< of everything that happened
  std::string note;                 ///< what it did, in numbers, for --verbose
  std::vector<std::string> broken;  ///< one sentence for each thing that did not hold

  void fail(std::string what) {
    if (broken.size() < k_broken_max) broken.push_back(std::move(what));
  }
};

struct Scenario {
  std::string_view name;
  std::string_view about;
  Outcome (*run)(std::uint64_t seed);
  /// RONDO_MARK names that some seed out of k_marks_seeds or more must reach.
  std::span<const char* const> marks = {};
};

/// In the order of --list.
std::span<const Scenario> scenarios() noexcept;
/// Null when there is none of that name.
const Scenario* find_scenario(std::string_view name) noexcept;

Outcome run_chat(std::uint64_t seed);
Outcome run_chat_crash(std::uint64_t seed);
Outcome run_echo(std::uint64_t seed);
Outcome run_cancel(std::uint64_t seed);

/// A workload's own numbers (splitmix64), one stream for each purpose: drawing more of one does
/// not shift the others, nor the faults.
class Dice {
 public:
  Dice(std::uint64_t seed, std::uint64_t purpose) noexcept
      : state_(seed * 0x9e3779b97f4a7c15ULL ^ (purpose + 1) * 0xd1342543de82ef95ULL) {}

  std::uint64_t next() noexcept {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }
  /// 0 .. n - 1.
  std::uint64_t below(std::uint64_t n) noexcept { return ((next() >> 32) * n) >> 32; }
  std::int64_t between(std::int64_t low, std::int64_t high) noexcept {
    return low + static_cast<std::int64_t>(below(static_cast<std::uint64_t>(high - low + 1)));
  }
  bool one_in(std::uint64_t n) noexcept { return below(n) == 0; }
  Duration moment(Duration low, Duration high) noexcept {
    return Duration(between(low.count(), high.count()));
  }

 private:
  std::uint64_t state_;
};

}  // namespace rondo::sim
