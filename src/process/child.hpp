// SPDX-License-Identifier: Apache-2.0
// Child: the loop's side of a Process. It outlives its handle until the child was taken away and
// its descriptor closed.
//
// States: running (wait_ in flight, from the start: nobody has to ask for a child to be taken
// away) -> ended (status known, waiters woken, close_ in flight) -> closed. Freed when closed and
// the handle is gone.
#pragma once

#include <cstdint>

#include "process/service.hpp"
#include "rondo/core/event.hpp"
#include "rondo/io/child_ops.hpp"
#include "rondo/process/process.hpp"

namespace rondo::process::detail {

struct Child : TaggedLink<Detached>, rondo::detail::Ready {
  enum class State : std::uint8_t { running, ended, closed };
  struct WaitFor : io::WaitChildOp {
    Child* child = nullptr;
  };
  struct Close : io::CloseOp {
    Child* child = nullptr;
  };

  Child(ProcessService& at, int pidfd, int process_id, bool has_group, bool keeps_group) noexcept;

  /// 0 or a negated errno.
  std::int32_t kill(int signal, bool tree) noexcept;
  /// The handle is gone.
  void release() noexcept;
  void detach() noexcept;
  /// The loop ends before a child that was let go: gives it up.
  void abandon() noexcept;

  ProcessService& service;
  WaitFor wait;
  Close close;
  rondo::detail::WaiterList waiters;
  State state = State::running;
  bool held = true;
  int pid;
  int group = 0;  ///< what kill() reaches; 0: the child alone
  ExitStatus status;
  std::int32_t error = 0;

 private:
  void on_waited(std::int32_t result) noexcept;
  void on_closed() noexcept;
  void wake_waiters() noexcept;
};

}  // namespace rondo::process::detail
