// SPDX-License-Identifier: Apache-2.0
// select() refers to a handle that is given as an lvalue; a Task has to be handed over.
// EXPECT: what cannot be copied and is no handle is handed over
#include "rondo/core/future.hpp"
#include "rondo/core/select.hpp"
#include "rondo/core/sleep.hpp"

rondo::Task<> work(rondo::Task<int> task, rondo::Future<int>& future) {
  (void)co_await rondo::select(future, rondo::sleep_for(rondo::Duration(1)));
#ifdef MISUSE
  (void)co_await rondo::select(task, future);
#endif
  (void)co_await rondo::select(std::move(task), future);
}
