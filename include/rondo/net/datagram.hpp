// SPDX-License-Identifier: Apache-2.0
// DatagramSocket: messages instead of a stream; what UDP and Unix datagram sockets have in common.
//
//   auto got = co_await socket.receive_from(buffer);        // Received{size, from, truncated}
//   if (got) co_await socket.send_to(ByteView(buffer).first(got->size), got->from);
//
// Each receive takes one datagram, however small its buffer: what does not fit is lost, and
// `truncated` says so. Datagrams may be lost, doubled and overtake each other on the way.
// udp.hpp and unix.hpp make them. It refuses to be a ByteStream: there is no stream to read.
// Lifetime: a handle is one pointer, move-only; the socket outlives its awaits (checked).
// Thread rule: the loop's thread.
#pragma once

#include <coroutine>
#include <cstdint>
#include <utility>
#include <vector>

#include "rondo/base/bytes.hpp"
#include "rondo/base/limits.hpp"
#include "rondo/base/memory.hpp"
#include "rondo/base/result.hpp"
#include "rondo/core/detail/one_shot.hpp"
#include "rondo/core/detail/timer_wheel.hpp"
#include "rondo/core/stream.hpp"
#include "rondo/core/task.hpp"
#include "rondo/io/socket_ops.hpp"
#include "rondo/net/endpoint.hpp"

namespace rondo::net {

/// A datagram that was copied into the caller's memory.
struct Received {
  std::size_t size = 0;  ///< bytes copied; a datagram may be empty
  Endpoint from;
  bool truncated = false;  ///< it was longer than the buffer
};

/// A datagram with memory of its own.
struct Datagram {
  Loan data;
  Endpoint from;
  bool truncated = false;
};

/// Memory for several datagrams, filled by receive_batch again and again.
class DatagramBatch {
 public:
  /// Room for `count` datagrams (at most limits::datagram_batch_max) of `size` bytes.
  DatagramBatch(std::size_t count, std::size_t size);

  std::size_t capacity() const noexcept { return slots_.size(); }
  /// Datagrams of the last receive_batch.
  std::size_t count() const noexcept { return count_; }
  ByteView operator[](std::size_t i) const noexcept {
    return ByteView(slots_[i].into).first(slots_[i].size);
  }
  Endpoint from(std::size_t i) const noexcept;
  bool truncated(std::size_t i) const noexcept { return slots_[i].truncated; }

  // For the receive.
  std::span<io::MessageSlot> slots() noexcept { return slots_; }
  void set_count(std::size_t count) noexcept { count_ = count; }

 private:
  std::vector<std::byte> memory_;
  std::vector<io::MessageSlot> slots_;
  std::size_t count_ = 0;
};

namespace detail {

/// The descriptor and how many tasks wait in it; stays where it is while the handle moves.
struct DatagramState : rondo::detail::Pooled {
  int fd = -1;
  unsigned waiting = 0;
  bool is_unix = false;
};

/// How a socket is made: bound, connected, or both.
struct DatagramOpening {
  const Endpoint* bind = nullptr;
  const Endpoint* peer = nullptr;
  bool reuse_address = false;
  bool reuse_port = false;
  bool v6_only = false;
};

/// Counts an awaiter among those that wait in a socket.
struct InSocket {
  DatagramState& state;
  explicit InSocket(DatagramState& s) noexcept : state(s) { ++state.waiting; }
  InSocket(const InSocket&) = delete;
  ~InSocket() { --state.waiting; }
};

struct ReceiveBase : rondo::detail::OneShotAwaiter<io::RecvMessageOp> {
  InSocket in;
  ReceiveBase(DatagramState& state, rondo::detail::PromiseBase& parent) noexcept
      : OneShotAwaiter(parent), in(state) {
    op.fd = state.fd;
  }
  Endpoint sender(const io::MessageSlot& slot) const noexcept;
  Error error() const;
};
struct ReceiveAwaiter : ReceiveBase {
  io::MessageSlot slot;
  ReceiveAwaiter(DatagramState& state, ByteSpan into, rondo::detail::PromiseBase& parent) noexcept
      : ReceiveBase(state, parent) {
    slot.into = into;
    op.slots = {&slot, 1};
  }
  Result<Received> await_resume() const;
};
struct TakeAwaiter : ReceiveBase {
  Loan memory;
  io::MessageSlot slot;
  TakeAwaiter(DatagramState& state, std::size_t max, rondo::detail::PromiseBase& parent);
  Result<Datagram> await_resume();
};
struct BatchAwaiter : ReceiveBase {
  DatagramBatch& batch;
  BatchAwaiter(DatagramState& state, DatagramBatch& into,
               rondo::detail::PromiseBase& parent) noexcept
      : ReceiveBase(state, parent), batch(into) {
    op.slots = batch.slots();
  }
  Result<std::size_t> await_resume();
};
/// States: in flight -> done, or, for a Unix socket whose peer's queue is full and of which no
/// event would tell (the timer armed) -> in flight again.
struct SendAwaiter : rondo::detail::Waiter, rondo::detail::Timer {
  struct Mine : io::SendDatagramOp {
    SendAwaiter* awaiter = nullptr;
  };
  Mine op;
  std::int32_t result = 0;
  InSocket in;

