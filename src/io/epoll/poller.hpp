// SPDX-License-Identifier: Apache-2.0
// Poller: an epoll instance whose waits end at a deadline, exact to the nanosecond where the kernel
// lets them.
//
// Every descriptor is watched edge-triggered for both directions, once, until it is closed.
// Thread rule: the loop's thread.
#pragma once

#include <sys/epoll.h>

#include <cstdint>
#include <span>

#include "rondo/base/time.hpp"
#include "rondo/base/unique_fd.hpp"

namespace rondo::io::epoll {

class Poller {
 public:
  /// Without `precise_waits` (Linux before 5.11 has no epoll_pwait2) a timerfd ends the waits; if
  /// that is refused too, epoll_wait does by the millisecond, which is logged. Throws SystemError.
  explicit Poller(bool precise_waits);

  /// Watches `fd`, also if it is watched already: what holds now is then reported again.
  /// 0 or a negated errno (-EPERM: a file that cannot be waited for).
  int watch(int fd, bool watched) noexcept;
  void forget(int fd) noexcept;

  /// The events of at most the deadline: `k_now` does not wait, k_no_deadline waits for ever.
  /// A negated errno is the result of a wait that failed (-EINTR).
  static constexpr TimePoint k_now = TimePoint::min();
  int wait(TimePoint deadline) noexcept;
  std::span<const epoll_event> events(int count) const noexcept {
    return {events_, static_cast<std::size_t>(count)};
  }
  /// For a host that polls fd(): makes the timer that arm_timer() sets. 0 or a negated errno.
  int make_timer() noexcept;
  /// fd() becomes readable at the deadline; k_no_deadline: by itself never. After make_timer().
  void arm_timer(TimePoint deadline) noexcept;
  int fd() const noexcept { return fd_.get(); }
  bool has_precise_waits() const noexcept { return precise_; }

 private:
  static constexpr int k_events_per_wait = 256;

  int wait_until(TimePoint deadline) noexcept;
  int wait_with_timer(TimePoint deadline) noexcept;
  int wait_in_milliseconds(TimePoint deadline, int error) noexcept;

  UniqueFd fd_;
  UniqueFd timer_;
  TimePoint timer_at_ = k_no_deadline;
  bool precise_;
  bool told_coarse_ = false;
  epoll_event events_[k_events_per_wait];
};

}  // namespace rondo::io::epoll
