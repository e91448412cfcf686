// SPDX-License-Identifier: Apache-2.0
// Socket: the loop's side of a Stream. It outlives its handle until the descriptor is closed.
//
// Receiving: one multishot recv. States (armed_, ended(), starving_):
//   off -> armed            first read, or consumed() made room
//   armed -> off            cancelled because full(), ended, failed, or out of buffers
//   off -> starving -> armed   the pool was empty; re-armed first in first out
// Sending: one send in flight at most (sending_). flush() runs in the prepare phase.
//   A large write (writer_ with is_large) is sent behind the queue's bytes from where it is; once
//   some of it has left, the rest goes before anything queued meanwhile. While somebody else sends
//   on the descriptor (output_locked_) the queue waits.
// Closing: detach() -> gone_; when nothing is in flight and nothing left to send, CloseOp; its
//   completion queues the slot for the close phase, which frees it.
// Nobody but this class writes its fields.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/linger.hpp"
#include "net/out_queue.hpp"
#include "net/service.hpp"
#include "rondo/core/detail/frame_pool.hpp"
#include "rondo/core/stream.hpp"
#include "rondo/io/operation.hpp"
#include "rondo/io/socket_ops.hpp"
#include "rondo/net/socket.hpp"

namespace rondo::net::detail {

// Idle sockets are many: what only a send or a close needs is made for it (192 bytes are left).
class Socket final : public ByteStream, io::RecvOp, public rondo::detail::Pooled {
 public:
  Socket(NetService& service, int descriptor) noexcept;

  /// The handle is gone: sends what is left, then closes.
  void detach() noexcept;
  int descriptor() const noexcept { return io::RecvOp::fd; }
  /// Bytes that arrive go to the stream's reader: nobody else may receive.
  bool is_receiving() const noexcept { return armed_ || unread() > 0; }

  void set_zero_copy(bool on) noexcept { zero_copy_ = on; }
  // For OutputLock.
  void lock_output() noexcept;
  void unlock_output() noexcept;
  bool has_output() const noexcept { return writer_ || sending_ || !out_.empty(); }
  /// What was sent beside the stream is cut in two: nothing more may follow it.
  void break_writing() noexcept { fail(Errc::broken); }

  std::size_t unsent() const noexcept override { return out_.bytes(); }
  void shutdown_write() noexcept override;

  // For NetService.
  void flush() noexcept;
  void settle() noexcept;
  void rearm() noexcept;
  Socket* cork_next = nullptr;
  Socket* starve_next = nullptr;
  bool corked = false;    ///< linked through cork_next
  bool starving = false;  ///< linked through starve_next

 protected:
  void start_read() noexcept override { rearm(); }
  void consumed() noexcept override {
    if (!armed_) rearm();
  }
  bool start_write(rondo::detail::WriteWaiter& waiter) noexcept override;
  void cancel_write(rondo::detail::WriteWaiter& waiter) noexcept override;
  Result<> queue_shared(const SharedBytes& message, std::size_t limit) noexcept override;

 private:
  static constexpr std::size_t k_slices = 16;
  /// A send of one span.
  struct Send : io::SendOp, rondo::detail::Pooled {
    Socket* socket = nullptr;
  };
  /// A send of several spans, when one is not enough.
  struct Gather : io::SendMessageOp, rondo::detail::Pooled {
    Socket* socket = nullptr;
    ByteView spans[k_slices];
  };
  struct ZeroCopy : io::SendZeroCopyOp, rondo::detail::Pooled {
    Socket* socket = nullptr;
  };
  /// What only a closing socket needs.
  struct Closing : rondo::detail::Ready,
                   rondo::detail::Linger,
                   io::CloseOp,
                   rondo::detail::Pooled {
    Socket* socket = nullptr;
  };

  void cork() noexcept {
    if (!corked) service_->cork(*this);
  }
  bool is_large(const rondo::detail::WriteWaiter& waiter) const noexcept {
    // Once some of it has left, the rest goes the same way, however small it is.
    return waiter.started || waiter.rest.size() > limits::cork_block.value;
  }
  io::RecvOp& recv() noexcept { return *this; }
  template <class Op>
  Op& new_send() {
    auto* op = new Op;
    op->socket = this;
    op->fd = descriptor();
    op->on_complete = [](io::Operation& done, const io::Completion& how) noexcept {
      Op* own = static_cast<Op*>(&done);
      Socket& socket = *own->socket;
      delete own;
      socket.on_sent(how.result);
    };
    sending_ = op;
    return *op;
  }
  void on_receive(const io::Completion& done) noexcept;
  void on_sent(std::int32_t result) noexcept;
  void send_gathered(bool with_writer) noexcept;
  void send_zero_copy() noexcept;
  void advance(std::size_t sent) noexcept;
  void fail(Errc error) noexcept;
  void serve_writer() noexcept;
  void settle_large(rondo::detail::WriteWaiter& waiter) noexcept;
  void finish_shutdown() noexcept;
  void start_close() noexcept;

  NetService* service_;
  OutQueue out_;
  io::Operation* sending_ = nullptr;  ///< the send in flight: a Send, a Gather or a ZeroCopy
  Closing* closing_ = nullptr;
  rondo::detail::WriteWaiter* writer_ = nullptr;
  Errc write_error_ = Errc{0};
  std::uint32_t queued_in_flight_ = 0;  ///< bytes of out_ that the send in flight covers
  bool armed_ = false;
  bool writer_in_flight_ = false;
  bool shutdown_asked_ = false;
  bool gone_ = false;
  bool zero_copy_ = false;
  bool output_locked_ = false;
};

/// For the parts of net that do more with a stream's socket than a ByteStream can.
struct StreamAccess {
  static Socket& socket(Stream& stream) noexcept { return stream.open_socket(); }
  /// Over a socket that the loop's driver has made.
  static Stream stream(int descriptor);
};

}  // namespace rondo::net::detail
