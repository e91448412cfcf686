// SPDX-License-Identifier: Apache-2.0
// MemoryPair: two ByteStreams joined in memory: between tasks of one loop, and for tests of
// protocols without a network.
//
//   MemoryPair pair;                                   // inside a running loop
//   scope.start(serve, std::ref(pair.first()));
//   co_await pair.second().write_all("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
//
// It behaves as sockets do: what is written in one iteration of the loop leaves in one send, a
// reader that does not read stops its writer, and shutdown_write is the other side's end.
// Lifetime: inside the loop it was made on; both sides' tasks end before. Thread rule: the loop's.
#pragma once

#include <cstddef>
#include <cstdint>

#include "rondo/base/memory.hpp"
#include "rondo/core/stream.hpp"

namespace rondo {

struct MemoryPairOptions {
  /// Bytes one side holds unread before the other side's output stays where it is.
  std::size_t capacity = 65'536;
  /// Bytes that arrive in one iteration at most: 1 is a message byte by byte. 0: all.
  std::size_t piece_max = 0;
};

class MemoryPair {
 public:
  explicit MemoryPair(MemoryPairOptions options = {});
  MemoryPair(const MemoryPair&) = delete;
  ~MemoryPair();

  ByteStream& first() noexcept;
  ByteStream& second() noexcept;
  /// The sends that `first` (`second`) made: iterations in which some of its output left.
  std::uint64_t sends_of_first() const noexcept;
  std::uint64_t sends_of_second() const noexcept;
  /// Both sides fail with connection_reset from now on.
  void reset() noexcept;

 private:
  struct State;
  Owned<State> state_;
};

}  // namespace rondo
