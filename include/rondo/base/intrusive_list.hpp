// SPDX-License-Identifier: Apache-2.0
// Intrusive containers: the element is the node, so that queueing never allocates.
//
//   struct Waiter : ListLink {};
//   IntrusiveList<Waiter> waiters;     waiters.push_back(w);   w.unlink();
//   struct Job : QueueLink<Job> {};
//   IntrusiveQueue<Job> ready;         ready.push_back(job);   Job* next = ready.pop_front();
//
// IntrusiveList is doubly linked and lets an element leave by itself in O(1); IntrusiveQueue is
// singly linked, first in first out, and cheaper. An element is in at most one list per link.
// Lifetime: the list owns nothing; an element must have left before it is destroyed (checked).
// Thread rule: none of it is thread-safe.
#pragma once

#include <cstddef>
#include <utility>

#include "rondo/base/assert.hpp"

namespace rondo {

/// The node of an IntrusiveList. `Tag` tells several links of one element apart.
template <class Tag = void>
struct TaggedLink {
  TaggedLink() = default;
  TaggedLink(const TaggedLink&) = delete;
  TaggedLink& operator=(const TaggedLink&) = delete;
  ~TaggedLink() { RONDO_ASSERT(!linked(), "an element was destroyed while in a list"); }

  bool linked() const noexcept { return next_ != nullptr; }
  /// Leaves the list it is in.
  void unlink() noexcept {
    prev_->next_ = next_;
    next_->prev_ = prev_;
    next_ = prev_ = nullptr;
  }

  TaggedLink* prev_ = nullptr;
  TaggedLink* next_ = nullptr;
};
using ListLink = TaggedLink<>;

template <class T, class Tag = void>
class IntrusiveList {
  using Link = TaggedLink<Tag>;

 public:
  IntrusiveList() noexcept { head_.next_ = head_.prev_ = &head_; }
  IntrusiveList(const IntrusiveList&) = delete;
  IntrusiveList& operator=(const IntrusiveList&) = delete;
  ~IntrusiveList() {
    RONDO_ASSERT(empty(), "a list was destroyed with elements in it");
    head_.next_ = head_.prev_ = nullptr;
  }

  bool empty() const noexcept { return head_.next_ == &head_; }
  T& front() noexcept { return *static_cast<T*>(head_.next_); }
  void push_back(T& element) noexcept {
    Link& link = element;
    link.next_ = &head_;
    link.prev_ = head_.prev_;
    head_.prev_->next_ = &link;
    head_.prev_ = &link;
  }
  void push_front(T& element) noexcept {
    Link& link = element;
    link.prev_ = &head_;
    link.next_ = head_.next_;
    head_.next_->prev_ = &link;
    head_.next_ = &link;
  }
  T* pop_front() noexcept {
    if (empty()) return nullptr;
    T& first = front();
    static_cast<Link&>(first).unlink();
    return &first;
  }
  /// The element after `element`, or null at the end; `element` must be in this list.
  T* next(T& element) noexcept {
    Link* after = static_cast<Link&>(element).next_;
    return after == &head_ ? nullptr : static_cast<T*>(after);
  }
  T* first() noexcept { return empty() ? nullptr : &front(); }
  /// Moves every element of `other` to the end of this list.
  void splice_back(IntrusiveList& other) noexcept {
    if (other.empty()) return;
    other.head_.next_->prev_ = head_.prev_;
    head_.prev_->next_ = other.head_.next_;
    other.head_.prev_->next_ = &head_;
    head_.prev_ = other.head_.prev_;
    other.head_.next_ = other.head_.prev_ = &other.head_;
  }
  /// O(n).
  std::size_t count() const noexcept {
    std::size_t n = 0;
    for (const Link* at = head_.next_; at != &head_; at = at->next_) ++n;
    return n;
  }

 private:
  Link head_;
};

/// The node of an IntrusiveQueue.
template <class T>
struct QueueLink {
  T* queue_next = nullptr;
};

template <class T>
class IntrusiveQueue {
 public:
  bool empty() const noexcept { return head_ == nullptr; }
  T* front() const noexcept { return head_; }
  void push_back(T& element) noexcept {
    element.queue_next = nullptr;
    *tail_ = &element;
    tail_ = &element.queue_next;
  }
  void push_front(T& element) noexcept {
    element.queue_next = head_;
    if (!head_) tail_ = &element.queue_next;
    head_ = &element;
  }
  T* pop_front() noexcept {
    T* first = head_;
    if (first && !(head_ = first->queue_next)) tail_ = &head_;
    return first;
  }
  /// Takes the whole queue out, linked by queue_next, and leaves it empty.
  T* take_all() noexcept {
    tail_ = &head_;
    return std::exchange(head_, nullptr);
  }
  IntrusiveQueue() = default;
  IntrusiveQueue(const IntrusiveQueue&) = delete;
  IntrusiveQueue& operator=(const IntrusiveQueue&) = delete;

 private:
  T* head_ = nullptr;
  T** tail_ = &head_;
};

}  // namespace rondo
