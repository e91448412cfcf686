// SPDX-License-Identifier: Apache-2.0
// start(f, args...) with arguments that f does not take.
// EXPECT: f cannot be called with these arguments
#include <functional>

#include "rondo/core/scope.hpp"

rondo::Task<> work(int n);

void begin(rondo::Scope& scope) {
#ifdef MISUSE
  scope.start_now(work, 1, 2);
#endif
  scope.start_now(work, 1);
}