  SendAwaiter(DatagramState& state, ByteView bytes, const io::Address& to,
              rondo::detail::PromiseBase& parent) noexcept;
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<>) noexcept;
  Result<> await_resume() const;

 private:
  void complete(std::int32_t value) noexcept;
};

struct [[nodiscard("co_await it")]] Receive : rondo::detail::OperationAwaitable<Receive> {
  DatagramState& state;
  ByteSpan into;
  Receive(DatagramState& s, ByteSpan to) noexcept : state(s), into(to) {}
  ReceiveAwaiter awaiter(rondo::detail::PromiseBase& parent) && noexcept {
    return {state, into, parent};
  }
};
struct [[nodiscard("co_await it")]] Take : rondo::detail::OperationAwaitable<Take> {
  DatagramState& state;
  std::size_t max;
  Take(DatagramState& s, std::size_t limit) noexcept : state(s), max(limit) {}
  TakeAwaiter awaiter(rondo::detail::PromiseBase& parent) && { return {state, max, parent}; }
};
struct [[nodiscard("co_await it")]] ReceiveBatch : rondo::detail::OperationAwaitable<ReceiveBatch> {
  DatagramState& state;
  DatagramBatch& batch;
  ReceiveBatch(DatagramState& s, DatagramBatch& b) noexcept : state(s), batch(b) {}
  BatchAwaiter awaiter(rondo::detail::PromiseBase& parent) && noexcept {
    return {state, batch, parent};
  }
};
struct [[nodiscard("co_await it")]] Send : rondo::detail::OperationAwaitable<Send> {
  DatagramState& state;
  ByteView bytes;
  io::Address to;
  Send(DatagramState& s, ByteView b, const io::Address& peer) noexcept
      : state(s), bytes(b), to(peer) {}
  SendAwaiter awaiter(rondo::detail::PromiseBase& parent) && noexcept {
    return {state, bytes, to, parent};
  }
};

}  // namespace detail

class [[nodiscard("keep it: its end closes the socket")]] DatagramSocket {
 public:
  DatagramSocket(DatagramSocket&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
  DatagramSocket& operator=(DatagramSocket&& other) noexcept {
    std::swap(state_, other.state_);
    return *this;
  }
  ~DatagramSocket() {
    if (state_) close();
  }

  /// Waits for a datagram and copies it into `into`.
  /// - **Completes** when one has arrived, or on an error. **Returns** its size (0 is a datagram,
  ///   not an end), its sender, and whether its end was cut off.
  /// - **Errors** connection_refused: the connected peer said that nobody listens; the kernel's.
  /// - **Cancel** takes no datagram from the socket; one that was taken is delivered.
  /// - **Lifetime** `into` and the socket outlive it. **Concurrency** any number, served in turn.
  /// - **Thread** the loop's.
  detail::Receive receive_from(ByteSpan into) noexcept { return {state(), into}; }
  /// The same with memory of its own: at most `max` bytes of it are kept.
  detail::Take receive_from(std::size_t max = limits::datagram_loan.value) noexcept {
    return {state(), max};
  }
  /// Waits for at least one datagram and takes all that are there, as far as there is room, by
  /// recvmmsg. Returns how many. For servers: saves half a microsecond a datagram where they come
  /// faster than they are taken. Otherwise as receive_from.
  detail::ReceiveBatch receive_batch(DatagramBatch& batch) noexcept { return {state(), batch}; }
  /// For connected sockets: receive_from, whose sender is the peer.
  detail::Receive receive(ByteSpan into) noexcept { return receive_from(into); }

  /// Sends one datagram to the peer that the socket is connected to.
  /// - **Completes** when the kernel took it: mostly at once. **Returns** nothing: whether it
  ///   arrives nobody says.
  /// - **Errors** too_large (over limits::datagram_max, nothing was sent); connection_refused: an
  ///   earlier one found nobody; not_connected; the kernel's, with the address.
  /// - **Cancel** before the kernel took it: nothing was sent; else it was. **Lifetime** `bytes`
  ///   and the socket outlive it. **Concurrency** any number. **Thread** the loop's.
  detail::Send send(ByteView bytes) noexcept { return {state(), bytes, {}}; }
  detail::Send send(std::string_view text) noexcept { return send(as_bytes(text)); }
  /// The same to any address.
  detail::Send send_to(ByteView bytes, const Endpoint& to) noexcept {
    return {state(), bytes, to.address()};
  }
  detail::Send send_to(std::string_view text, const Endpoint& to) noexcept {
    return send_to(as_bytes(text), to);
  }

  /// Addresses of both ends; the peer's only when connected. Errors: the kernel's.
  Result<Endpoint> local() const;
  Result<Endpoint> peer() const;

  /// Closes now what the destructor would close. No task may wait in it (checked).
  void close() noexcept;
  bool is_open() const noexcept { return state_ != nullptr; }
  /// For net/options.hpp; the socket keeps it.
  int descriptor() const noexcept { return state().fd; }

 protected:
  explicit DatagramSocket(detail::DatagramState* state) noexcept : state_(state) {}
  static Result<detail::DatagramState*> open(const detail::DatagramOpening& how);
  detail::DatagramState& state() const noexcept {
    RONDO_ASSERT(state_, "this socket was closed or moved from: ask is_open(), or keep it open");
    return *state_;
  }

 private:
  detail::DatagramState* state_ = nullptr;
};

}  // namespace rondo::net
