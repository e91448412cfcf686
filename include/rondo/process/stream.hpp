// SPDX-License-Identifier: Apache-2.0
// PipeStream: a pipe's end, both ends of two pipes, or a terminal, as a stream of bytes.
//
//   auto [reader, writer] = process::make_pipe().or_throw();
//   co_await writer.write_all("hello\n");
//   writer.shutdown_write();                       // the reader sees the end
//   auto line = co_await reader.read_line();
//
// Reads and writes are those of core/stream.hpp, with its limits and back-pressure: a reader that
// stops reading fills the pipe, and the writer waits. Writing where nobody reads any more is the
// error broken_pipe, never SIGPIPE. A stream that can only be written ends at once when read, one
// that can only be read is `closed` for writing.
// A handle is one pointer, move-only; its destructor hands the stream to the loop, which sends
// what was accepted (for at most limits::linger_max, and within the grace of a stop) and closes.
// None may outlive its loop.
// Thread rule: the loop's thread.
#pragma once

#include <utility>

#include "rondo/base/result.hpp"
#include "rondo/base/unique_fd.hpp"
#include "rondo/core/stream.hpp"

namespace rondo::process {

namespace detail {
class FdStream;
ByteStream& stream_of(FdStream& stream) noexcept;
}  // namespace detail

class [[nodiscard("keep it: its end closes the stream")]] PipeStream {
 public:
  PipeStream() = default;
  /// Takes over descriptors of the running loop's driver; -1: that direction does not exist. Both
  /// may be one number (a terminal).
  static PipeStream adopt(int read_from, int write_to);
  /// Over descriptors that stay their owner's: they outlive the stream and are never closed by it.
  static PipeStream borrow(int read_from, int write_to);
  PipeStream(PipeStream&& other) noexcept : own_(std::exchange(other.own_, nullptr)) {}
  PipeStream& operator=(PipeStream&& other) noexcept {
    std::swap(own_, other.own_);
    return *this;
  }
  ~PipeStream() {
    if (own_) close();
  }

  ByteStream& stream() noexcept {
    RONDO_ASSERT(own_, "there is no pipe here: ask for Stdio::pipe(), and use it before close()");
    return detail::stream_of(*own_);
  }
  operator ByteStream&() noexcept { return stream(); }  // NOLINT: a PipeStream is a ByteStream.

  // The calls of ByteStream (core/stream.hpp), forwarded.
  auto read() noexcept { return stream().read(); }
  auto read_some(ByteSpan into) noexcept { return stream().read_some(into); }
  auto read_line(std::size_t max = limits::line_max.value) noexcept {
    return stream().read_line(max);
  }
  auto read_exact(ByteSpan into) noexcept { return stream().read_exact(into); }
  auto write_all(ByteView bytes) noexcept { return stream().write_all(bytes); }
  auto write_all(std::string_view text) noexcept { return stream().write_all(text); }
  auto flush() noexcept { return stream().flush(); }
  /// Sends what is queued, then closes the writing side; on a terminal it sends the end-of-file
  /// key (Ctrl-D), since there is no half of it to close.
  void shutdown_write() noexcept { stream().shutdown_write(); }

  /// Closes now what the destructor would close. No task may wait in it (checked).
  void close() noexcept;
  bool is_open() const noexcept { return own_ != nullptr; }

 private:
  explicit PipeStream(detail::FdStream& own) noexcept : own_(&own) {}
  detail::FdStream* own_ = nullptr;
};

struct PipePair {
  PipeStream reader;
  PipeStream writer;
};

/// Makes a pipe inside this process. Errors: the kernel's (too_many_descriptors).
Result<PipePair> make_pipe();

}  // namespace rondo::process
