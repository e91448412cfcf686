// SPDX-License-Identifier: Apache-2.0
#include "rondo/core/detail/frame_pool.hpp"

#include <atomic>
#include <mutex>
#include <utility>

namespace rondo::detail {
namespace {

constinit std::atomic<unsigned long> g_chunks{0};

}  // namespace

unsigned long FramePool::chunks() noexcept { return g_chunks.load(std::memory_order_relaxed); }

#ifndef RONDO_POOL_OFF
namespace {

/// Blocks of threads that have ended, by size class; never destroyed. Blocks, not chunks: those of
/// one chunk may have come to stand in the lists of several threads.
template <std::size_t lists>
struct Spare {
  std::mutex mutex;
  void* blocks[lists] = {};
};

void*& next_of(void* block) noexcept { return *static_cast<void**>(block); }

}  // namespace

struct FramePool::AtThreadEnd {
  static inline constinit Spare<k_lists> spare;

  ~AtThreadEnd() {
    const std::lock_guard held(spare.mutex);
    for (std::size_t i = 0; i < k_lists; ++i) {
      void* const first = std::exchange(free_lists[i], nullptr);
      if (!first) continue;
      void* last = first;
      while (next_of(last)) last = next_of(last);
      next_of(last) = std::exchange(spare.blocks[i], first);
    }
  }
  static void* take_spare(std::size_t index) noexcept {
    const std::lock_guard held(spare.mutex);
    return std::exchange(spare.blocks[index], nullptr);
  }
};

void* FramePool::take_as_the_library(std::size_t size) { return take_listed(size); }
void FramePool::give_as_the_library(void* block, std::size_t size) noexcept {
  give_listed(block, size);
}

void* FramePool::refill(std::size_t index) {
  static thread_local const AtThreadEnd at_end;
  if (void* const block = AtThreadEnd::take_spare(index)) {
    free_lists[index] = next_of(block);
    return block;
  }
  // One chunk of about 16 KiB is cut up: its blocks never go back to the allocator, so that a
  // burst of tasks costs the allocator once.
  constexpr std::size_t k_chunk = 16'384;
  const std::size_t size = index * k_step;
  const std::size_t blocks = size >= k_chunk / 4 ? 4 : k_chunk / size;
  ++refills;
  g_chunks.fetch_add(1, std::memory_order_relaxed);
  auto* chunk = static_cast<std::byte*>(::operator new(size * blocks, std::align_val_t(64)));
  for (std::size_t i = 1; i < blocks; ++i) {
    void* block = chunk + i * size;
    next_of(block) = free_lists[index];
    free_lists[index] = block;
  }
  return chunk;
}

#else

void* FramePool::take_as_the_library(std::size_t size) { return ::operator new(size); }
void FramePool::give_as_the_library(void* block, std::size_t size) noexcept {
  ::operator delete(block, size);
}

#endif

}  // namespace rondo::detail
