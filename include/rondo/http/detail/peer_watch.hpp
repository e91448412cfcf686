// SPDX-License-Identifier: Apache-2.0
// PeerWatch: reads and writes that do not wait for ever, at the price of one store each.
//
//   PeerWatch watch(stream, this, [](void* self) noexcept { ... });   // called for a stalled write
//   auto got = co_await watch.read(10s);           // Result<Loan>: timed_out
//   auto sent = co_await watch.write(bytes, 30s);  // 30..60 s without progress: on_stall
//   watch.interrupt(Errc::stopping);               // the read that waits ends with it
//
// A bracket (with_timeout) would cost a frame and a timer for each request. Here one timer per
// connection stands somewhere at or before the deadline; moving the deadline is a store, and the
// timer, when it fires early, is armed again for the rest.
// A read that is interrupted after data has arrived delivers the data.
// Lifetime: outlives its reads and writes. Thread rule: the loop's thread.
#pragma once

#include <cstdint>

#include "rondo/core/loop.hpp"
#include "rondo/core/stream.hpp"
#include "rondo/core/task.hpp"

namespace rondo::http::detail {

class PeerWatch;

struct WatchedRead : rondo::detail::LoanAwaiter {
  PeerWatch& watch;
  Duration timeout;
  Errc interrupted = Errc{0};
  WatchedRead(PeerWatch& w, Duration within, rondo::detail::PromiseBase& parent) noexcept;
  ~WatchedRead();
  void await_suspend(std::coroutine_handle<> frame) noexcept;
  Result<Loan> await_resume();
};

struct WatchedWrite : rondo::detail::WriteWaiter {
  PeerWatch& watch;
  Duration timeout;
  WatchedWrite(PeerWatch& w, ByteView bytes, Duration within,
               rondo::detail::PromiseBase& parent) noexcept;
  ~WatchedWrite();
  void await_suspend(std::coroutine_handle<> frame) noexcept;
  Result<> await_resume() noexcept;
};

class PeerWatch : private rondo::detail::Timer {
  struct [[nodiscard("co_await it")]] Read {
    PeerWatch& watch;
    Duration within;
    WatchedRead awaiter(rondo::detail::PromiseBase& parent) && noexcept {
      return {watch, within, parent};
    }
  };
  struct [[nodiscard("co_await it")]] Write {
    PeerWatch& watch;
    ByteView bytes;
    Duration within;
    WatchedWrite awaiter(rondo::detail::PromiseBase& parent) && noexcept {
      return {watch, bytes, within, parent};
    }
  };

 public:
  using OnStall = void (*)(void* owner) noexcept;
  PeerWatch(ByteStream& stream, void* owner, OnStall on_stall) noexcept;
  ~PeerWatch();

  /// As ByteStream::read, and timed_out when nothing has arrived within `within`.
  Read read(Duration within) noexcept { return {*this, within}; }
  /// As ByteStream::write_all; empty bytes: as flush. A stall is no error: on_stall is called,
  /// which cancels the connection, because a write in flight ends with its bytes only.
  Write write(ByteView bytes, Duration within) noexcept { return {*this, bytes, within}; }

  /// The read that waits, if any, ends with `reason`.
  void interrupt(Errc reason) noexcept;
  /// True while a read waits.
  bool reading() const noexcept { return reader_ != nullptr; }
  ByteStream& stream() noexcept { return stream_; }

 private:
  friend WatchedRead;
  friend WatchedWrite;
  void expect(Duration within) noexcept;
  void rest() noexcept { due_ = k_never; }
  void passed() noexcept;
  std::size_t untaken() const noexcept;

  static constexpr std::int64_t k_never = k_no_deadline.time_since_epoch().count();
  ByteStream& stream_;
  void* owner_;
  OnStall on_stall_;
  WatchedRead* reader_ = nullptr;
  WatchedWrite* writer_ = nullptr;
  std::size_t untaken_ = 0;    // Of the write that waits, when it was looked at last.
  std::int64_t due_ = k_never;
};

}  // namespace rondo::http::detail
