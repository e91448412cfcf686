// SPDX-License-Identifier: Apache-2.0
// What holds on the drivers of a real kernel: files, pipes, signals, wake-ups from threads.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <deque>
#include <string>
#include <thread>

#include "driver_fixture.hpp"
#include "rondo/base/error.hpp"
#include "rondo/io/file_ops.hpp"
#include "rondo/io/socket_ops.hpp"

namespace rondo::io::testing {
namespace {

class KernelDriverTest : public DriverTest {
 protected:
  struct Pipe {
    int out = -1;
    int in = -1;
  };
  Pipe pipe(int flags) {
    int ends[2] = {-1, -1};
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC | flags), 0);
    return {.out = keep(ends[0]), .in = keep(ends[1])};
  }
  std::int32_t read(int fd, std::int64_t offset = -1) {
    Recorded<ReadOp> op;
    op.fd = fd;
    op.into = buffer_;
    op.offset = offset;
    return run(op);
  }
  std::int32_t write(int fd, std::string_view text, std::int64_t offset = -1) {
    Recorded<WriteOp> op;
    op.fd = fd;
    op.from = as_bytes(text);
    op.offset = offset;
    return run(op);
  }
  std::string_view read_text(std::int32_t size) const {
    return as_text(ByteView(buffer_, static_cast<std::size_t>(std::max(size, 0))));
  }

  std::byte buffer_[4096] = {};
};

constexpr std::uint64_t bit(int signal) { return std::uint64_t{1} << (signal - 1); }

// --- files and pipes ---

TEST_P(KernelDriverTest, a_file_is_written_and_read_at_offsets) {
  std::FILE* file = std::tmpfile();
  ASSERT_NE(file, nullptr);
  const int fd = ::fileno(file);
  EXPECT_EQ(write(fd, "0123456789", 0), 10);
  EXPECT_EQ(write(fd, "AB", 4), 2);
  EXPECT_EQ(read(fd, 3), 7);
  EXPECT_EQ(read_text(7), "3AB6789");
  EXPECT_EQ(read(fd, 100), 0);
  // At the descriptor's own position, which the calls above did not move.
  EXPECT_EQ(write(fd, "xyz"), 3);
  EXPECT_EQ(read(fd), 7);
  EXPECT_EQ(read_text(7), "3AB6789");
  std::fclose(file);
}

TEST_P(KernelDriverTest, a_pipe_delivers_and_ends_whether_its_ends_block_or_not) {
  for (const int flags : {0, O_NONBLOCK}) {
    const Pipe made = pipe(flags);
    EXPECT_EQ(write(made.in, "through"), 7);
    EXPECT_EQ(read(made.out), 7);
    EXPECT_EQ(read_text(7), "through");
    close(made.in);
    EXPECT_EQ(read(made.out), 0);
  }
}

TEST_P(KernelDriverTest, a_read_that_waits_for_a_pipe_completes_when_bytes_come) {
  const Pipe made = pipe(0);
  Recorded<ReadOp> op;
  op.fd = made.out;
  op.into = buffer_;
  driver().submit(op);
  settle();
  EXPECT_TRUE(op.in_flight());
  EXPECT_EQ(write(made.in, "late"), 4);
  ASSERT_TRUE(until([&] { return op.ended(); }));
  EXPECT_EQ(op.result(), 4);
}

TEST_P(KernelDriverTest, reads_and_writes_fail_on_a_descriptor_that_is_not_open) {
  EXPECT_EQ(read(-1), -EBADF);
  EXPECT_EQ(write(-1, "x"), -EBADF);
}

TEST_P(KernelDriverTest, a_read_of_an_empty_pipe_can_be_cancelled_at_any_time) {
  const Pipe made = pipe(0);
  for (const bool in_flight : {false, true}) {
    Recorded<ReadOp> op;
    op.fd = made.out;
    op.into = buffer_;
    driver().submit(op);
    if (in_flight) settle();
    driver().cancel(op);
    ASSERT_TRUE(until([&] { return op.ended(); }));
    EXPECT_EQ(op.result(), -ECANCELED);
  }
  EXPECT_EQ(write(made.in, "kept"), 4);
  EXPECT_EQ(read(made.out), 4);
}

