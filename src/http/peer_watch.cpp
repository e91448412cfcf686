// SPDX-License-Identifier: Apache-2.0
// Invariants: reader_ (writer_) is set exactly while that awaiter is suspended; due_ is k_never
// while neither is; the timer, when armed, fires at or before due_.
#include "rondo/http/detail/peer_watch.hpp"

#include <utility>

namespace rondo::http::detail {

WatchedRead::WatchedRead(PeerWatch& w, Duration within,
                         rondo::detail::PromiseBase& parent) noexcept
    : LoanAwaiter(w.stream(), parent), watch(w), timeout(within) {}

WatchedRead::~WatchedRead() {
  if (watch.reader_ != this) return;  // Else destroyed by a cancellation.
  watch.reader_ = nullptr;
  watch.rest();
}

void WatchedRead::await_suspend(std::coroutine_handle<> handle) noexcept {
  watch.reader_ = this;
  watch.expect(timeout);
  LoanAwaiter::await_suspend(handle);
}

Result<Loan> WatchedRead::await_resume() {
  watch.reader_ = nullptr;
  watch.rest();
  if (interrupted != Errc{0} && stream.unread() == 0) return Error(interrupted, "read");
  return LoanAwaiter::await_resume();
}

WatchedWrite::WatchedWrite(PeerWatch& w, ByteView bytes, Duration within,
                           rondo::detail::PromiseBase& parent) noexcept
    : WriteWaiter(w.stream(), bytes, bytes.empty(), parent), watch(w), timeout(within) {}

WatchedWrite::~WatchedWrite() {
  if (watch.writer_ != this) return;
  watch.writer_ = nullptr;
  watch.rest();
}

void WatchedWrite::await_suspend(std::coroutine_handle<> handle) noexcept {
  watch.writer_ = this;
  watch.expect(timeout);
  WriteWaiter::await_suspend(handle);
  watch.untaken_ = watch.untaken();
}

Result<> WatchedWrite::await_resume() noexcept {
  if (watch.writer_ == this) {
    watch.writer_ = nullptr;
    watch.rest();
  }
  return WriteWaiter::await_resume();
}

PeerWatch::PeerWatch(ByteStream& stream, void* owner, OnStall on_stall) noexcept
    : stream_(stream), owner_(owner), on_stall_(on_stall) {
  fire = [](Timer& timer) noexcept { static_cast<PeerWatch&>(timer).passed(); };
}

PeerWatch::~PeerWatch() {
  if (armed()) Loop::current().disarm(*this);
}

void PeerWatch::expect(Duration within) noexcept {
  Loop& loop = Loop::current();
  due_ = deadline_after(loop.now(), within).time_since_epoch().count();
  if (due_ == k_never || (armed() && deadline <= due_)) return;
  if (armed()) loop.disarm(*this);
  deadline = due_;
  loop.arm(*this);
}

std::size_t PeerWatch::untaken() const noexcept {
  return stream_.unsent() + (writer_ ? writer_->rest.size() : 0);
}

void PeerWatch::interrupt(Errc reason) noexcept {
  if (!reader_) return;
  rondo::detail::Chain& chain = rondo::detail::chain_of(*reader_->frame);
  if (chain.leaf != reader_) return;  // Woken already: its data is on the way.
  reader_->interrupted = reason;
  reader_->cancel(*reader_);                    // Unlinks it and queues its end,
  reader_->run = &rondo::detail::run_resume;    // which is a value here.
}

void PeerWatch::passed() noexcept {
  if (due_ == k_never) return;
  Loop& loop = Loop::current();
  if (loop.now().time_since_epoch().count() < due_) {
    deadline = due_;
    return loop.arm(*this);
  }
  if (writer_ && untaken() != untaken_) {  // Slow, but not stalled.
    untaken_ = untaken();
    return expect(writer_->timeout);
  }
  const bool stalled = writer_ != nullptr;
  rest();
  if (stalled) on_stall_(owner_);
  else interrupt(Errc::timed_out);
}

}  // namespace rondo::http::detail
