// SPDX-License-Identifier: Apache-2.0
// UringDriver: operations as io_uring submissions.
//
// user_data of a submission = tag | address of the operation | generation << 48. A completion
// whose generation is not the operation's is of an earlier life: dropped and counted.
//
// driver_flags of an operation, all written here only:
//   k_in_backlog    it stands in the backlog (or, failed before the ring, in the failed list)
//   k_start_queued  in the backlog: its submission has still to be made
//   k_stop_queued   in the backlog: its cancel request has still to be made
//   k_stop_open     its cancel request has not been answered: hold its terminal completion back
//   k_slotless      it waits for a slot of the file table (read_whole_file)
//   k_result_held   that completion has come: driver_result and driver_buffer hold it
//   k_bytes_lent    zero-copy: the result has come, the kernel still reads the bytes
// The cancel request must have been answered before the operation is given back: it names its
// target by address, and would else hit the next operation there.
//
// Thread rule: the thread that made it, except wake(); the kernel takes submissions from no other.
#pragma once

#include <atomic>
#include <cstdint>

#include "io/kernel_messages.hpp"
#include "io/op_queue.hpp"
#include "io/uring/ring.hpp"
#include "rondo/base/unique_fd.hpp"
#include "rondo/io/driver.hpp"
#include "rondo/io/file_ops.hpp"
#include "rondo/io/socket_ops.hpp"

namespace rondo::io::uring {

class UringDriver final : public Driver {
 public:
  explicit UringDriver(const DriverOptions& options);
  ~UringDriver() override;

  /// Makes the ring with `entries`: 0 or a negated errno. To be called once.
  int open(unsigned entries);

  void submit(Operation& op) override;
  void cancel(Operation& op) override;
  std::size_t wait(Wait how, TimePoint deadline) override;
  void wake() noexcept override;
  int pollable_fd() override;
  std::int64_t time(Clock clock) noexcept override { return kernel::read_clock(clock); }
  void random(ByteSpan into) noexcept override { kernel::fill_random(into); }
  Probe probe() const override;

 private:
  void start(Operation& op);
  void fail(Operation& op, std::int32_t error) noexcept;
  void put_off(Operation& op, std::uint8_t what) noexcept;
  io_uring_sqe* entry() noexcept;
  bool make_room(unsigned entries) noexcept;
  void prepare_start(Operation& op, io_uring_sqe& sqe) noexcept;
  bool try_prepare_chain(ReadWholeFileOp& op) noexcept;
  void start_chain(ReadWholeFileOp& op);
  void end_chain(ReadWholeFileOp& op);
  void queue_stop(Operation& op) noexcept;
  bool try_prepare_start(Operation& op) noexcept;
  void prepare_stop(Operation& op, io_uring_sqe& sqe) noexcept;
  void drain_backlog() noexcept;
  void arm_wake() noexcept;
  void leave_to_host(TimePoint deadline);
  bool set_alarm(TimePoint deadline) noexcept;

  void enter(Wait how, TimePoint deadline);
  std::size_t deliver_failed();
  void on_completion(std::uint64_t data, std::int32_t result, std::uint32_t flags);
  void on_result(Operation& op, std::int32_t result, std::uint32_t flags);
  bool on_zero_copy(SendZeroCopyOp& op, std::int32_t& result, std::uint32_t flags);
  std::int32_t begin(SendFileOp& op) noexcept;
  void end(SendFileOp& op) noexcept;
  bool goes_on(SendFileOp& op, std::int32_t& result);
  void on_stopped(Operation& op, std::int32_t result);
  void finish(Operation& op, std::int32_t result, std::uint16_t buffer);
  void deliver(Operation& op, const Completion& done);
  std::uint16_t take_buffer(std::int32_t result, std::uint32_t flags) noexcept;
  void drop_late(std::int32_t result, std::uint32_t flags) noexcept;

  kernel::WakeFd wake_;
  std::uint64_t wake_count_ = 0;  ///< what the armed read of the wake descriptor writes
  bool wake_armed_ = false;
  UniqueFd host_event_;           ///< pollable_fd(): set with each completion
  std::atomic<int> host_fd_{-1};  ///< the same, for threads that wake
  bool alarm_armed_ = false;      ///< a time-out on the ring, for a host's deadline
  TimePoint alarm_at_;
  __kernel_timespec alarm_time_{};
  kernel::Signals signals_;
  kernel::Reserve reserve_;
  bool signal_in_flight_ = false;
  std::uint64_t splices_ = 0;     ///< SendFileOps in flight
  std::uint64_t in_flight_ = 0;
  std::uint64_t free_slots_ = ~std::uint64_t{0};  ///< bit n: slot n of the file table is free
  OpQueue slotless_;  ///< read_whole_file operations that wait for a slot
  OpQueue backlog_;  ///< found no room in the submission queue
  OpQueue failed_;   ///< ended before they reached the ring
  Ring ring_;        ///< last: closed before what its armed operations write to
};

}  // namespace rondo::io::uring
