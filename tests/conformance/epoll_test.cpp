// SPDX-License-Identifier: Apache-2.0
// What only the epoll driver has: deadlines on kernels without epoll_pwait2 (before Linux 5.11).
#include <gtest/gtest.h>

#include "driver_fixture.hpp"
#include "io/epoll/epoll_driver.hpp"

namespace rondo::io::testing {
namespace {

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

}  // namespace
}  // namespace rondo::io::testing
