// SPDX-License-Identifier: Apache-2.0
#include "rondo/core/task.hpp"

#include <exception>
#include <string>

#include "rondo/base/log.hpp"
#include "rondo/core/loop.hpp"

namespace rondo::detail {

void run_resume(Ready& entry) { static_cast<Waiter&>(entry).frame->handle().resume(); }

void run_unwind(Ready& entry) {
  PromiseBase* at = static_cast<Waiter&>(entry).frame;
  Chain& chain = *at->chain;
  LoopCore& core_now = core();
  core_now.unwinding = true;
  while (at) {
    PromiseBase* above = at->parent;
    // The owner must not destroy what is destroyed here.
    if (at->owner) *at->owner = nullptr;
    at->handle().destroy();
    at = above;
  }
  core_now.unwinding = false;
  chain.ended(chain, End::cancelled);
}

void report_never_awaited(const PromiseBase& promise) noexcept {
  // A task that is dropped because its owner dies by cancellation or exception is no mistake.
  if (is_unwinding() || std::uncaught_exceptions() > 0) return;
  std::string line("a Task was neither awaited nor started: ");
  line.append(promise.site.function_name()).append(" at ").append(promise.site.file_name());
  line.append(":").append(std::to_string(promise.site.line()));
  log(LogLevel::warning, line);
}

}  // namespace rondo::detail
