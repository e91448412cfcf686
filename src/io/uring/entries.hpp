// SPDX-License-Identifier: Apache-2.0
// How operations are written into submission entries, and found again from completions.
#pragma once

#include <liburing.h>

#include <cstdint>

#include "rondo/io/file_ops.hpp"
#include "rondo/io/operation.hpp"

namespace rondo::io::uring {

/// What a completion answers. Kept in the low bits of user_data, which addresses leave free.
enum class Tag : std::uint64_t { operation, stop, wake, alarm, alarm_moved };

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

/// Fills all of `sqe` but its user_data. Not for signal, which is the driver's own, nor for
/// read_whole_file, which is a chain.
void fill_entry(Operation& op, io_uring_sqe& sqe) noexcept;

/// Entries of read_whole_file: open into the operation's slot, read, look for one byte more,
/// close. A short read would break a plain link, and then nobody would close: all links but the
/// first are hard. The third is there because a short read alone does not prove the end (/proc);
/// it may not wait, so that a cancelled read (of a pipe) goes straight to the close.
inline constexpr unsigned k_chain_links = 4;
/// Fills link `number` (0..3) but its user_data.
void fill_chain_entry(ReadWholeFileOp& op, unsigned number, io_uring_sqe& sqe) noexcept;
/// Takes the answer of the next link: they come in order. True when it was the last one, and
/// `op.outcome` is the operation's result.
bool take_chain_answer(ReadWholeFileOp& op, std::int32_t result) noexcept;

/// Its open or its read is under way; what follows never waits.
inline bool chain_may_wait(const ReadWholeFileOp& op) noexcept { return op.answered < 2; }

/// Bits (1 << kind) of the file operations whose opcodes the kernel has; `newer`: also those that
/// came after 6.1.
std::uint64_t file_kinds(const io_uring_probe& probe, bool newer) noexcept;

}  // namespace rondo::io::uring
