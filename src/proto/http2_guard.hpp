// SPDX-License-Identifier: Apache-2.0
// Http2Guard: counts the frames of a peer before nghttp2 sees them.
//
// It reads frame headers and nothing else, so that its counts hold whatever a version of nghttp2
// counts by itself (1.52 as released knows neither rapid resets nor long heads). Rates are of
// windows of one second that begin with the first frame of each. Bodies that were sent give
// credit, since each piece of them may be answered with an update of a window or two.
// Internal to src/proto.
#pragma once

#include <cstddef>
#include <cstdint>

#include "rondo/base/bytes.hpp"
#include "rondo/base/time.hpp"
#include "rondo/proto/http2.hpp"

namespace rondo::proto {

class Http2Guard {
 public:
  /// `preface`: the peer begins with it, as a client does.
  explicit Http2Guard(bool preface) noexcept
      : skip_(preface ? k_http2_preface.size() : 0), preface_(preface) {}
  /// Counts what is in `input`. False: a flood.
  bool admit(ByteView input, TimePoint now, const Http2Limits& limits);
  /// Bytes of bodies have been sent.
  void credit(std::size_t bytes) noexcept { sent_ += bytes; }
  /// A stream was reset by the peer, or by us for a mistake of it.
  void count_reset() noexcept { ++resets_; }
  bool too_many_resets(const Http2Limits& limits) const noexcept {
    return resets_ > limits.reset_rate;
  }
  /// In the preface, or in a head that is not complete.
  bool in_head() const noexcept;
  /// Frames that have begun, so far.
  std::uint64_t frames() const noexcept { return frames_; }

 private:
  bool count_frame(const Http2Limits& limits) noexcept;

  TimePoint window_{};
  std::uint64_t frames_ = 0;
  std::size_t skip_;                           // Bytes up to the next frame header.
  std::size_t control_ = 0;                    // In this window.
  std::size_t resets_ = 0;                     // In this window.
  std::size_t sent_ = 0;                       // Bytes of bodies in this window.
  std::size_t continuations_ = 0;              // Of the head that is open.
  std::size_t header_size_ = 0;                // Bytes of header_ that are there.
  std::uint8_t header_[9] = {};
  bool preface_;
  bool head_open_ = false;                     // A head's last frame has not begun.
  bool in_head_frame_ = false;                 // `skip_` is of a frame of a head.
};

}  // namespace rondo::proto
