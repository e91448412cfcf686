// SPDX-License-Identifier: Apache-2.0
#include "process/child.hpp"

#include <cerrno>
#include <csignal>
#include <cstring>

#include "process/fd_stream.hpp"

namespace rondo::process::detail {

using rondo::detail::cancelled;
using rondo::detail::strike;
using rondo::detail::wake;

Child::Child(ProcessService& at, int pidfd, int process_id, bool has_group,
             bool keeps_group) noexcept
    : service(at), pid(process_id), group(has_group ? process_id : 0) {
  service.opened();
  wait.child = close.child = this;
  wait.fd = close.fd = pidfd;
  wait.group = keeps_group ? 0 : group;
  wait.on_complete = [](io::Operation& op, const io::Completion& done) noexcept {
    static_cast<WaitFor&>(op).child->on_waited(done.result);
  };
  close.on_complete = [](io::Operation& op, const io::Completion&) noexcept {
    static_cast<Close&>(op).child->on_closed();
  };
  service.driver().submit(wait);
}

void Child::on_waited(std::int32_t result) noexcept {
  state = State::ended;
  error = result < 0 ? -result : 0;
  status = {.code = wait.end.code, .signal = wait.end.signal, .core_dumped = wait.end.core_dumped};
  wake_waiters();
  service.driver().submit(close);
}

void Child::wake_waiters() noexcept {
  while (rondo::detail::ListedWaiter* waiter = waiters.pop_front()) {
    // Cancelled and still here: it has killed the child and waited for that.
    if (cancelled(*waiter))
      strike(*waiter);
    else
      wake(*waiter);
  }
}

void Child::on_closed() noexcept {
  state = State::closed;
  if (TaggedLink<Detached>::linked())
    TaggedLink<Detached>::unlink();
  else
    service.closed();
  if (held) return;  // The handle's end frees it.
  run = [](rondo::detail::Ready& entry) { delete static_cast<Child*>(&entry); };
  service.loop().close_later(*this);
}

std::int32_t Child::kill(int signal, bool tree) noexcept {
  // Its number may be another process's by now.
  if (state != State::running) return -ESRCH;
  Immediate<io::KillChildOp> op;
  op.fd = wait.fd;
  op.pid = pid;
  op.group = group;
  op.signal = signal;
  op.tree = tree;
  return op.ask();
}

void Child::release() noexcept {
  if (state == State::running) kill(SIGKILL, false);
  held = false;
  if (state == State::closed) delete this;
}

void Child::detach() noexcept {
  held = false;
  if (state == State::closed) return delete this;
  if (state == State::running) wait.group = 0;  // What it leaves behind is let go as well.
  service.closed();
  service.detached.push_back(*this);
}

void Child::abandon() noexcept { service.driver().cancel(wait); }

// ---- Awaiting

bool WaitAwaiter::await_ready() const noexcept {
  return !cancelled(*this) && child.state != Child::State::running && rondo::detail::spend_await();
}

void WaitAwaiter::await_suspend(std::coroutine_handle<>) noexcept {
  const bool running = child.state == Child::State::running;
  if (cancelled(*this) && !(kill_on_cancel && running)) return strike(*this);
  if (!running) return wake(*this);
  if (!kill_on_cancel) return park_in(child.waiters);
  child.waiters.push_back(*this);
  rondo::detail::park(*this, [](rondo::detail::Waiter& waiter) noexcept {
    // Stays in the list: on_waited() strikes it, when nothing of the child is left.
    static_cast<WaitAwaiter&>(waiter).child.kill(SIGKILL, false);
  });
  if (cancelled(*this)) child.kill(SIGKILL, false);
}

Result<ExitStatus> WaitAwaiter::await_resume() const {
  if (child.error != 0) return Error::from_errno(child.error, "wait");
  return child.status;
}

// ---- The end of a loop

ProcessService::~ProcessService() {
  // Children that were let go run on, and nobody here waits for them any more. Their operations
  // end first, then their descriptors are closed.
  for (Child* child = detached.first(); child; child = detached.next(*child)) child->abandon();
  while (!detached.empty()) driver().wait(io::Wait::poll, TimePoint{});
  for (FdStream* stream : standard_) {
    if (stream) stream->end();
  }
  hook_.unlink();
}

}  // namespace rondo::process::detail

namespace rondo::process {

std::string ExitStatus::describe() const {
  if (signal == 0) return "exit " + std::to_string(code);
  std::string text = "signal " + std::to_string(signal);
  if (const char* name = ::sigdescr_np(signal)) text.append(" (").append(name).append(")");
  if (core_dumped) text.append(", core dumped");
  return text;
}

}  // namespace rondo::process
