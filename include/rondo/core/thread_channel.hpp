// SPDX-License-Identifier: Apache-2.0
// ThreadChannel<T>: a bounded queue between threads and the tasks of any number of loops.
//
//   ThreadChannel<Frame> frames(64);
//   std::thread camera([&] { while (frames.send_blocking(grab())) {} });   // Result: closed
//   while (auto frame = co_await frames.receive()) show(*frame);           // a task, on any loop
//
// Both sides exist in both forms: awaited by tasks, blocking for threads without a loop. First in,
// first out over all of them; a hand-over goes to who waited longest. Between tasks of one loop
// use a Channel: it needs no lock.
// What happens when it is full is part of construction (OnFull), as for a Channel.
// Memory: the ring is allocated once, nothing per item.
// Lifetime: outlives every call on it; each loop outlives its waits.
// Thread rule: any thread; the awaited forms on a loop's thread.
#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

#include "rondo/base/assert.hpp"
#include "rondo/base/memory.hpp"
#include "rondo/base/result.hpp"
#include "rondo/core/channel.hpp"

namespace rondo {

namespace detail {

struct GateAwaiter;

/// In place of a std::stop_token.
struct NeverStops {};

/// Somebody who waits in a ThreadChannel. Written under the gate's lock: listed -> settled.
struct GateWaiter : ListLink {
  GateAwaiter* task = nullptr;  ///< a task waits; null: a thread
  void* sleeper = nullptr;      ///< the thread's condition variable
  bool settled = false;
};

/// The lock of a ThreadChannel, and how those who wait in it are told.
class ThreadGate {
 public:
  ThreadGate();
  ThreadGate(const ThreadGate&) = delete;
  ThreadGate& operator=(const ThreadGate&) = delete;
  ~ThreadGate();

  class Lock {
   public:
    explicit Lock(ThreadGate& gate) noexcept : gate_(gate) { gate.lock(); }
    Lock(const Lock&) = delete;
    Lock& operator=(const Lock&) = delete;
    ~Lock() { gate_.unlock(); }

   private:
    ThreadGate& gate_;
  };
  /// Under the lock, on a thread of its own: sleeps, unlocked meanwhile, until settle(), or until
  /// `stop` is requested: the waiter has then left its list. False when it was stopped.
  /// `Stop` is std::stop_token; a template, because its header would be a fifth of this one's
  /// lines.
  template <class Stop>
  bool sleep(GateWaiter& waiter, const Stop& stop);
  /// Under the lock, for one that is no longer listed: tells it.
  void settle(GateWaiter& waiter) noexcept;

 private:
  void lock() noexcept;
  void unlock() noexcept;
  struct State;
  Owned<State> state_;
};

/// The awaiter of a task that waits: told by a post to its loop.
struct GateAwaiter : Waiter {
  struct Posted : Ready {
    GateAwaiter* awaiter = nullptr;
  };
  Posted posted;
  Loop* home = nullptr;
  ThreadGate& gate;
  GateWaiter& place;

  GateAwaiter(ThreadGate& at, GateWaiter& waiter, PromiseBase& parent) noexcept
      : gate(at), place(waiter) {
    frame = &parent;
  }
  /// Under the lock.
  void wait_in(IntrusiveList<GateWaiter>& list) noexcept;
};

}  // namespace detail

template <class T>
class ThreadChannel {
 public:
  explicit ThreadChannel(std::size_t capacity, OnFull on_full = OnFull::wait)
      : ring_(new std::optional<T>[capacity]), capacity_(capacity), on_full_(on_full) {
    RONDO_ASSERT(capacity > 0, "a thread channel needs room for one item");
  }
  ThreadChannel(const ThreadChannel&) = delete;
  ThreadChannel& operator=(const ThreadChannel&) = delete;
  ~ThreadChannel() {
    RONDO_ASSERT(senders_.empty() && receivers_.empty(),
                 "a ThreadChannel was destroyed while somebody waits in it: close() it and let "
                 "them end first");
    delete[] ring_;
  }

