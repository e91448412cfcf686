// SPDX-License-Identifier: Apache-2.0
// Operations on files, and reads and writes of any descriptor. The rules are those of
// io/operation.hpp. Paths are relative to the working directory; strings outlive the operation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "rondo/base/bytes.hpp"
#include "rondo/io/operation.hpp"

namespace rondo::io {

/// In the place of a directory's descriptor: names are relative to the working directory.
inline constexpr int k_working_directory = -100;  // AT_FDCWD of Linux.

/// Reads at `offset`, or at the descriptor's own position when it is -1 (pipes, terminals,
/// sockets). Completes with bytes read, 0 at the end.
struct ReadOp : Operation {
  ReadOp() noexcept : Operation(OpKind::read) {}
  int fd = -1;
  ByteSpan into;
  std::int64_t offset = -1;
};

/// Writes at `offset`, or at the descriptor's own position when it is -1. Completes with bytes
/// written (may be short).
struct WriteOp : Operation {
  WriteOp() noexcept : Operation(OpKind::write) {}
  int fd = -1;
  ByteView from;
  std::int64_t offset = -1;
};

/// Opens a file. Completes with its close-on-exec descriptor, now the owner's.
struct OpenOp : Operation {
  OpenOp() noexcept : Operation(OpKind::open) {}
  const char* path = nullptr;
  std::int32_t flags = 0;       ///< of open(2); O_CLOEXEC is added
  std::uint32_t permissions = 0666;  ///< of a file that is made, less the umask
  /// A directory that the relative path may not leave, by ".." or a link: openat2(2), EXDEV.
  int beneath = -1;
  alignas(8) std::byte storage[24] = {};  ///< the driver's: struct open_how
};

/// Completes with 0 when the file's data (and, unless `data_only`, its metadata) is on the disk.
/// After an error the state of what was written before is unknown: it must not be believed.
struct FsyncOp : Operation {
  FsyncOp() noexcept : Operation(OpKind::fsync) {}
  int fd = -1;
  bool data_only = false;
};

enum class FileType : std::uint8_t {
  unknown, regular, directory, symlink, fifo, socket, character_device, block_device,
};

/// What stat says of a file. Times in ns since 1970; `created_ns` is 0 where nobody knows.
struct FileStatus {
  FileType type = FileType::unknown;
  std::uint32_t permissions = 0;  ///< the low 12 bits of st_mode
  std::uint32_t links = 0;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::uint64_t size = 0;
  std::uint64_t blocks = 0;  ///< of 512 bytes
  std::uint64_t inode = 0;
  std::uint64_t device = 0;
  std::int64_t accessed_ns = 0;
  std::int64_t modified_ns = 0;
  std::int64_t changed_ns = 0;
  std::int64_t created_ns = 0;
};

/// Fills `found` for `path`, or for `fd` when `path` is null. Completes with 0.
struct StatOp : Operation {
  StatOp() noexcept : Operation(OpKind::stat) {}
  int fd = -1;
  const char* path = nullptr;
  bool follow = true;  ///< false: of a symbolic link itself
  FileStatus found;
  alignas(8) std::byte storage[256] = {};  ///< the driver's: struct statx
};

/// Gives a file another name, atomically. Completes with 0.
struct RenameOp : Operation {
  RenameOp() noexcept : Operation(OpKind::rename) {}
  const char* from = nullptr;
  const char* to = nullptr;
  int from_in = k_working_directory;  ///< the directory that a relative `from` begins in
  int to_in = k_working_directory;
  bool replace = true;  ///< false: -EEXIST when `to` exists
};

/// Removes a name: of a file, or of an empty directory when `directory`. Completes with 0.
struct UnlinkOp : Operation {
  UnlinkOp() noexcept : Operation(OpKind::unlink) {}
  const char* path = nullptr;
  int in = k_working_directory;
  bool directory = false;
};

/// Makes a directory. Completes with 0.
struct MakeDirectoryOp : Operation {
  MakeDirectoryOp() noexcept : Operation(OpKind::make_directory) {}
  const char* path = nullptr;
  int in = k_working_directory;
  std::uint32_t permissions = 0777;
};

/// Makes `path` another name of the file `target`, or a symbolic link that says `target`.
/// Completes with 0.
struct LinkOp : Operation {
  LinkOp() noexcept : Operation(OpKind::link) {}
  const char* target = nullptr;
  const char* path = nullptr;
  bool symbolic = false;
};

/// Cuts a file to `size` bytes or grows it with zeros. Completes with 0.
struct TruncateOp : Operation {
  TruncateOp() noexcept : Operation(OpKind::truncate) {}
  int fd = -1;
  std::uint64_t size = 0;
};

struct DirectoryEntry {
  std::string name;
  FileType type = FileType::unknown;
  std::uint64_t inode = 0;
};

/// Appends all entries of a directory but "." and ".." to `entries`, in no order, at most
/// `entries_max` in all. Completes with the number appended; -E2BIG beyond the limit.
struct ListDirectoryOp : Operation {
  ListDirectoryOp() noexcept : Operation(OpKind::list_directory) {}
  const char* path = nullptr;
  std::vector<DirectoryEntry>* entries = nullptr;
  std::size_t entries_max = 0;
};

/// Opens, reads from the start and closes: on a ring one linked chain. Completes with the bytes
/// read into `into`; a file of at least that size fills it and has perhaps more. -EAGAIN: the
/// file comes in pieces (/proc), open and read it until its end. For regular files: what a pipe
/// holds beyond the read is lost with its descriptor.
struct ReadWholeFileOp : Operation {
  ReadWholeFileOp() noexcept : Operation(OpKind::read_whole_file) {}
  const char* path = nullptr;
  ByteSpan into;
  std::int32_t outcome = 0;          ///< the driver's: of the links answered so far
  std::uint16_t slot = k_no_buffer;  ///< the driver's: place in the table of open files
  std::uint8_t answered = 0;         ///< the driver's: links answered so far
  std::uint8_t stopped_at = 0;       ///< the driver's: links answered when it last asked to stop
  std::byte beyond{};                ///< the driver's: what follows the bytes read
};

/// Does a file operation, or a read or write with an offset, by blocking system calls: for a
/// worker's thread, where the driver does not handle its kind. Returns what would complete it.
/// Touches only the operation's own arguments. Any thread.
std::int32_t perform(Operation& op) noexcept;

// What is in the kernel's caches, at once: these never wait for a disk, a lock or a peer
// (RESOLVE_CACHED, RWF_NOWAIT, cachestat; openat2(2), preadv2(2), cachestat(2)). What is not there
// whole, a kind of file that cannot tell, and every error: ask the driver, which waits. To be used
// where Driver::reads_caches() says so. Any thread.

/// Opens a regular file for reading and asks what it is: fills `about.found`. The descriptor, or
/// -EAGAIN: ask the driver.
std::int32_t open_cached(OpenOp& op, StatOp& about) noexcept;

/// Does a read at an offset of up to 64 KiB. What would complete it, or -EAGAIN: ask the driver.
std::int32_t read_cached(const ReadOp& op) noexcept;

/// Sends a part of a file to a socket, at most 1 MiB of it. The bytes that the socket took; 0: ask
/// the driver; a negated errno, -EAGAIN when the socket has no room.
std::int64_t send_cached(int to, int file, std::int64_t offset, std::size_t size) noexcept;

/// Reads a regular file whole, of at most `max` bytes and 16 KiB. Nothing: ask the driver; so for
/// an empty file.
std::optional<std::string> read_cached_file(const char* path, std::size_t max);

/// Immediate. What inotify(7) does. `open` completes with a new close-on-exec descriptor, to be
/// read for struct inotify_event; `add` with the number of a watch; `remove` with 0.
struct WatchOp : Operation {
  enum class Action : std::uint8_t { open, add, remove };
  WatchOp() noexcept : Operation(OpKind::watch) {}
  Action action = Action::open;
  int fd = -1;
  const char* path = nullptr;  ///< add
  std::uint32_t mask = 0;      ///< add: IN_CREATE and so on
  int watch = -1;              ///< remove
};

}  // namespace rondo::io
