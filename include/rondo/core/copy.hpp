// SPDX-License-Identifier: Apache-2.0
// Copying between streams: one way, or both ways as a proxy does.
//
//   auto copied = co_await copy_bidirectional(client, server);
//   if (copied) std::printf("%llu up, %llu down\n", copied->forth, copied->back);
//
// Back-pressure is kept: a side that does not take its bytes stops the other from being read.
// It refuses to close anything: the streams are the caller's.
// Lifetime: both streams outlive the await. Thread rule: the loop's thread.
#pragma once

#include <cstdint>

#include "rondo/base/result.hpp"
#include "rondo/core/stream.hpp"
#include "rondo/core/task.hpp"

namespace rondo {

/// Copies until `from` ends.
/// - **Completes** at the end of `from`, when `to` has sent everything, or on an error.
/// - **Returns** the bytes copied. **Errors** of either stream. `to` stays open for more.
/// - **Cancel** what was read is accepted by `to` or, of the last piece, lost: give up both
///   streams. **Lifetime** both outlive it. **Concurrency** counts as the reader of `from` and
///   the writer of `to`. **Thread** the loop's.
Task<Result<std::uint64_t>> copy(ByteStream& from, ByteStream& to);

/// Bytes that went each way.
struct Copied {
  std::uint64_t forth = 0;  ///< from the first to the second
  std::uint64_t back = 0;
};

/// Copies both ways until both streams have ended. The end of one side is passed on
/// (shutdown_write) while the other direction goes on: half-closed connections work.
/// - **Completes** when both directions have ended, or at the first error of any stream; then the
///   other direction is given up. **Returns** the bytes copied each way. **Errors** the first.
///   `progress`, if given, counts on the way, also for those who get an error.
/// - **Cancel** both directions are given up. **Lifetime** streams and `progress` outlive it.
/// - **Concurrency** counts as reader and writer of both. **Thread** the loop's.
Task<Result<Copied>> copy_bidirectional(ByteStream& first, ByteStream& second,
                                        Copied* progress = nullptr);

}  // namespace rondo
