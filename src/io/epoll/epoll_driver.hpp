// SPDX-License-Identifier: Apache-2.0
// EpollDriver: operations by readiness, with the same completions as the uring driver's.
//
// An operation is in one of three places, and moves so:
//   submit -> queue -> tried in wait() -> completed
//                          |-> slot: waits for its descriptor's readiness -> queue
// Calls are tried first; only one that would block waits. cancel() sends a waiting operation
// back to the queue: it is tried once more, so that data wins, and ends with -ECANCELED if it
// would still block. Completions are delivered in wait() only.
//
// A slot per descriptor number keeps what epoll said. Descriptors made here (accept, connect,
// listen) start with a clean slot; those made elsewhere and used with read, write and poll are
// watched anew at each wait for them, because they may be closed without the driver knowing.
// Thread rule: the loop's thread, except wake().
#pragma once

#include <cstdint>
#include <vector>

#include "io/epoll/poller.hpp"
#include "io/kernel_messages.hpp"
#include "io/op_queue.hpp"
#include "rondo/io/driver.hpp"
#include "rondo/io/file_ops.hpp"
#include "rondo/io/socket_ops.hpp"

namespace rondo::io::epoll {

class EpollDriver final : public Driver {
 public:
  EpollDriver(const DriverOptions& options, bool precise_waits);
  ~EpollDriver() override;

  void submit(Operation& op) override;
  void cancel(Operation& op) override;
  std::size_t wait(Wait how, TimePoint deadline) override;
  void wake() noexcept override {
    check_process();
    wake_.fire();
  }
  int pollable_fd() override;
  std::int64_t time(Clock clock) noexcept override { return kernel::read_clock(clock); }
  void random(ByteSpan into) noexcept override { kernel::fill_random(into); }
  Probe probe() const override;

 private:
  struct Slot {
    OpQueue waiting;       ///< operations that would block
    bool readable = true;  ///< until a call says otherwise
    bool writable = true;
    bool ended = false;    ///< end of stream or an error was announced: reads no longer block
    bool reads_part = false;  ///< a short read does not mean that nothing is left
    bool watched = false;  ///< by an operation whose descriptor only the driver closes
    bool seen = false;     ///< watched once; the number may have been given out again since
  };
  /// What a try returns when it would block. No errno is that large.
  static constexpr std::int32_t k_would_block = INT32_MIN;

  Slot& slot(int fd);
  void reset_slot(int fd);
  void enqueue(Operation& op) noexcept;
  void run_queue();
  bool collect(TimePoint deadline);
  void leave_to_host(TimePoint deadline) noexcept;
  void on_event(const epoll_event& event);

  void run(Operation& op);
  void run_accept(AcceptOp& op);
  void run_recv(RecvOp& op);
  std::int32_t attempt(Operation& op);
  std::int32_t attempt_connect(ConnectOp& op);
  std::int32_t attempt_send(SendOp& op);
  std::int32_t attempt_send_message(SendMessageOp& op);
  std::int32_t attempt_send_zero_copy(SendZeroCopyOp& op);
  std::int32_t attempt_send_datagram(SendDatagramOp& op);
  std::int32_t attempt_recv_message(RecvMessageOp& op);
  std::int32_t attempt_send_file(SendFileOp& op);
  std::int32_t attempt_read(ReadOp& op);
  std::int32_t attempt_write(WriteOp& op);
  std::int32_t attempt_poll(PollOp& op);
  std::int32_t attempt_close(CloseOp& op);
  std::int32_t attempt_signal(SignalOp& op);
  std::int32_t ready_now(int fd, std::uint32_t events);
  std::int32_t sent(int fd, std::int64_t result);

  int descriptor_of(const Operation& op) const noexcept;
  void wait_for_readiness(Operation& op);
  void finish(Operation& op, std::int32_t result);
  void deliver(Operation& op, const Completion& done);

  Poller poller_;
  kernel::WakeFd wake_;
  kernel::Signals signals_;
  kernel::Reserve reserve_;
  bool signal_in_flight_ = false;
  bool skipped_collect_ = false;
  std::uint64_t in_flight_ = 0;
  OpQueue queue_;
  std::vector<Slot> slots_;  ///< by descriptor number; bounded by the process's limit of them
};

}  // namespace rondo::io::epoll
