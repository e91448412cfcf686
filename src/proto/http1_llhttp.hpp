// SPDX-License-Identifier: Apache-2.0
// llhttp behind one call: bytes in, what it said about them out. Internal to src/proto.
//
// llhttp is compiled in its strict mode. Its version check is off, since it knows no later 1.x;
// ours answers 505 where it could only refuse. It pauses after the head and after the message.
// Lifetime: the views of Heard are of the bytes that were fed.
#pragma once

#include <llhttp.h>

#include <cstddef>
#include <cstdint>
#include <new>
#include <string_view>

namespace rondo::proto {

/// What llhttp found in the bytes of one feed().
struct Heard {
  std::string_view target, version, reason;  ///< of a first line
  std::string_view name, value;              ///< of a field line
  std::string_view body;
  bool chunk_begins = false;  ///< a chunk-size line is complete
  bool complete = false;      ///< the head, or the message
};

class Llhttp {
 public:
  /// Over `memory`, which outlives this object and may be copied between calls.
  explicit Llhttp(std::byte* memory) noexcept
      : state_(*std::launder(reinterpret_cast<llhttp_t*>(memory))) {}

  /// Begins a message in `memory`.
  static void begin(std::byte* memory, llhttp_type_t type) noexcept;
  /// True when llhttp took the bytes; else error() says why it did not.
  bool feed(std::string_view bytes, Heard& heard) noexcept;
  const char* error() const noexcept { return llhttp_get_error_reason(&state_); }
  /// Goes on after the head, to the body it announced.
  void resume() noexcept { llhttp_resume(&state_); }

  bool chunked() const noexcept { return (state_.flags & F_CHUNKED) != 0; }
  bool has_content_length() const noexcept { return (state_.flags & F_CONTENT_LENGTH) != 0; }
  /// Content-Length after the head; the size of the chunk when one begins.
  std::uint64_t content_length() const noexcept { return state_.content_length; }
  int status() const noexcept { return state_.status_code; }

 private:
  llhttp_t& state_;
};

}  // namespace rondo::proto
