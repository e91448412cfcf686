// SPDX-License-Identifier: Apache-2.0
// No scope stands open across a co_yield: its body is a Task, which does not yield.
// EXPECT: no member named 'yield_value'
#include "rondo/core/generator.hpp"
#include "rondo/core/scope.hpp"

rondo::AsyncGenerator<int> numbers() {
  co_await rondo::with_scope([](rondo::Scope&) -> rondo::Task<> {
#ifdef MISUSE
    co_yield 1;
#endif
    co_return;
  });
  co_yield 2;
}
