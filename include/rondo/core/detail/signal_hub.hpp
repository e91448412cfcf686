// SPDX-License-Identifier: Apache-2.0
// SignalHub: shares a driver's one signal operation between everybody on a loop who wants signals.
//
// The operation waits for the union of all masks; when that changes it is cancelled and submitted
// anew. A signal goes to every subscriber whose mask has it.
// Lifetime: subscribers leave before the loop ends (checked). Thread rule: the loop's thread.
#pragma once

#include <cstdint>

#include "rondo/base/intrusive_list.hpp"
#include "rondo/core/loop.hpp"
#include "rondo/io/operation.hpp"

namespace rondo::detail {

struct SignalSubscriber : ListLink {
  std::uint64_t mask = 0;  ///< bit n-1 for signal n
  /// Its number, or a negated errno: the kernel refused and nothing more comes. May leave().
  void (*on_signal)(SignalSubscriber&, int) noexcept = nullptr;
};

class SignalHub final : public LoopService, io::SignalOp {
 public:
  explicit SignalHub(Loop& loop) noexcept;
  ~SignalHub() override;
  /// Listening for signals keeps no loop alive; an operation that is being withdrawn does.
  bool drained() const noexcept override { return !in_flight() || !subscribers_.empty(); }

  void join(SignalSubscriber& subscriber) noexcept;
  void leave(SignalSubscriber& subscriber) noexcept;

 private:
  void refresh() noexcept;
  void on_completion(std::int32_t result) noexcept;

  Loop& loop_;
  IntrusiveList<SignalSubscriber> subscribers_;
};

}  // namespace rondo::detail
