// SPDX-License-Identifier: Apache-2.0
#include "rondo/process/signal.hpp"

#include <bit>
#include <utility>

#include "process/service.hpp"
#include "rondo/io/child_ops.hpp"

namespace rondo::process {

namespace {

constexpr std::uint64_t bit_of(int signal) noexcept { return std::uint64_t{1} << (signal - 1); }

constexpr std::uint64_t k_refused = bit_of(SIGKILL) | bit_of(SIGSTOP) | bit_of(SIGSEGV) |
                                    bit_of(SIGBUS) | bit_of(SIGFPE) | bit_of(SIGILL);

}  // namespace

SignalSet::SignalSet(std::initializer_list<int> signals)
    : hub_(&Loop::current().service<rondo::detail::SignalHub>()) {
  for (const int signal : signals) {
    RONDO_ASSERT(signal >= 1 && signal <= 64, "there is no such signal");
    mask |= bit_of(signal);
  }
  RONDO_ASSERT(mask != 0, "a SignalSet needs at least one signal");
  RONDO_ASSERT((mask & k_refused) == 0,
               "SIGKILL, SIGSTOP and the signals of faults cannot be awaited");
  on_signal = [](SignalSubscriber& who, int number) noexcept {
    auto& self = static_cast<SignalSet&>(who);
    if (number > 0)
      self.came_ |= bit_of(number);
    else
      self.error_ = -number;
    if (self.waiter_) rondo::detail::wake(*std::exchange(self.waiter_, nullptr));
  };
  hub_->join(*this);
}

SignalSet::~SignalSet() {
  RONDO_ASSERT(!waiter_, "a SignalSet was destroyed while a task waits in it");
  hub_->leave(*this);
}

void SignalSet::Awaiter::await_suspend(std::coroutine_handle<>) noexcept {
  if (rondo::detail::cancelled(*this)) return rondo::detail::strike(*this);
  if (set.has_news()) return rondo::detail::wake(*this);
  RONDO_ASSERT(!set.waiter_, "one task at a time awaits a SignalSet: make another set");
  set.waiter_ = this;
  rondo::detail::park(*this, [](rondo::detail::Waiter& waiter) noexcept {
    static_cast<Awaiter&>(waiter).set.waiter_ = nullptr;
    rondo::detail::strike(waiter);
  });
}

Result<int> SignalSet::take() noexcept {
  if (came_ == 0) return Error::from_errno(error_, "signal");
  const int number = std::countr_zero(came_) + 1;
  came_ &= came_ - 1;
  return number;
}

Result<> ignore_sigpipe() {
  detail::Immediate<io::BlockSignalsOp> op;
  op.mask = bit_of(SIGPIPE);
  if (op.ask() < 0) return Error::from_errno(-op.result, "sigmask");
  return {};
}

}  // namespace rondo::process
