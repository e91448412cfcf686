// SPDX-License-Identifier: Apache-2.0
#include "rondo/core/detail/frame_pool.hpp"

namespace rondo::detail {

#ifndef RONDO_POOL_OFF
void* FramePool::refill(std::size_t index) {
  // One chunk of about 16 KiB is cut up: its blocks never go back to the allocator, so that a
  // burst of tasks costs the allocator once.
  constexpr std::size_t k_chunk = 16'384;
  const std::size_t size = index * k_step;
  const std::size_t blocks = size >= k_chunk / 4 ? 4 : k_chunk / size;
  ++refills;
  auto* chunk = static_cast<std::byte*>(::operator new(size * blocks, std::align_val_t(64)));
  for (std::size_t i = 1; i < blocks; ++i) {
    void* block = chunk + i * size;
    *static_cast<void**>(block) = free_lists[index];
    free_lists[index] = block;
  }
  return chunk;
}
#else
void* FramePool::take_under_address_sanitizer(std::size_t size) { return ::operator new(size); }
#endif

}  // namespace rondo::detail
