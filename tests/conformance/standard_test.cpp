// SPDX-License-Identifier: Apache-2.0
// Standard input, output and error as streams, whatever they are: pipes, terminals, files,
// /dev/null, closed. Each test is a child process, whose descriptors 0 to 2 are its own.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <pty.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "every_driver.hpp"
#include "rondo/process/standard.hpp"

namespace rondo::testing {
namespace {

class Standard : public EveryDriver {
 protected:
  /// Runs `body()`, a Task<int>, in a child with these as 0 and 1; yields what it returns.
  template <class F>
  int child(int input, int output, F body) {
    return in_child([&] {
      if (input >= 0) ::dup2(input, 0);
      if (output >= 0) ::dup2(output, 1);
      ::close_range(3, ~0U, 0);  // The other ends of pipes are the parent's alone.
      Loop loop(loop_options({.buffer_count = 16, .buffer_size = 4'096}));
      if (input < 0) ::close(0);
      if (output < 0) ::close(1);
      auto ended = loop.run(body());
      return ended ? *ended : 99;
    });
  }
};

struct Ends {
  Ends() { EXPECT_EQ(::pipe2(fds, O_CLOEXEC), 0); }
  ~Ends() {
    close_reader();
    close_writer();
  }
  void close_reader() { ::close(std::exchange(fds[0], -1)); }
  void close_writer() { ::close(std::exchange(fds[1], -1)); }
  std::string rest() {
    close_writer();
    std::string text(100'000, ' ');
    const ssize_t got = ::read(fds[0], text.data(), text.size());
    return text.substr(0, static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
  }
  int fds[2] = {-1, -1};
};

/// Copies lines from input to output; 0 at the end of input.
Task<int> echo_lines() {
  while (true) {
    auto line = co_await process::standard_input().read_line();
    if (!line) co_return 1;
    if (line->empty()) break;
    if (!co_await process::standard_output().write_all(line->text())) co_return 2;
  }
  co_return 0;
}

TEST_P(Standard, a_simulated_process_has_none) {
  run([this]() -> Task<> {
    if (!is_sim()) co_return;
    auto got = co_await process::standard_input().read();
    EXPECT_EQ(got.error().code(), Errc::not_supported);
    auto put = co_await process::standard_output().write_all("x");
    EXPECT_EQ(put.error().code(), Errc::not_supported);
    EXPECT_EQ(&process::standard_error(), &process::standard_error());
  });
}

class StandardStreams : public Standard {};

TEST_P(StandardStreams, pipes_are_read_and_written_and_sent_before_the_loop_ends) {
  Ends in, out;
  ASSERT_EQ(::write(in.fds[1], "one\ntwo", 7), 7);
  in.close_writer();
  EXPECT_EQ(child(in.fds[0], out.fds[1], echo_lines), 0);
  EXPECT_EQ(out.rest(), "one\ntwo");
}

TEST_P(StandardStreams, files_are_read_and_written_at_their_position) {
  char in_name[] = "/tmp/rondo-in-XXXXXX";
  char out_name[] = "/tmp/rondo-out-XXXXXX";
  const int in = ::mkstemp(in_name);
  const int out = ::mkstemp(out_name);
  ASSERT_EQ(::write(in, "skipped\nread\n", 13), 13);
  ASSERT_EQ(::lseek(in, 8, SEEK_SET), 8);
  ASSERT_EQ(::write(out, "before\n", 7), 7);
  EXPECT_EQ(child(in, out, echo_lines), 0);
  char text[64] = {};
  EXPECT_EQ(::pread(out, text, sizeof text, 0), 12);
  EXPECT_STREQ(text, "before\nread\n");
  for (const int fd : {in, out}) ::close(fd);
  for (const char* name : {in_name, out_name}) ::unlink(name);
}

TEST_P(StandardStreams, dev_null_ends_at_once_and_takes_everything) {
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  EXPECT_EQ(child(null, null, []() -> Task<int> {
    auto got = co_await process::standard_input().read();
    if (!got || !got->empty()) co_return 1;
    if (!co_await process::standard_output().write_all(std::string(200'000, 'x'))) co_return 2;
    co_return co_await process::standard_output().flush() ? 0 : 3;
  }), 0);
  ::close(null);
}

TEST_P(StandardStreams, closed_ones_are_at_their_end_and_closed) {
  EXPECT_EQ(child(-1, -1, []() -> Task<int> {
    auto got = co_await process::standard_input().read();
    if (!got || !got->empty()) co_return 1;
    auto put = co_await process::standard_output().write_all("x");
    co_return !put && put.error() == Errc::closed ? 0 : 2;
  }), 0);
}

TEST_P(StandardStreams, a_terminal_is_used_and_left_blocking) {
  int near = -1, far = -1;
  ASSERT_EQ(::openpty(&near, &far, nullptr, nullptr, nullptr), 0);
  for (const int fd : {near, far}) ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  ASSERT_EQ(::write(near, "hello\n\x04", 7), 7);
  EXPECT_EQ(child(far, far, []() -> Task<int> {
    if (co_await echo_lines() != 0) co_return 1;
    if (!co_await process::standard_output().flush()) co_return 2;
    co_return ::fcntl(0, F_GETFL) & O_NONBLOCK ? 3 : 0;
  }), 0);
  EXPECT_FALSE(::fcntl(far, F_GETFL) & O_NONBLOCK);
  char text[64] = {};
  EXPECT_GT(::read(near, text, sizeof text - 1), 0);
  EXPECT_NE(std::string(text).find("hello"), std::string::npos);
  for (const int fd : {near, far}) ::close(fd);
}

TEST_P(StandardStreams, a_reader_that_is_gone_is_broken_pipe_and_no_signal) {
  Ends out;
  out.close_reader();
  EXPECT_EQ(child(-1, out.fds[1], []() -> Task<int> {
    (void)co_await process::standard_output().write_all("x");
    auto put = co_await process::standard_output().flush();
    co_return !put && put.error() == Errc::broken_pipe ? 0 : 1;
  }), 0);
}

TEST_P(StandardStreams, more_than_a_pipe_holds_waits_for_its_reader) {
  Ends out;
  const std::string text(300'000, 'x');
  std::string got;
  const pid_t writer = ::fork();
  if (writer == 0) {
    ::dup2(out.fds[1], 1);
    ::close_range(3, ~0U, 0);
    ::alarm(30);
    int code = 99;
    {
      Loop loop(loop_options({.buffer_count = 16, .buffer_size = 4'096}));
      auto ended = loop.run([](const std::string& all) -> Task<int> {
        for (std::size_t at = 0; at < all.size(); at += 3'000)
          (void)co_await process::standard_output().write_all(all.substr(at, 3'000));
        co_return 0;
      }(text));
      if (ended) code = *ended;
    }  // Here what was accepted is sent.
    ::_exit(code);
  }
  out.close_writer();
  char block[10'000];
  ssize_t size;
  while ((size = ::read(out.fds[0], block, sizeof block)) > 0)
    got.append(block, static_cast<std::size_t>(size));
  int status = 0;
  EXPECT_EQ(::waitpid(writer, &status, 0), writer);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(got.size(), text.size());
}

TEST_P(StandardStreams, what_nobody_asked_for_stays_in_the_pipe) {
  Ends in;
  ASSERT_EQ(::write(in.fds[1], "one\n", 4), 4);
  EXPECT_EQ(child(in.fds[0], -1, []() -> Task<int> {
    auto line = co_await process::standard_input().read_line();
    if (!line || line->text() != "one\n") co_return 1;
    // Cancelled before it starts, and in flight.
    auto end = co_await with_scope([](Scope& scope) -> Task<> {
      scope.cancel();
      (void)co_await process::standard_input().read();
    });
    if (!end.cancelled) co_return 2;
    auto late = co_await with_timeout(1ms, process::standard_input().read());
    co_return !late && late.error() == Errc::timed_out ? 0 : 3;
  }), 0);
  ASSERT_EQ(::write(in.fds[1], "two\n", 4), 4);
  EXPECT_EQ(in.rest(), "two\n");
}

ON_EVERY_DRIVER(Standard);
INSTANTIATE_TEST_SUITE_P(kernel_drivers, StandardStreams,
                         ::testing::Values(std::string("uring"), std::string("epoll")),
                         [](const auto& which) { return which.param; });

}  // namespace
}  // namespace rondo::testing
