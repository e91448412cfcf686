// SPDX-License-Identifier: Apache-2.0
// Broadcast<T>: a bounded queue of which every subscriber sees every item.
//
//   Broadcast<Trade> trades{256, OnLag::report};
//   auto mine = trades.subscribe();                       // from the next item on
//   co_await trades.send(trade);                          // Result<>
//   while (auto got = co_await mine.receive()) {          // empty: closed, all seen
//     if (got.lagged > 0) resync();                       // so many were missed before this one
//     use(*got);
//   }
//
// What happens to a subscriber that is `capacity` items behind is part of construction: it misses
// the oldest and is told how many, or the senders wait for it. Items are copied to all subscribers
// but the last, who gets it moved: broadcast SharedBytes or pointers when copies are dear.
// To know only the latest value use a Watch. Memory: the ring is allocated once.
// Lifetime: outlives its subscriptions and waiters (checked). Thread rule: the loop's thread.
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

/// What happens to a subscriber that is as many items behind as the ring holds.
enum class OnLag : std::uint8_t {
  report,  ///< it misses the oldest ones and is told how many; senders never wait
  wait,    ///< senders wait until the slowest subscriber has room
};

/// What a subscriber receives: an item, or nothing when all is over.
template <class T>
struct BroadcastItem {
  std::optional<T> item;
  std::uint64_t lagged = 0;  ///< items missed directly before this one

  explicit operator bool() const noexcept { return item.has_value(); }
  T& operator*() noexcept { return *item; }
  T* operator->() noexcept { return &*item; }
};

struct BroadcastStatistics {
  std::size_t size = 0;  ///< items that somebody has yet to see
  std::size_t capacity = 0;
  std::size_t subscribers = 0;
  std::size_t senders_waiting = 0;
  std::size_t receivers_waiting = 0;
  std::uint64_t sent = 0;
  std::uint64_t lagged = 0;  ///< items missed, over all subscribers
  bool closed = false;
};

template <class T>
class Broadcast {
 public:
  class Subscription;

  Broadcast(std::size_t capacity, OnLag on_lag)
      : ring_(new Slot[capacity ? capacity : 1]), capacity_(capacity), on_lag_(on_lag) {
    RONDO_ASSERT(capacity > 0, "a Broadcast holds at least one item");
  }
  Broadcast(const Broadcast&) = delete;
  Broadcast& operator=(const Broadcast&) = delete;
  ~Broadcast() {
    RONDO_ASSERT(subscribers_ == 0, "a Broadcast was destroyed before its subscriptions");
    delete[] ring_;  // Without subscribers nothing is in it.
  }

  /// A subscriber of everything that is sent from now on; to nothing when it is closed.
  Subscription subscribe() noexcept { return Subscription(*this); }

  /// Sends an item to all subscribers.
  /// - **Completes** at once; with OnLag::wait when the slowest subscriber has room and nobody
  ///   waited longer. **Returns** nothing; without subscribers the item is dropped.
  /// - **Errors** closed. **Cancel** nobody got the item. **Lifetime** the broadcast outlives it.
  /// - **Concurrency** any number of senders, first in first out. **Thread** the loop's.
  auto send(T item) { return Send(*this, std::move(item)); }
  /// Sends if that needs no waiting, as OnLag says: with `report` only a closed one says false,
  /// with `wait` a full one too.
  bool try_send(T item) {
    if (closed_ || !has_room()) return false;
    publish(std::move(item));
    return true;
  }

  /// No more items; what was sent can still be received. Waiting senders get `closed`.
  void close() noexcept {
    if (std::exchange(closed_, true)) return;
    while (auto* sender = senders_.pop_front()) detail::wake(*sender);
    while (auto* receiver = receivers_.pop_front()) detail::wake(*receiver);
  }
  bool closed() const noexcept { return closed_; }
  std::size_t subscriber_count() const noexcept { return subscribers_; }

  BroadcastStatistics statistics() const noexcept {
    return {static_cast<std::size_t>(end_ - begin_),
            capacity_,
            subscribers_,
            senders_.count(),
            receivers_.count(),
            sent_,
            lagged_,
            closed_};
  }

 private:
  /// Holds an item while `unseen` subscribers have yet to receive it.
  struct Slot {
    std::optional<T> item;
    std::size_t unseen = 0;
  };

  struct SendAwaiter : detail::ListedWaiter {
    Broadcast& broadcast;
    std::optional<T> item;
    bool sent = false;
    SendAwaiter(Broadcast& b, T&& i, detail::PromiseBase& parent)
        : broadcast(b), item(std::move(i)) {
      frame = &parent;
    }
    bool settle() {
      if (broadcast.closed_) return true;
      if (!broadcast.has_room()) return false;
      broadcast.publish(std::move(*item));
      return sent = true;
    }
    bool await_ready() {
      if (detail::cancelled(*this) || !detail::spend_await()) return false;
      return settle();
    }
    void await_suspend(std::coroutine_handle<>) {
      if (detail::cancelled(*this)) return detail::strike(*this);
      if (settle()) return detail::wake(*this);
      park_in(broadcast.senders_);
    }
    Result<> await_resume() {
      if (sent) return {};
      return Error(Errc::closed, "send");
    }
  };
  struct [[nodiscard("co_await it")]] Send : detail::OperationAwaitable<Send> {
    Broadcast& broadcast;
    T item;
    Send(Broadcast& b, T&& i) : broadcast(b), item(std::move(i)) {}
    SendAwaiter awaiter(detail::PromiseBase& parent) && {
      return {broadcast, std::move(item), parent};
    }
  };

