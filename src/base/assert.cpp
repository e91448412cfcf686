// SPDX-License-Identifier: Apache-2.0
#include "rondo/base/assert.hpp"

#include <cstdio>
#include <cstdlib>

namespace rondo {

void assertion_failed(const char* condition, const char* advice, const char* file,
                      int line) noexcept {
  std::fprintf(stderr, "%s:%d: assertion failed: %s: %s\n", file, line, condition, advice);
  std::abort();
}

}  // namespace rondo
