// SPDX-License-Identifier: Apache-2.0
#include "net/acceptor.hpp"

#include <cerrno>
#include <utility>

#include "net/socket.hpp"
#include "rondo/base/log.hpp"
#include "rondo/core/detail/immediate.hpp"

namespace rondo::net::detail {
namespace {

bool is_shortage(Errc error) noexcept {
  return error == Errc::too_many_descriptors || error == Errc::too_many_descriptors_in_system ||
         error == Errc::no_memory || error == Errc::no_buffers;
}

/// Of one connection, not of the listener: accept(2) hands on what the network said about it. The
/// next one may be better.
bool is_of_a_connection(Errc error) noexcept {
  switch (static_cast<int>(error)) {
    case EINTR:
    case ECANCELED:
    case ECONNABORTED:
    case ECONNRESET:
    case EPROTO:
    case ENOPROTOOPT:
    case ENETDOWN:
    case ENETUNREACH:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENONET:
    case ETIMEDOUT:
      return true;
    default:
      return false;
  }
}

}  // namespace

Acceptor::Acceptor(NetService& service, int descriptor, const Endpoint& local) noexcept
    : service_(&service), local_(local) {
  service.opened();
  op_.fd = close_.fd = descriptor;
  op_.acceptor = pause_.acceptor = stop_.acceptor = close_.acceptor = last_.acceptor = this;
  op_.on_complete = [](io::Operation& op, const io::Completion& done) noexcept {
    static_cast<Op&>(op).acceptor->on_accept(done);
  };
  pause_.fire = [](rondo::detail::Timer& timer) noexcept {
    static_cast<Pause&>(timer).acceptor->arm();
  };
  stop_.run = [](rondo::detail::LoopHook& hook) {
    static_cast<StopHook&>(hook).acceptor->on_stop();
  };
  stopping_ = service.loop().stop_requested();
  if (!stopping_) service.loop().add_stop_hook(stop_);
}

void Acceptor::arm() noexcept {
  if (armed_ || gone_ || stopping_ || pause_.armed() || waiting_.size() >= k_max) return;
  armed_ = true;
  service_->driver().submit(op_);
}

void Acceptor::wait(AcceptAwaiter& awaiter) noexcept {
  RONDO_ASSERT(!awaiter_, "one task at a time accepts from a listener");
  awaiter_ = &awaiter;
  arm();
}

void Acceptor::on_accept(const io::Completion& done) noexcept {
  if (done.result >= 0) {
    pauses_ = 0;
    if (gone_ || stopping_) {
      service_->close_descriptor(done.result);
    } else {
      waiting_.push_back(done.result);
      notify();
    }
  }
  if (done.more) {
    // Early: what is on its way until the cancel is through comes on top.
    if (waiting_.size() >= k_max / 2) service_->driver().cancel(op_);
    return;
  }
  armed_ = false;
  const Errc error = done.result < 0 ? static_cast<Errc>(-done.result) : Errc{0};
  if (is_shortage(error)) {
    pause(error);
  } else if (done.result < 0 && !is_of_a_connection(error)) {
    error_ = error;  // Asking again at once would yield the same, again and again.
    notify();
  } else if (awaiter_) {
    arm();
  }
  settle();
}

void Acceptor::pause(Errc why) noexcept {
  if (gone_ || stopping_) return;
  log(LogLevel::warning, "accept " + local_.to_string() + ": " + describe(why) +
                             ": accepting pauses until descriptors are free");
  // At first descriptors may come free. After that, who waits is told by a close that nobody will
  // come, instead of being left in the backlog.
  if (++pauses_ * limits::accept_pause.value > limits::accept_refuse_after.value) refuse_waiting();
  const Duration time = std::chrono::milliseconds(limits::accept_pause.value);
  pause_.deadline = deadline_after(service_->loop().now(), time).time_since_epoch().count();
  service_->loop().arm(pause_);
}

void Acceptor::refuse_waiting() noexcept {
  rondo::detail::Immediate<io::RefuseOp> op;
  op.fd = op_.fd;
  op.max = k_max;
  if (op.ask() <= 0) return;
  log(LogLevel::warning, "accept " + local_.to_string() + ": refused " +
                             std::to_string(op.result) + " connections");
}

void Acceptor::notify() noexcept {
  if (awaiter_) rondo::detail::wake(*std::exchange(awaiter_, nullptr));
}

void Acceptor::on_stop() noexcept {
  stopping_ = true;
  if (armed_) service_->driver().cancel(op_);
  if (pause_.armed()) service_->loop().disarm(pause_);
  close_waiting();
  notify();
}

void Acceptor::close_waiting() noexcept {
  for (const int descriptor : waiting_) service_->close_descriptor(descriptor);
  waiting_.clear();
}

Result<Stream> Acceptor::take() {
  if (waiting_.empty()) {
    if (stopping_) return Error(Errc::stopping, "accept");
    RONDO_ASSERT(error_ != Errc{0}, "one task at a time accepts from a listener");
    return Error(std::exchange(error_, Errc{0}), "accept", local_.to_string());
  }
  const int taken = waiting_.front();
  waiting_.pop_front();
  return StreamAccess::stream(taken);
}

void Acceptor::detach() noexcept {
  RONDO_ASSERT(!awaiter_, "a listener was closed while a task accepts from it");
  gone_ = true;
  close_waiting();
  if (stop_.linked()) stop_.unlink();
  if (pause_.armed()) service_->loop().disarm(pause_);
  if (armed_) service_->driver().cancel(op_);
  settle();
}

void Acceptor::settle() noexcept {
  if (!gone_ || armed_ || close_.in_flight()) return;
  close_.on_complete = [](io::Operation& op, const io::Completion&) noexcept {
    Acceptor& self = *static_cast<Close&>(op).acceptor;
    self.last_.run = [](rondo::detail::Ready& entry) {
      Acceptor* done = static_cast<Last&>(entry).acceptor;
      done->service_->closed();
      delete done;
    };
    self.service_->loop().close_later(self.last_);
  };
  service_->driver().submit(close_);
}

bool AcceptAwaiter::await_ready() noexcept {
  return !rondo::detail::cancelled(*this) && acceptor.has_answer() && rondo::detail::spend_await();
}

void AcceptAwaiter::await_suspend(std::coroutine_handle<>) noexcept {
  if (rondo::detail::cancelled(*this)) return rondo::detail::strike(*this);
  if (acceptor.has_answer()) return rondo::detail::wake(*this);
  rondo::detail::park(*this, [](rondo::detail::Waiter& waiter) noexcept {
    static_cast<AcceptAwaiter&>(waiter).acceptor.unhook();
    rondo::detail::strike(waiter);
  });
  acceptor.wait(*this);
}

Result<Stream> AcceptAwaiter::await_resume() { return acceptor.take(); }

}  // namespace rondo::net::detail
