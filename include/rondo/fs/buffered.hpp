// SPDX-License-Identifier: Apache-2.0
// BufferedFile: lines and many small reads or writes of a file, with few operations.
//
//   fs::BufferedFile in(co_await fs::File::open("log.txt").or_throw());
//   while (auto line = co_await in.read_line().or_throw()) use(*line);      // nullopt: the end
//
//   fs::BufferedFile out(co_await fs::File::create("copy.txt").or_throw());
//   for (auto& row : rows) co_await out.write(row + "\n").or_throw();
//   co_await out.close().or_throw();                                        // flushes
//
// One position for reading and writing, as of a file without a buffer: seek, tell, a read behind
// a write and a write behind a read do what they say.
// Lifetime trap: what was written and not flushed is lost when it is destroyed; say close().
// Thread rule: the loop's thread; one call at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "rondo/base/bytes.hpp"
#include "rondo/base/limits.hpp"
#include "rondo/base/result.hpp"
#include "rondo/core/task.hpp"
#include "rondo/fs/file.hpp"

namespace rondo::fs {

class BufferedFile {
 public:
  explicit BufferedFile(File file, std::size_t buffer_size = limits::file_buffer.value)
      : file_(std::move(file)), size_(buffer_size), position_(file_.tell()) {}
  BufferedFile(BufferedFile&&) = default;
  BufferedFile& operator=(BufferedFile&&) = default;

  /// Reads up to the next LF.
  /// - **Completes** with a line, at the end, or on an error. **Returns** the line without LF or
  ///   CRLF; what follows the last LF is a line too; nullopt at the end.
  /// - **Errors** too_large: no LF within `max` bytes (the position stays); the file's.
  /// - **Cancel** the position stays. **Concurrency** one call. **Thread** the loop's.
  Task<Result<std::optional<std::string>>> read_line(std::size_t max = limits::line_max.value);
  /// Reads 1..into.size() bytes; 0 at the end.
  Task<Result<std::size_t>> read(ByteSpan into);
  /// Fills `into`; end_of_stream when the file ends before (the position stays).
  Task<Result<>> read_exact(ByteSpan into);
  /// Everything up to the end; too_large beyond `max` bytes.
  Task<Result<std::string>> read_to_end(std::size_t max = limits::read_file_max.value);

  /// Writes all of it at the position, through the buffer. Errors of the file appear when the
  /// buffer is written out: here, at flush(), at a read, or at close().
  /// Cancelled: of a write larger than the buffer a part may be in the file.
  Task<Result<>> write(ByteView bytes);
  Task<Result<>> write(std::string_view text) { return write(as_bytes(text)); }
  /// Writes out what is buffered. After an error the bytes are still buffered.
  Task<Result<>> flush();
  /// flush(), then File::sync_data.
  Task<Result<>> sync_data();

  std::uint64_t tell() const noexcept { return position_; }
  /// Moves the position; writes out what is buffered first.
  Task<Result<>> seek(std::uint64_t position);
  Task<Result<std::uint64_t>> seek_end();
  /// Cuts or grows the file; what is buffered counts.
  Task<Result<>> truncate(std::uint64_t size);

  /// Flushes and closes.
  Task<Result<>> close();
  /// The file itself, after a flush().
  File& file() noexcept { return file_; }

 private:
  std::size_t available() const noexcept { return read_.size() - taken_; }
  Task<Result<std::size_t>> fill();
  void forget() noexcept;

  File file_;
  std::size_t size_;
  std::uint64_t position_;     ///< of the caller
  std::string read_;           ///< read ahead; its end stands at read_end_ in the file
  std::size_t taken_ = 0;      ///< bytes of read_ that the caller has
  std::uint64_t read_end_ = 0;
  std::string written_;        ///< not yet in the file; its end stands at position_
};

}  // namespace rondo::fs
