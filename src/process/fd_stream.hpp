// SPDX-License-Identifier: Apache-2.0
// FdStream: the loop's side of a PipeStream. It outlives its handle until all is closed.
//
// Receiving (state_): off -> polling -> reading -> off, again while a reader or room for more is
//   there. Polled first, so that an idle pipe holds no buffer. off -> starved -> off when the pool
//   is empty.
// Sending: one write at a time (write_.in_flight()), started in the prepare phase: first what was
//   accepted (sending_, refilled from queue_), then a large write from where it is.
// Closing: detach() -> gone_; once nothing is in flight and nothing left to send, the descriptors
//   are closed, then the loop's close phase frees the object.
// Nobody but this class writes its fields.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "core/linger.hpp"
#include "process/service.hpp"
#include "rondo/core/detail/frame_pool.hpp"
#include "rondo/core/stream.hpp"
#include "rondo/io/file_ops.hpp"
#include "rondo/io/operation.hpp"

namespace rondo::process::detail {

class FdStream final : public ByteStream,
                       public TaggedLink<Corked>,
                       public TaggedLink<Starved>,
                       rondo::detail::Ready,
                       rondo::detail::Linger {
 public:
  enum class Descriptors : bool { owned, borrowed };
  FdStream(ProcessService& service, int read_from, int write_to, Descriptors whose) noexcept;

  /// The handle is gone: sends what is left, then closes.
  void detach() noexcept;

  std::size_t unsent() const noexcept override { return queue_.size() + sending_.size() - sent_; }
  void shutdown_write() noexcept override;

  // For ProcessService.
  void flush() noexcept;
  void settle() noexcept;
  void rearm() noexcept;

 protected:
  void start_read() noexcept override { rearm(); }
  void consumed() noexcept override { rearm(); }
  bool start_write(rondo::detail::WriteWaiter& waiter) noexcept override;
  void cancel_write(rondo::detail::WriteWaiter& waiter) noexcept override;
  Result<> queue_shared(const SharedBytes& message, std::size_t limit) noexcept override;

 private:
  template <class Op>
  struct Own : Op {
    FdStream* stream = nullptr;
  };
  template <class Op, void (FdStream::*Then)(std::int32_t) noexcept>
  void own(Own<Op>& op) noexcept {
    op.stream = this;
    op.on_complete = [](io::Operation& done, const io::Completion& how) noexcept {
      (static_cast<Own<Op>&>(done).stream->*Then)(how.result);
    };
  }

  bool is_terminal() const noexcept { return read_fd_ >= 0 && read_fd_ == write_fd_; }
  bool is_large(const rondo::detail::WriteWaiter& waiter) const noexcept {
    return waiter.started || waiter.rest.size() > limits::cork_block.value;
  }
  void cork() noexcept;
  void on_polled(std::int32_t result) noexcept;
  void on_read(std::int32_t result) noexcept;
  void on_written(std::int32_t result) noexcept;
  void on_closed(std::int32_t result) noexcept;
  void submit_write(ByteView bytes) noexcept;
  void advance(std::size_t size) noexcept;
  void fail(Errc error) noexcept;
  void settle_large() noexcept;
  void serve_writer() noexcept;
  void finish_shutdown() noexcept;
  void close_one(int& fd) noexcept;

  ProcessService& service_;
  int read_fd_;
  int write_fd_;
  Own<io::PollOp> poll_;
  Own<io::ReadOp> read_;
  Own<io::WriteOp> write_;
  Own<io::CloseOp> close_;
  std::string queue_;
  std::string sending_;
  std::size_t sent_ = 0;  ///< of sending_
  rondo::detail::WriteWaiter* writer_ = nullptr;
  Errc write_error_ = Errc{0};
  std::uint16_t buffer_ = io::k_no_buffer;  ///< being read into
  bool writer_in_flight_ = false;
  bool shutdown_asked_ = false;
  bool gone_ = false;
  bool freeing_ = false;
  const bool borrowed_;  ///< its descriptors are somebody else's to close
};

}  // namespace rondo::process::detail
