// SPDX-License-Identifier: Apache-2.0
// check_stream, check_datagram: the contracts of ByteStream and of datagram sockets as tests, for
// everybody who writes one.
//
//   struct Pipes : StreamPair { ... };                           // two joined ends
//   auto broken = co_await check_stream([]() -> Task<Owned<StreamPair>> {
//     co_return std::make_unique<Pipes>();
//   });
//   for (const std::string& what : broken) ADD_FAILURE() << what;
//
// Each rule runs on a new pair and ends within a bound. What comes back is one sentence for each
// thing that did not hold: "read_line: a line in two pieces was cut". Empty: the stream conforms.
// Not checked here, for it ends the process: a second reader or writer is an assertion.
// Lifetime: tasks of a rule have ended before its pair goes. Thread rule: the loop's thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "rondo/base/memory.hpp"
#include "rondo/base/move_fn.hpp"
#include "rondo/base/time.hpp"
#include "rondo/core/stream.hpp"
#include "rondo/core/task.hpp"
#include "rondo/net/datagram.hpp"

namespace rondo::testing {

/// Two streams: what one writes the other reads. Destroying it closes both.
class StreamPair {
 public:
  virtual ~StreamPair() = default;
  virtual ByteStream& first() = 0;
  virtual ByteStream& second() = 0;
};

using MakeStreamPair = MoveFn<Task<Owned<StreamPair>>()>;

struct StreamContract {
  std::uint64_t seed = 1;       ///< of the random sizes and cancel points
  std::size_t bytes = 300'000;  ///< written in the rule of order
  /// More than the transport takes without a reader, so that a write has to wait.
  std::size_t too_much = 32'000'000;
  /// A rule that takes longer has failed.
  Duration rule_max = std::chrono::seconds(20);
};

/// Checks every rule. Returns what does not hold.
Task<std::vector<std::string>> check_stream(MakeStreamPair make_pair, StreamContract contract = {});

/// Two bound datagram sockets that can reach each other. Destroying it closes both.
class DatagramPair {
 public:
  virtual ~DatagramPair() = default;
  virtual net::DatagramSocket& first() = 0;
  virtual net::DatagramSocket& second() = 0;
};

using MakeDatagramPair = MoveFn<Task<Owned<DatagramPair>>()>;

struct DatagramContract {
  std::size_t largest = 65'507;    ///< arrives whole
  std::size_t too_large = 65'508;  ///< is refused
  /// A rule that takes longer has failed.
  Duration rule_max = std::chrono::seconds(20);
};

/// Checks every rule on a way that loses nothing. Returns what does not hold.
Task<std::vector<std::string>> check_datagram(MakeDatagramPair make_pair,
                                              DatagramContract contract = {});

}  // namespace rondo::testing
