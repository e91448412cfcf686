// SPDX-License-Identifier: Apache-2.0
// A Task has exactly one owner: it moves and does not copy.
// EXPECT: call to
#include <utility>

#include "rondo/core/task.hpp"

void own(rondo::Task<> task);

void hand_over(rondo::Task<> task) {
#ifdef MISUSE
  own(task);
#endif
  own(std::move(task));
}
