// SPDX-License-Identifier: Apache-2.0
// A Task is awaited once, so it is given away: as an rvalue.
// EXPECT: await a Task or operation as an rvalue
#include <utility>

#include "rondo/core/task.hpp"

rondo::Task<> work();

rondo::Task<> caller() {
  auto task = work();
#ifdef MISUSE
  co_await task;
#endif
  co_await std::move(task);
}
