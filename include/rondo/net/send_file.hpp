// SPDX-License-Identifier: Apache-2.0
// send_file: a part of a file to a stream, without a copy through the process where the kernel can.
//
//   auto sent = co_await net::send_file(stream, file.get(), 0, size);
//
// What is in the kernel's caches goes by sendfile(2), without waiting for a disk (Linux 6.5). The
// rest is spliced through a pipe on io_uring and sent by sendfile(2) on epoll; what cannot be (a
// simulated file, a kind of file that cannot be spliced) is read in blocks and written.
// Lifetime: file and stream outlive the await. Thread rule: the loop's thread.
#pragma once

#include <cstdint>

#include "rondo/base/result.hpp"
#include "rondo/core/task.hpp"
#include "rondo/net/socket.hpp"

namespace rondo::net {

inline constexpr std::uint64_t k_to_end_of_file = UINT64_MAX;

/// Sends `length` bytes of the file behind `descriptor` from `offset` on, behind what was written
/// before. The file's own position is neither used nor moved.
/// - **Completes** when the kernel has taken all, or the file has ended before. **Returns** the
///   bytes sent. **Errors** of the file and of the stream, after which how much was sent is
///   unknown to the peer: close.
/// - **Cancel** when a part has been sent the stream is broken for writing, as of write_all.
/// - **Lifetime** stream and descriptor outlive it. **Concurrency** counts as the writer.
/// - **Thread** the loop's.
Task<Result<std::uint64_t>> send_file(Stream& stream, int descriptor, std::uint64_t offset = 0,
                                      std::uint64_t length = k_to_end_of_file);

}  // namespace rondo::net
