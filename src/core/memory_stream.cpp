// SPDX-License-Identifier: Apache-2.0
// Output waits in queue_ until the prepare phase, then moves into receive buffers of the other
// side, as far as that has room. A large write is taken from where it is, behind the queue.
#include "rondo/core/memory_stream.hpp"

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "rondo/core/loop.hpp"

namespace rondo {

namespace {

class Side final : public ByteStream {
 public:
  Side(io::BufferPool& pool, const MemoryPairOptions& options) noexcept
      : ByteStream(pool), options_(options) {}
  ~Side() { discard_unread(); }

  std::size_t unsent() const noexcept override { return queue_.size(); }
  void shutdown_write() noexcept override { shut_ = true; }

  void deliver() noexcept {
    bool moved = false;
    while (const std::size_t size = next_size()) {
      const std::uint16_t buffer = pool().take();
      if (buffer == io::k_no_buffer) break;
      take(pool().data(buffer), size);
      moved = true;
      peer->received(buffer, size);
      if (options_.piece_max > 0) break;
    }
    if (moved) ++sends;
    // Nothing else may be ready: the loop has to turn for the next piece.
    if (options_.piece_max > 0 && next_size() > 0) Loop::current().call_soon([] {});
    settle();
  }
  void fail(Errc error) noexcept {
    error_ = error;
    queue_.clear();
    if (writer_) written(*std::exchange(writer_, nullptr), error);
    if (!ended()) received_error(error);
  }

  Side* peer = nullptr;
  std::uint64_t sends = 0;

 protected:
  void start_read() noexcept override {}
  void consumed() noexcept override {}
  bool start_write(detail::WriteWaiter& waiter) noexcept override {
    RONDO_ASSERT(!writer_, "one task at a time writes a stream");
    if (error_ != Errc{0} || (shut_ && !waiter.is_flush)) {
      waiter.error = error_ != Errc{0} ? error_ : Errc::closed;
      return true;
    }
    if (waiter.is_flush ? queue_.empty() : fits(waiter)) {
      queue_.append(as_text(waiter.rest));
      return true;
    }
    writer_ = &waiter;
    return false;
  }
  void cancel_write(detail::WriteWaiter& waiter) noexcept override {
    if (waiter.started) error_ = Errc::broken;
    writer_ = nullptr;
    detail::strike(waiter);
  }
  Result<> queue_shared(const SharedBytes& message, std::size_t limit) noexcept override {
    if (error_ != Errc{0}) return Error(error_, "write");
    if (shut_) return Error(Errc::closed, "write");
    if (queue_.size() + message.size() > limit) return Error(Errc::would_exceed, "write");
    queue_.append(message.text());
    return {};
  }

 private:
  bool is_large(const detail::WriteWaiter& waiter) const noexcept {
    return waiter.started || (!waiter.is_flush && waiter.rest.size() > limits::cork_block.value);
  }
  bool fits(const detail::WriteWaiter& waiter) const noexcept {
    return !is_large(waiter) && queue_.size() + waiter.rest.size() <= limits::cork_max.value;
  }
  /// Bytes that can move now.
  std::size_t next_size() const noexcept {
    if (error_ != Errc{0} || peer->unread() >= options_.capacity) return 0;
    std::size_t size = queue_.size();
    if (size == 0 && writer_ && is_large(*writer_)) size = writer_->rest.size();
    if (options_.piece_max > 0) size = std::min(size, options_.piece_max);
    return std::min({size, std::size_t{io_buffer()}, options_.capacity - peer->unread()});
  }
  std::uint32_t io_buffer() const noexcept {
    return const_cast<Side*>(this)->pool().buffer_size();
  }
  void take(std::byte* into, std::size_t size) noexcept {
    if (!queue_.empty()) {
      std::memcpy(into, queue_.data(), size);
      queue_.erase(0, size);
      return;
    }
    std::memcpy(into, writer_->rest.data(), size);
    writer_->rest = writer_->rest.subspan(size);
    writer_->started = true;
  }
  void settle() noexcept {
    if (writer_) {
      detail::WriteWaiter& waiter = *writer_;
      const bool large = is_large(waiter);
      const bool done = waiter.is_flush ? queue_.empty()
                        : large         ? waiter.rest.empty()
                                        : queue_.size() <= limits::cork_max.value / 2;
      if (!done) return;
      if (!waiter.is_flush && !large) queue_.append(as_text(waiter.rest));
      writer_ = nullptr;
      written(waiter, Errc{0});
    }
    if (shut_ && queue_.empty() && !peer->ended()) peer->received_end();
  }

  const MemoryPairOptions& options_;
  std::string queue_;
  detail::WriteWaiter* writer_ = nullptr;
  Errc error_ = Errc{0};
  bool shut_ = false;
};

}  // namespace

struct MemoryPair::State : detail::LoopHook {
  explicit State(const MemoryPairOptions& o)
      : options(o), first(pool, options), second(pool, options) {
    first.peer = &second;
    second.peer = &first;
    run = [](LoopHook& hook) {
      auto& self = static_cast<State&>(hook);
      self.first.deliver();
      self.second.deliver();
    };
    Loop::current().add_prepare_hook(*this);
  }
  ~State() { unlink(); }

  MemoryPairOptions options;
  io::BufferPool pool{128, 4'096};
  Side first;
  Side second;
};

MemoryPair::MemoryPair(MemoryPairOptions options) : state_(std::make_unique<State>(options)) {}
MemoryPair::~MemoryPair() = default;
ByteStream& MemoryPair::first() noexcept { return state_->first; }
ByteStream& MemoryPair::second() noexcept { return state_->second; }
std::uint64_t MemoryPair::sends_of_first() const noexcept { return state_->first.sends; }
std::uint64_t MemoryPair::sends_of_second() const noexcept { return state_->second.sends; }

void MemoryPair::reset() noexcept {
  state_->first.fail(Errc::connection_reset);
  state_->second.fail(Errc::connection_reset);
}

}  // namespace rondo
