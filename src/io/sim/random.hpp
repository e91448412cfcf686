// SPDX-License-Identifier: Apache-2.0
// Random: seeded streams of numbers. A world has one stream per purpose, so that a change in how
// much one of them is used does not shift what the others yield.
//
//   Random network(seed, Random::k_network);
//   if (network.chance(30)) ...              // 30 in 1,000
//
// xoshiro256** by Blackman and Vigna (2018), seeded through splitmix64 as its authors advise.
// Thread rule: a value.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

namespace rondo::io::sim {

/// One step of splitmix64: also a good mixer of two numbers.
constexpr std::uint64_t split_mix(std::uint64_t& state) noexcept {
  std::uint64_t z = (state += 0x9e3779b97f4a7c15ULL);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

/// FNV-1a over 64-bit words: what happened in a world, as one number.
class TraceHash {
 public:
  void add(std::uint64_t word) noexcept {
    for (int byte = 0; byte < 8; ++byte) {
      hash_ = (hash_ ^ ((word >> (8 * byte)) & 0xff)) * 0x100000001b3ULL;
    }
  }
  std::uint64_t value() const noexcept { return hash_; }

 private:
  std::uint64_t hash_ = 0xcbf29ce484222325ULL;
};

class Random {
 public:
  enum Stream : std::uint64_t { k_scheduler = 1, k_network, k_workload, k_faults, k_user, k_disk };

  Random(std::uint64_t seed, std::uint64_t stream) noexcept {
    std::uint64_t mix = seed ^ (stream * 0xd1342543de82ef95ULL);
    for (std::uint64_t& word : state_) word = split_mix(mix);
  }

  std::uint64_t next() noexcept {
    const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
    const std::uint64_t shifted = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= shifted;
    state_[3] = std::rotl(state_[3], 45);
    return result;
  }
  /// 0 .. n - 1; 0 when n is 0. Multiplication instead of remainder (Lemire 2019); the bias is
  /// below 2^-32 for every n that a simulation asks for.
  std::uint64_t below(std::uint64_t n) noexcept {
    if (n >> 32 != 0) return next() % n;
    return ((next() >> 32) * n) >> 32;
  }
  bool chance(std::uint32_t per_mille) noexcept {
    return per_mille != 0 && below(1'000) < per_mille;
  }

 private:
  std::array<std::uint64_t, 4> state_{};
};

}  // namespace rondo::io::sim
