// SPDX-License-Identifier: Apache-2.0
// What the kernel's io_uring interface has and the header of liburing 2.3 lacks.
//
// Each constant names the kernel that brought it; the driver probes before it uses one, and
// RONDO_URING_FEATURES=6.1 masks all of them.
#pragma once

#include <liburing.h>

#include <cstddef>
#include <cstdint>

#include "rondo/io/buffer_pool.hpp"

namespace rondo::io::uring::abi {

/// Linux 6.12: the time-out of io_uring_enter is a point of CLOCK_MONOTONIC.
inline constexpr unsigned k_enter_abs_timer = 1U << 5;

/// Linux 6.0: the completion says that the bytes of a zero-copy send are free again.
inline constexpr unsigned k_cqe_notification = 1U << 3;
/// Linux 6.9: ftruncate.
inline constexpr std::uint8_t k_op_ftruncate = 55;
/// Of renameat2(2); glibc shows it with _GNU_SOURCE in <stdio.h> only.
inline constexpr unsigned k_rename_noreplace = 1;

// The pool's ring is handed to the kernel as it is.
static_assert(sizeof(BufferPool::Entry) == sizeof(io_uring_buf));
static_assert(offsetof(BufferPool::Entry, address) == offsetof(io_uring_buf, addr));
static_assert(offsetof(BufferPool::Entry, length) == offsetof(io_uring_buf, len));
static_assert(offsetof(BufferPool::Entry, id) == offsetof(io_uring_buf, bid));
static_assert(offsetof(BufferPool::Entry, reserved) == offsetof(io_uring_buf_ring, tail));

}  // namespace rondo::io::uring::abi
