// SPDX-License-Identifier: Apache-2.0
#include "rondo/core/detail/frame_pool.hpp"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace rondo::detail {
namespace {

/// Takes a thousand blocks of two sizes on a thread of its own and gives them back.
void use_on_a_thread() {
  std::thread([] {
    for (const std::size_t size : {std::size_t{100}, FramePool::k_max}) {
      std::vector<void*> blocks;
      for (int i = 0; i < 1'000; ++i) blocks.push_back(FramePool::take(size));
      for (void* block : blocks) FramePool::give(block, size);
    }
    EXPECT_EQ(FramePool::live, 0);
  }).join();
}

TEST(FramePool, a_thread_that_has_ended_leaves_its_memory_to_the_next) {
  use_on_a_thread();
  const unsigned long chunks = FramePool::chunks();
  for (int i = 0; i < 10; ++i) use_on_a_thread();
  EXPECT_EQ(FramePool::chunks(), chunks);
}

}  // namespace
}  // namespace rondo::detail
