// SPDX-License-Identifier: Apache-2.0
#include "rondo/io/driver.hpp"

#include <pthread.h>

#include <cerrno>

#include "rondo/base/trace.hpp"

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

namespace {

/// An address says which: the generation in its unused bits tells one use from the next.
std::uint64_t subject_of(const Operation& op) noexcept {
  return reinterpret_cast<std::uintptr_t>(&op) | std::uint64_t{op.generation} << 48;
}

}  // namespace

void Driver::trace_submitted(const Operation& op) noexcept {
  trace_->put(TraceKind::submit, subject_of(op), 0, static_cast<std::uint32_t>(op.kind));
}

void Driver::trace_completed(const Operation& op, const Completion& how) noexcept {
  trace_->put(TraceKind::complete, subject_of(op), static_cast<std::uint32_t>(how.result),
              static_cast<std::uint32_t>(op.kind) | (how.more ? k_trace_more : 0U));
}

}  // namespace rondo::io
