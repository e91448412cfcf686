// SPDX-License-Identifier: Apache-2.0
// Channel<T>: a bounded queue between tasks of one loop, many senders, many receivers.
//
//   Channel<Message> outbox{256, OnFull::close};
//   co_await outbox.send(message);                      // Result<>
//   while (auto message = co_await outbox.receive()) use(*message);   // nullopt: closed and empty
//
// Capacity 0 is a rendezvous: send waits for a receiver. What happens when it is full is part of
// construction. For messages from other threads use a Promise or Loop::post.
// Memory: the ring of `capacity` items is allocated once, nothing per message.
// Lifetime: outlives its waiters (checked). Thread rule: the loop's thread.
#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

#include "rondo/base/memory.hpp"
#include "rondo/base/result.hpp"
#include "rondo/core/event.hpp"

namespace rondo {

/// What a send to a full channel does.
enum class OnFull : std::uint8_t {
  wait,         ///< suspends until there is room
  reject,       ///< yields would_exceed; the item being sent is destroyed
  drop_oldest,  ///< makes room by dropping the item that waited longest
  drop_newest,  ///< drops the item being sent
  close,        ///< closes the channel: a reader that slow is given up
};

struct ChannelStatistics {
  std::size_t size = 0;
  std::size_t capacity = 0;
  std::size_t senders_waiting = 0;
  std::size_t receivers_waiting = 0;
  std::uint64_t sent = 0;
  std::uint64_t dropped = 0;
  bool closed = false;
};

template <class T>
class Channel {
 public:
  explicit Channel(std::size_t capacity, OnFull on_full = OnFull::wait)
      : ring_(capacity ? new Slot[capacity] : nullptr),
        capacity_(capacity),
        on_full_(on_full) {}
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;
  ~Channel() {
    while (size_ > 0) static_cast<void>(pop());
    delete[] ring_;
  }

  /// Puts an item in.
  /// - **Completes** at once while there is room; when full as OnFull says.
  /// - **Returns** nothing. **Errors** closed; would_exceed with OnFull::reject.
  /// - **Cancel** the item was not sent and is destroyed. **Lifetime** the channel outlives it.
  /// - **Concurrency** any number of senders, first in first out. **Thread** the loop's.
  auto send(T item) { return Send(*this, std::move(item)); }
  /// Puts an item in if there is room, whatever OnFull says: false when full or closed. Never drops
  /// or closes.
  bool try_send(T item) { return !closed_ && accept(item); }
  /// Puts an item in without ever waiting; when full as OnFull says, with `wait` as `reject`. For
  /// who must not be held up by a slow receiver.
  /// Errors: closed (also by this very call, with OnFull::close); would_exceed: it was not taken.
  Result<> push(T item) {
    const Errc outcome = put(item).value_or(Errc::would_exceed);
    if (outcome == Errc{0}) return {};
    return Error(outcome, "push");
  }

  /// Takes the oldest item.
  /// - **Completes** when there is one. **Returns** it; nullopt when closed and empty.
  /// - **Errors** none. **Cancel** takes nothing. **Lifetime** the channel outlives it.
  /// - **Concurrency** any number of receivers, first in first out. **Thread** the loop's.
  auto receive() noexcept { return Receive{*this}; }
  /// The oldest item if there is one now.
  std::optional<T> try_receive() {
    std::optional<T> item;
    take(item);
    return item;
  }

  /// No more items go in; what is in can still be received. Waiting senders get `closed`.
  void close() noexcept {
    if (std::exchange(closed_, true)) return;
    while (auto* sender = senders_.pop_front()) detail::wake(*sender);
    while (auto* receiver = receivers_.pop_front()) detail::wake(*receiver);
  }
  bool closed() const noexcept { return closed_; }
  std::size_t size() const noexcept { return size_; }
  ChannelStatistics statistics() const noexcept {
    return {size_, capacity_, senders_.count(), receivers_.count(), sent_, dropped_, closed_};
  }

 private:
  struct Slot {
    alignas(T) std::byte bytes[sizeof(T)];
    T* item() noexcept { return reinterpret_cast<T*>(bytes); }
  };

