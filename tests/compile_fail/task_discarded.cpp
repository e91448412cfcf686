// SPDX-License-Identifier: Apache-2.0
// A Task that is neither awaited nor started never runs: it is nodiscard.
// EXPECT: co_await it or start it in a Scope
#include "rondo/core/task.hpp"

rondo::Task<> work();

rondo::Task<> caller() {
#ifdef MISUSE
  work();
#endif
  co_await work();
}
