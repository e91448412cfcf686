// SPDX-License-Identifier: Apache-2.0
// start(f, args...) keeps function and arguments; a task that was made already has lost them.
// EXPECT: hand over the function and its arguments
#include "rondo/core/scope.hpp"

rondo::Task<> work(int n);

void begin(rondo::Scope& scope) {
#ifdef MISUSE
  scope.start(work(1));
#endif
  scope.start(work, 1);
}
