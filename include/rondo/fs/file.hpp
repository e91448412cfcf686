// SPDX-License-Identifier: Apache-2.0
// File: reading and writing files without blocking the loop.
//
//   std::string text = co_await fs::read_file("notes.txt").or_throw();
//   co_await fs::write_file_atomic("notes.txt", text).or_throw();   // all of it or nothing
//
//   auto file = co_await fs::File::open("log", {.write = true, .create = true}).or_throw();
//   co_await file.write_all("one line\n").or_throw();
//   co_await file.sync_data().or_throw();                           // on the disk
//
// On a ring these are submissions; on epoll, and for what a ring cannot do, a thread of the
// blocking pool does them. Lines and many small pieces: fs::BufferedFile. Pipes, terminals and
// sockets are no files here: they have no position.
// Lifetime: the destructor closes through the loop and never blocks it; errors of closing are
// seen by close() only. What is being read into or written from outlives the await.
// Cancellation: what the kernel or a thread has begun is waited for (it cannot be stopped).
// Thread rule: the loop's thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "rondo/base/bytes.hpp"
#include "rondo/base/limits.hpp"
#include "rondo/base/result.hpp"
#include "rondo/base/unique_fd.hpp"
#include "rondo/core/detail/file_awaiter.hpp"
#include "rondo/core/task.hpp"
#include "rondo/io/file_ops.hpp"
#include "rondo/io/operation.hpp"

namespace rondo::fs {

using io::DirectoryEntry;
using io::FileStatus;
using io::FileType;

struct OpenOptions {
  bool read = true;
  bool write = false;
  bool append = false;      ///< every write goes to the end; implies write
  bool create = false;      ///< makes the file when it is not there
  bool create_new = false;  ///< makes it; Errc::exists when it is there
  bool truncate = false;    ///< empties it; needs write
  bool follow = true;       ///< false: a symbolic link at the end is refused (ELOOP)
  std::uint32_t permissions = 0666;  ///< of a file that is made, less the umask
};

namespace detail {

using rondo::detail::FileAwaiter;

struct ReadAtAwaiter : FileAwaiter<io::ReadOp> {
  ReadAtAwaiter(int fd, ByteSpan into, std::uint64_t offset,
                rondo::detail::PromiseBase& parent) noexcept
      : FileAwaiter(parent) {
    op.fd = fd;
    op.into = into;
    op.offset = static_cast<std::int64_t>(offset);
  }
  Result<std::size_t> await_resume() const noexcept {
    if (result < 0) return Error::from_errno(-result, "read");
    return static_cast<std::size_t>(result);
  }
};
struct WriteAtAwaiter : FileAwaiter<io::WriteOp> {
  WriteAtAwaiter(int fd, ByteView from, std::uint64_t offset,
                 rondo::detail::PromiseBase& parent) noexcept
      : FileAwaiter(parent) {
    op.fd = fd;
    op.from = from;
    op.offset = static_cast<std::int64_t>(offset);
  }
  Result<std::size_t> await_resume() const noexcept {
    if (result < 0) return Error::from_errno(-result, "write");
    return static_cast<std::size_t>(result);
  }
};
struct [[nodiscard("co_await it")]] ReadAt : rondo::detail::OperationAwaitable<ReadAt> {
  int fd;
  ByteSpan into;
  std::uint64_t offset;
  ReadAt(int file, ByteSpan to, std::uint64_t at) noexcept : fd(file), into(to), offset(at) {}
  ReadAtAwaiter awaiter(rondo::detail::PromiseBase& parent) && noexcept {
    return {fd, into, offset, parent};
  }
};
struct [[nodiscard("co_await it")]] WriteAt : rondo::detail::OperationAwaitable<WriteAt> {
  int fd;
  ByteView from;
  std::uint64_t offset;
  WriteAt(int file, ByteView bytes, std::uint64_t at) noexcept
      : fd(file), from(bytes), offset(at) {}
  WriteAtAwaiter awaiter(rondo::detail::PromiseBase& parent) && noexcept {
    return {fd, from, offset, parent};
  }
};

/// Closes a descriptor through the running loop, which does not end before; without a loop at
/// once, by this thread.
void close_later(UniqueFd descriptor) noexcept;

}  // namespace detail

/// An open file with a position of its own; move-only.
class [[nodiscard("keep it: its end closes the file")]] File {
 public:
  /// Opens a file.
  /// - **Completes** when it is open. **Returns** the File, positioned at its start.
  /// - **Errors** no_such_file, access_denied, exists, too_many_descriptors, ... with the path;
  ///   invalid_argument for options that contradict each other.
  /// - **Cancel** what was opened meanwhile is closed; a file that was made stays.
  /// - **Lifetime** nothing to keep. **Concurrency** any number. **Thread** the loop's.
  static Task<Result<File>> open(std::string path, OpenOptions options = {});
  /// Opens for writing what is made or emptied: {.read = false, .write, .create, .truncate}.
  static Task<Result<File>> create(std::string path);
  /// Takes over an open file.
  static File adopt(UniqueFd descriptor, std::string path = {}) {
    return File(std::move(descriptor), std::move(path));
  }

