// SPDX-License-Identifier: Apache-2.0
// OpQueue: operations in a row, first in, first out, linked by Operation::driver_next.
//
// An operation stands in at most one. Thread rule: the loop's thread.
#pragma once

#include "rondo/io/operation.hpp"

namespace rondo::io {

struct OpQueue {
  Operation* head = nullptr;
  Operation* tail = nullptr;

  void push(Operation& op) noexcept {
    op.driver_next = nullptr;
    (head ? tail->driver_next : head) = &op;
    tail = &op;
  }
  Operation* pop() noexcept {
    Operation* first = head;
    if (first) head = first->driver_next;
    return first;
  }
  /// O(n); `op` must be in this queue.
  void remove(Operation& op) noexcept {
    Operation* before = nullptr;
    for (Operation* at = head; at != &op; at = at->driver_next) before = at;
    (before ? before->driver_next : head) = op.driver_next;
    if (tail == &op) tail = before;
  }
};

}  // namespace rondo::io
