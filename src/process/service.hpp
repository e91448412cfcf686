// SPDX-License-Identifier: Apache-2.0
// ProcessService: what the pipes and children of one loop share: the receive buffers of pipes,
// the streams that have something to send in the next prepare phase, those that wait for a
// buffer, and the counts that keep a loop alive until the last descriptor is closed.
//
// Pipes have buffers of their own: those of the driver are, on a ring, in the kernel's hands.
#pragma once

#include <cstddef>
#include <cstdint>

#include "rondo/base/intrusive_list.hpp"
#include "rondo/core/detail/immediate.hpp"
#include "rondo/core/loop.hpp"
#include "rondo/io/buffer_pool.hpp"

namespace rondo::process::detail {

class FdStream;
struct Child;

using rondo::detail::Immediate;

struct Corked;    // tag: link of a stream with output to send
struct Starved;   // tag: link of a stream that waits for a buffer
struct Detached;  // tag: link of a child that was let go

class ProcessService final : public rondo::detail::LoopService {
 public:
  explicit ProcessService(Loop& loop);
  ~ProcessService() override;
  bool drained() const noexcept override { return open_ == 0; }
  bool holds_output() const noexcept override { return !corked.empty(); }

  Loop& loop() noexcept { return loop_; }
  io::Driver& driver() noexcept { return loop_.driver(); }
  io::BufferPool& pool() noexcept { return pool_; }

  void opened() noexcept { ++open_; }
  void closed() noexcept { --open_; }
  /// Closes a descriptor that nothing else refers to, through the driver.
  void close_descriptor(int fd) noexcept;

  IntrusiveList<FdStream, Corked> corked;
  IntrusiveList<FdStream, Starved> starved;
  /// Children that were let go: no reason to keep the loop alive.
  IntrusiveList<Child, Detached> detached;

  static ProcessService& current() { return Loop::current().service<ProcessService>(); }

 private:
  struct PrepareHook : rondo::detail::LoopHook {
    ProcessService* service = nullptr;
  };
  void prepare() noexcept;

  Loop& loop_;
  io::BufferPool pool_;
  PrepareHook hook_;
  std::size_t open_ = 0;
};

}  // namespace rondo::process::detail
