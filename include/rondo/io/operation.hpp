// SPDX-License-Identifier: Apache-2.0
// Operation: one request to a driver. The closed list of what a kernel can be asked.
//
//   struct MyRead : io::ReadOp { ... };   // io/file_ops.hpp; also socket_ops.hpp, child_ops.hpp
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

#include "rondo/base/assert.hpp"

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
  watch,
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

// What every driver can wait for, whatever the descriptor is.

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

}  // namespace rondo::io
