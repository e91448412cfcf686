// SPDX-License-Identifier: Apache-2.0
#include "rondo/io/driver.hpp"

#include <pthread.h>

#include <cerrno>

namespace rondo::io {

std::uint32_t detail::count_forks() noexcept {
  // Not by getpid(), which is a system call each time it is asked.
  static const int registered = ::pthread_atfork(
      nullptr, nullptr, [] { forks.fetch_add(1, std::memory_order_relaxed); });
  RONDO_ASSERT(registered == 0, "pthread_atfork found no memory");
  return forks.load(std::memory_order_relaxed);
}

Driver::~Driver() {
  // The parent has the streams that hold them.
  if (inherited()) buffers_.forget_lent();
}

int Driver::pollable_fd() { return -ENOTSUP; }

}  // namespace rondo::io
