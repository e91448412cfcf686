// SPDX-License-Identifier: Apache-2.0
#include "process/fd_stream.hpp"

#include <cerrno>
#include <utility>

#include "rondo/io/child_ops.hpp"
#include "rondo/process/stream.hpp"

namespace rondo::process {

namespace detail {

using rondo::detail::strike;
using rondo::detail::WriteWaiter;

ByteStream& stream_of(FdStream& stream) noexcept { return stream; }

FdStream::FdStream(ProcessService& service, int read_from, int write_to,
                   Descriptors whose) noexcept
    : ByteStream(service.pool()),
      service_(service),
      read_fd_(read_from),
      write_fd_(write_to),
      borrowed_(whose == Descriptors::borrowed) {
  service.opened();
  own<io::PollOp, &FdStream::on_polled>(poll_);
  own<io::ReadOp, &FdStream::on_read>(read_);
  own<io::WriteOp, &FdStream::on_written>(write_);
  own<io::CloseOp, &FdStream::on_closed>(close_);
  fire = [](rondo::detail::Timer& timer) noexcept {
    auto& self = static_cast<FdStream&>(timer);
    if (self.write_.in_flight()) self.service_.driver().cancel(self.write_);
    self.fail(Errc::timed_out);
    self.settle();
  };
  if (read_fd_ < 0) received_end();
  if (write_fd_ < 0) write_error_ = Errc::closed;
}

// ---- Receiving

void FdStream::rearm() noexcept {
  if (gone_ || ended() || full() || poll_.in_flight() || read_.in_flight()) return;
  if (TaggedLink<Starved>::linked()) return;
  poll_.fd = read_fd_;
  poll_.events = io::k_readable;
  service_.driver().submit(poll_);
}

void FdStream::on_polled(std::int32_t result) noexcept {
  if (gone_) return settle();
  if (result == -ECANCELED || result == -EINTR) return rearm();
  if (result < 0) return received_error(static_cast<Errc>(-result));
  buffer_ = pool().take();
  if (buffer_ == io::k_no_buffer) return service_.starved.push_back(*this);
  read_.fd = read_fd_;
  read_.into = {pool().data(buffer_), pool().buffer_size()};
  service_.driver().submit(read_);
}

void FdStream::on_read(std::int32_t result) noexcept {
  const std::uint16_t buffer = std::exchange(buffer_, io::k_no_buffer);
  if (result > 0 && !gone_)
    received(buffer, static_cast<std::size_t>(result));
  else
    pool().release(buffer);
  // A terminal whose other side is closed says EIO: that is how it ends.
  if (result == 0 || (result == -EIO && is_terminal()))
    received_end();
  else if (result < 0 && result != -ECANCELED && result != -EINTR && result != -EAGAIN)
    received_error(static_cast<Errc>(-result));
  rearm();
  settle();  // May free this: nothing after it.
}

// ---- Sending

void FdStream::cork() noexcept {
  if (!TaggedLink<Corked>::linked()) service_.corked.push_back(*this);
}

bool FdStream::start_write(WriteWaiter& waiter) noexcept {
  RONDO_ASSERT(!writer_, "one task at a time writes a stream: use a Channel or try_write");
  const bool failed = write_error_ != Errc{0} && write_error_ != Errc::closed;
  if (failed || ((shutdown_asked_ || write_fd_ < 0) && !waiter.is_flush)) {
    waiter.error = failed ? write_error_ : Errc::closed;
    return true;
  }
  if (waiter.is_flush) {
    if (unsent() == 0 && !write_.in_flight()) return true;
  } else if (!is_large(waiter) && unsent() + waiter.rest.size() <= limits::cork_max.value) {
    queue_.append(as_text(waiter.rest));
    cork();
    return true;
  }
  writer_ = &waiter;
  cork();
  return false;
}

void FdStream::cancel_write(WriteWaiter& waiter) noexcept {
  if (writer_in_flight_) {
    service_.driver().cancel(write_);  // on_written() decides: data wins.
    return;
  }
  writer_ = nullptr;
  if (waiter.started) fail(Errc::broken);
  strike(waiter);
}

Result<> FdStream::queue_shared(const SharedBytes& message, std::size_t limit) noexcept {
  if (write_error_ != Errc{0}) return Error(write_error_, "write");
  if (shutdown_asked_) return Error(Errc::closed, "write");
  if (unsent() + message.size() > limit) return Error(Errc::would_exceed, "write");
  queue_.append(message.text());
  cork();
  return {};
}

void FdStream::submit_write(ByteView bytes) noexcept {
  write_.fd = write_fd_;
  write_.from = bytes;
  service_.driver().submit(write_);
}

/// The prepare phase: starts what is to be sent next.
void FdStream::flush() noexcept {
  if (write_.in_flight() || write_error_ != Errc{0}) return;
  const bool in_the_middle = writer_ && writer_->started;
  if (!in_the_middle && unsent() > 0) {
    if (sent_ == sending_.size()) {
      sending_.clear();
      sent_ = 0;
      std::swap(sending_, queue_);
    }
    return submit_write(as_bytes(sending_).subspan(sent_));
  }
  if (writer_ && !writer_->is_flush && is_large(*writer_)) {
    writer_in_flight_ = true;
    return submit_write(writer_->rest);
  }
  serve_writer();
  finish_shutdown();
}

void FdStream::on_written(std::int32_t result) noexcept {
  const bool again = result == -ECANCELED || result == -EINTR || result == -EAGAIN;
  if (result >= 0)
    advance(static_cast<std::size_t>(result));
  else if (!again)
    fail(static_cast<Errc>(-result));
  if (std::exchange(writer_in_flight_, false)) settle_large();
  serve_writer();
  if (unsent() > 0 || writer_ || shutdown_asked_) cork();
  settle();  // May free this: nothing after it.
}

void FdStream::advance(std::size_t size) noexcept {
  if (!writer_in_flight_ || !writer_) {
    sent_ += size;
    return;
  }
  writer_->rest = writer_->rest.subspan(size);
  writer_->started = true;
}

/// A large write came back: done, failed, struck, or to go on.
void FdStream::settle_large() noexcept {
  if (!writer_) return;  // fail() has woken it.
  WriteWaiter& waiter = *writer_;
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
void FdStream::serve_writer() noexcept {
  if (!writer_ || writer_in_flight_ || write_error_ != Errc{0}) return;
  WriteWaiter& waiter = *writer_;
  if (waiter.is_flush) {
    if (unsent() > 0 || write_.in_flight()) return;
  } else {
    if (is_large(waiter) || unsent() > limits::cork_max.value / 2) return;
    queue_.append(as_text(waiter.rest));
    cork();
  }
  writer_ = nullptr;
  written(waiter, Errc{0});
}

void FdStream::fail(Errc error) noexcept {
  if (write_error_ == Errc{0}) write_error_ = error;
  queue_.clear();
  if (!write_.in_flight() || writer_in_flight_) {  // Else the kernel may still read it.
    sending_.clear();
    sent_ = 0;
  }
  if (!writer_ || (writer_in_flight_ && write_.in_flight())) return;
  WriteWaiter& waiter = *std::exchange(writer_, nullptr);
  if (rondo::detail::cancelled(waiter))
    strike(waiter);
  else
    written(waiter, error);
}

void FdStream::shutdown_write() noexcept {
  if (std::exchange(shutdown_asked_, true)) return;
  if (is_terminal() && write_error_ == Errc{0}) queue_.push_back('\x04');
  cork();
}

void FdStream::finish_shutdown() noexcept {
  if (!shutdown_asked_ || unsent() > 0 || write_.in_flight() || gone_) return;
  if (is_terminal() || write_fd_ < 0 || write_error_ != Errc{0}) return;
  write_error_ = Errc::closed;
  if (!borrowed_) service_.close_descriptor(std::exchange(write_fd_, -1));
}

// ---- Closing

void FdStream::detach() noexcept {
  RONDO_ASSERT(!has_reader() && !writer_, "a pipe was closed while a task waits in it");
  gone_ = true;
  discard_unread();
  if (TaggedLink<Starved>::linked()) TaggedLink<Starved>::unlink();
  if (poll_.in_flight()) service_.driver().cancel(poll_);
  if (read_.in_flight()) service_.driver().cancel(read_);
  if (write_error_ == Errc{0} && (unsent() > 0 || write_.in_flight())) linger(service_.loop());
  settle();
}

void FdStream::settle() noexcept {
  if (!gone_ || freeing_ || poll_.in_flight() || read_.in_flight() || write_.in_flight()) return;
  if (close_.in_flight() || TaggedLink<Corked>::linked()) return;
  if (write_error_ == Errc{0} && unsent() > 0) return cork();
  linger_no_more(service_.loop());
  if (borrowed_) read_fd_ = write_fd_ = -1;
  if (write_fd_ >= 0) {
    if (read_fd_ == write_fd_) read_fd_ = -1;
    return close_one(write_fd_);
  }
  if (read_fd_ >= 0) return close_one(read_fd_);
  freeing_ = true;
  run = [](rondo::detail::Ready& entry) {
    auto* self = static_cast<FdStream*>(&entry);
    self->service_.closed();
    delete self;
  };
  service_.loop().close_later(*this);
}

void FdStream::close_one(int& fd) noexcept {
  close_.fd = std::exchange(fd, -1);
  service_.driver().submit(close_);
}

void FdStream::on_closed(std::int32_t) noexcept { settle(); }

// ---- Shared by the loop's streams

// 64 buffers of 16 KiB; untouched memory costs nothing.
ProcessService::ProcessService(Loop& loop) : loop_(loop), pool_(64, 16'384) {
  hook_.service = this;
  hook_.run = [](rondo::detail::LoopHook& hook) {
    static_cast<PrepareHook&>(hook).service->prepare();
  };
  loop_.add_prepare_hook(hook_);
}

void ProcessService::prepare() noexcept {
  // What a flush corks anew waits for the next iteration.
  IntrusiveList<FdStream, Corked> now;
  now.splice_back(corked);
  while (FdStream* stream = now.pop_front()) {
    stream->flush();
    stream->settle();  // May free it.
  }
  for (std::uint32_t free = pool_.free_count(); free > 0; --free) {
    FdStream* stream = starved.pop_front();
    if (!stream) return;
    stream->rearm();
  }
}

void ProcessService::close_descriptor(int fd) noexcept {
  struct Close : io::CloseOp {
    ProcessService* service = nullptr;
  };
  auto* op = new Close;
  op->fd = fd;
  op->service = this;
  op->on_complete = [](io::Operation& done, const io::Completion&) noexcept {
    auto* self = static_cast<Close*>(&done);
    self->service->closed();
    delete self;
  };
  opened();  // Counts as open until its descriptor is given back.
  driver().submit(*op);
}

}  // namespace detail

PipeStream PipeStream::adopt(int read_from, int write_to) {
  return PipeStream(*new detail::FdStream(detail::ProcessService::current(), read_from, write_to,
                                          detail::FdStream::Descriptors::owned));
}

PipeStream PipeStream::borrow(int read_from, int write_to) {
  return PipeStream(*new detail::FdStream(detail::ProcessService::current(), read_from, write_to,
                                          detail::FdStream::Descriptors::borrowed));
}

void PipeStream::close() noexcept {
  if (detail::FdStream* own = std::exchange(own_, nullptr)) own->detach();
}

Result<PipePair> make_pipe() {
  detail::Immediate<io::MakePipeOp> op;
  if (op.ask() < 0) return Error::from_errno(-op.result, "pipe");
  return PipePair{PipeStream::adopt(op.fds[0], -1), PipeStream::adopt(-1, op.fds[1])};
}

}  // namespace rondo::process
