// SPDX-License-Identifier: Apache-2.0
// Operation: one request to a driver. The closed list of what a kernel can be asked.
//
//   struct MyRead : io::ReadOp { ... };
//   op.on_complete = [](io::Operation& op, const io::Completion& done) noexcept { ... };
//   driver.submit(op);      // now the driver's until the terminal completion
//
// Rules (docs/reference/semantics.md 6 to 10, docs/explanation/drivers.md):
//  1. An operation is pinned from submit() to its terminal completion: the first one with
//     `more == false`. Until then nobody moves, frees or changes it or its buffers.
//  2. The terminal completion comes exactly once, also when cancel() was asked for, and only
//     after the cancel request itself has been settled. Its result is the operation's own:
//     data that arrived wins over the request, -ECANCELED says that nothing happened.
//  3. on_complete is called from Driver::wait() (or, for the immediate kinds, from submit())
//     on the loop's thread. It may submit and cancel, it may free the operation when the
//     completion was terminal, it never resumes a coroutine: it queues.
//  4. Results: >= 0 is success with the kind's own meaning, < 0 is a negated errno.
// Thread rule: the loop's thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "rondo/base/assert.hpp"
#include "rondo/base/bytes.hpp"

namespace rondo::io {

enum class OpKind : std::uint8_t {
  // Multishot: complete many times until one comes without `more`.
  accept,
  recv,
  // One-shot.
  connect,
  send,
  send_message,
  read,
  write,
  poll,
  close,
  signal,
  job,
  resolve,
  // One-shot, files. Which of them a driver takes itself says Driver::handles(); the others are
  // done by perform() on a worker's thread.
  open,
  fsync,
  stat,
  rename,
  unlink,
  make_directory,
  link,
  truncate,
  list_directory,
  read_whole_file,
  // Immediate: completed when submit() returns, on every driver.
  listen,
  shutdown,
  socket_name,
  socket_option,
};

constexpr bool is_immediate(OpKind kind) noexcept { return kind >= OpKind::listen; }
constexpr bool is_multishot(OpKind kind) noexcept { return kind <= OpKind::recv; }
constexpr bool is_file_op(OpKind kind) noexcept {
  return kind >= OpKind::open && kind <= OpKind::read_whole_file;
}
/// "accept", "recv", ...: for errors, logs and the inspector.
const char* op_name(OpKind kind) noexcept;

inline constexpr std::uint16_t k_no_buffer = 0xffff;

/// What a driver says of an operation.
struct Completion {
  std::int32_t result = 0;                ///< >= 0: the kind's own meaning; < 0: -errno
  std::uint16_t buffer = k_no_buffer;     ///< recv: the pool's buffer that holds `result` bytes
  bool more = false;                      ///< multishot: this was not the terminal completion
};

/// The states of an operation; only drivers write them.
///   idle -> submitted -> idle                     (terminal completion delivered)
///   submitted -> cancelling -> idle               (cancel() asked; delivered when both are in)
enum class OpState : std::uint8_t { idle, submitted, cancelling };

struct Operation {
  using OnComplete = void (*)(Operation&, const Completion&) noexcept;

  explicit Operation(OpKind which) noexcept : kind(which) {}
  Operation(const Operation&) = delete;
  Operation& operator=(const Operation&) = delete;
  ~Operation() {
    RONDO_ASSERT(state == OpState::idle, "an operation was freed while its driver still owns it");
  }

  /// In flight: submitted, terminal completion not yet delivered.
  bool in_flight() const noexcept { return state != OpState::idle; }

