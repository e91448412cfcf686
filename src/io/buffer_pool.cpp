// SPDX-License-Identifier: Apache-2.0
#include "rondo/io/buffer_pool.hpp"

#include <sys/mman.h>

#include <atomic>
#include <bit>
#include <new>

namespace rondo::io {
namespace {

void* map(std::size_t size) {
  void* memory =
      ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  return memory;
}

}  // namespace

BufferPool::BufferPool(std::uint32_t count, std::uint32_t buffer_size)
    : count_(count), buffer_size_(buffer_size), mask_(count - 1) {
  RONDO_ASSERT(std::has_single_bit(count) && count <= 32'768,
               "buffer_count is a power of two up to 32,768");
  RONDO_ASSERT(buffer_size > 0, "buffer_size is at least one byte");
  ring_ = static_cast<Entry*>(map(count * sizeof(Entry)));
  memory_ = static_cast<std::byte*>(map(static_cast<std::size_t>(count) * buffer_size));
  meta_ = new Meta[count];
  for (std::uint32_t id = 0; id < count; ++id) put(static_cast<std::uint16_t>(id));
}

BufferPool::~BufferPool() {
  RONDO_ASSERT(free_ == count_, "a loop ended while receive buffers were still lent out");
  ::munmap(ring_, count_ * sizeof(Entry));
  ::munmap(memory_, static_cast<std::size_t>(count_) * buffer_size_);
  delete[] meta_;
}

void BufferPool::put(std::uint16_t id) noexcept {
  Entry& entry = ring_[tail_ & mask_];
  // The first entry's `reserved` is the ring's tail: write the other fields only.
  entry.address = reinterpret_cast<std::uint64_t>(data(id));
  entry.length = buffer_size_;
  entry.id = id;
  meta_[id].next = k_no_buffer;
  ++free_;
  ++tail_;
  // Release: the kernel reads the entry after it has seen the new tail.
  std::atomic_ref(ring_[0].reserved).store(tail_, std::memory_order_release);
}

}  // namespace rondo::io
