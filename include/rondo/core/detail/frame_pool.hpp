// SPDX-License-Identifier: Apache-2.0
// FramePool: where coroutine frames, task records and output blocks come from.
//
// One free list per 32-byte size class and thread: taking and giving back are three
// instructions, and memory goes round instead of back to the allocator. When a thread ends, its
// lists go to the threads that come after it. A block must be given back on the thread that took
// it (semantics.md rule 31: a frame is born and freed on one loop).
// Under AddressSanitizer every block is an allocation of its own, so that use-after-free shows.
// The library decides: code with AddressSanitizer asks it for each block, so that both have the
// same blocks whichever kind the library is. (Code without it does not link with a library that
// has it: it would look for a list.)
// Alternatives measured: operator new 12-15 ns a frame, a general per-thread cache 6 ns, this 2.
#pragma once

#include "rondo/base/compiler.hpp"

#include <cstddef>
#include <new>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define RONDO_POOL_OFF 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define RONDO_POOL_OFF 1
#endif

namespace rondo::detail {

struct FramePool {
  static constexpr std::size_t k_step = 32;
  static constexpr std::size_t k_max = 4160;  ///< larger blocks come from operator new

  static void* take(std::size_t size) {
#ifdef RONDO_POOL_OFF
    void* const block = take_as_the_library(size);
#else
    void* const block = take_listed(size);
#endif
    ++live;  // After: a bad_alloc takes nothing.
    return block;
  }
  static void give(void* block, std::size_t size) noexcept {
    --live;
#ifdef RONDO_POOL_OFF
    give_as_the_library(block, size);
#else
    give_listed(block, size);
#endif
  }

  /// Blocks taken and not given back by this thread: tests assert that it returns to its start.
  static inline constinit thread_local long live = 0;
  /// Times the pool asked the allocator: steady state adds none.
  static inline constinit thread_local unsigned long refills = 0;
  /// Chunks of memory that all threads together took from the allocator. Any thread.
  static unsigned long chunks() noexcept;

 private:
  // Not inline, so that there is one of each in a program: the library's.
  static void* take_as_the_library(std::size_t size);
  static void give_as_the_library(void* block, std::size_t size) noexcept;
#ifndef RONDO_POOL_OFF
  static void* take_listed(std::size_t size) {
    if (size > k_max) [[unlikely]] return ::operator new(size);
    const std::size_t index = (size + k_step - 1) / k_step;
    if (void* block = free_lists[index]) [[likely]] {
      free_lists[index] = *static_cast<void**>(block);
      return block;
    }
    return refill(index);
  }
  static void give_listed(void* block, std::size_t size) noexcept {
    if (size > k_max) [[unlikely]] return ::operator delete(block);
    const std::size_t index = (size + k_step - 1) / k_step;
    *static_cast<void**>(block) = free_lists[index];
    free_lists[index] = block;
  }
  static void* refill(std::size_t index);
  struct AtThreadEnd;
#endif
  static constexpr std::size_t k_lists = k_max / k_step + 1;
  static inline constinit thread_local void* free_lists[k_lists] = {};
};

/// Base of objects that live in the pool.
struct Pooled {
  static void* operator new(std::size_t size) { return FramePool::take(size); }
  static void operator delete(void* block, std::size_t size) { FramePool::give(block, size); }
};

}  // namespace rondo::detail
