// SPDX-License-Identifier: Apache-2.0
#include "io/epoll/poller.hpp"

#include <sys/timerfd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <utility>

#include "io/kernel.hpp"
#include "rondo/base/error.hpp"
#include "rondo/base/log.hpp"

namespace rondo::io::epoll {
namespace {

timespec to_timespec(std::int64_t ns) noexcept {
  return {.tv_sec = ns / 1'000'000'000, .tv_nsec = ns % 1'000'000'000};
}

}  // namespace

Poller::Poller(bool precise_waits) : fd_(::epoll_create1(EPOLL_CLOEXEC)), precise_(precise_waits) {
  if (!fd_) throw SystemError(Error::from_errno(errno, "epoll_create1"));
}

int Poller::watch(int fd, bool watched) noexcept {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.fd = fd;
  const int first = watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
  if (::epoll_ctl(fd_.get(), first, fd, &event) == 0) return 0;
  // The number was closed behind our back and given out again, or the reverse.
  if (errno != ENOENT && errno != EEXIST) return -errno;
  const int second = watched ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
  return ::epoll_ctl(fd_.get(), second, fd, &event) == 0 ? 0 : -errno;
}

void Poller::forget(int fd) noexcept { ::epoll_ctl(fd_.get(), EPOLL_CTL_DEL, fd, nullptr); }

int Poller::wait(TimePoint deadline) noexcept {
  int count;
  if (deadline == k_now)
    count = ::epoll_wait(fd_.get(), events_, k_events_per_wait, 0);
  else if (deadline == k_no_deadline) {
    count = ::epoll_wait(fd_.get(), events_, k_events_per_wait, -1);
  } else if (precise_)
    count = wait_until(deadline);
  else
    count = wait_with_timer(deadline);
  return count < 0 ? -errno : count;
}

int Poller::wait_until(TimePoint deadline) noexcept {
  const std::int64_t left =
      deadline.time_since_epoch().count() - kernel::read_clock(Clock::monotonic);
  const timespec timeout = to_timespec(std::max<std::int64_t>(left, 0));
  const int count = ::epoll_pwait2(fd_.get(), events_, k_events_per_wait, &timeout, nullptr);
  // An old kernel has no such call, a sandbox that is older than the call refuses it.
  if (count >= 0 || (errno != ENOSYS && errno != EPERM)) return count;
  precise_ = false;
  return wait_with_timer(deadline);
}

int Poller::wait_with_timer(TimePoint deadline) noexcept {
  if (const int error = make_timer(); error < 0) return wait_in_milliseconds(deadline, error);
  arm_timer(deadline);
  return ::epoll_wait(fd_.get(), events_, k_events_per_wait, -1);
}

/// Out of descriptors, or in a sandbox: late by up to a millisecond, but the loop goes on.
int Poller::wait_in_milliseconds(TimePoint deadline, int error) noexcept {
  if (!std::exchange(told_coarse_, true)) {
    log(LogLevel::warning, "timerfd is refused (" + describe(static_cast<Errc>(-error)) +
                               "): waits of the epoll driver end up to 1 ms late");
  }
  constexpr std::int64_t k_millisecond = 1'000'000;
  const std::int64_t left =
      deadline.time_since_epoch().count() - kernel::read_clock(Clock::monotonic);
  const std::int64_t rounded_up = (std::max<std::int64_t>(left, 0) + k_millisecond - 1) /
                                  k_millisecond;
  // One that is too far away ends early: the loop sees that nothing is due and waits on.
  const int timeout = static_cast<int>(std::min<std::int64_t>(rounded_up, INT_MAX));
  return ::epoll_wait(fd_.get(), events_, k_events_per_wait, timeout);
}

int Poller::make_timer() noexcept {
  if (timer_) return 0;
  UniqueFd made(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  if (!made) return -errno;
  if (const int error = watch(made.get(), false); error < 0) return error;
  timer_ = std::move(made);
  return 0;
}

void Poller::arm_timer(TimePoint deadline) noexcept {
  // One that has gone off is set anew: the same deadline may be waited for twice.
  if (deadline == timer_at_ && deadline == k_no_deadline) return;
  timer_at_ = deadline;
  itimerspec when{};  // All zero disarms it.
  // A time of zero would too.
  if (deadline != k_no_deadline)
    when.it_value = to_timespec(std::max<std::int64_t>(deadline.time_since_epoch().count(), 1));
  // Cannot fail: the time is valid and the descriptor a timer.
  ::timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &when, nullptr);
}

}  // namespace rondo::io::epoll
