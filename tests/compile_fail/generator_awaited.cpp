// SPDX-License-Identifier: Apache-2.0
// A generator is asked for one value after the other; awaited itself it would yield nothing.
// EXPECT: await a generator's next()
#include "rondo/core/generator.hpp"

rondo::AsyncGenerator<int> numbers();

rondo::Task<> caller() {
  auto all = numbers();
#ifdef MISUSE
  co_await all;
#endif
  co_await all.next();
}
