// SPDX-License-Identifier: Apache-2.0
#include "http/http2_tunnel.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace rondo::http::detail {

using rondo::detail::WriteWaiter;

namespace {

constexpr std::uint32_t k_buffers = 1'024;
constexpr std::uint32_t k_buffer_size = 4'096;

bool is_large(const WriteWaiter& waiter) noexcept {
  return waiter.started || waiter.rest.size() > limits::cork_block.value;
}

}  // namespace

TunnelService::TunnelService(Loop& loop) : pool_(k_buffers, k_buffer_size) {
  hook_.service = this;
  hook_.run = [](rondo::detail::LoopHook& hook) {
    TunnelService& self = *static_cast<PrepareHook&>(hook).service;
    for (std::uint32_t free = self.pool_.free_count(); free > 0; --free) {
      Http2Tunnel* tunnel = self.starved.pop_front();
      if (!tunnel) break;
      tunnel->feed();
    }
  };
  loop.add_prepare_hook(hook_);
}

TunnelService::~TunnelService() { hook_.unlink(); }

Http2Tunnel::Http2Tunnel(proto::Http2Stream& stream, proto::Http2Session& session, Event& wake)
    : ByteStream(Loop::current().service<TunnelService>().pool()),
      service_(Loop::current().service<TunnelService>()),
      stream_(stream),
      session_(&session),
      wake_(wake) {}

Http2Tunnel::~Http2Tunnel() { discard_unread(); }

// ---- Receiving

void Http2Tunnel::on_data(ByteView piece) {
  // Also when the reader never gets to the end of it: the peer may send what was moved anew.
  if (moved_ >= arrived_.size() / 2) {
    arrived_.erase(0, moved_);
    moved_ = 0;
  }
  arrived_.append(as_text(piece));
  feed();
}

void Http2Tunnel::on_end() noexcept {
  ends_ = true;
  feed();
}

void Http2Tunnel::feed() noexcept {
  std::size_t fed = 0;
  while (moved_ < arrived_.size() && !full() && !ended()) {
    const std::uint16_t buffer = pool().take();
    if (buffer == io::k_no_buffer) {
      if (!linked()) service_.starved.push_back(*this);
      break;
    }
    const std::size_t size = std::min<std::size_t>(arrived_.size() - moved_, pool().buffer_size());
    std::memcpy(pool().data(buffer), arrived_.data() + moved_, size);
    moved_ += size;
    fed += size;
    received(buffer, size);
  }
  if (session_ && fed > 0) {
    session_->consumed(stream_, fed);
    wake_.set();
  }
  if (moved_ < arrived_.size() || !ends_ || ended()) return;
  if (read_end_ == Errc{0})
    received_end();
  else
    received_error(read_end_);
}

// ---- Sending

void Http2Tunnel::append(std::string_view bytes) {
  queue_.append(bytes);
  supply();
}

/// Hands the queue over once what was handed over before has been taken.
void Http2Tunnel::supply() noexcept {
  if (!session_ || !stream_.untaken().empty() || last_supplied_) return;
  if (queue_.empty() && !shut_) return;
  sending_.clear();
  std::swap(sending_, queue_);
  last_supplied_ = shut_;
  session_->supply(stream_, as_bytes(sending_), last_supplied_);
  wake_.set();
}

void Http2Tunnel::on_taken() noexcept {
  supply();
  if (!writer_ || !try_accept(*writer_)) return;
  rondo::detail::WriteWaiter& waiter = *std::exchange(writer_, nullptr);
  written(waiter, Errc{0});
}

/// Takes what there is room for. True when the waiter has nothing left to wait for.
bool Http2Tunnel::try_accept(WriteWaiter& waiter) {
  if (waiter.is_flush) return unsent() == 0;
  const std::size_t most = limits::cork_max.value;
  if (!is_large(waiter)) {
    // Who had to wait once waits until half has left.
    const std::size_t limit = writer_ == &waiter ? most / 2 : most - waiter.rest.size();
    if (unsent() > limit) return false;
    append(as_text(waiter.rest));
    return true;
  }
  while (!waiter.rest.empty() && unsent() < most) {
    const ByteView part = waiter.rest.first(std::min(waiter.rest.size(), most - unsent()));
    waiter.started = true;
    waiter.rest = waiter.rest.subspan(part.size());
    append(as_text(part));
  }
  return waiter.rest.empty();
}

bool Http2Tunnel::start_write(WriteWaiter& waiter) noexcept {
  RONDO_ASSERT(!writer_, "one task at a time writes a stream: use a Channel or try_write");
  if (write_error_ != Errc{0} || (shut_ && !waiter.is_flush)) {
    waiter.error = write_error_ != Errc{0} ? write_error_ : Errc::closed;
    return true;
  }
  if (try_accept(waiter)) return true;
  writer_ = &waiter;
  return false;
}

void Http2Tunnel::cancel_write(WriteWaiter& waiter) noexcept {
  writer_ = nullptr;
  // The peer would take whatever follows for the rest of it.
  if (waiter.started) {
    fail_writes(Errc::broken);
    if (session_) {
      session_->reset(stream_, proto::Http2Code::cancel);
      wake_.set();
    }
  }
  strike(waiter);
}

Result<> Http2Tunnel::queue_shared(const SharedBytes& message, std::size_t limit) noexcept {
  if (write_error_ != Errc{0}) return Error(write_error_, "write");
  if (shut_) return Error(Errc::closed, "write");
  if (unsent() + message.size() > limit) return Error(Errc::would_exceed, "write");
  append(message.text());
  return {};
}

void Http2Tunnel::shutdown_write() noexcept {
  if (std::exchange(shut_, true)) return;
  supply();
}

// ---- Its end

void Http2Tunnel::fail_writes(Errc error) noexcept {
  if (write_error_ == Errc{0}) write_error_ = error;
  queue_.clear();
  if (writer_) written(*std::exchange(writer_, nullptr), error);
}

void Http2Tunnel::on_closed(Errc error) noexcept {
  if (!session_) return;
  session_->discarded(arrived_.size() - moved_);
  session_ = nullptr;
  // Both sides have ended, or nothing more can be sent.
  fail_writes(error == Errc{0} ? Errc::closed : error);
  if (!ends_) read_end_ = error;
  ends_ = true;
  feed();
}

}  // namespace rondo::http::detail
