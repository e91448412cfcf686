// SPDX-License-Identifier: Apache-2.0
// How operations are written into submission entries, and found again from completions.
#pragma once

#include <liburing.h>

#include <cstdint>

#include "rondo/io/operation.hpp"

namespace rondo::io::uring {

/// What a completion answers. Kept in the low bits of user_data, which addresses leave free.
enum class Tag : std::uint64_t { operation = 0, stop = 1, wake = 2 };

inline constexpr std::uint64_t k_tag_mask = 7;
inline constexpr std::uint64_t k_address_mask = 0x0000'ffff'ffff'fff8;
inline constexpr int k_generation_shift = 48;
static_assert(alignof(Operation) >= k_tag_mask + 1);

inline std::uint64_t data_of(const Operation& op, Tag tag) noexcept {
  return reinterpret_cast<std::uint64_t>(&op) | static_cast<std::uint64_t>(tag) |
         std::uint64_t{op.generation} << k_generation_shift;
}
inline Tag tag_of(std::uint64_t data) noexcept { return static_cast<Tag>(data & k_tag_mask); }
inline Operation& operation_of(std::uint64_t data) noexcept {
  return *reinterpret_cast<Operation*>(data & k_address_mask);
}
inline std::uint16_t generation_of(std::uint64_t data) noexcept {
  return static_cast<std::uint16_t>(data >> k_generation_shift);
}

/// Fills all of `sqe` but its user_data. Not for signal, which is the driver's own.
void fill_entry(Operation& op, io_uring_sqe& sqe) noexcept;

}  // namespace rondo::io::uring