  /// Puts an item in, from a task.
  /// - **Completes** when there is room; when full as OnFull says. **Returns** nothing.
  /// - **Errors** closed; would_exceed with OnFull::reject. **Cancel** the item was not sent,
  ///   unless it has been taken already: then the send completes.
  /// - **Lifetime** the channel outlives it. **Concurrency** any number. **Thread** a loop's.
  auto send(T item) { return Send(*this, std::move(item)); }
  /// Takes the oldest item, from a task.
  /// - **Completes** when there is one. **Returns** it; nullopt when closed and empty.
  /// - **Errors** none. **Cancel** takes nothing, unless an item has been handed over already.
  /// - **Lifetime** the channel outlives it. **Concurrency** any number. **Thread** a loop's.
  auto receive() noexcept { return Receive{*this}; }

  /// Puts an item in, from a thread without a loop: blocks where send() would suspend.
  /// - **Errors** those of send(); stopping: a stop was requested, the item was not sent.
  /// - **Thread** any that runs no loop (asserted). `stop` is a std::stop_token.
  Result<> send_blocking(T item) { return send_until(std::move(item), detail::NeverStops()); }
  template <class Stop>
  Result<> send_blocking(T item, const Stop& stop) {
    return send_until(std::move(item), stop);
  }
  /// Takes the oldest item, from a thread without a loop: blocks where receive() would suspend.
  /// - **Returns** it; nullopt when closed and empty, or when a stop was requested before there
  ///   was one. **Thread** any that runs no loop (asserted). `stop` is a std::stop_token.
  std::optional<T> receive_blocking() { return receive_until(detail::NeverStops()); }
  template <class Stop>
  std::optional<T> receive_blocking(const Stop& stop) {
    return receive_until(stop);
  }

  // Without waiting, from any thread.

  /// False when full or closed, whatever OnFull says: never drops or closes.
  bool try_send(T item) {
    const detail::ThreadGate::Lock lock(gate_);
    return !closed_ && accept(item);
  }
  /// When full as OnFull says, with `wait` as `reject`. Errors: closed (also by this very call,
  /// with OnFull::close); would_exceed: it was not taken.
  Result<> push(T item) {
    const detail::ThreadGate::Lock lock(gate_);
    const Errc outcome = put(item).value_or(Errc::would_exceed);
    if (outcome == Errc{0}) return {};
    return Error(outcome, "push");
  }
  std::optional<T> try_receive() {
    Receiver receiver;
    const detail::ThreadGate::Lock lock(gate_);
    if (size_ > 0) static_cast<void>(settle_receive(receiver));
    return std::move(receiver.item);
  }

  /// No more items go in; what is in can still be received. Everybody who waits is told.
  void close() noexcept {
    const detail::ThreadGate::Lock lock(gate_);
    close_locked();
  }
  ChannelStatistics statistics() noexcept {
    const detail::ThreadGate::Lock lock(gate_);
    return {size_, capacity_, senders_.count(), receivers_.count(), sent_, dropped_, closed_};
  }

 private:
  struct Sender : detail::GateWaiter {
    std::optional<T> item;
    Errc outcome = Errc::closed;  ///< what a woken one finds unless its item was taken
    explicit Sender(T&& i) : item(std::move(i)) {}
    Result<> result() const {
      if (outcome == Errc{0}) return {};
      return Error(outcome, "send");
    }
  };
  struct Receiver : detail::GateWaiter {
    std::optional<T> item;
  };

