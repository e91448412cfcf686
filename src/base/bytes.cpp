// SPDX-License-Identifier: Apache-2.0
#include "rondo/base/bytes.hpp"

#include <cstring>
#include <limits>
#include <new>

#include "rondo/base/assert.hpp"

namespace rondo {

SharedBytes::Block* SharedBytes::allocate(std::size_t size) {
  RONDO_ASSERT(size <= std::numeric_limits<std::uint32_t>::max(), "SharedBytes holds under 4 GiB");
  if (size == 0) return nullptr;
  Block* block = ::new (::operator new(sizeof(Block) + size)) Block;
  block->size = static_cast<std::uint32_t>(size);
  return block;
}

void SharedBytes::free(Block* block) noexcept {
  block->~Block();
  ::operator delete(block);
}

SharedBytes SharedBytes::copy(ByteView bytes) {
  return make(bytes.size(),
              [&](ByteSpan into) { std::memcpy(into.data(), bytes.data(), bytes.size()); });
}

}  // namespace rondo
