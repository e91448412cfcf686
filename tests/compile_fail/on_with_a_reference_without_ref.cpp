// SPDX-License-Identifier: Apache-2.0
// What runs on another loop has copies of its arguments, like a task of a scope.
// EXPECT: pass std::ref(x)
#include <functional>

#include "rondo/core/on.hpp"

rondo::Task<int> work(int& n);

rondo::Task<> elsewhere(rondo::LoopRef there, int& n) {
#ifdef MISUSE
  (void)co_await rondo::on(there, work, n);
#endif
  (void)co_await rondo::on(there, work, std::ref(n));
}