TEST_P(KernelDriverTest, bytes_in_a_pipe_win_over_a_cancel_of_the_same_iteration) {
  const Pipe made = pipe(0);
  EXPECT_EQ(write(made.in, "won"), 3);
  Recorded<ReadOp> op;
  op.fd = made.out;
  op.into = buffer_;
  driver().submit(op);
  driver().cancel(op);
  ASSERT_TRUE(until([&] { return op.ended(); }));
  EXPECT_EQ(op.result(), 3);
}

TEST_P(KernelDriverTest, a_write_to_a_full_pipe_can_be_cancelled_at_any_time) {
  for (const bool in_flight : {false, true}) {
    const Pipe made = pipe(0);
    const std::string block(1 << 16, 'x');
    Recorded<WriteOp> op;
    op.fd = made.in;
    op.from = as_bytes(block);
    for (int i = 0; i < 100; ++i) {
      op.got.clear();
      driver().submit(op);
      settle();
      if (!op.ended()) break;
      ASSERT_GT(op.result(), 0);
    }
    ASSERT_TRUE(op.in_flight());
    if (!in_flight) {
      driver().cancel(op);
      ASSERT_TRUE(until([&] { return op.ended(); }));
      op.got.clear();
      driver().submit(op);
    }
    driver().cancel(op);
    ASSERT_TRUE(until([&] { return op.ended(); }));
    EXPECT_EQ(op.result(), -ECANCELED);
  }
}

TEST_P(KernelDriverTest, a_descriptor_closed_behind_the_driver_does_not_hide_its_successor) {
  for (int round = 0; round < 20; ++round) {
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    Recorded<ReadOp> op;
    op.fd = ends[0];
    op.into = buffer_;
    driver().submit(op);
    poll();
    ASSERT_EQ(::write(ends[1], "x", 1), 1);
    ASSERT_TRUE(until([&] { return op.ended(); })) << round;
    EXPECT_EQ(op.result(), 1);
    ::close(ends[0]);
    ::close(ends[1]);
  }
}

// --- poll ---

TEST_P(KernelDriverTest, poll_tells_which_events_hold) {
  const Pipe made = pipe(0);
  Recorded<PollOp> op;
  op.fd = made.in;
  op.events = k_writable;
  EXPECT_EQ(run(op), k_writable);
  Recorded<PollOp> readable;
  readable.fd = made.out;
  readable.events = k_readable;
  driver().submit(readable);
  settle();
  EXPECT_TRUE(readable.in_flight());
  EXPECT_EQ(write(made.in, "x"), 1);
  ASSERT_TRUE(until([&] { return readable.ended(); }));
  EXPECT_EQ(readable.result(), k_readable);
  close(made.in);
  EXPECT_EQ(run(readable), k_readable | k_hang_up);
}

TEST_P(KernelDriverTest, poll_fails_on_a_descriptor_that_is_not_open) {
  Recorded<PollOp> op;
  op.fd = -1;
  op.events = k_readable;
  EXPECT_EQ(run(op), -EBADF);
}

TEST_P(KernelDriverTest, poll_can_be_cancelled_at_any_time_unless_its_event_holds) {
  const Pipe made = pipe(0);
  for (const bool in_flight : {false, true}) {
    Recorded<PollOp> op;
    op.fd = made.out;
    op.events = k_readable;
    driver().submit(op);
    if (in_flight) settle();
    driver().cancel(op);
    ASSERT_TRUE(until([&] { return op.ended(); }));
    EXPECT_EQ(op.result(), -ECANCELED);
  }
  EXPECT_EQ(write(made.in, "x"), 1);
  Recorded<PollOp> op;
  op.fd = made.out;
  op.events = k_readable;
  driver().submit(op);
  driver().cancel(op);
  ASSERT_TRUE(until([&] { return op.ended(); }));
  EXPECT_EQ(op.result(), k_readable);
}

TEST_P(KernelDriverTest, a_poll_for_reading_sleeps_on_a_socket_that_is_only_writable) {
  const Pair pair = connect();
  Recorded<PollOp> op;
  op.fd = pair.near;
  op.events = k_readable;
  driver().submit(op);
  settle();
  const auto before = driver().statistics().kernel_entries;
  driver().wait(Wait::block, driver().now() + 20ms);
  EXPECT_LE(driver().statistics().kernel_entries - before, 10u) << "it spins";
  send(pair.far, "x");
  ASSERT_TRUE(until([&] { return op.ended(); }));
  EXPECT_EQ(op.result(), k_readable);
}

