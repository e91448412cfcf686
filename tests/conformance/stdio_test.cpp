// SPDX-License-Identifier: Apache-2.0
// Standard streams, whatever stands behind them. Each test puts its own descriptors into 0 and 1
// for a while; on sim there are none.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <pty.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <string>

#include "every_driver.hpp"
#include "rondo/fs/dir.hpp"
#include "rondo/process/stdio.hpp"

namespace rondo::testing {
namespace {

/// `fd` stands where `place` stood, until the end.
class InPlaceOf {
 public:
  InPlaceOf(int place, int fd) : place_(place), before_(::fcntl(place, F_DUPFD_CLOEXEC, 10)) {
    fd >= 0 ? ::dup2(fd, place) : ::close(place);
  }
  InPlaceOf(const InPlaceOf&) = delete;
  ~InPlaceOf() {
    ::dup2(before_, place_);
    ::close(before_);
  }

 private:
  int place_;
  int before_;
};

class Stdio : public EveryDriver {
 protected:
  template <class F>
  void on_kernel(F body) {
    run([&]() -> Task<> {
      if (is_sim()) {
        EXPECT_EQ(process::standard_input().error(), Errc::not_supported);
        EXPECT_EQ(process::standard_output().error(), Errc::not_supported);
        co_return;
      }
      co_await body();
    });
  }
};

/// Everything of standard input.
Task<Result<std::string>> read_all() {
  auto input = process::standard_input().or_throw();
  std::string text;
  while (true) {
    auto got = co_await input.read();
    if (!got) co_return got.error();
    if (got->empty()) co_return text;
    text += got->text();
  }
}

TEST_P(Stdio, a_file_as_input_is_read_to_its_end_and_as_output_is_written) {
  on_kernel([]() -> Task<> {
    co_await fs::with_temporary_directory([](std::string at) -> Task<> {
      const std::string text(200'000, 'x');
      std::ofstream(at + "/in") << text;
      UniqueFd in(::open((at + "/in").c_str(), O_RDONLY | O_CLOEXEC));
      UniqueFd out(::open((at + "/out").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
      {
        InPlaceOf zero(0, in.get());
        InPlaceOf one(1, out.get());
        EXPECT_EQ((co_await read_all()).or_throw(), text);
        auto output = process::standard_output().or_throw();
        co_await output.write_all("small, ").or_throw();
        co_await output.write_all(std::string_view(text)).or_throw();
        co_await output.flush().or_throw();
        output.close();
        EXPECT_GE(::fcntl(1, F_GETFD), 0) << "the descriptor stays open";
      }
      std::ifstream file(at + "/out");
      const std::string written(std::istreambuf_iterator<char>(file), {});
      EXPECT_EQ(written, "small, " + text);
    });
  });
}

TEST_P(Stdio, a_pipe_keeps_its_flags_and_a_full_one_makes_the_writer_wait_not_the_loop) {
  on_kernel([]() -> Task<> {
    int ends[2];
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    UniqueFd reader(ends[0]);
    UniqueFd writer(ends[1]);
    InPlaceOf one(1, writer.get());
    auto output = process::standard_output().or_throw();
    const std::string text(300'000, 'y');  // More than a pipe holds.
    bool done = false;
    co_await with_scope([&](Scope& scope) -> Task<> {
      scope.start([&]() -> Task<> {
        co_await output.write_all(std::string_view(text)).or_throw();
        co_await output.flush().or_throw();
        done = true;
      });
      co_await turns(20);
      EXPECT_FALSE(done);
      EXPECT_EQ(::fcntl(1, F_GETFL) & O_NONBLOCK, 0);
      std::size_t got = 0;
      while (got < text.size()) got += (co_await read_text(reader.get(), 65'536)).size();
    });
    EXPECT_TRUE(done);
    reader.reset();
    (void)co_await output.write_all("nobody");
    EXPECT_EQ((co_await output.flush()).error(), Errc::broken_pipe);
  });
}

TEST_P(Stdio, a_terminal_is_read_and_written) {
  on_kernel([]() -> Task<> {
    int near = -1;
    int far = -1;
    EXPECT_EQ(::openpty(&near, &far, nullptr, nullptr, nullptr), 0);
    UniqueFd terminal(near);
    UniqueFd program(far);
    InPlaceOf zero(0, program.get());
    InPlaceOf one(1, program.get());
    auto input = process::standard_input().or_throw();
    auto output = process::standard_output().or_throw();
    EXPECT_EQ(::write(terminal.get(), "typed\n", 6), 6);
    EXPECT_EQ((co_await input.read_line()).or_throw().text(), "typed\n");
    co_await output.write_all("shown\n").or_throw();
    co_await output.flush().or_throw();
    const std::string expected = "typed\r\nshown\r\n";  // The echo first.
    std::string screen;
    while (screen.size() < expected.size()) screen += co_await read_text(terminal.get());
    EXPECT_EQ(screen, expected);
    EXPECT_EQ((co_await with_timeout(1ms, input.read())).error(), Errc::timed_out);
  });
}

TEST_P(Stdio, nothing_and_no_descriptor_at_all_are_an_end_and_an_error) {
  on_kernel([]() -> Task<> {
    {
      UniqueFd nothing(::open("/dev/null", O_RDWR | O_CLOEXEC));
      InPlaceOf zero(0, nothing.get());
      InPlaceOf one(1, nothing.get());
      EXPECT_EQ((co_await read_all()).or_throw(), "");
      auto output = process::standard_output().or_throw();
      co_await output.write_all("gone").or_throw();
      co_await output.flush().or_throw();
    }
    {
      InPlaceOf zero(0, -1);
      EXPECT_EQ((co_await read_all()).error(), Errc::bad_descriptor);
    }
  });
}

ON_EVERY_DRIVER(Stdio);

}  // namespace
}  // namespace rondo::testing