  struct SendAwaiter {
    ThreadChannel& channel;
    Sender sender;
    detail::GateAwaiter task;
    SendAwaiter(ThreadChannel& c, T&& i, detail::PromiseBase& parent)
        : channel(c), sender(std::move(i)), task(c.gate_, sender, parent) {}
    SendAwaiter(const SendAwaiter&) = delete;
    bool await_ready() {
      if (detail::cancelled(task) || !detail::spend_await()) return false;
      const detail::ThreadGate::Lock lock(channel.gate_);
      return channel.settle_send(sender);
    }
    void await_suspend(std::coroutine_handle<>) {
      if (detail::cancelled(task)) return detail::strike(task);
      const detail::ThreadGate::Lock lock(channel.gate_);
      if (channel.settle_send(sender)) return detail::wake(task);
      task.wait_in(channel.senders_);
    }
    Result<> await_resume() { return sender.result(); }
  };
  struct [[nodiscard("co_await it")]] Send : detail::OperationAwaitable<Send> {
    ThreadChannel& channel;
    T item;
    Send(ThreadChannel& c, T&& i) : channel(c), item(std::move(i)) {}
    SendAwaiter awaiter(detail::PromiseBase& parent) && {
      return {channel, std::move(item), parent};
    }
  };
  struct ReceiveAwaiter {
    ThreadChannel& channel;
    Receiver receiver;
    detail::GateAwaiter task;
    ReceiveAwaiter(ThreadChannel& c, detail::PromiseBase& parent)
        : channel(c), task(c.gate_, receiver, parent) {}
    ReceiveAwaiter(const ReceiveAwaiter&) = delete;
    bool await_ready() {
      if (detail::cancelled(task) || !detail::spend_await()) return false;
      const detail::ThreadGate::Lock lock(channel.gate_);
      return channel.settle_receive(receiver);
    }
    void await_suspend(std::coroutine_handle<>) {
      if (detail::cancelled(task)) return detail::strike(task);
      const detail::ThreadGate::Lock lock(channel.gate_);
      if (channel.settle_receive(receiver)) return detail::wake(task);
      task.wait_in(channel.receivers_);
    }
    std::optional<T> await_resume() { return std::move(receiver.item); }
  };
  struct [[nodiscard("co_await it")]] Receive {
    ThreadChannel& channel;
    ReceiveAwaiter awaiter(detail::PromiseBase& parent) && { return {channel, parent}; }
  };

  template <class Stop>
  Result<> send_until(T&& item, const Stop& stop) {
    assert_may_block();
    Sender sender(std::move(item));
    const detail::ThreadGate::Lock lock(gate_);
    if (!settle_send(sender)) {
      senders_.push_back(sender);
      if (!gate_.sleep(sender, stop)) sender.outcome = Errc::stopping;
    }
    return sender.result();
  }
  template <class Stop>
  std::optional<T> receive_until(const Stop& stop) {
    assert_may_block();
    Receiver receiver;
    const detail::ThreadGate::Lock lock(gate_);
    if (!settle_receive(receiver)) {
      receivers_.push_back(receiver);
      static_cast<void>(gate_.sleep(receiver, stop));
    }
    return std::move(receiver.item);
  }
  static void assert_may_block() noexcept {
    RONDO_ASSERT(!Loop::current_or_null(),
                 "a blocking call of a ThreadChannel on a loop's thread: await send or receive");
  }

  // All of these under the lock.

  /// Sent, dropped or refused without waiting.
  bool settle_send(Sender& sender) {
    const std::optional<Errc> now = put(*sender.item);
    if (now) sender.outcome = *now;
    return now.has_value();
  }
  bool settle_receive(Receiver& receiver) {
    if (size_ == 0) return closed_;
    receiver.item.emplace(pop());
    if (auto* sender = static_cast<Sender*>(senders_.pop_front())) {
      append(std::move(*sender->item));
      sender->outcome = Errc{0};
      ++sent_;
      gate_.settle(*sender);
    }
    return true;
  }
  bool accept(T& item) {
    if (auto* receiver = static_cast<Receiver*>(receivers_.pop_front())) {
      receiver->item.emplace(std::move(item));
      gate_.settle(*receiver);
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
      case OnFull::close: close_locked(); return Errc::closed;
      case OnFull::drop_newest: ++dropped_; return Errc{0};
      case OnFull::drop_oldest:
        ++dropped_;
        static_cast<void>(pop());
        append(std::move(item));
        ++sent_;
        return Errc{0};
    }
    return std::nullopt;
  }
  void close_locked() noexcept {
    closed_ = true;
    while (auto* sender = senders_.pop_front()) gate_.settle(*sender);
    while (auto* receiver = receivers_.pop_front()) gate_.settle(*receiver);
  }
  void append(T&& item) {
    ring_[(head_ + size_) % capacity_].emplace(std::move(item));
    ++size_;
  }
  T pop() {
    T item = std::move(*ring_[head_]);
    ring_[head_].reset();
    head_ = (head_ + 1) % capacity_;
    --size_;
    return item;
  }

  std::optional<T>* ring_;
  const std::size_t capacity_;
  const OnFull on_full_;
  detail::ThreadGate gate_;
  std::size_t head_ = 0;
  std::size_t size_ = 0;
  bool closed_ = false;
  std::uint64_t sent_ = 0;
  std::uint64_t dropped_ = 0;
  IntrusiveList<detail::GateWaiter> senders_;
  IntrusiveList<detail::GateWaiter> receivers_;
};

}  // namespace rondo
