// SPDX-License-Identifier: Apache-2.0
// Assertions: what a programmer did wrong, found where it happens.
//
//   RONDO_ASSERT(!waiter_, "two tasks read one stream at once: give each reader its own turn");
//
// RONDO_ASSERT stays on in release builds and is for O(1) conditions; its text says what to do.
// RONDO_DEBUG_ASSERT is for what costs more and vanishes when NDEBUG is defined.
// What the world does (a peer, a disk, a user) is never an assertion: that is a Result.
// Thread rule: any thread.
#pragma once

#include "rondo/base/compiler.hpp"

namespace rondo {

/// Prints `file:line: assertion failed: condition: advice` to standard error and aborts.
[[noreturn]] void assertion_failed(const char* condition, const char* advice, const char* file,
                                   int line) noexcept;

}  // namespace rondo

#define RONDO_ASSERT(condition, advice)                                            \
  do {                                                                             \
    if (!(condition)) [[unlikely]]                                                 \
      ::rondo::assertion_failed(#condition, advice, __FILE__, __LINE__);           \
  } while (false)

#ifdef NDEBUG
#define RONDO_DEBUG_ASSERT(condition, advice) ((void)0)
#else
#define RONDO_DEBUG_ASSERT(condition, advice) RONDO_ASSERT(condition, advice)
#endif