  OnComplete on_complete = nullptr;  ///< set by the owner before submit()
  Operation* driver_next = nullptr;  ///< the driver's, while in flight: its own queues
  const OpKind kind;
  OpState state = OpState::idle;     ///< the driver's
  std::uint16_t generation = 0;      ///< the driver's: counted up by every submit
  std::int32_t driver_result = 0;    ///< the driver's: a result kept back (rule 2)
  std::uint16_t driver_buffer = k_no_buffer;  ///< the driver's: its buffer
  std::uint8_t driver_flags = 0;     ///< the driver's
};

/// A socket address in the kernel's own layout (sockaddr_in, _in6, _un), opaque here.
struct Address {
  alignas(8) std::byte storage[112] = {};
  std::uint32_t size = 0;
};

/// Multishot. Completes with a new close-on-exec descriptor that the owner now owns, `more` while
/// it stays armed; to be used through this driver only (O_NONBLOCK is set by epoll alone: older
/// kernels make io_uring answer -EAGAIN on such sockets instead of waiting). -EMFILE, -ENFILE:
/// out of descriptors (terminal).
struct AcceptOp : Operation {
  AcceptOp() noexcept : Operation(OpKind::accept) {}
  int fd = -1;
};

/// Multishot. Completes with 1.. bytes in `buffer` of the driver's BufferPool (the owner now
/// owns that buffer), 0 at end of stream (terminal), -ENOBUFS when the pool is empty (terminal:
/// back-pressure, not an error of the peer; submit again when a buffer is free).
struct RecvOp : Operation {
  RecvOp() noexcept : Operation(OpKind::recv) {}
  int fd = -1;
};

/// Makes a stream socket and connects it. Completes with the new descriptor (as an accepted one;
/// TCP_NODELAY for IP), now the owner's.
struct ConnectOp : Operation {
  ConnectOp() noexcept : Operation(OpKind::connect) {}
  Address address;
  int fd = -1;  ///< the driver's, while in flight
};

/// Sends from one span. Completes with the bytes taken, 1..size (short sends happen).
struct SendOp : Operation {
  SendOp() noexcept : Operation(OpKind::send) {}
  int fd = -1;
  const std::byte* data = nullptr;
  std::size_t size = 0;
};

/// Sends from several spans in order. Completes with the bytes taken in total (may be short).
struct SendMessageOp : Operation {
  SendMessageOp() noexcept : Operation(OpKind::send_message) {}
  int fd = -1;
  std::uint32_t count = 0;
  const ByteView* slices = nullptr;             ///< layout-compatible with struct iovec
  alignas(8) std::byte header_storage[56] = {};  ///< the driver's: struct msghdr
};

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

enum PollEvents : std::uint32_t { k_readable = 1, k_writable = 4, k_hang_up = 16 };

/// Waits until a descriptor is readable or writable. Completes with the events that hold
/// (PollEvents; errors and hang-ups always wake).
struct PollOp : Operation {
  PollOp() noexcept : Operation(OpKind::poll) {}
  int fd = -1;
  std::uint32_t events = 0;
};

/// Closes a descriptor on which no other operation is in flight. Cannot be cancelled.
struct CloseOp : Operation {
  CloseOp() noexcept : Operation(OpKind::close) {}
  int fd = -1;
};

/// Takes the next of the signals in `mask` (bit n-1 for signal n). Completes with its number.
/// The signals are blocked for the thread from the first submit on and stay so.
struct SignalOp : Operation {
  SignalOp() noexcept : Operation(OpKind::signal) {}
  std::uint64_t mask = 0;
};

/// Under simulation only: completes with 0 at a seeded instant at which a worker thread could
/// have finished its job; jobs of one lane complete in order. Other drivers: -ENOTSUP.
struct JobOp : Operation {
  JobOp() noexcept : Operation(OpKind::job) {}
  std::uint32_t lane = 0;
};

/// Under simulation only: looks `name` up in the simulated host table, fills `found` and
/// completes with the number of addresses (ports zero). Other drivers: -ENOTSUP.
struct ResolveOp : Operation {
  ResolveOp() noexcept : Operation(OpKind::resolve) {}
  std::string_view name;
  std::span<Address> found;
};

// --- Files. Paths are relative to the working directory; strings outlive the operation. ---

/// Opens a file. Completes with its close-on-exec descriptor, now the owner's.
struct OpenOp : Operation {
  OpenOp() noexcept : Operation(OpKind::open) {}
  const char* path = nullptr;
  std::int32_t flags = 0;       ///< of open(2); O_CLOEXEC is added
  std::uint32_t permissions = 0666;  ///< of a file that is made, less the umask
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
  bool replace = true;  ///< false: -EEXIST when `to` exists
};

/// Removes a name: of a file, or of an empty directory when `directory`. Completes with 0.
struct UnlinkOp : Operation {
  UnlinkOp() noexcept : Operation(OpKind::unlink) {}
  const char* path = nullptr;
  bool directory = false;
};

/// Makes a directory. Completes with 0.
struct MakeDirectoryOp : Operation {
  MakeDirectoryOp() noexcept : Operation(OpKind::make_directory) {}
  const char* path = nullptr;
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
/// read into `into`; a file of at least that size fills it and has perhaps more.
struct ReadWholeFileOp : Operation {
  ReadWholeFileOp() noexcept : Operation(OpKind::read_whole_file) {}
  const char* path = nullptr;
  ByteSpan into;
};

/// Does a file operation, or a read or write with an offset, by blocking system calls: for a
/// worker's thread, where the driver does not handle its kind. Returns what would complete it.
/// Touches only the operation's own arguments. Any thread.
std::int32_t perform(Operation& op) noexcept;

/// Immediate. Makes a listening stream socket. Completes with its descriptor.
struct ListenOp : Operation {
  ListenOp() noexcept : Operation(OpKind::listen) {}
  Address address;
  int backlog = 0;
  bool reuse_port = false;
  bool v6_only = false;
};

/// Immediate. Shuts down the sending side (and the receiving one when `both`).
struct ShutdownOp : Operation {
  ShutdownOp() noexcept : Operation(OpKind::shutdown) {}
  int fd = -1;
  bool both = false;
};

/// Immediate. The local or, when `peer`, the remote address of a socket.
struct SocketNameOp : Operation {
  SocketNameOp() noexcept : Operation(OpKind::socket_name) {}
  int fd = -1;
  bool peer = false;
  Address address;
};

enum class SocketOption : std::uint8_t { no_delay, keep_alive, receive_buffer, send_buffer };

/// Immediate. Sets an option of a socket.
struct SocketOptionOp : Operation {
  SocketOptionOp() noexcept : Operation(OpKind::socket_option) {}
  int fd = -1;
  SocketOption option = SocketOption::no_delay;
  int value = 0;
};

}  // namespace rondo::io
