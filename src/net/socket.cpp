// SPDX-License-Identifier: Apache-2.0
#include "net/socket.hpp"

#include <utility>

#include "rondo/base/simulation.hpp"

namespace rondo::net::detail {

static_assert(sizeof(Socket) <= 192, "10,000 idle connections are counted in their sockets");

constexpr Errc k_not_supported = static_cast<Errc>(95);  // EOPNOTSUPP
constexpr const char* k_one_writer =
    "one task at a time writes a stream: use a Channel or try_write";

using rondo::detail::strike;
using rondo::detail::Waiter;
using rondo::detail::WriteWaiter;

ByteStream& stream_of(Socket& socket) noexcept { return socket; }

Socket::Socket(NetService& service, int descriptor) noexcept
    : ByteStream(service.driver().buffers()), service_(&service) {
  service.opened();
  recv().fd = descriptor;
  recv().on_complete = [](io::Operation& op, const io::Completion& done) noexcept {
    static_cast<Socket&>(static_cast<io::RecvOp&>(op)).on_receive(done);
  };
}

// ---- Receiving

void Socket::rearm() noexcept {
  if (armed_ || starving || gone_ || ended() || full()) return;
  armed_ = true;
  service_->driver().submit(recv());
}

void Socket::on_receive(const io::Completion& done) noexcept {
  if (done.result > 0) {
    if (gone_)
      pool().release(done.buffer);
    else
      received(done.buffer, static_cast<std::size_t>(done.result));
  }
  const bool more = done.more || (done.result > 0 && planted(PlantedBug::ignore_missing_more));
  if (more) {
    if (full()) service_->driver().cancel(recv());  // Back-pressure: consumed() arms again.
    return;
  }
  if (done.result > 0) RONDO_MARK("a multishot receive ended with data");
  armed_ = false;
  const Errc error = static_cast<Errc>(-done.result);
  if (done.result == 0) {
    received_end();
  } else if (error == Errc::no_buffers) {
    RONDO_MARK("a receive found no buffer");
    if (planted(PlantedBug::no_rearm))
      starving = true;
    else if (!gone_)
      service_->starve(*this);
  } else if (done.result < 0 && error != Errc::operation_cancelled &&
             (error != Errc::interrupted || planted(PlantedBug::no_retry))) {
    received_error(error);
  }
  rearm();
  settle();  // May free this: nothing after it.
}

// ---- Sending

bool Socket::start_write(WriteWaiter& waiter) noexcept {
  RONDO_ASSERT(!writer_ && !output_locked_, k_one_writer);
  const bool failed = write_error_ != Errc{0} && write_error_ != Errc::closed;
  if (failed || (shutdown_asked_ && !waiter.is_flush)) {
    waiter.error = failed ? write_error_ : Errc::closed;
    return true;
  }
  if (waiter.is_flush) {
    if (out_.empty() && !sending_) return true;
  } else if (!is_large(waiter) && out_.bytes() + waiter.rest.size() <= limits::cork_max.value) {
    out_.append(waiter.rest);
    cork();
    return true;
  }
  writer_ = &waiter;
  cork();
  return false;
}

void Socket::cancel_write(WriteWaiter& waiter) noexcept {
  if (writer_in_flight_) {
    service_->driver().cancel(*sending_);  // on_sent() decides: data wins.
    return;
  }
  writer_ = nullptr;  // Before fail(), which would strike it too.
  if (waiter.started) fail(Errc::broken);
  strike(waiter);
}

Result<> Socket::queue_shared(const SharedBytes& message, std::size_t limit) noexcept {
  if (write_error_ != Errc{0}) return Error(write_error_, "write");
  if (shutdown_asked_) return Error(Errc::closed, "write");
  const bool fits = out_.bytes() + message.size() <= limit;
  if (!fits && !planted(PlantedBug::no_queue_limit)) return Error(Errc::would_exceed, "write");
  if (message.size() <= limits::shared_copy_max.value)
    out_.append(message.bytes());
  else
    out_.append_shared(message);
  cork();
  return {};
}

void Socket::lock_output() noexcept {
  RONDO_ASSERT(!has_output() && !output_locked_, k_one_writer);
  output_locked_ = true;
}

void Socket::unlock_output() noexcept {
  output_locked_ = false;
  if (!out_.empty() || shutdown_asked_) cork();
}

void Socket::flush() noexcept {
  if (sending_ || output_locked_ || write_error_ != Errc{0}) return;
  const bool large = writer_ && !writer_->is_flush && is_large(*writer_);
  if (!large && out_.empty()) {
    serve_writer();
    return finish_shutdown();
  }
  const bool uncopied = large && zero_copy_ && writer_->rest.size() >= limits::zero_copy_min.value;
  if (uncopied && (out_.empty() || writer_->started)) return send_zero_copy();
  if (large || !out_.has_one_block()) return send_gathered(large && !uncopied);
  const ByteView front = out_.front();
  queued_in_flight_ = static_cast<std::uint32_t>(front.size());
  Send& send = new_send<Send>();
  send.data = front.data();
  send.size = front.size();
  service_->driver().submit(send);
}

void Socket::send_gathered(bool with_writer) noexcept {
  Gather& op = new_send<Gather>();
  const bool in_the_middle = with_writer && writer_->started;
  std::size_t count = in_the_middle ? 0 : out_.gather({op.spans, k_slices});
  queued_in_flight_ = 0;
  for (std::size_t i = 0; i < count; ++i) {
    queued_in_flight_ += static_cast<std::uint32_t>(op.spans[i].size());
  }
  // The large span joins only if everything queued before it is in front of it.
  if (with_writer && queued_in_flight_ == (in_the_middle ? 0 : out_.bytes()) && count < k_slices) {
    op.spans[count++] = writer_->rest;
    writer_in_flight_ = true;
  }
  op.slices = op.spans;
  op.count = static_cast<std::uint32_t>(count);
  service_->driver().submit(op);
}

void Socket::send_zero_copy() noexcept {
  ZeroCopy& op = new_send<ZeroCopy>();
  op.on_complete = [](io::Operation& done, const io::Completion& how) noexcept {
    auto* own = static_cast<ZeroCopy*>(&done);
    Socket& socket = *own->socket;
    delete own;
    const Errc error = static_cast<Errc>(-how.result);
    const bool cannot = error == Errc::invalid_argument || error == k_not_supported;
    // This socket or kernel cannot: nothing was sent, and the next flush copies.
    if (cannot) socket.zero_copy_ = false;
    socket.on_sent(cannot ? -static_cast<std::int32_t>(Errc::interrupted) : how.result);
  };
  queued_in_flight_ = 0;
  writer_in_flight_ = true;
  op.data = writer_->rest.data();
  op.size = writer_->rest.size();
  service_->driver().submit(op);
}

void Socket::on_sent(std::int32_t result) noexcept {
  sending_ = nullptr;
  const Errc error = static_cast<Errc>(-result);
  if (write_error_ != Errc{0})
    out_.clear();  // Failed meanwhile: fail() left it to the kernel.
  else if (result >= 0)
    advance(static_cast<std::size_t>(result));
  else if (error != Errc::operation_cancelled && error != Errc::interrupted)
    fail(error);
  if (std::exchange(writer_in_flight_, false)) settle_large(*writer_);
  serve_writer();
  if (!out_.empty() || writer_ || shutdown_asked_) cork();
  settle();  // May free this: nothing after it.
}

void Socket::advance(std::size_t sent) noexcept {
  const std::size_t queued = sent < queued_in_flight_ ? sent : queued_in_flight_;
  out_.consume(queued);
  if (sent > queued && writer_in_flight_) {
    writer_->rest = writer_->rest.subspan(sent - queued);
    writer_->started = true;
  }
}

/// A large write was in flight and came back: done, failed, struck, or to go on.
void Socket::settle_large(WriteWaiter& waiter) noexcept {
  if (write_error_ != Errc{0}) return;  // fail() has woken it.
  if (waiter.rest.empty()) {
    writer_ = nullptr;
    return written(waiter, Errc{0});
  }
  if (!rondo::detail::cancelled(waiter)) return;
  writer_ = nullptr;
  if (waiter.started) fail(Errc::broken);
  strike(waiter);
}

/// Small writes wait until half of cork_max has left, flushes until all has.
void Socket::serve_writer() noexcept {
  if (!writer_ || writer_in_flight_ || write_error_ != Errc{0}) return;
  WriteWaiter& waiter = *writer_;
  if (waiter.is_flush) {
    if (!out_.empty() || sending_) return;
  } else {
    if (is_large(waiter)) return;
    if (out_.bytes() > limits::cork_max.value / 2) return;
    out_.append(waiter.rest);
    cork();
  }
  writer_ = nullptr;
  written(waiter, Errc{0});
}

void Socket::fail(Errc error) noexcept {
  if (write_error_ == Errc{0}) write_error_ = error;
  if (!sending_) out_.clear();  // The kernel may still read what is being sent.
  if (!writer_) return;
  writer_in_flight_ = false;
  WriteWaiter& waiter = *std::exchange(writer_, nullptr);
  if (rondo::detail::cancelled(waiter))
    strike(waiter);
  else
    written(waiter, error);
}

void Socket::shutdown_write() noexcept {
  shutdown_asked_ = true;
  cork();
}

void Socket::finish_shutdown() noexcept {
  if (!shutdown_asked_ || !out_.empty() || sending_ || gone_) return;
  if (write_error_ != Errc{0}) return;
  write_error_ = Errc::closed;
  io::ShutdownOp op;
  op.fd = descriptor();
  op.on_complete = [](io::Operation&, const io::Completion&) noexcept {};
  service_->driver().submit(op);  // Immediate; an error means that the peer is gone already.
}

// ---- Closing

void Socket::detach() noexcept {
  RONDO_ASSERT(!has_reader() && !writer_ && !output_locked_,
               "a stream was closed while a task waits in it");
  gone_ = true;
  discard_unread();
  if (armed_) service_->driver().cancel(recv());
  closing_ = new Closing;
  closing_->socket = this;
  closing_->fire = [](rondo::detail::Timer& timer) noexcept {
    Socket& socket = *static_cast<Closing&>(timer).socket;
    if (socket.sending_) socket.service_->driver().cancel(*socket.sending_);
    socket.fail(Errc::timed_out);
    socket.settle();
  };
  if (!out_.empty() || sending_) closing_->linger(service_->loop());
  settle();
}

void Socket::settle() noexcept {
  if (!gone_ || armed_ || sending_ || corked || starving || closing_->in_flight()) return;
  if (!out_.empty()) return cork();
  start_close();
}

void Socket::start_close() noexcept {
  closing_->linger_no_more(service_->loop());
  closing_->fd = descriptor();
  closing_->on_complete = [](io::Operation& op, const io::Completion&) noexcept {
    auto& closing = static_cast<Closing&>(static_cast<io::CloseOp&>(op));
    closing.run = [](rondo::detail::Ready& entry) {
      auto* self = static_cast<Closing*>(&entry);
      self->socket->service_->closed();
      delete self->socket;
      delete self;
    };
    closing.socket->service_->loop().close_later(closing);
  };
  service_->driver().submit(*closing_);
}

}  // namespace rondo::net::detail