// --- connect ---

TEST_P(KernelDriverTest, a_connect_that_gets_no_answer_can_be_cancelled) {
  const int listener = listen(0);
  std::deque<Recorded<ConnectOp>> ops;
  // A listener that nobody accepts from answers a few and leaves the others waiting.
  for (int i = 0; i < 8; ++i) {
    auto& op = ops.emplace_back();
    op.address = name_of(listener);
    driver().submit(op);
  }
  settle();
  int cancelled = 0;
  for (auto& op : ops) driver().cancel(op);
  for (auto& op : ops) {
    ASSERT_TRUE(until([&] { return op.ended(); }));
    if (op.result() >= 0)
      keep(op.result());
    else if (op.result() == -ECANCELED)
      ++cancelled;
    else
      ADD_FAILURE() << op.result();
    EXPECT_EQ(op.got.size(), 1u);
  }
  EXPECT_GT(cancelled, 0);
}

TEST_P(KernelDriverTest, a_connect_cancelled_before_it_starts_ends_once_and_leaks_nothing) {
  const int listener = listen();
  const int lowest_free = ::dup(listener);
  ::close(lowest_free);
  for (int i = 0; i < 50; ++i) {
    Recorded<ConnectOp> op;
    op.address = name_of(listener);
    driver().submit(op);
    driver().cancel(op);
    ASSERT_TRUE(until([&] { return op.ended(); }));
    if (op.result() >= 0)
      close(op.result());
    else
      EXPECT_EQ(op.result(), -ECANCELED);
    EXPECT_EQ(op.fd, -1);
  }
  Recorded<ConnectOp> after;
  after.address = name_of(listener);
  const int fd = run(after);
  EXPECT_EQ(fd, lowest_free) << "descriptors of cancelled connects were left open";
  keep(fd);
}

TEST_P(KernelDriverTest, unix_sockets_connect_by_name) {
  Recorded<ListenOp> listen_op;
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  // An abstract name: no file to clean up.
  const std::string text = "rondo-test-" + std::to_string(::getpid()) + "-" + GetParam();
  std::memcpy(name.sun_path + 1, text.data(), text.size());
  std::memcpy(listen_op.address.storage, &name, sizeof name);
  listen_op.address.size =
      static_cast<std::uint32_t>(offsetof(sockaddr_un, sun_path) + 1 + text.size());
  listen_op.backlog = 8;
  const int listener = keep(now(listen_op));
  ASSERT_GE(listener, 0);
  const Pair pair = KernelDriverTest::connect(listener);
  send(pair.near, "local");
  shut(pair.near);
  Sink sink(driver(), pair.far);
  ASSERT_TRUE(until([&] { return sink.ended; }));
  EXPECT_EQ(sink.bytes, "local");
}

// --- descriptors run out ---

