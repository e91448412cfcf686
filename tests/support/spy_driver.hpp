// SPDX-License-Identifier: Apache-2.0
// SpyDriver: a driver between a loop and its own. It notes how the loop asks, and can let the
// machine stand still: the monotonic clock jumps while the loop is busy with something else.
//
//   auto spy = std::make_unique<SpyDriver>(make_driver({}));   spy->stalled += 10s;
//
// Thread rule: the loop's thread, except wake().
#pragma once

#include <atomic>
#include <memory>

#include "rondo/base/move_fn.hpp"
#include "rondo/io/driver.hpp"

namespace rondo::testing {

/// Hands everything on to a real driver and notes how the loop asks.
class SpyDriver final : public io::Driver {
 public:
  template <class D>
  explicit SpyDriver(D inner) : Driver(1, 64), inner_(inner.release()) {}

  void submit(io::Operation& op) override { inner_->submit(op); }
  void cancel(io::Operation& op) override {
    ++cancels;
    inner_->cancel(op);
  }
  std::size_t wait(io::Wait how, TimePoint deadline) override {
    if (how == io::Wait::peek) ++peeks;
    if (how == io::Wait::poll) ++polls;
    if (how == io::Wait::block) ++blocks, last_deadline = deadline;
    if (how == io::Wait::host) ++hosted;
    if (on_wait) on_wait(how);
    const bool is_time = deadline != k_no_deadline && deadline > TimePoint{};
    return inner_->wait(how, is_time ? deadline - stalled : deadline);
  }
  void wake() noexcept override {
    ++wakes;
    inner_->wake();
  }
  std::int64_t time(io::Clock clock) noexcept override {
    const bool ahead = clock == io::Clock::monotonic;
    return inner_->time(clock) + (ahead ? stalled.count() : 0);
  }
  void random(ByteSpan into) noexcept override { inner_->random(into); }
  io::Probe probe() const override { return inner_->probe(); }
  int pollable_fd() override { return inner_->pollable_fd(); }

  int peeks = 0;
  int polls = 0;
  int blocks = 0;
  int hosted = 0;
  int cancels = 0;
  std::atomic<int> wakes = 0;
  TimePoint last_deadline;
  MoveFn<void(io::Wait)> on_wait;
  /// How long the machine stood still so far: the loop's clock is ahead by it.
  Duration stalled = Duration::zero();

 private:
  std::unique_ptr<io::Driver> inner_;
};

}  // namespace rondo::testing