  Slot& slot(std::uint64_t number) noexcept { return ring_[number % capacity_]; }
  bool has_room() const noexcept {
    if (on_lag_ == OnLag::report || subscribers_ == 0) return true;
    return end_ - begin_ < capacity_;
  }
  void publish(T&& item) {
    ++sent_;
    if (subscribers_ == 0) return;
    if (end_ - begin_ == capacity_) forget_oldest();  // Who has not seen it lags.
    Slot& into = slot(end_);
    into.item.emplace(std::move(item));
    into.unseen = subscribers_;
    ++end_;
    while (auto* receiver = receivers_.pop_front()) detail::wake(*receiver);
  }
  void forget_oldest() noexcept {
    slot(begin_).item.reset();
    ++begin_;
  }
  /// One subscriber less has yet to see item `number`.
  void seen(std::uint64_t number) noexcept { --slot(number).unseen; }
  /// Gives back what everybody has seen, and lets senders in.
  void trim() {
    while (begin_ < end_ && slot(begin_).unseen == 0) forget_oldest();
    while (!senders_.empty() && has_room()) {
      auto& sender = *static_cast<SendAwaiter*>(senders_.pop_front());
      publish(std::move(*sender.item));
      sender.sent = true;
      detail::wake(sender);
    }
  }

  Slot* ring_;
  std::size_t capacity_;
  std::uint64_t begin_ = 0;  ///< number of the oldest item that is kept
  std::uint64_t end_ = 0;    ///< number of the next one
  std::size_t subscribers_ = 0;
  detail::WaiterList senders_;
  detail::WaiterList receivers_;
  std::uint64_t sent_ = 0;
  std::uint64_t lagged_ = 0;
  OnLag on_lag_;
  bool closed_ = false;
};

/// One subscriber's place in the sequence. Move-only; not to be moved while it is awaited.
template <class T>
class [[nodiscard("keep it: it gets what is sent while it lives")]] Broadcast<T>::Subscription {
  struct Awaiter : detail::ListedWaiter {
    Subscription& from;
    Awaiter(Subscription& s, detail::PromiseBase& parent) noexcept : from(s) { frame = &parent; }
    ~Awaiter() { from.awaited_ = false; }
    bool await_ready() const noexcept {
      return !detail::cancelled(*this) && from.readable() && detail::spend_await();
    }
    void await_suspend(std::coroutine_handle<>) noexcept {
      if (detail::cancelled(*this)) return detail::strike(*this);
      if (from.readable()) return detail::wake(*this);
      park_in(from.of_->receivers_);
    }
    BroadcastItem<T> await_resume() { return from.take(); }
  };
  struct [[nodiscard("co_await it")]] Receive {
    Subscription& from;
    Awaiter awaiter(detail::PromiseBase& parent) && noexcept {
      RONDO_ASSERT(from.of_, "receive() of a Subscription that was moved from");
      RONDO_ASSERT(!from.awaited_, "two tasks await one Subscription: subscribe for each");
      from.awaited_ = true;
      return {from, parent};
    }
  };

 public:
  Subscription(Subscription&& other) noexcept
      : of_(std::exchange(other.of_, nullptr)), next_(other.next_) {
    RONDO_ASSERT(!other.awaited_, "a Subscription was moved while a task awaits it");
  }
  Subscription& operator=(Subscription&& other) noexcept {
    RONDO_ASSERT(!awaited_ && !other.awaited_, "a Subscription was moved while a task awaits it");
    std::swap(of_, other.of_);
    std::swap(next_, other.next_);
    return *this;
  }
  ~Subscription() {
    if (of_) leave();
  }

  /// Takes the next item.
  /// - **Completes** when there is one. **Returns** it, with how many were missed before it;
  ///   empty when the broadcast is closed and all was seen. **Errors** none.
  /// - **Cancel** takes nothing: the next call receives it. **Lifetime** the subscription
  ///   outlives the wait. **Concurrency** one awaiter for each. **Thread** the loop's.
  auto receive() noexcept { return Receive{*this}; }
  /// The next item if there is one now.
  BroadcastItem<T> try_receive() { return of_->end_ == next_ ? BroadcastItem<T>{} : take(); }
  /// Items that are kept for it.
  std::size_t size() const noexcept {
    const std::uint64_t from = next_ < of_->begin_ ? of_->begin_ : next_;
    return static_cast<std::size_t>(of_->end_ - from);
  }

 private:
  friend Broadcast;
  explicit Subscription(Broadcast& of) noexcept : of_(&of), next_(of.end_) { ++of.subscribers_; }

  bool readable() const noexcept { return next_ != of_->end_ || of_->closed_; }
  BroadcastItem<T> take() {
    BroadcastItem<T> got;
    of_->receivers_.assert_here();  // Where who sends looks.
    if (next_ == of_->end_) return got;
    if (next_ < of_->begin_) {
      got.lagged = of_->begin_ - next_;
      of_->lagged_ += got.lagged;
      next_ = of_->begin_;
    }
    Slot& slot = of_->slot(next_);
    if (slot.unseen == 1)
      got.item.emplace(std::move(*slot.item));
    else
      got.item.emplace(*slot.item);
    of_->seen(next_++);
    of_->trim();
    return got;
  }
  void leave() noexcept {
    Broadcast& of = *of_;
    for (std::uint64_t at = next_ < of.begin_ ? of.begin_ : next_; at < of.end_; ++at) of.seen(at);
    --of.subscribers_;
    of.trim();
  }

  Broadcast* of_;
  std::uint64_t next_;
  bool awaited_ = false;
};

}  // namespace rondo
