// SPDX-License-Identifier: Apache-2.0
// OutputLock: keeps a stream's own output back while its descriptor is sent on beside it, by
// send_file or with descriptors attached. Nobody writes meanwhile (checked); what try_write queues
// leaves afterwards.
//
//   Socket& socket = StreamAccess::socket(stream);
//   co_await settled(stream).or_return();   // What was written before goes before.
//   OutputLock lock(socket);
//   lock.cut = true;                        // From here on a destroyed frame breaks the stream,
//   ...                                     // since a part was sent and the rest will not come.
//   lock.cut = false;
// Thread rule: the loop's thread.
#pragma once

#include "net/socket.hpp"
#include "rondo/core/task.hpp"

namespace rondo::net::detail {

class OutputLock {
 public:
  explicit OutputLock(Socket& socket) noexcept : socket_(socket) { socket_.lock_output(); }
  OutputLock(const OutputLock&) = delete;
  OutputLock& operator=(const OutputLock&) = delete;
  ~OutputLock() {
    if (cut) socket_.break_writing();
    socket_.unlock_output();
  }

  bool cut = false;

 private:
  Socket& socket_;
};

/// Waits until all output has left. No task may get between this and the lock.
Task<Result<>> settled(Stream& stream);

/// Sends all of `bytes` past the stream's queue; to be called under its lock. Cancelled, it sets
/// `cut` only when some of them have left.
Task<Result<>> send_past(OutputLock& lock, int descriptor, ByteView bytes);

}  // namespace rondo::net::detail
