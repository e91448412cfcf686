// SPDX-License-Identifier: Apache-2.0
// PriorityQueue<T>: a bounded channel whose most urgent item leaves first.
//
//   PriorityQueue<Job> jobs{64};                    // smallest first: job_a < job_b
//   co_await jobs.send({.urgency = 2, .name = "index"});
//   while (auto job = co_await jobs.receive()) run(*job);     // nullopt: closed and empty
//
// Stable: among equals the one that was sent first leaves first. A sender that waits is let in by
// its turn, not by its item's urgency: the order is that of what is in the queue.
// Memory: the heap of `capacity` items is allocated once, nothing per item; O(log n) an item.
// Without an order use a Channel, which is O(1).
// Lifetime: outlives its waiters (checked). Thread rule: the loop's thread.
#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <type_traits>
#include <utility>

#include "rondo/base/memory.hpp"
#include "rondo/base/result.hpp"
#include "rondo/core/channel.hpp"

namespace rondo {

/// The order of a PriorityQueue: `a < b` leaves first.
struct SmallestFirst {
  template <class T>
  bool operator()(const T& a, const T& b) const {
    return a < b;
  }
};

struct PriorityQueueStatistics {
  std::size_t size = 0;
  std::size_t capacity = 0;
  std::size_t senders_waiting = 0;
  std::size_t receivers_waiting = 0;
  std::uint64_t sent = 0;
  std::uint64_t dropped = 0;
  bool closed = false;
};

/// `Before(a, b)`: a leaves before b; a strict weak order.
template <class T, class Before = SmallestFirst>
class PriorityQueue {
  static_assert(std::is_nothrow_move_constructible_v<T> && std::is_nothrow_move_assignable_v<T>,
                "items move inside of the heap: their moves may not throw");

 public:
  /// OnFull as for a Channel, but drop_oldest drops the least urgent of all, the one being sent
  /// included; among equals the oldest. It looks through half the heap.
  explicit PriorityQueue(std::size_t capacity, OnFull on_full = OnFull::wait,
                         Before before = Before())
      : heap_(new Slot[capacity ? capacity : 1]),
        capacity_(capacity),
        before_(std::move(before)),
        on_full_(on_full) {
    RONDO_ASSERT(capacity > 0, "a PriorityQueue holds at least one item");
  }
  PriorityQueue(const PriorityQueue&) = delete;
  PriorityQueue& operator=(const PriorityQueue&) = delete;
  ~PriorityQueue() {
    while (size_ > 0) detail::destroy_at(at(--size_));
    delete[] heap_;
  }

  /// Puts an item in.
  /// - **Completes** at once while there is room; when full as OnFull says.
  /// - **Returns** nothing. **Errors** closed; would_exceed with OnFull::reject.
  /// - **Cancel** the item was not sent and is destroyed. **Lifetime** the queue outlives it.
  /// - **Concurrency** any number of senders, first in first out. **Thread** the loop's.
  auto send(T item) { return Send(*this, std::move(item)); }
  /// Puts an item in if there is room, whatever OnFull says: false when full or closed. Never drops
  /// or closes.
  bool try_send(T item) { return !closed_ && accept(item); }
  /// Puts an item in without ever waiting; when full as OnFull says, with `wait` as `reject`.
  /// Errors: closed (also by this very call, with OnFull::close); would_exceed: it was not taken.
  Result<> push(T item) {
    const Errc outcome = put(item).value_or(Errc::would_exceed);
    if (outcome == Errc{0}) return {};
    return Error(outcome, "push");
  }

  /// Takes the most urgent item.
  /// - **Completes** when there is one. **Returns** it; nullopt when closed and empty.
  /// - **Errors** none. **Cancel** takes nothing. **Lifetime** the queue outlives it.
  /// - **Concurrency** any number of receivers, first in first out. **Thread** the loop's.
  auto receive() noexcept { return Receive{*this}; }
  /// The most urgent item if there is one now.
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
  PriorityQueueStatistics statistics() const noexcept {
    return {size_, capacity_, senders_.count(), receivers_.count(), sent_, dropped_, closed_};
  }

 private:
  struct Node {
    T item;
    std::uint64_t order;  ///< of arrival: what makes it stable
  };
  struct Slot {
    alignas(Node) std::byte bytes[sizeof(Node)];
  };

  struct ReceiveAwaiter : detail::ListedWaiter {
    PriorityQueue& queue;
    std::optional<T> item;
    ReceiveAwaiter(PriorityQueue& q, detail::PromiseBase& parent) : queue(q) { frame = &parent; }
    bool readable() const noexcept { return queue.size_ > 0 || queue.closed_; }
    bool await_ready() const noexcept {
      return !detail::cancelled(*this) && readable() && detail::spend_await();
    }
    void await_suspend(std::coroutine_handle<>) noexcept {
      if (detail::cancelled(*this)) return detail::strike(*this);
      if (readable()) {
        queue.take(item);  // Now: what is ready at this await is this task's.
        return detail::wake(*this);
      }
      park_in(queue.receivers_);
    }
    std::optional<T> await_resume() {
      if (!item) queue.take(item);
      return std::move(item);
    }
  };
  struct [[nodiscard("co_await it")]] Receive {
    PriorityQueue& queue;
    ReceiveAwaiter awaiter(detail::PromiseBase& parent) && { return {queue, parent}; }
  };

