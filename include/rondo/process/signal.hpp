// SPDX-License-Identifier: Apache-2.0
// SignalSet: signals of this process as an awaitable stream.
//
//   SignalSet signals{SIGHUP, SIGUSR1};
//   while (auto signal = co_await signals.next()) {
//     if (*signal == SIGHUP) reload();
//   }
//
// Several sets may want one signal: each gets it, and so does rondo::run its SIGINT and SIGTERM.
// Signals coalesce: a set notes that a signal came, not how often. From the first set on the
// signals are blocked for the loop's thread and stay so: make sets before you start threads of
// your own, which inherit the mask; a thread that does not block a signal may be the one to get
// it. Children get default dispositions and an empty mask (process/process.hpp).
// SIGPIPE is not for sets: pipes and sockets here report broken_pipe instead (ignore_sigpipe()).
// It refuses SIGKILL and SIGSTOP (cannot be had) and SIGSEGV, SIGBUS, SIGFPE, SIGILL (asserted).
// Lifetime: a set ends before its loop. Thread rule: the loop's thread.
#pragma once

#include <csignal>
#include <cstdint>
#include <initializer_list>

#include "rondo/base/result.hpp"
#include "rondo/core/detail/signal_hub.hpp"
#include "rondo/core/task.hpp"

namespace rondo::process {

class SignalSet : rondo::detail::SignalSubscriber {
  struct Awaiter : rondo::detail::Waiter {
    SignalSet& set;
    Awaiter(SignalSet& s, rondo::detail::PromiseBase& parent) noexcept : set(s) { frame = &parent; }
    bool await_ready() const noexcept {
      return !rondo::detail::cancelled(*this) && set.has_news() && rondo::detail::spend_await();
    }
    void await_suspend(std::coroutine_handle<>) noexcept;
    Result<int> await_resume() const noexcept { return set.take(); }
  };
  struct [[nodiscard("co_await it")]] Next : rondo::detail::OperationAwaitable<Next> {
    SignalSet& set;
    explicit Next(SignalSet& s) noexcept : set(s) {}
    Awaiter awaiter(rondo::detail::PromiseBase& parent) && noexcept { return {set, parent}; }
  };

 public:
  /// Listens from now on, to signals 1..64, on the running loop.
  SignalSet(std::initializer_list<int> signals);
  SignalSet(const SignalSet&) = delete;
  SignalSet& operator=(const SignalSet&) = delete;
  ~SignalSet();

  /// Waits for one of the signals.
  /// - **Completes** when one came since the last call. **Returns** its number, the lowest of
  ///   those that came. **Errors** the kernel's: it refused to listen; said again and again.
  /// - **Cancel** only stops waiting: no signal is lost. **Lifetime** the set outlives it.
  /// - **Concurrency** one awaiter for each set. **Thread** the loop's.
  Next next() noexcept { return Next(*this); }

 private:
  bool has_news() const noexcept { return came_ != 0 || error_ != 0; }
  Result<int> take() noexcept;

  rondo::detail::SignalHub* hub_;
  Awaiter* waiter_ = nullptr;
  std::uint64_t came_ = 0;  ///< bit n-1: signal n came and was not taken
  int error_ = 0;
};

/// Makes writes to a pipe that nobody reads fail with broken_pipe instead of killing the process,
/// for this loop's thread. Whatever here makes a pipe does it itself; a program that writes to
/// descriptors it was given (standard output, say) may want it, too. On sim nothing is to do.
Result<> ignore_sigpipe();

}  // namespace rondo::process
