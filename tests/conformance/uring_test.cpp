// SPDX-License-Identifier: Apache-2.0
// What only the uring driver has: generations, overflow, refusal by a sandbox.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdlib>
#include <deque>
#include <string>
#include <string_view>

#include "driver_fixture.hpp"
#include "rondo/base/error.hpp"
#include "rondo/base/log.hpp"
#include "rondo/io/socket_ops.hpp"
#include "sandbox.hpp"

namespace rondo::io::testing {
namespace {

using rondo::testing::in_child;
using rondo::testing::refuse;

using UringTest = DriverTest;

TEST_P(UringTest, a_completion_of_an_earlier_generation_is_dropped_and_its_buffer_goes_back) {
  const Pair pair = connect();
  Recorded<RecvOp> recv;
  recv.fd = pair.far;
  driver().submit(recv);
  poll();
  const auto free = driver().buffers().free_count();
  ++recv.generation;  // As if this were a later life of the operation.
  send(pair.near, "late");
  ASSERT_TRUE(until([&] { return driver().statistics().late_completions == 1; }));
  EXPECT_TRUE(recv.got.empty());
  EXPECT_EQ(driver().buffers().free_count(), free);
  --recv.generation;
  driver().cancel(recv);
  ASSERT_TRUE(until([&] { return recv.ended(); }));
  EXPECT_EQ(recv.got.size(), 1u);
}

TEST_P(UringTest, more_completions_than_the_queue_holds_are_all_delivered) {
  replace({.ring_entries = 4, .buffer_count = 4, .buffer_size = 64});
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  std::deque<Recorded<PollOp>> ops;
  // 64 completion entries; one write completes all 500.
  for (int i = 0; i < 500; ++i) {
    auto& op = ops.emplace_back();
    op.fd = ends[0];
    op.events = k_readable;
    driver().submit(op);
  }
  settle();
  ASSERT_EQ(::write(ends[1], "x", 1), 1);
  for (auto& op : ops) {
    ASSERT_TRUE(until([&] { return op.ended(); }));
    EXPECT_EQ(op.result(), k_readable);
    EXPECT_EQ(op.got.size(), 1u);
  }
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST_P(UringTest, a_whole_iteration_costs_one_system_call) {
  const Pair pair = connect();
  Recorded<RecvOp> recv;
  recv.fd = pair.far;
  driver().submit(recv);
  settle();
  Recorded<SendOp> op;
  op.fd = pair.near;
  op.data = as_bytes("x").data();
  op.size = 1;
  const auto before = driver().statistics().kernel_entries;
  driver().submit(op);
  EXPECT_EQ(driver().statistics().kernel_entries, before) << "submit queues";
  driver().wait(Wait::block, k_no_deadline);
  EXPECT_EQ(driver().statistics().kernel_entries, before + 1);
  ASSERT_TRUE(until([&] { return !recv.got.empty() && op.ended(); }));
  driver().cancel(recv);
  ASSERT_TRUE(until([&] { return recv.ended(); }));
  EXPECT_EQ(text_of(recv), "x");
}

INSTANTIATE_TEST_SUITE_P(Drivers, UringTest, ::testing::Values("uring"),
                         [](const auto& about) { return about.param; });

// --- refusal: in a child, because a sandbox cannot be left ---

int lines_logged = 0;

/// 0 when `best` logs one line and falls back, and `uring` throws.
int check_fallback() {
  set_log_sink([](LogLevel, std::string_view) { ++lines_logged; });
  if (make_driver({})->probe().name != "epoll") return 1;
  if (lines_logged != 1) return 2;
  try {
    (void)make_driver({.kind = DriverKind::uring});
  } catch (const SystemError&) {
    return 0;
  }
  return 3;
}

TEST(UringRefused, a_sandbox_without_io_uring_costs_one_log_line_and_yields_epoll) {
  ::unsetenv("RONDO_DRIVER");
  for (const unsigned error : {unsigned{EPERM}, unsigned{ENOSYS}}) {
    for (const long call : {SYS_io_uring_setup, SYS_io_uring_enter, SYS_io_uring_register}) {
      EXPECT_EQ(in_child([&] {
                  refuse(call, error);
                  return check_fallback();
                }),
                0)
          << "call " << call << " errno " << error;
    }
  }
}

TEST(UringRefused, enomem_is_retried_with_smaller_rings_and_then_yields_epoll) {
  ::unsetenv("RONDO_DRIVER");
  EXPECT_EQ(in_child([] {
              refuse(SYS_io_uring_setup, ENOMEM);
              return make_driver({})->probe().name == "epoll" ? 0 : 1;
            }),
            0);
}

TEST(UringEntries, beyond_what_the_kernel_takes_the_bound_is_taken) {
  const auto entries = [](std::uint32_t asked) {
    return make_named("uring", {.ring_entries = asked, .buffer_count = 16})->probe().features;
  };
  EXPECT_NE(entries(0).find("io_uring, 4 entries"), std::string::npos);
  EXPECT_NE(entries(8'192).find("io_uring, 8192 entries"), std::string::npos)
      << "sixteen times as many completions are more than the kernel takes";
  EXPECT_NE(entries(0xFFFF'FFFF).find("io_uring, 32768 entries"), std::string::npos);
}

TEST(UringFeatures, the_level_of_linux_6_1_masks_what_came_later) {
  ::setenv("RONDO_URING_FEATURES", "6.1", 1);
  const std::string masked = make_named("uring", {})->probe().features;
  ::unsetenv("RONDO_URING_FEATURES");
  EXPECT_EQ(masked.find("absolute"), std::string::npos);
  EXPECT_NE(masked.find("multishot recv"), std::string::npos);
}

}  // namespace
}  // namespace rondo::io::testing
