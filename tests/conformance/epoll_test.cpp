// SPDX-License-Identifier: Apache-2.0
// What only the epoll driver has: deadlines on kernels without epoll_pwait2 (before Linux 5.11).
#include <gtest/gtest.h>

#include "driver_fixture.hpp"
#include "io/epoll/epoll_driver.hpp"
#include "rondo/base/log.hpp"
#include "sandbox.hpp"

namespace rondo::io::testing {
namespace {

using rondo::testing::in_child;
using rondo::testing::refuse;

TEST(EpollWithoutPwait2, a_timerfd_ends_a_wait_at_its_deadline_and_not_before) {
  epoll::EpollDriver driver({}, false);
  EXPECT_NE(driver.probe().features.find("timerfd"), std::string::npos);
  for (const auto timeout : {50us, 1'000us, 20'000us, 1'000us}) {
    const TimePoint deadline = driver.now() + timeout;
    int waits = 0;
    for (; driver.now() < deadline; ++waits) {
      EXPECT_EQ(driver.wait(Wait::block, deadline), 0u);
    }
    EXPECT_LE(waits, 10) << "the wait spun instead of sleeping";
  }
}

TEST(EpollWithoutPwait2, a_timer_set_before_does_not_end_a_later_wait) {
  epoll::EpollDriver driver({}, false);
  driver.wait(Wait::block, driver.now() + 1ms);
  driver.wake();
  driver.wait(Wait::block, k_no_deadline);
  const TimePoint deadline = driver.now() + 5ms;
  int waits = 0;
  for (; driver.now() < deadline; ++waits) driver.wait(Wait::block, deadline);
  EXPECT_LE(waits, 10);
}

/// 0 when waits end at their deadline, neither before nor by spinning.
int check_waits(int lines_expected) {
  static int lines = 0;
  set_log_sink([](LogLevel, std::string_view) { ++lines; });
  epoll::EpollDriver driver({}, true);
  for (const auto timeout : {1'000us, 5'000us, 100us}) {
    const TimePoint deadline = driver.now() + timeout;
    int waits = 0;
    for (; driver.now() < deadline; ++waits) driver.wait(Wait::block, deadline);
    if (waits > 10) return 1;
  }
  if (driver.probe().features.find("timerfd") == std::string::npos) return 2;
  return lines == lines_expected ? 0 : 3;
}

TEST(EpollRefused, a_sandbox_without_epoll_pwait2_is_served_as_an_old_kernel_is) {
  for (const unsigned error : {unsigned{ENOSYS}, unsigned{EPERM}}) {
    EXPECT_EQ(in_child([&] {
                refuse(SYS_epoll_pwait2, error);
                return check_waits(0);
              }),
              0)
        << error;
  }
}

TEST(EpollRefused, without_a_timer_too_waits_go_by_the_millisecond_and_one_log_line_says_so) {
  EXPECT_EQ(in_child([] {
              refuse(SYS_epoll_pwait2, EPERM);
              refuse(SYS_timerfd_create, EMFILE);
              return check_waits(1);
            }),
            0);
}

}  // namespace
}  // namespace rondo::io::testing
