// SPDX-License-Identifier: Apache-2.0
// Bytes: views of raw memory, and SharedBytes, one encoded message shared by many readers.
//
//   SharedBytes frame = SharedBytes::copy(encode(message));    // one allocation
//   for (auto& member : room) member.try_write(frame);         // no copy per member
//
// SharedBytes is immutable and counted (atomically: the count may drop on another thread).
// Lifetime: a view (ByteView) owns nothing; SharedBytes keeps its block alive.
// Thread rule: SharedBytes may be copied and dropped on any thread.
#pragma once

#include "rondo/base/compiler.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>

namespace rondo {

using ByteView = std::span<const std::byte>;
using ByteSpan = std::span<std::byte>;

/// The characters of `text` as bytes.
inline ByteView as_bytes(std::string_view text) noexcept {
  return std::as_bytes(std::span(text.data(), text.size()));
}
/// The bytes as characters; no encoding is checked.
inline std::string_view as_text(ByteView bytes) noexcept {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

class SharedBytes {
 public:
  SharedBytes() = default;
  /// A counted copy of `bytes` (at most 4 GiB - 1).
  static SharedBytes copy(ByteView bytes);
  static SharedBytes copy(std::string_view text) { return copy(as_bytes(text)); }
  /// A block of `size` bytes to be filled by `fill(ByteSpan)` before anybody shares it.
  template <class F>
  static SharedBytes make(std::size_t size, F&& fill) {
    SharedBytes made(allocate(size));
    if (made.block_) fill(ByteSpan(made.block_->data(), size));
    return made;
  }

  SharedBytes(const SharedBytes& other) noexcept : block_(other.block_) {
    if (block_) block_->count.fetch_add(1, std::memory_order_relaxed);  // Holder keeps it alive.
  }
  SharedBytes(SharedBytes&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
  SharedBytes& operator=(SharedBytes other) noexcept {
    std::swap(block_, other.block_);
    return *this;
  }
  ~SharedBytes() { drop(); }

  std::size_t size() const noexcept { return block_ ? block_->size : 0; }
  bool empty() const noexcept { return size() == 0; }
  ByteView bytes() const noexcept {
    return block_ ? ByteView(block_->data(), block_->size) : ByteView();
  }
  std::string_view text() const noexcept { return as_text(bytes()); }

 private:
  struct Block {
    std::atomic<std::uint32_t> count{1};
    std::uint32_t size = 0;
    std::byte* data() noexcept { return reinterpret_cast<std::byte*>(this + 1); }
  };
  explicit SharedBytes(Block* block) noexcept : block_(block) {}
  static Block* allocate(std::size_t size);
  static void free(Block* block) noexcept;
  void drop() noexcept {
    // Release our reads before, acquire everybody's before the block goes.
    if (block_ && block_->count.fetch_sub(1, std::memory_order_acq_rel) == 1) free(block_);
  }

  Block* block_ = nullptr;
};

}  // namespace rondo
