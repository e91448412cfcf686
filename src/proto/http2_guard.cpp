// SPDX-License-Identifier: Apache-2.0
#include "http2_guard.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>

namespace rondo::proto {

namespace {

enum Type : std::uint8_t {
  k_data = 0, k_headers = 1, k_priority = 2, k_rst_stream = 3, k_settings = 4, k_push_promise = 5,
  k_ping = 6, k_goaway = 7, k_window_update = 8, k_continuation = 9
};
constexpr std::uint8_t k_end_stream = 0x1;
constexpr std::uint8_t k_end_headers = 0x4;
constexpr std::uint8_t k_padded = 0x8;

/// Bytes of bodies sent that are worth one control frame.
constexpr std::size_t k_credit = 512;
/// A DATA frame that is all padding is no longer than this.
constexpr std::size_t k_padding_max = 256;

}  // namespace

bool Http2Guard::in_head() const noexcept {
  return preface_ || head_open_ || (in_head_frame_ && skip_ > 0) || header_size_ > 0;
}

bool Http2Guard::admit(ByteView input, TimePoint now, const Http2Limits& limits) {
  if (now - window_ >= std::chrono::seconds(1)) {
    window_ = now;
    control_ = resets_ = sent_ = 0;
  }
  while (!input.empty()) {
    if (skip_ > 0) {
      const std::size_t size = std::min(skip_, input.size());
      skip_ -= size;
      input = input.subspan(size);
      if (skip_ == 0) preface_ = false;
      continue;
    }
    const std::size_t size = std::min(sizeof header_ - header_size_, input.size());
    std::memcpy(header_ + header_size_, input.data(), size);
    header_size_ += size;
    input = input.subspan(size);
    if (header_size_ < sizeof header_) break;
    header_size_ = 0;
    if (!count_frame(limits)) return false;
  }
  return true;
}

bool Http2Guard::count_frame(const Http2Limits& limits) noexcept {
  const std::size_t length = std::size_t{header_[0]} << 16 | std::size_t{header_[1]} << 8 |
                             std::size_t{header_[2]};
  const std::uint8_t flags = header_[4];
  skip_ = length;
  ++frames_;
  in_head_frame_ = false;
  switch (header_[3]) {
    case k_headers:
    case k_push_promise:
      in_head_frame_ = true;
      continuations_ = 0;
      head_open_ = (flags & k_end_headers) == 0;
      if (header_[3] == k_headers) return true;
      break;  // Pushes are refused, each with a frame.
    case k_continuation:
      in_head_frame_ = true;
      head_open_ = (flags & k_end_headers) == 0;
      return ++continuations_ <= limits.continuations_max;
    case k_data: {
      const bool empty = length == 0 || ((flags & k_padded) != 0 && length <= k_padding_max);
      if (!empty || (flags & k_end_stream) != 0) return true;
      break;
    }
    default:
      break;  // Carries nothing for a request; also what nobody knows.
  }
  return ++control_ <= limits.control_rate + sent_ / k_credit;
}

}  // namespace rondo::proto
