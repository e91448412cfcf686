// SPDX-License-Identifier: Apache-2.0
// BufferPool: the receive buffers of one driver, shared by all streams of its loop.
//
// The free buffers stand in a ring whose memory layout is the kernel's (struct io_uring_buf_ring),
// so that the uring driver registers it as it is and the kernel takes buffers out at its head;
// the epoll and sim drivers take from the same ring with take(). A buffer that a completion hands
// out is counted (add_ref/release); the last release puts it back at the ring's tail.
//
// Who writes what: users of a loop call data(), meta(), add_ref(), release(); only drivers call
// take(), taken() and ring().
// Lifetime: as long as its driver; every buffer must be back before (checked).
// Thread rule: the loop's thread.
#pragma once

#include <cstddef>
#include <cstdint>

#include "rondo/base/assert.hpp"
#include "rondo/base/bytes.hpp"
#include "rondo/io/operation.hpp"

namespace rondo::io {

class BufferPool {
 public:
  /// Layout of struct io_uring_buf; the ring's tail is the `reserved` of the first entry.
  struct Entry {
    std::uint64_t address;
    std::uint32_t length;
    std::uint16_t id;
    std::uint16_t reserved;
  };
  /// What a stream notes about a buffer it holds: which part is unread, which buffer is next.
  struct Meta {
    std::uint32_t begin = 0;
    std::uint32_t end = 0;
    std::uint16_t next = k_no_buffer;
    std::uint16_t refs = 0;
  };

  /// `count` is a power of two up to 32,768. Memory is mapped, not touched, until it is used.
  BufferPool(std::uint32_t count, std::uint32_t buffer_size);
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;
  ~BufferPool();

  std::uint32_t count() const noexcept { return count_; }
  std::uint32_t buffer_size() const noexcept { return buffer_size_; }
  /// Buffers that the driver may still fill.
  std::uint32_t free_count() const noexcept { return free_; }

  std::byte* data(std::uint16_t id) noexcept {
    return memory_ + static_cast<std::size_t>(id) * buffer_size_;
  }
  Meta& meta(std::uint16_t id) noexcept { return meta_[id]; }
  void add_ref(std::uint16_t id) noexcept { ++meta_[id].refs; }
  void release(std::uint16_t id) noexcept {
    RONDO_ASSERT(meta_[id].refs > 0, "a receive buffer was given back twice");
    if (--meta_[id].refs == 0) put(id);
  }

  /// Drivers that fill buffers themselves: the next free one with one reference, or k_no_buffer.
  std::uint16_t take() noexcept {
    if (free_ == 0) return k_no_buffer;
    const std::uint16_t id = ring_[head_++ & mask_].id;
    taken(id);
    return id;
  }
  /// The uring driver: the kernel took buffer `id` from the ring and filled it.
  void taken(std::uint16_t id) noexcept {
    RONDO_ASSERT(meta_[id].refs == 0, "the kernel filled a buffer that is lent out");
    meta_[id].refs = 1;
    --free_;
  }
  Entry* ring() noexcept { return ring_; }
  /// A child process ends its copy: nobody there gives buffers back.
  void forget_lent() noexcept { free_ = count_; }

 private:
  void put(std::uint16_t id) noexcept;

  Entry* ring_ = nullptr;
  std::byte* memory_ = nullptr;
  Meta* meta_ = nullptr;
  std::uint32_t count_;
  std::uint32_t buffer_size_;
  std::uint32_t mask_;
  std::uint32_t free_ = 0;
  std::uint16_t head_ = 0;
  std::uint16_t tail_ = 0;
};

}  // namespace rondo::io
