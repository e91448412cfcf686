// SPDX-License-Identifier: Apache-2.0
// A Result that nobody looks at hides a failure: it is nodiscard.
// EXPECT: ignoring return value of
#include "rondo/base/result.hpp"

rondo::Result<int> measure();

int main() {
#ifdef MISUSE
  measure();
#endif
  return measure().has_value() ? 0 : 1;
}
