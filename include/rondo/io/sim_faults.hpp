// SPDX-License-Identifier: Apache-2.0
// SimFaults: what goes wrong in a simulated world, how often and how much.
//
//   io::SimFaults faults{.link = {.latency = 20ms, .cut_per_mille = 300}};   // by hand
//   io::SimFaults swarm = io::SimFaults::draw(seed);                          // from the seed
//
// The default is a perfect world: no latency, no fault, first in first out. Rates are counted
// per 1,000 chances; a chance is one chunk sent, one accept, one receive, as each field says.
// Thread rule: a value.
#pragma once

#include <cstdint>

#include "rondo/base/time.hpp"

namespace rondo::io {

/// The line between two hosts, or the one of every pair.
struct SimLink {
  Duration latency{};                      ///< one way
  Duration jitter{};                       ///< up to this is added to each chunk; order is kept
  std::uint64_t bandwidth = 0;             ///< bytes a second, each way; 0: unlimited
  std::uint32_t capacity = 262'144;        ///< bytes one direction holds before send waits
  std::uint32_t cut_per_mille = 0;         ///< a chunk is cut in two at a random place
  std::uint32_t coalesce_per_mille = 0;    ///< a chunk waits up to 1 ms for the next one
  std::uint32_t short_send_per_mille = 0;  ///< send takes fewer bytes than there is room for
  std::uint32_t reset_per_mille = 0;       ///< a chunk resets its connection
  std::uint32_t stall_per_mille = 0;       ///< a chunk stops its direction for up to stall_max
  std::uint32_t black_hole_per_mille = 0;  ///< a chunk and all after it never arrive
  Duration stall_max = std::chrono::seconds(5);
  std::uint32_t loss_per_mille = 0;        ///< a datagram never arrives
  std::uint32_t duplicate_per_mille = 0;   ///< a datagram arrives twice
  std::uint32_t reorder_per_mille = 0;     ///< a datagram is late by up to reorder_max
  Duration reorder_max = std::chrono::milliseconds(50);
};

/// The disk of a host. Its model (what a crash keeps) stands in docs/reference/simulation.md.
struct SimDiskFaults {
  Duration latency{};                      ///< of every call
  Duration jitter{};                       ///< up to this is added: calls in flight overtake
  std::uint64_t size = 0;                  ///< bytes of file content it holds, then -ENOSPC; 0: any
  std::uint32_t read_error_per_mille = 0;  ///< a read ends with -EIO
  std::uint32_t write_error_per_mille = 0;  ///< a write or truncate ends with -EIO
  std::uint32_t sync_error_per_mille = 0;   ///< a sync ends with -EIO; its pages are lost or not
  std::uint32_t short_read_per_mille = 0;   ///< a read yields fewer bytes than there are
  std::uint32_t short_write_per_mille = 0;  ///< a write takes fewer bytes than it was given
  std::uint32_t open_limit_per_mille = 0;   ///< an open ends with -EMFILE

  /// Swarm testing: about half of the kinds are on, all from `seed`. The size stays unlimited.
  static SimDiskFaults draw(std::uint64_t seed);
};

struct SimFaults {
  SimLink link = {};
  SimDiskFaults disk = {};
  bool shuffle = false;       ///< completions due at one instant come in a drawn order, in parts
  bool code_faults = false;   ///< RONDO_FAULT sites of the program strike; not drawn by draw()
  bool cancel_races = false;  ///< data present when cancel() is called may lose against it
  std::uint32_t accept_limit_per_mille = 0;   ///< accept ends with -EMFILE
  std::uint32_t accept_abort_per_mille = 0;   ///< accept ends with -ECONNABORTED
  std::uint32_t no_buffers_per_mille = 0;     ///< a receive ends with -ENOBUFS
  std::uint32_t end_multishot_per_mille = 0;  ///< a multishot ends with its data, without `more`
  std::uint32_t interrupt_per_mille = 0;      ///< -EINTR; not drawn by draw()
  std::uint32_t resolve_fail_per_mille = 0;   ///< a name is not answered: -ETIMEDOUT after 5 s

  /// Swarm testing: about half of the kinds are on, each with a drawn rate, all from `seed`. Of the
  /// disk's only latency, jitter and short calls: an error of a disk ends most programs.
  static SimFaults draw(std::uint64_t seed);
};

}  // namespace rondo::io
