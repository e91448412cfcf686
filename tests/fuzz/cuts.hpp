// SPDX-License-Identifier: Apache-2.0
// Cuts: where a fuzz target splits its input, drawn from the input's own first bytes.
#pragma once

#include <cstddef>
#include <cstdint>

class Cuts {
 public:
  explicit Cuts(std::uint32_t seed) : state_(seed | 1U) {}
  /// 1..left bytes; small ones are likely.
  std::size_t next(std::size_t left) {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 17;
    state_ ^= state_ << 5;
    const std::size_t size = 1 + (state_ >> 8) % ((state_ & 7U) == 0 ? 200 : 4);
    return size < left ? size : left;
  }

 private:
  std::uint32_t state_;
};

/// Ends the run with a report when a property does not hold.
inline void require(bool holds) {
  if (!holds) __builtin_trap();
}