TEST_P(KernelDriverTest, accept_ends_with_emfile_when_descriptors_run_out_and_goes_on_later) {
  const int listener = listen();
  std::deque<Recorded<ConnectOp>> ops;
  for (int i = 0; i < 3; ++i) {
    ops.emplace_back().address = name_of(listener);
    keep(run(ops.back()));
  }
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  // New descriptors need a number below the limit; the listener's own is too high already.
  const rlimit none{.rlim_cur = 3, .rlim_max = before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  Recorded<AcceptOp> accept;
  accept.fd = listener;
  EXPECT_EQ(run(accept), -EMFILE);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  accept.got.clear();
  driver().submit(accept);
  ASSERT_TRUE(until([&] { return accept.got.size() >= 3; }));
  driver().cancel(accept);
  ASSERT_TRUE(until([&] { return accept.ended(); }));
  for (const Completion& done : accept.got) keep(done.result);
}

// --- signals ---

TEST_P(KernelDriverTest, a_signal_completes_with_its_number) {
  Recorded<SignalOp> op;
  op.mask = bit(SIGUSR1) | bit(SIGUSR2);
  for (const int signal : {SIGUSR1, SIGUSR2}) {
    op.got.clear();
    driver().submit(op);
    settle();
    EXPECT_TRUE(op.in_flight());
    ::pthread_kill(::pthread_self(), signal);
    ASSERT_TRUE(until([&] { return op.ended(); }));
    EXPECT_EQ(op.result(), signal);
  }
}

TEST_P(KernelDriverTest, waiting_for_a_signal_can_be_cancelled_and_a_pending_signal_wins) {
  Recorded<SignalOp> op;
  op.mask = bit(SIGUSR1);
  for (const bool in_flight : {false, true}) {
    op.got.clear();
    driver().submit(op);
    if (in_flight) settle();
    driver().cancel(op);
    ASSERT_TRUE(until([&] { return op.ended(); }));
    EXPECT_EQ(op.result(), -ECANCELED);
  }
  ::pthread_kill(::pthread_self(), SIGUSR1);
  op.got.clear();
  driver().submit(op);
  driver().cancel(op);
  ASSERT_TRUE(until([&] { return op.ended(); }));
  EXPECT_EQ(op.result(), SIGUSR1);
}

TEST_P(KernelDriverTest, a_handled_signal_ends_a_wait_that_has_no_deadline) {
  struct sigaction action{};
  struct sigaction before{};
  action.sa_handler = [](int) {};
  ::sigaction(SIGALRM, &action, &before);
  const pthread_t self = ::pthread_self();
  std::atomic<bool> over{false};
  std::thread other([&] {
    while (!over.load()) {
      ::pthread_kill(self, SIGALRM);
      std::this_thread::sleep_for(1ms);
    }
  });
  for (int i = 0; i < 20; ++i) driver().wait(Wait::block, k_no_deadline);
  over.store(true);
  other.join();
  ::sigaction(SIGALRM, &before, nullptr);
}

// --- wake ---

TEST_P(KernelDriverTest, no_wake_from_another_thread_is_lost) {
  constexpr int k_posts = 20'000;
  std::atomic<int> posted{0};
  std::thread other([&] {
    for (int i = 0; i < k_posts; ++i) {
      posted.fetch_add(1);
      driver().wake();
    }
  });
  // Each pass looks at the list after its wait; a lost wake-up would wait here for ever. The
  // thread may have ended before the first look: its last wake-up must end a wait all the same.
  do {
    driver().wait(Wait::block, k_no_deadline);
  } while (posted.load() < k_posts);
  other.join();
}

TEST_P(KernelDriverTest, many_wakes_end_one_wait) {
  std::thread other([&] {
    for (int i = 0; i < 1'000; ++i) driver().wake();
  });
  other.join();
  driver().wait(Wait::block, k_no_deadline);
  const auto before = driver().statistics().kernel_entries;
  driver().wait(Wait::block, driver().now() + 1ms);
  driver().wait(Wait::block, driver().now() + 1ms);
  EXPECT_LE(driver().statistics().kernel_entries - before, 2u) << "they were not coalesced";
}

// --- what only the simulation does ---

TEST_P(KernelDriverTest, jobs_and_names_are_not_the_kernels_business) {
  Recorded<JobOp> job;
  EXPECT_EQ(run(job), -ENOTSUP);
  Recorded<ResolveOp> resolve;
  driver().submit(resolve);
  EXPECT_TRUE(resolve.got.empty()) << "only immediate kinds complete inside of submit";
  driver().cancel(resolve);
  ASSERT_TRUE(until([&] { return resolve.ended(); }));
  EXPECT_EQ(resolve.result(), -ENOTSUP);
  EXPECT_TRUE(driver().probe().has_threads);
  EXPECT_FALSE(driver().probe().has_names);
}

TEST_P(KernelDriverTest, the_environment_chooses_the_driver_and_a_wrong_name_is_refused) {
  ::setenv("RONDO_DRIVER", GetParam().c_str(), 1);
  EXPECT_EQ(make_driver({})->probe().name, GetParam());
  ::setenv("RONDO_DRIVER", "kqueue", 1);
  EXPECT_THROW((void)make_driver({}), SystemError);
  ::unsetenv("RONDO_DRIVER");
}

INSTANTIATE_TEST_SUITE_P(Drivers, KernelDriverTest, ::testing::Values("uring", "epoll"),
                         [](const auto& about) { return about.param; });

}  // namespace
}  // namespace rondo::io::testing
