// SPDX-License-Identifier: Apache-2.0
// Acceptor: the loop's side of a Listener: one multishot accept and the connections that no task
// has taken yet. States as for Socket: armed while accepting, paused when out of descriptors,
// closing when its handle is gone.
#pragma once

#include <deque>

#include "net/service.hpp"
#include "rondo/core/detail/frame_pool.hpp"
#include "rondo/core/detail/timer_wheel.hpp"
#include "rondo/io/socket_ops.hpp"
#include "rondo/net/socket.hpp"

namespace rondo::net::detail {

class Acceptor final : public rondo::detail::Pooled {
 public:
  Acceptor(NetService& service, int descriptor, const Endpoint& local) noexcept;

  const Endpoint& local() const noexcept { return local_; }
  int descriptor() const noexcept { return op_.fd; }
  bool has_answer() const noexcept {
    return !waiting_.empty() || stopping_ || error_ != Errc{0};
  }
  void wait(AcceptAwaiter& awaiter) noexcept;
  void unhook() noexcept { awaiter_ = nullptr; }
  Result<Stream> take();
  void detach() noexcept;

 private:
  static constexpr std::size_t k_max = limits::accepted_max.value;
  struct Op : io::AcceptOp {
    Acceptor* acceptor = nullptr;
  };
  struct Pause : rondo::detail::Timer {
    Acceptor* acceptor = nullptr;
  };
  struct StopHook : rondo::detail::LoopHook {
    Acceptor* acceptor = nullptr;
  };
  struct Close : io::CloseOp {
    Acceptor* acceptor = nullptr;
  };
  struct Last : rondo::detail::Ready {
    Acceptor* acceptor = nullptr;
  };

  void arm() noexcept;
  void on_accept(const io::Completion& done) noexcept;
  void pause(Errc why) noexcept;
  void refuse_waiting() noexcept;
  void on_stop() noexcept;
  void close_waiting() noexcept;
  void notify() noexcept;
  void settle() noexcept;

  NetService* service_;
  Endpoint local_;
  Op op_;
  Pause pause_;
  StopHook stop_;
  Close close_;
  Last last_;
  AcceptAwaiter* awaiter_ = nullptr;
  /// Accepted descriptors. Not bounded by k_max alone: the kernel accepts everything that stands
  /// in its backlog before it sees our cancel, and dropping those would lose connections.
  std::deque<int> waiting_;
  Errc error_ = Errc{0};  ///< of the listener, until a task has taken it
  bool armed_ = false;
  bool stopping_ = false;
  bool gone_ = false;
  unsigned pauses_ = 0;  ///< in a row without a connection accepted
};

}  // namespace rondo::net::detail
