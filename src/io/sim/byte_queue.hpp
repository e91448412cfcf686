// SPDX-License-Identifier: Apache-2.0
// ByteQueue: bytes in, the same bytes out. The content of one direction of a connection.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <vector>

#include "rondo/base/bytes.hpp"

namespace rondo::io::sim {

class ByteQueue {
 public:
  std::size_t size() const noexcept { return bytes_.size() - head_; }
  void push(ByteView from) { bytes_.insert(bytes_.end(), from.begin(), from.end()); }
  void pop(ByteSpan into) noexcept {
    if (into.empty()) return;
    std::memcpy(into.data(), bytes_.data() + head_, into.size());
    head_ += into.size();
    compact();
  }
  /// Drops everything behind the first `size` bytes.
  void truncate(std::size_t size) { bytes_.resize(head_ + size); }

 private:
  void compact() noexcept {
    // Moving only when at least half is gone keeps the cost of a byte constant.
    if (head_ * 2 < bytes_.size()) return;
    bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(head_));
    head_ = 0;
  }

  std::vector<std::byte> bytes_;
  std::size_t head_ = 0;
};

}  // namespace rondo::io::sim
