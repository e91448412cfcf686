// SPDX-License-Identifier: Apache-2.0
#include "rondo/core/task.hpp"

#include <exception>
#include <string>

#include "rondo/base/log.hpp"
#include "rondo/base/trace.hpp"
#include "rondo/core/loop.hpp"

namespace rondo::detail {

namespace {

std::uint64_t subject_of(const void* what) noexcept {
  return reinterpret_cast<std::uintptr_t>(what);
}

void trace_begin(LoopCore& at, TraceKind kind, const Chain& chain) noexcept {
  at.trace->tick();
  at.trace->put(kind, subject_of(&chain), trace_place(chain.definition));
}
/// The chain may be gone: it is named by its address only.
void trace_end(LoopCore& at, const void* chain) noexcept {
  at.trace->tick();
  at.trace->put(TraceKind::suspend, subject_of(chain));
}

}  // namespace

void resume_in(Chain& chain, PromiseBase& frame) {
  LoopCore& at = core();
  Chain* const before = at.running;
  at.running = &chain;
  if (at.trace) [[unlikely]]
    trace_begin(at, TraceKind::resume, chain);
  frame.handle().resume();
  if (at.trace) [[unlikely]]
    trace_end(at, &chain);
  at.running = before;  // The chain may be gone: only a callback or another task runs next.
}

void run_resume(Ready& entry) {
  PromiseBase& frame = *static_cast<Waiter&>(entry).frame;
  resume_in(*frame.chain, frame);
}

void run_unwind(Ready& entry) {
  PromiseBase* at = static_cast<Waiter&>(entry).frame;
  Chain& chain = *at->chain;
  LoopCore& core_now = core();
  core_now.unwinding = true;
  core_now.running = &chain;
  if (core_now.trace) [[unlikely]]
    trace_begin(core_now, TraceKind::unwind, chain);
  while (at) {
    PromiseBase* above = at->parent;
    // The owner must not destroy what is destroyed here.
    if (at->owner) *at->owner = nullptr;
    at->handle().destroy();
    at = above;
  }
  if (core_now.trace) [[unlikely]]
    trace_end(core_now, &chain);
  core_now.unwinding = false;
  core_now.running = nullptr;
  chain.ended(chain, End::cancelled);
}

namespace {

/// Reports are for who develops; in release builds the counters tell.
#ifdef NDEBUG
constexpr bool k_log_reports = false;
#else
constexpr bool k_log_reports = true;
#endif

void append_place(std::string& line, const std::source_location& site) {
  line.append(" at ").append(site.file_name()).append(":").append(std::to_string(site.line()));
}
void append_site(std::string& line, const std::source_location& site) {
  append_place(line.append(site.function_name()), site);
}
void append_task(std::string& line, const Chain& task) {
  line.append("task ");
  if (task.name) line.append(task.name).append(" ");
  line.append("of ");
  append_site(line, task.definition);
  if (task.started_at.line() != 0) append_place(line.append(", started"), task.started_at);
}
void append_error(std::string& line, const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& known) {
    line.append(known.what());
  } catch (...) {
    line.append("something that is no std::exception");
  }
}

}  // namespace

void report_never_awaited(const PromiseBase& promise) noexcept {
  // A task that is dropped because its owner dies by cancellation or exception is no mistake.
  if (is_unwinding() || std::uncaught_exceptions() > 0) return;
  if (Loop* at = Loop::current_or_null()) at->note_never_awaited();
  if (!k_log_reports) return;
  std::string line("a Task was neither awaited nor started: ");
  append_site(line, promise.site);
  log(LogLevel::warning, line);
}

void report_lost(const std::exception_ptr& error, const char* what, const Chain* task) noexcept {
  if (Loop* at = Loop::current_or_null()) at->note_lost_exception();
  if (!k_log_reports) return;
  std::string line("an exception that nobody gets, of ");
  line.append(what).append(": ");
  append_error(line, error);
  if (task) append_task(line.append("; "), *task);
  log(LogLevel::warning, line);
}

void report_callback_exception(const char* what) noexcept {
  if (Loop* at = Loop::current_or_null()) at->note_lost_exception();
  // In release builds too: nobody expects a callback to throw, and nobody else will tell.
  std::string line("an exception came out of ");
  append_error(line.append(what).append(": "), std::current_exception());
  log(LogLevel::error, line);
}

void report_dropped(const Error& error, const Chain& task) noexcept {
  if (Loop* at = Loop::current_or_null()) at->note_dropped_error();
  if (!k_log_reports) return;
  std::string line("a failed Result that nobody reads: ");
  append_task(line.append(error.message()).append("; "), task);
  log(LogLevel::warning, line);
}

}  // namespace rondo::detail