  struct SendAwaiter : detail::ListedWaiter {
    PriorityQueue& queue;
    std::optional<T> item;
    Errc outcome = Errc::closed;  ///< what a woken one finds unless its item was taken
    SendAwaiter(PriorityQueue& q, T&& i, detail::PromiseBase& parent)
        : queue(q), item(std::move(i)) {
      frame = &parent;
    }
    /// Sent, dropped or refused without waiting.
    bool settle() {
      const std::optional<Errc> now = queue.put(*item);
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
      park_in(queue.senders_);
    }
    Result<> await_resume() {
      if (outcome == Errc{0}) return {};
      return Error(outcome, "send");
    }
  };
  struct [[nodiscard("co_await it")]] Send : detail::OperationAwaitable<Send> {
    PriorityQueue& queue;
    T item;
    Send(PriorityQueue& q, T&& i) : queue(q), item(std::move(i)) {}
    SendAwaiter awaiter(detail::PromiseBase& parent) && { return {queue, std::move(item), parent}; }
  };

  Node* at(std::size_t index) noexcept { return reinterpret_cast<Node*>(heap_[index].bytes); }
  bool earlier(const Node& a, const Node& b) const {
    if (before_(a.item, b.item)) return true;
    return !before_(b.item, a.item) && a.order < b.order;
  }

  /// To a waiting receiver, or into the heap; false when full.
  bool accept(T& item) {
    if (auto* receiver = static_cast<ReceiveAwaiter*>(receivers_.pop_front())) {
      receiver->item.emplace(std::move(item));  // It waits, so nothing more urgent is in.
      detail::wake(*receiver);
    } else if (size_ < capacity_) {
      insert(std::move(item));
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
      case OnFull::drop_oldest:
        ++dropped_;
        replace_least_urgent(item);
        return Errc{0};
    }
    return std::nullopt;
  }
  /// Puts `item` in for the least urgent one, unless that is `item` itself.
  void replace_least_urgent(T& item) {
    std::size_t least = size_ / 2;  // Only a leaf can be it.
    for (std::size_t i = least + 1; i < size_; ++i) {
      if (less_urgent(*at(i), *at(least))) least = i;
    }
    if (before_(at(least)->item, item)) return;  // What is being sent is less urgent still.
    remove(least);
    insert(std::move(item));
    ++sent_;
  }
  /// Among equals the older one is dropped first.
  bool less_urgent(const Node& a, const Node& b) const {
    if (before_(b.item, a.item)) return true;
    return !before_(a.item, b.item) && a.order < b.order;
  }

  void insert(T&& item) {
    detail::construct_at(at(size_), std::move(item), order_++);
    rise(size_++);
  }
  /// A leaf leaves; the last one takes its place.
  void remove(std::size_t index) noexcept {
    if (index != --size_) {
      *at(index) = std::move(*at(size_));
      rise(index);
    }
    detail::destroy_at(at(size_));
  }
  T pop() noexcept {
    T item = std::move(at(0)->item);
    if (--size_ > 0) {
      *at(0) = std::move(*at(size_));
      sink();
    }
    detail::destroy_at(at(size_));
    return item;
  }
  void rise(std::size_t index) {
    while (index > 0) {
      const std::size_t parent = (index - 1) / 2;
      if (!earlier(*at(index), *at(parent))) return;
      std::swap(*at(index), *at(parent));
      index = parent;
    }
  }
  void sink() {
    std::size_t index = 0;
    while (true) {
      std::size_t child = 2 * index + 1;
      if (child >= size_) return;
      if (child + 1 < size_ && earlier(*at(child + 1), *at(child))) ++child;
      if (!earlier(*at(child), *at(index))) return;
      std::swap(*at(index), *at(child));
      index = child;
    }
  }
  void take(std::optional<T>& item) {
    receivers_.assert_here();  // Where who sends looks.
    if (size_ == 0) return;
    item.emplace(pop());
    auto* sender = static_cast<SendAwaiter*>(senders_.pop_front());
    if (!sender) return;
    insert(std::move(*sender->item));
    sender->outcome = Errc{0};
    ++sent_;
    detail::wake(*sender);
  }

  Slot* heap_;
  std::size_t capacity_;
  std::size_t size_ = 0;
  [[no_unique_address]] Before before_;
  detail::WaiterList senders_;
  detail::WaiterList receivers_;
  std::uint64_t order_ = 0;
  std::uint64_t sent_ = 0;
  std::uint64_t dropped_ = 0;
  OnFull on_full_;
  bool closed_ = false;
};

}  // namespace rondo
