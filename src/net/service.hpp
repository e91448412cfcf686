// SPDX-License-Identifier: Apache-2.0
// NetService: what all sockets of one loop share: the corked list that is flushed in the prepare
// phase, the queue of those that wait for a receive buffer, and the count that keeps a loop alive
// until the last descriptor is closed.
#pragma once

#include <cstddef>

#include "rondo/core/loop.hpp"

namespace rondo::net::detail {

class Socket;

class NetService final : public rondo::detail::LoopService {
 public:
  explicit NetService(Loop& loop);
  ~NetService() override;
  bool drained() const noexcept override { return open_ == 0; }
  bool holds_output() const noexcept override { return corked_ != nullptr; }

  Loop& loop() noexcept { return loop_; }
  io::Driver& driver() noexcept { return loop_.driver(); }

  void opened() noexcept { ++open_; }
  void closed() noexcept { --open_; }
  std::size_t open() const noexcept { return open_; }

  /// Linked through Socket::cork_next until the next prepare phase.
  void cork(Socket& socket) noexcept;
  void starve(Socket& socket) noexcept;
  /// Closes a descriptor that nothing else refers to, through the driver.
  void close_descriptor(int descriptor) noexcept;
  std::size_t corked_count() const noexcept;
  std::size_t starved_count() const noexcept;

 private:
  struct PrepareHook : rondo::detail::LoopHook {
    NetService* service = nullptr;
  };
  void flush_corked() noexcept;
  void feed_starved() noexcept;

  Loop& loop_;
  PrepareHook hook_;
  Socket* corked_ = nullptr;
  Socket* corked_last_ = nullptr;
  Socket* starved_ = nullptr;
  Socket* starved_last_ = nullptr;
  std::size_t open_ = 0;
};

}  // namespace rondo::net::detail