  struct ReceiveAwaiter : detail::ListedWaiter {
    Channel& channel;
    std::optional<T> item;
    ReceiveAwaiter(Channel& c, detail::PromiseBase& parent) : channel(c) { frame = &parent; }
    bool await_ready() noexcept {
      return !detail::cancelled(*this) && channel.readable() && detail::spend_await();
    }
    void await_suspend(std::coroutine_handle<>) noexcept {
      if (detail::cancelled(*this)) return detail::strike(*this);
      if (channel.readable()) {
        channel.take(item);
        return detail::wake(*this);
      }
      park_in(channel.receivers_);
    }
    std::optional<T> await_resume() {
      if (!item) channel.take(item);
      return std::move(item);
    }
  };
  struct [[nodiscard("co_await it")]] Receive {
    Channel& channel;
    ReceiveAwaiter awaiter(detail::PromiseBase& parent) && { return {channel, parent}; }
  };

  struct SendAwaiter : detail::ListedWaiter {
    Channel& channel;
    std::optional<T> item;
    Errc outcome = Errc::closed;  ///< what a woken one finds unless its item was taken
    SendAwaiter(Channel& c, T&& i, detail::PromiseBase& parent) : channel(c), item(std::move(i)) {
      frame = &parent;
    }
    /// Sent, dropped or refused without waiting.
    bool settle() {
      const std::optional<Errc> now = channel.put(*item);
      if (now) outcome = *now;
      return now.has_value();
    }
    bool await_ready() {
      if (detail::cancelled(*this) || !detail::spend_await()) return false;
      return settle();
    }
    void await_suspend(std::coroutine_handle<>) {
      if (detail::cancelled(*this)) return detail::strike(*this);
      if (settle()) return detail::wake(*this);
      park_in(channel.senders_);
    }
    Result<> await_resume() {
      if (outcome == Errc{0}) return {};
      return Error(outcome, "send");
    }
  };
  struct [[nodiscard("co_await it")]] Send : detail::OperationAwaitable<Send> {
    Channel& channel;
    T item;
    Send(Channel& c, T&& i) : channel(c), item(std::move(i)) {}
    SendAwaiter awaiter(detail::PromiseBase& parent) && {
      return {channel, std::move(item), parent};
    }
  };

  bool readable() const noexcept { return size_ > 0 || !senders_.empty() || closed_; }
  void append(T&& item) {
    detail::construct_at(ring_[(head_ + size_) % capacity_].item(), std::move(item));
    ++size_;
  }
  T pop() {
    T* at = ring_[head_].item();
    T item = std::move(*at);
    detail::destroy_at(at);
    head_ = (head_ + 1) % capacity_;
    --size_;
    return item;
  }
  /// To a waiting receiver, or into the ring; false when full.
  bool accept(T& item) {
    if (auto* receiver = static_cast<ReceiveAwaiter*>(receivers_.pop_front())) {
      receiver->item.emplace(std::move(item));
      detail::wake(*receiver);
    } else if (size_ < capacity_) {
      append(std::move(item));
    } else {
      return false;
    }
    ++sent_;
    return true;
  }
  /// What becomes of an item that is sent: Errc{0} when it was taken or dropped, the error when it
  /// was not, nothing when it has to wait.
  std::optional<Errc> put(T& item) {
    if (closed_) return Errc::closed;
    if (accept(item)) return Errc{0};
    switch (on_full_) {
      case OnFull::wait: return std::nullopt;
      case OnFull::reject: return Errc::would_exceed;
      case OnFull::close: close(); return Errc::closed;
      case OnFull::drop_newest: ++dropped_; return Errc{0};
      case OnFull::drop_oldest: drop_oldest_for(item); return Errc{0};
    }
    return std::nullopt;
  }
  void drop_oldest_for(T& item) {
    ++dropped_;
    if (capacity_ == 0) return;  // There is no older one.
    static_cast<void>(pop());
    append(std::move(item));
    ++sent_;
  }
  void take(std::optional<T>& item) {
    receivers_.assert_here();  // Where who sends looks.
    if (size_ > 0) item.emplace(pop());
    auto* sender = static_cast<SendAwaiter*>(senders_.pop_front());
    if (!sender) return;
    if (item) append(std::move(*sender->item));
    else item.emplace(std::move(*sender->item));
    sender->outcome = Errc{0};
    ++sent_;
    detail::wake(*sender);
  }

  Slot* ring_;
  std::size_t capacity_;
  std::size_t head_ = 0;
  std::size_t size_ = 0;
  detail::WaiterList senders_;
  detail::WaiterList receivers_;
  std::uint64_t sent_ = 0;
  std::uint64_t dropped_ = 0;
  OnFull on_full_;
  bool closed_ = false;
};

}  // namespace rondo
