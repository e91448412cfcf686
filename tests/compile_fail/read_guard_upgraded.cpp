// SPDX-License-Identifier: Apache-2.0
// A reader cannot become a writer while it reads: two of them would wait for each other.
// EXPECT: a ReadGuard cannot be upgraded
#include "rondo/core/rw_lock.hpp"

void change(rondo::RwLock::ReadGuard reading) {
#ifdef MISUSE
  auto writing = reading.upgrade();
#endif
  reading.release();
}

int main() { return 0; }
