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
  send_zero_copy,
  send_datagram,
  recv_message,
  send_file,
  read,
  write,
  poll,
  close,
  signal,
  job,
  resolve,
  wait_child,
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
  spawn,
  kill_child,
  make_pipe,
  block_signals,
  terminal,
  datagram_socket,
  refuse,
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

/// As SendOp, without a copy into the kernel where the kernel can (Linux 6.0, on a ring); elsewhere
/// it is a SendOp. Completes only when the kernel has let go of the bytes: a cancel that comes when
/// some are sent already resets the connection, for else a peer that does not read would hold them.
struct SendZeroCopyOp : Operation {
  SendZeroCopyOp() noexcept : Operation(OpKind::send_zero_copy) {}
  int fd = -1;
  const std::byte* data = nullptr;
  std::size_t size = 0;
  std::int32_t taken = -1;  ///< the driver's: what was sent, while the kernel still reads it
};

/// Descriptors that one message carries at most (limits::descriptors_max).
inline constexpr std::size_t k_descriptors_max = 16;

/// Room for one message, and what came.
struct MessageSlot {
  ByteSpan into;            ///< where its bytes go
  Address from;             ///< out: the sender; size 0 when it has no name
  std::uint32_t size = 0;   ///< out: bytes in `into`
  bool truncated = false;   ///< out: the datagram was longer, its end is lost
};

/// The driver's: struct msghdr, struct iovec and control data of one message.
struct MessageHeader {
  alignas(8) std::byte header[56] = {};
  alignas(8) std::byte slice[16] = {};
  alignas(8) std::byte control[96] = {};
};

/// Sends one datagram, or on a Unix stream one piece of it with descriptors. Completes with the
/// bytes taken: of a datagram all. -EMSGSIZE: larger than the transport carries.
struct SendDatagramOp : Operation {
  SendDatagramOp() noexcept : Operation(OpKind::send_datagram) {}
  int fd = -1;
  ByteView data;
  Address to;                      ///< size 0: the connected peer
  std::uint16_t segment_size = 0;  ///< UDP: cut `data` into datagrams of this size (UDP_SEGMENT)
  std::span<const int> descriptors;  ///< Unix: at most k_descriptors_max; the peer gets copies
  /// -EAGAIN may say that the peer's queue is full. For Unix datagrams: no event tells when there
  /// is room again, and io_uring up to Linux 6.18 retries with the bytes already taken from it, so
  /// that an empty datagram arrives.
  bool may_fail_full = false;
  MessageHeader storage;           ///< the driver's
};

/// Receives messages: of datagrams as many as are there, at most slots.size() and at least one;
/// of a Unix stream one piece (size 0 at its end). Completes with the number of slots filled.
/// A cancel takes no message: one that was taken is delivered (rule 2).
struct RecvMessageOp : Operation {
  RecvMessageOp() noexcept : Operation(OpKind::recv_message) {}
  int fd = -1;
  std::span<MessageSlot> slots;
  /// Out: close-on-exec descriptors that came with the first message, now the owner's.
  int descriptors[k_descriptors_max] = {};
  std::uint8_t descriptor_count = 0;
  bool descriptors_lost = false;   ///< out: the kernel closed some: too many, or no number free
  bool take_descriptors = false;   ///< else the kernel closes what comes
  MessageHeader storage;           ///< the driver's
};

/// Sends a part of a file to a connected socket without copying it through the process. Completes
/// with the bytes that the socket took, 1..size; 0 at the end of the file. A cancelled one says
/// what was sent before. -ENOTSUP: this driver, or the file, cannot; read and send it instead.
struct SendFileOp : Operation {
  SendFileOp() noexcept : Operation(OpKind::send_file) {}
  int fd = -1;
  int file = -1;
  std::int64_t offset = 0;
  std::size_t size = 0;
  int pipe[2] = {-1, -1};          ///< the driver's
  std::uint32_t in_pipe = 0;       ///< the driver's
  std::uint32_t sent = 0;          ///< the driver's
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

enum class AddressFamily : std::uint8_t { any, v4, v6 };

/// Under simulation only: looks `name` up in the simulated host table, fills `found` and
/// completes with the number of addresses (ports zero). Other drivers: -ENOTSUP.
struct ResolveOp : Operation {
  ResolveOp() noexcept : Operation(OpKind::resolve) {}
  std::string_view name;
  AddressFamily family = AddressFamily::any;
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

/// Immediate. Makes a datagram socket, binds and connects it. Completes with its descriptor, to
/// be used as an accepted one.
struct DatagramSocketOp : Operation {
  DatagramSocketOp() noexcept : Operation(OpKind::datagram_socket) {}
  Address bind;  ///< size 0: not bound (the kernel does at the first send)
  Address peer;  ///< size 0: not connected; one of the two says the family
  bool reuse_address = false;
  bool reuse_port = false;
  bool v6_only = false;
};

/// Immediate. Accepts waiting connections of a listener and closes them, at most `max`, with a
/// descriptor kept in reserve for when the process is out of them. Completes with their number.
struct RefuseOp : Operation {
  RefuseOp() noexcept : Operation(OpKind::refuse) {}
  int fd = -1;
  std::uint32_t max = 0;
};

/// What an option means stands at its type in net/options.hpp.
enum class SocketOption : std::uint8_t {
  no_delay,
  keep_alive,
  receive_buffer,
  send_buffer,
  keep_alive_idle,      ///< s
  keep_alive_interval,  ///< s
  keep_alive_count,
  linger,               ///< s, -1: off
  ttl,                  ///< hop limit of IPv6
  tos,                  ///< traffic class of IPv6
  v6_only,
  user_timeout,         ///< ms
  fast_open,            ///< listeners: connections that have not shaken hands; clients: 0 or 1
  broadcast,
  multicast_ttl,
  multicast_loop,
  multicast_interface,  ///< index
  join_group,           ///< set only: `address`, `value` is the interface's index or 0
  leave_group,
  bind_device,          ///< `text`
  peer_credentials,     ///< get only: `value` pid, `more` uid and gid
};

/// Immediate. Sets or gets an option of a socket.
struct SocketOptionOp : Operation {
  SocketOptionOp() noexcept : Operation(OpKind::socket_option) {}
  int fd = -1;
  SocketOption option = SocketOption::no_delay;
  bool get = false;
  int value = 0;
  std::uint32_t more[2] = {};
  Address address;
  char text[16] = {};
};

}  // namespace rondo::io
