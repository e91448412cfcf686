// SPDX-License-Identifier: Apache-2.0
// EveryDriver: one source, three drivers. A test body is a task on a fresh loop; at its end
// nothing may be left: no task, timer, operation, lent buffer, socket or pooled block.
//
//   using Semantics = EveryDriver;
//   TEST_P(Semantics, a_claim) {
//     run([]() -> Task<> { co_await sleep_for(1ms); });
//   }
//   ON_EVERY_DRIVER(Semantics);
//
// Lifetime: the body, its captures and its pipes live until run() returns.
// Thread rule: one thread; under sim no other thread may be waited for by the loop.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "io/sim/sim_driver.hpp"
#include "rondo/base/move_fn.hpp"
#include "rondo/core/cancel.hpp"
#include "rondo/core/detail/one_shot.hpp"
#include "rondo/core/loop.hpp"
#include "rondo/core/scope.hpp"
#include "rondo/core/sleep.hpp"
#include "rondo/io/file_ops.hpp"
#include "rondo/net/socket.hpp"

namespace rondo::testing {

using namespace std::chrono_literals;

/// A one-shot operation that yields its bare result; what it refers to stands in the caller.
template <class Op>
struct [[nodiscard]] BareOp {
  MoveFn<void(Op&)> prepare;
  struct Awaiter : detail::OneShotAwaiter<Op> {
    Awaiter(detail::PromiseBase& parent, MoveFn<void(Op&)>&& fill)
        : detail::OneShotAwaiter<Op>(parent) {
      fill(this->op);
    }
    std::int32_t await_resume() const noexcept { return this->result; }
  };
  Awaiter awaiter(detail::PromiseBase& parent) && { return {parent, std::move(prepare)}; }
};

/// Reads from a descriptor into memory of its own frame, as a kernel operation.
inline Task<std::string> read_text(int fd, std::size_t size = 64) {
  std::vector<std::byte> memory(size);
  const std::int32_t got = co_await BareOp<io::ReadOp>{[&](io::ReadOp& op) {
    op.fd = fd;
    op.into = memory;
  }};
  if (got < 0) co_return "error " + std::to_string(got);
  co_return std::string(as_text(ByteView(memory).first(static_cast<std::size_t>(got))));
}

inline Task<> write_text(int fd, std::string text) {
  const std::int32_t put = co_await BareOp<io::WriteOp>{[&](io::WriteOp& op) {
    op.fd = fd;
    op.from = as_bytes(text);
  }};
  EXPECT_EQ(put, static_cast<std::int32_t>(text.size()));
}

inline Task<> close_descriptor(int fd) {
  const std::int32_t done = co_await BareOp<io::CloseOp>{[&](io::CloseOp& op) { op.fd = fd; }};
  EXPECT_EQ(done, 0);
}

/// Both ends of a pipe: `in` reads what `out` writes.
struct Pipe {
  int in = -1;
  int out = -1;
};

/// Counts its living instances: what frames and captures hold.
struct Guard {
  explicit Guard(long& counter) noexcept : count(&counter) { ++*count; }
  Guard(const Guard& other) noexcept : count(other.count) { ++*count; }
  Guard& operator=(const Guard&) = delete;
  ~Guard() { --*count; }
  long* count;
};

/// Does something when its scope is left, by whatever way.
class AtExit {
 public:
  explicit AtExit(MoveFn<void()> f) : f_(std::move(f)) {}
  AtExit(AtExit&& other) noexcept = default;
  ~AtExit() {
    if (f_) f_();
  }

 private:
  MoveFn<void()> f_;
};

class EveryDriver : public ::testing::TestWithParam<std::string> {
 public:
  using DriverOwner = decltype(io::make_driver({}));
  /// A driver of this test's kind.
  DriverOwner make_driver(io::DriverOptions options = {}) {
    if (is_sim()) {
      auto made = io::make_sim_driver({.seed = 7,
                                       .addresses = {"127.0.0.1"},
                                       .buffer_count = options.buffer_count,
                                       .buffer_size = options.buffer_size});
      sim_ = static_cast<io::sim::SimDriver*>(made.get());
      return made;
    }
    options.kind = GetParam() == "uring" ? io::DriverKind::uring : io::DriverKind::epoll;
    return io::make_driver(options);
  }
  LoopOptions loop_options(io::DriverOptions options = {}) {
    return {.own_driver = make_driver(options)};
  }
  bool is_sim() const { return GetParam() == "sim"; }
  /// The simulated driver of the loop made last.
  io::sim::SimDriver& sim() { return *sim_; }

  /// Runs `body()`, a Task<>, on a fresh loop and checks that nothing is left.
  template <class F>
  void run(F body) {
    run_on(loop_options({.buffer_count = 64, .buffer_size = 4'096}), std::move(body));
  }
  template <class F>
  void run_on(LoopOptions options, F body) {
    const long blocks_before = detail::FramePool::live;
    {
      Loop loop(std::move(options));
      EXPECT_TRUE(loop.run(body()).has_value()) << "the body was cancelled";
      expect_nothing_left(loop);
    }  // The driver asserts that no operation is in flight and every buffer is back.
    EXPECT_EQ(detail::FramePool::live, blocks_before) << "frames or records leaked";
  }
  static void expect_nothing_left(Loop& loop) {
    Loop::Entered entered(loop);
    for (int turn = 0; turn < 100'000 && (loop.has_work() || net::socket_statistics().open > 0);
         ++turn) {
      loop.run_once();
    }
    const LoopStatistics left = loop.statistics();
    EXPECT_EQ(left.live_tasks, 0u) << loop.describe_tasks();
    EXPECT_EQ(left.armed_timers, 0u);
    EXPECT_EQ(net::socket_statistics().open, 0u);
    EXPECT_EQ(loop.driver().buffers().free_count(), loop.driver().buffers().count());
    EXPECT_FALSE(loop.has_ready());
  }

  /// A pipe for the loop that runs; close both ends with close_pipe.
  Pipe make_pipe() {
    int fds[2] = {-1, -1};
    if (is_sim())
      EXPECT_EQ(sim().make_pipe(fds), 0);
    else
      EXPECT_EQ(::pipe2(fds, O_CLOEXEC), 0);
    return {.in = fds[0], .out = fds[1]};
  }
  static Task<> close_pipe(Pipe pipe) {
    co_await close_descriptor(pipe.in);
    co_await close_descriptor(pipe.out);
  }

  /// Runs `f` in a child process and returns its exit status, or 1000 + the signal that ended it.
  template <class F>
  static int in_child(F f) {
    const pid_t child = ::fork();
    if (child == 0) {
      ::alarm(30);  // A hang guard: the child may be told to ignore everything else.
      ::_exit(f());
    }
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
  }

 protected:
  void SetUp() override { ::pthread_sigmask(SIG_BLOCK, nullptr, &mask_); }
  void TearDown() override { ::pthread_sigmask(SIG_SETMASK, &mask_, nullptr); }

 private:
  io::sim::SimDriver* sim_ = nullptr;
  sigset_t mask_;
};

/// Goes to the end of the ready queue `n` times.
inline Task<> turns(int n) {
  for (int i = 0; i < n; ++i) co_await checkpoint();
}

}  // namespace rondo::testing

#define ON_EVERY_DRIVER(suite)                                                           \
  INSTANTIATE_TEST_SUITE_P(                                                              \
      every_driver, suite,                                                               \
      ::testing::Values(std::string("uring"), std::string("epoll"), std::string("sim")), \
      [](const auto& which) { return which.param; })
