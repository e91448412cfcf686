// SPDX-License-Identifier: Apache-2.0
// EventQueue: what will happen in a simulated world, ordered by time, then by a drawn tie-break
// (0 when nothing is shuffled), then by the order of scheduling.
// An ordered map, not a heap: events are cancelled by their key, and speed does not matter here.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <tuple>
#include <utility>

#include "rondo/base/move_fn.hpp"

namespace rondo::io::sim {

class EventQueue {
 public:
  struct Id {
    std::int64_t time = 0;
    std::uint64_t tie = 0;
    std::uint64_t serial = 0;  ///< 0: no event
    auto operator<=>(const Id&) const = default;
  };
  static constexpr std::int64_t k_never = std::numeric_limits<std::int64_t>::max();

  Id add(std::int64_t time, std::uint64_t tie, MoveFn<void()> action) {
    const Id id{time, tie, ++serial_};
    events_.emplace(id, std::move(action));
    return id;
  }
  void remove(const Id& id) { events_.erase(id); }
  std::int64_t next_time() const noexcept {
    return events_.empty() ? k_never : events_.begin()->first.time;
  }
  /// Takes out the first event, which must be there.
  MoveFn<void()> pop() {
    auto node = events_.extract(events_.begin());
    return std::move(node.mapped());
  }
  std::size_t size() const noexcept { return events_.size(); }

 private:
  std::map<Id, MoveFn<void()>> events_;
  std::uint64_t serial_ = 0;
};

}  // namespace rondo::io::sim
