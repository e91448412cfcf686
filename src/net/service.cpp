// SPDX-License-Identifier: Apache-2.0
#include "net/service.hpp"

#include <utility>

#include "net/socket.hpp"
#include "rondo/base/simulation.hpp"

namespace rondo::net::detail {

NetService::NetService(Loop& loop) : loop_(loop) {
  hook_.service = this;
  hook_.run = [](rondo::detail::LoopHook& hook) {
    auto& self = *static_cast<PrepareHook&>(hook).service;
    self.flush_corked();
    if (self.starved_) self.feed_starved();
  };
  loop_.add_prepare_hook(hook_);
}

NetService::~NetService() { hook_.unlink(); }

void NetService::cork(Socket& socket) noexcept {
  socket.corked = true;
  socket.cork_next = nullptr;
  if (corked_last_)
    corked_last_->cork_next = &socket;
  else
    corked_ = &socket;
  corked_last_ = &socket;
}

void NetService::starve(Socket& socket) noexcept {
  socket.starving = true;
  socket.starve_next = nullptr;
  if (starved_last_)
    starved_last_->starve_next = &socket;
  else
    starved_ = &socket;
  starved_last_ = &socket;
}

void NetService::flush_corked() noexcept {
  corked_last_ = nullptr;
  Socket* socket = std::exchange(corked_, nullptr);
  while (socket) {
    Socket* next = socket->cork_next;
    socket->corked = false;
    socket->flush();
    socket->settle();  // May free it.
    socket = next;
  }
}

void NetService::feed_starved() noexcept {
  // At most as many as there are free buffers: the others would only fail again.
  for (std::uint32_t free = driver().buffers().free_count(); free > 0 && starved_; --free) {
    Socket* socket = starved_;
    starved_ = socket->starve_next;
    if (!starved_) starved_last_ = nullptr;
    socket->starving = false;
    RONDO_MARK("rearm after ENOBUFS");
    socket->rearm();
    socket->settle();  // May free it.
  }
}

void NetService::close_descriptor(int descriptor) noexcept {
  struct Close : io::CloseOp {
    NetService* service = nullptr;
  };
  auto* op = new Close;
  op->fd = descriptor;
  op->service = this;
  op->on_complete = [](io::Operation& done, const io::Completion&) noexcept {
    auto* self = static_cast<Close*>(&done);
    self->service->closed();
    delete self;
  };
  opened();  // Counts as open until its descriptor is given back.
  driver().submit(*op);
}

std::size_t NetService::corked_count() const noexcept {
  std::size_t n = 0;
  for (Socket* socket = corked_; socket; socket = socket->cork_next) ++n;
  return n;
}

std::size_t NetService::starved_count() const noexcept {
  std::size_t n = 0;
  for (Socket* socket = starved_; socket; socket = socket->starve_next) ++n;
  return n;
}

}  // namespace rondo::net::detail
