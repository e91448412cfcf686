// SPDX-License-Identifier: Apache-2.0
#include "rondo/core/detail/signal_hub.hpp"

#include <cerrno>

#include "rondo/io/child_ops.hpp"

namespace rondo::detail {

SignalHub::SignalHub(Loop& loop) noexcept : loop_(loop) {
  on_complete = [](io::Operation& op, const io::Completion& done) noexcept {
    static_cast<SignalHub&>(static_cast<io::SignalOp&>(op)).on_completion(done.result);
  };
}

SignalHub::~SignalHub() {
  RONDO_ASSERT(subscribers_.empty(), "a SignalSet was kept beyond the end of its loop");
}

void SignalHub::join(SignalSubscriber& subscriber) noexcept {
  subscribers_.push_back(subscriber);
  // At once: the operation that is in flight listens without them until it has been renewed, and
  // a signal that comes meanwhile would end the program.
  io::BlockSignalsOp block;
  block.mask = subscriber.mask;
  block.on_complete = [](io::Operation&, const io::Completion&) noexcept {};
  loop_.driver().submit(block);
  refresh();
}

void SignalHub::leave(SignalSubscriber& subscriber) noexcept {
  subscriber.unlink();
  refresh();
}

void SignalHub::refresh() noexcept {
  std::uint64_t wanted = 0;
  for (auto* at = subscribers_.first(); at; at = subscribers_.next(*at)) wanted |= at->mask;
  if (in_flight()) {
    // Its completion calls here again.
    if (wanted != io::SignalOp::mask) loop_.driver().cancel(*this);
    return;
  }
  if (wanted == 0) return;
  io::SignalOp::mask = wanted;
  loop_.driver().submit(*this);
}

void SignalHub::on_completion(std::int32_t result) noexcept {
  if (result != -ECANCELED) {
    const std::uint64_t bit = result > 0 ? std::uint64_t{1} << (result - 1) : ~std::uint64_t{0};
    for (auto* at = subscribers_.first(); at;) {
      auto* next = subscribers_.next(*at);
      if (at->mask & bit) at->on_signal(*at, result);
      at = next;
    }
    if (result < 0) return;  // Refused, or a crashed host: asking again would not help.
  }
  refresh();
}

}  // namespace rondo::detail