  File(File&&) = default;
  File& operator=(File&& other) noexcept {
    if (this == &other) return *this;
    detail::close_later(std::move(fd_));
    fd_ = std::move(other.fd_);
    path_ = std::move(other.path_);
    position_ = other.position_;
    return *this;
  }
  ~File() { detail::close_later(std::move(fd_)); }

  /// Reads at an offset; the position stays.
  /// - **Completes** with what one call yields. **Returns** 1..into.size() bytes, fewer than asked
  ///   for at the end, 0 behind it. **Errors** io_error, ...; ESPIPE when it is no file.
  /// - **Cancel** waits for what has begun; `into` may have been written to.
  /// - **Lifetime** `into` outlives the await. **Concurrency** any number. **Thread** the loop's.
  detail::ReadAt read_at(ByteSpan into, std::uint64_t offset) noexcept {
    return {fd_.get(), into, offset};
  }
  /// Writes at an offset; the position stays. Returns 1..from.size() bytes: use write_all_at for
  /// all of them. Errors: no_space, io_error, ... Otherwise as read_at.
  detail::WriteAt write_at(ByteView from, std::uint64_t offset) noexcept {
    return {fd_.get(), from, offset};
  }
  /// Writes all of it at an offset. Cancelled: a part may have been written.
  Task<Result<>> write_all_at(ByteView from, std::uint64_t offset);
  /// Fills `into` from an offset on; end_of_stream when the file is shorter.
  Task<Result<>> read_exact_at(ByteSpan into, std::uint64_t offset);

  /// Reads at the position and moves it by what was read. One at a time.
  Task<Result<std::size_t>> read(ByteSpan into);
  /// Reads from the position to the end; too_large beyond `max` bytes.
  Task<Result<std::string>> read_to_end(std::size_t max = limits::read_file_max.value);
  /// Writes all of it at the position (at the end with `append`) and moves it. One at a time.
  Task<Result<>> write_all(ByteView bytes);
  Task<Result<>> write_all(std::string_view text) { return write_all(as_bytes(text)); }

  /// The position of read() and write_all(). Moving it costs no system call.
  std::uint64_t tell() const noexcept { return position_; }
  void seek(std::uint64_t position) noexcept { position_ = position; }
  /// Moves it to the end and returns where that is.
  Task<Result<std::uint64_t>> seek_end();

  /// Cuts the file to `size` bytes, or fills it up with zeros. The position stays.
  Task<Result<>> truncate(std::uint64_t size);
  /// Completes when everything written is on the disk; sync_data leaves out times and the like.
  /// After an error do not believe what was written since the last success: write it again.
  Task<Result<>> sync_all();
  Task<Result<>> sync_data();
  Task<Result<FileStatus>> status();

  /// Closes and says how that went (NFS and quotas report write errors here).
  Task<Result<>> close();

  bool is_open() const noexcept { return static_cast<bool>(fd_); }
  int fd() const noexcept { return fd_.get(); }
  const std::string& path() const noexcept { return path_; }

 private:
  File(UniqueFd descriptor, std::string path) noexcept
      : fd_(std::move(descriptor)), path_(std::move(path)) {}
  Task<Result<>> sync(bool data_only, const char* name);

  UniqueFd fd_;
  std::string path_;
  std::uint64_t position_ = 0;
  bool appends_ = false;
};

struct ReadFileOptions {
  std::size_t max = limits::read_file_max.value;  ///< beyond it: too_large
};

/// Reads a whole file: at once what is in the kernel's caches, else on a ring open, read and close
/// as one chain, else on a thread of the blocking pool.
/// - **Completes** when it is read. **Returns** its bytes. **Errors** no_such_file, ..., too_large.
/// - **Cancel** waits for what has begun. **Lifetime** nothing to keep. **Concurrency** any number.
/// - **Thread** the loop's.
Task<Result<std::string>> read_file(std::string path, ReadFileOptions options = {});

struct WriteFileOptions {
  bool append = false;
  bool sync = false;  ///< complete only when it is on the disk
  std::uint32_t permissions = 0666;
};

/// Writes a whole file, made or emptied first (or appends to it). A crash or an error half-way
/// leaves a part: where that matters, write_file_atomic. `bytes` outlive the await.
Task<Result<>> write_file(std::string path, ByteView bytes, WriteFileOptions options = {});
Task<Result<>> write_file(std::string path, std::string_view text, WriteFileOptions options = {});

/// Replaces a file so that every reader, and every restart, sees the old or the new whole.
/// Writes a temporary file beside it, syncs it, renames it over `path` and syncs the directory.
/// - **Completes** when the new content is on the disk. **Returns** nothing.
/// - **Errors** of any step, with the path; the old file is then untouched and the temporary one
///   removed. (An error of the last sync, of the directory: the new one is there, and may be
///   undone by a power cut.) **Cancel** the same. **Lifetime** `bytes` outlive the await.
/// - **Concurrency** any number; of two on one path, one wins whole. **Thread** the loop's.
Task<Result<>> write_file_atomic(std::string path, ByteView bytes,
                                 std::uint32_t permissions = 0666);
Task<Result<>> write_file_atomic(std::string path, std::string_view text,
                                 std::uint32_t permissions = 0666);

}  // namespace rondo::fs
