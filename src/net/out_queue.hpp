// SPDX-License-Identifier: Apache-2.0
// OutQueue: accepted output of one socket, a list of blocks.
//
// A block either holds copied bytes (small ones of 512 bytes first, so that an answer of a
// hundred bytes does not touch a page, then 4 KiB ones) or refers to a shared message. Appending
// to the last block while it is being sent is allowed: the send covers only what was there.
// Invariant: bytes_ is the sum of end - begin over all blocks; no block is empty after consume().
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <span>

#include "rondo/base/bytes.hpp"
#include "rondo/core/detail/frame_pool.hpp"

namespace rondo::net::detail {

class OutQueue {
 public:
  OutQueue() = default;
  OutQueue(const OutQueue&) = delete;
  OutQueue& operator=(const OutQueue&) = delete;
  ~OutQueue() { clear(); }

  std::size_t bytes() const noexcept { return bytes_; }
  bool empty() const noexcept { return bytes_ == 0; }

  void append(ByteView data) {
    while (!data.empty()) {
      if (!last_ || last_->end == last_->capacity) push(new_block(data.size()));
      const std::size_t room = last_->capacity - last_->end;
      const std::size_t size = data.size() < room ? data.size() : room;
      std::memcpy(last_->data() + last_->end, data.data(), size);
      last_->end += static_cast<std::uint32_t>(size);
      bytes_ += static_cast<std::uint32_t>(size);
      data = data.subspan(size);
    }
  }
  void append_shared(const SharedBytes& message) {
    auto* block = ::new (rondo::detail::FramePool::take(k_small)) Block;
    block->shared = message;
    block->end = static_cast<std::uint32_t>(message.size());
    block->capacity = block->end;
    block->allocated = k_small;
    push(block);
    bytes_ += block->end;
  }
  /// Fills `slices` from the front; returns how many were used.
  std::size_t gather(std::span<ByteView> slices) const noexcept {
    std::size_t n = 0;
    for (Block* block = first_; block && n < slices.size(); block = block->next) {
      slices[n++] = {block->bytes() + block->begin, block->end - block->begin};
    }
    return n;
  }
  ByteView front() const noexcept {
    return {first_->bytes() + first_->begin, first_->end - first_->begin};
  }
  bool has_one_block() const noexcept { return first_ == last_; }
  /// `size` bytes from the front have left; at most bytes().
  void consume(std::size_t size) noexcept {
    bytes_ -= static_cast<std::uint32_t>(size);
    while (size > 0) {
      Block* block = first_;
      const std::size_t held = block->end - block->begin;
      if (size < held) {
        block->begin += static_cast<std::uint32_t>(size);
        return;
      }
      size -= held;
      pop();
    }
  }
  void clear() noexcept {
    while (first_) pop();
    bytes_ = 0;
  }

 private:
  static constexpr std::size_t k_small = 512;
  static constexpr std::size_t k_large = 4160;

  struct Block {
    Block* next = nullptr;
    std::uint32_t begin = 0;
    std::uint32_t end = 0;
    std::uint32_t capacity = 0;
    std::uint32_t allocated = 0;
    SharedBytes shared;
    std::byte* data() noexcept { return reinterpret_cast<std::byte*>(this + 1); }
    const std::byte* bytes() noexcept { return shared.empty() ? data() : shared.bytes().data(); }
  };

  Block* new_block(std::size_t wanted) {
    const bool small = !last_ && wanted <= k_small - sizeof(Block);
    const std::size_t size = small ? k_small : k_large;
    auto* block = ::new (rondo::detail::FramePool::take(size)) Block;
    block->allocated = static_cast<std::uint32_t>(size);
    block->capacity = static_cast<std::uint32_t>(size - sizeof(Block));
    return block;
  }
  void push(Block* block) noexcept {
    (last_ ? last_->next : first_) = block;
    last_ = block;
  }
  void pop() noexcept {
    Block* block = first_;
    first_ = block->next;
    if (!first_) last_ = nullptr;
    const std::size_t size = block->allocated;
    block->~Block();
    rondo::detail::FramePool::give(block, size);
  }

  Block* first_ = nullptr;
  Block* last_ = nullptr;
  std::uint32_t bytes_ = 0;
};

}  // namespace rondo::net::detail
