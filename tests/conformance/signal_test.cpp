// SPDX-License-Identifier: Apache-2.0
// Signals as a stream, and pseudo-terminals.
#include "rondo/process/signal.hpp"
#include "children.hpp"
#include "rondo/process/pty.hpp"

namespace rondo::testing {
namespace {

using process::SignalSet;
using process::Terminal;

class Signals : public WithChildren {
 public:
  void send(int signal) {
    if (is_sim())
      sim().raise(signal);
    else
      ::raise(signal);
  }
};

TEST_P(Signals, come_one_by_one_and_are_not_lost_while_nobody_waits) {
  run([this]() -> Task<> {
    SignalSet signals{SIGUSR1, SIGHUP};
    co_await turns(3);
    send(SIGUSR1);
    send(SIGHUP);
    int got[2] = {co_await signals.next().or_throw(), co_await signals.next().or_throw()};
    std::sort(got, got + 2);
    EXPECT_EQ(got[0], SIGHUP);
    EXPECT_EQ(got[1], SIGUSR1);
    EXPECT_EQ((co_await with_timeout(1ms, signals.next())).error().code(), Errc::timed_out);
    send(SIGUSR1);
    EXPECT_EQ(co_await signals.next().or_throw(), SIGUSR1) << "a cancelled wait loses none";
  });
}

TEST_P(Signals, that_nobody_took_in_time_are_one) {
  run([this]() -> Task<> {
    SignalSet signals{SIGUSR1};
    SignalSet marks{SIGUSR2};
    co_await turns(3);
    send(SIGUSR1);
    send(SIGUSR1);
    co_await turns(3);
    send(SIGUSR1);
    send(SIGUSR2);
    EXPECT_EQ(co_await marks.next().or_throw(), SIGUSR2);
    co_await turns(5);
    EXPECT_EQ(co_await signals.next().or_throw(), SIGUSR1);
    EXPECT_EQ((co_await with_timeout(1ms, signals.next())).error().code(), Errc::timed_out);
  });
}

TEST_P(Signals, reach_every_set_that_wants_them) {
  run([this]() -> Task<> {
    SignalSet one{SIGUSR1};
    co_await turns(2);
    {
      SignalSet two{SIGUSR1, SIGUSR2};
      co_await turns(2);
      send(SIGUSR1);
      EXPECT_EQ(co_await one.next().or_throw(), SIGUSR1);
      EXPECT_EQ(co_await two.next().or_throw(), SIGUSR1);
      send(SIGUSR2);
      EXPECT_EQ(co_await two.next().or_throw(), SIGUSR2);
    }
    send(SIGUSR1);
    EXPECT_EQ(co_await one.next().or_throw(), SIGUSR1) << "the others' leaving changes nothing";
  });
}

TEST_P(Signals, a_set_and_the_graceful_stop_share_one_signal) {
  const auto body = [this]() {
    std::string seen;
    const int status = rondo::run(
        [](Signals& test, std::string& log) -> Task<> {
          SignalSet signals{SIGTERM, SIGUSR1};
          co_await turns(3);
          test.send(SIGUSR1);
          log += std::to_string(co_await signals.next().or_throw()) + " ";
          if (stop_requested()) log += "too early ";
          test.send(SIGTERM);
          log += std::to_string(co_await signals.next().or_throw()) + " ";
          co_await until_stop_requested();
          log += "stopped";
        }(*this, seen),
        {.loop = loop_options({.buffer_count = 64, .buffer_size = 4'096})});
    return status == 0 && seen == "10 15 stopped" ? 0 : 1;
  };
  if (is_sim())
    EXPECT_EQ(body(), 0);
  else
    EXPECT_EQ(in_child(body), 0);  // A SIGTERM that nobody takes would end the tests.
}

ON_EVERY_DRIVER(Signals);

// --- Terminals ---

class Terminals : public WithChildren {
 public:
  static Task<std::string> rest_of(Terminal& terminal) {
    std::string text;
    while (auto got = co_await terminal.read()) {
      if (got->empty()) break;
      text.append(got->text());
    }
    co_return text;
  }
};

TEST_P(Terminals, a_child_has_a_terminal_of_its_own_that_ends_with_it) {
  run_children([]() -> Task<> {
    auto terminal = Terminal::open({.size = {.rows = 40, .columns = 120}}).or_throw();
    auto options = process::shell("test -t 0 && test -t 2 && stty size && echo done >/dev/tty");
    options.terminal = &terminal;
    auto child = Process::spawn(std::move(options)).or_throw();
    EXPECT_EQ(co_await rest_of(terminal), "40 120\r\ndone\r\n");
    EXPECT_TRUE((co_await child.wait().or_throw()).success());
    EXPECT_EQ(Process::spawn({.program = "true", .terminal = &terminal}).error().code(),
              Errc::closed);
  });
}

TEST_P(Terminals, a_new_size_is_told_to_the_child) {
  run_children([]() -> Task<> {
    auto terminal = Terminal::open({.mode = {.echo = false}}).or_throw();
    auto options =
        process::shell("trap 'stty size; exit 0' WINCH; echo ready; while :; do read line; done");
    options.terminal = &terminal;
    auto child = Process::spawn(std::move(options)).or_throw();
    EXPECT_EQ((co_await terminal.read_line().or_throw()).text(), "ready\r\n");
    EXPECT_TRUE(terminal.set_size({.rows = 11, .columns = 22}));
    EXPECT_EQ(terminal.size().or_throw().columns, 22);
    EXPECT_TRUE(co_await terminal.write_all("\n"));  // A shell runs a trap between two commands.
    EXPECT_EQ((co_await terminal.read_line().or_throw()).text(), "11 22\r\n");
    EXPECT_TRUE((co_await child.wait().or_throw()).success());
  });
}

TEST_P(Terminals, keys_become_signals_and_the_end_of_input) {
  run_children([]() -> Task<> {
    auto terminal = Terminal::open({.mode = {.echo = false}}).or_throw();
    auto child = Process::spawn({.program = "cat", .terminal = &terminal}).or_throw();
    EXPECT_TRUE(co_await terminal.write_all("hello\n"));
    EXPECT_EQ((co_await terminal.read_line().or_throw()).text(), "hello\r\n");
    terminal.shutdown_write();
    EXPECT_TRUE((co_await child.wait().or_throw()).success());

    auto second = Terminal::open({.mode = {.echo = false}}).or_throw();
    auto stopped = Process::spawn({.program = "cat", .terminal = &second}).or_throw();
    EXPECT_TRUE(co_await second.write_all("x\n"));
    EXPECT_EQ((co_await second.read_line().or_throw()).text(), "x\r\n");
    EXPECT_TRUE(co_await second.write_all("\x03"));
    EXPECT_EQ((co_await stopped.wait().or_throw()).signal, SIGINT);
  });
}

TEST_P(Terminals, echo_and_raw_can_be_asked_and_changed) {
  run_children([]() -> Task<> {
    auto terminal = Terminal::open().or_throw();
    EXPECT_TRUE(terminal.mode().or_throw().echo);
    EXPECT_FALSE(terminal.mode().or_throw().raw);
    EXPECT_TRUE(terminal.set_mode({.echo = false, .raw = true}));
    EXPECT_FALSE(terminal.mode().or_throw().echo);
    EXPECT_TRUE(terminal.mode().or_throw().raw);
    auto child = Process::spawn({.program = "cat", .terminal = &terminal}).or_throw();
    EXPECT_TRUE(co_await terminal.write_all("raw\x03\n"));
    EXPECT_EQ((co_await terminal.read_line().or_throw()).text(), "raw\x03\n");
    EXPECT_TRUE(terminal.set_mode({.echo = true, .raw = false}));
    EXPECT_TRUE(terminal.mode().or_throw().echo);
    terminal.close();
    EXPECT_EQ((co_await child.wait().or_throw()).signal, SIGHUP);
  });
}

TEST_P(Terminals, closing_ours_hangs_up_on_the_child) {
  run_children([this]() -> Task<> {
    auto terminal = Terminal::open().or_throw();
    auto options = sleeps();
    options.terminal = &terminal;
    auto child = Process::spawn(std::move(options)).or_throw();
    terminal.close();
    EXPECT_EQ((co_await child.wait().or_throw()).signal, SIGHUP);
  });
}

INSTANTIATE_TEST_SUITE_P(kernel, Terminals,
                         ::testing::Values(std::string("uring"), std::string("epoll")),
                         [](const auto& which) { return which.param; });

TEST(TerminalsSim, a_simulation_has_none) {
  Loop loop({.own_driver = io::make_sim_driver({.seed = 1, .addresses = {"127.0.0.1"}})});
  Loop::Entered entered(loop);
  EXPECT_EQ(Terminal::open().error().code(), Errc::not_supported);
  EXPECT_EQ(Process::spawn({.program = "anything"}).error().code(), Errc::not_supported);
}

}  // namespace
}  // namespace rondo::testing
