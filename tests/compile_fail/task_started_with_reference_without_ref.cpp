// SPDX-License-Identifier: Apache-2.0
// start keeps copies of its arguments; a parameter that is a reference would refer to such a copy.
// EXPECT: pass std::ref(x)
#include <functional>

#include "rondo/core/scope.hpp"

rondo::Task<> work(int& n);

void begin(rondo::Scope& scope, int& n) {
#ifdef MISUSE
  scope.start(work, n);
#endif
  scope.start(work, std::ref(n));
}
