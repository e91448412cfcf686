// SPDX-License-Identifier: Apache-2.0
// Framed, Delimited: messages on a stream, by a length in front or by a delimiter behind.
//
//   Framed frames(stream, {.length = FrameLength::u32, .max = 65'536});
//   while (auto frame = co_await frames.read()) {
//     if (!*frame) break;                                  // the peer ended between two frames
//     co_await frames.write((*frame)->bytes());
//   }
//   Delimited lines(stream, "\r\n");
//
// Reading is safe to cancel: what has arrived of a frame is kept for the next read. A stream has
// one Framed as long as it lives, or the pieces it holds are missed by others.
// Lifetime: the stream outlives it. Thread rule: the loop's thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "rondo/base/limits.hpp"
#include "rondo/base/result.hpp"
#include "rondo/core/stream.hpp"
#include "rondo/core/task.hpp"

namespace rondo {

/// How the length of a frame's payload is written before it. `varint`: 7 bits a byte, low ones
/// first, the high bit says that more follow (as in Protocol Buffers), at most 10 bytes.
enum class FrameLength : std::uint8_t { u8, u16, u32, varint };

struct FrameFormat {
  FrameLength length = FrameLength::u32;
  bool little_endian = false;                 ///< of u16 and u32; else network order
  std::size_t max = limits::frame_max.value;  ///< payload bytes, both ways
};

class Framed {
 public:
  explicit Framed(ByteStream& stream, const FrameFormat& format = {}) noexcept
      : stream_(stream), format_(format) {}
  Framed(const Framed&) = delete;
  Framed& operator=(const Framed&) = delete;

  /// Reads the next frame.
  /// - **Completes** with a whole frame, at end of stream, or on an error.
  /// - **Returns** its payload, which may be empty; nullopt at an end between two frames.
  /// - **Errors** too_large (over `max`) and protocol_error (a varint without an end): nothing
  ///   after it can be understood, every later read says the same; end_of_stream inside a frame;
  ///   the stream's. **Cancel** loses nothing. **Lifetime** this and the stream outlive it.
  /// - **Concurrency** one reader. **Thread** the loop's.
  Task<Result<std::optional<Loan>>> read();

  /// Writes a frame.
  /// - **Completes** as write_all of its bytes. **Returns** nothing. **Errors** too_large: nothing
  ///   was sent; broken: an earlier write was cut in two; the stream's.
  /// - **Cancel** all of a small frame is accepted or nothing; one over cork_block may be cut in
  ///   two: then the stream is broken for writing. **Lifetime** `payload` outlives it.
  /// - **Concurrency** one writer, beside the reader. **Thread** the loop's.
  Task<Result<>> write(ByteView payload);
  Task<Result<>> write(std::string_view text) { return write(as_bytes(text)); }

 private:
  Task<Result<bool>> read_length();
  Task<Result<bool>> read_fixed();
  Task<Result<bool>> read_varint();
  std::size_t encode(std::size_t size, std::byte* into) const noexcept;
  std::size_t length_max() const noexcept;

  ByteStream& stream_;
  FrameFormat format_;
  // Of the frame being read: its length once known, then its payload as far as it has come.
  std::uint64_t length_ = 0;
  unsigned varint_bits_ = 0;
  bool has_length_ = false;
  Loan payload_;
  std::size_t filled_ = 0;
  std::optional<Errc> lost_;  ///< reading: the position in the stream is lost, and why
  bool broken_ = false;       ///< writing: a frame was cut in two
};

class Delimited {
 public:
  /// `delimiter` has at least one byte. A message with its delimiter has at most `max` bytes.
  explicit Delimited(ByteStream& stream, std::string_view delimiter = "\n",
                     std::size_t max = limits::line_max.value)
      : stream_(stream), delimiter_(delimiter), max_(max) {}
  Delimited(const Delimited&) = delete;
  Delimited& operator=(const Delimited&) = delete;

  /// Reads the next message, without its delimiter. Returns nullopt at the end of the stream; what
  /// follows the last delimiter is a message too. Errors: too_large (nothing is consumed); the
  /// stream's. Otherwise as Framed::read.
  Task<Result<std::optional<Loan>>> read();

  /// Writes a message and its delimiter. Errors: bad_message: the delimiter stands in it, nothing
  /// was sent; too_large. Otherwise as Framed::write.
  Task<Result<>> write(std::string_view message);
  Task<Result<>> write(ByteView message) { return write(as_text(message)); }

 private:
  ByteStream& stream_;
  std::string delimiter_;
  std::size_t max_;
  bool broken_ = false;
};

}  // namespace rondo
