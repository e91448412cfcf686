// SPDX-License-Identifier: Apache-2.0
// Child processes on every driver: under sim the children are stand-ins.
#include <grp.h>

#include "children.hpp"
#include "rondo/core/when.hpp"

namespace rondo::testing {
namespace {

using process::Leftovers;
using process::shell;

using Processes = WithChildren;

TEST_P(Processes, an_exit_status_is_the_childs_own) {
  run_children([this]() -> Task<> {
    EXPECT_EQ(co_await process::run_process(exits(0)).or_throw(), (ExitStatus{}));
    const auto status = co_await process::run_process(exits(3)).or_throw();
    EXPECT_EQ(status.code, 3);
    EXPECT_FALSE(status.success());
    EXPECT_EQ(status.describe(), "exit 3");
  });
}

TEST_P(Processes, an_end_by_a_signal_is_told_apart_from_an_exit) {
  run_children([this]() -> Task<> {
    auto child = Process::spawn(sleeps()).or_throw();
    EXPECT_FALSE(child.has_ended());
    EXPECT_TRUE(child.kill(SIGTERM));
    const auto status = co_await child.wait().or_throw();
    EXPECT_EQ(status.signal, SIGTERM);
    EXPECT_EQ(status.code, 0);
    EXPECT_TRUE(child.has_ended());
    EXPECT_EQ(child.kill(SIGTERM).error().code(), Errc{ESRCH}) << "its number is not ours any more";
    EXPECT_EQ((co_await child.wait().or_throw()).signal, SIGTERM) << "again and again";
  });
}

TEST_P(Processes, what_goes_into_a_child_comes_out_of_it_with_back_pressure) {
  run_children([this]() -> Task<> {
    std::string sent;
    for (int i = 0; sent.size() < 1'000'000; ++i) sent += std::to_string(i) + "\n";
    auto options = cat();
    options.input = options.output = Stdio::pipe();
    auto child = Process::spawn(std::move(options)).or_throw();
    std::string got;
    co_await with_scope([&](Scope& scope) -> Task<> {
      scope.start(
          [](Process& to, const std::string& text) -> Task<> {
            EXPECT_TRUE(co_await to.input().write_all(text));
            to.input().shutdown_write();
            EXPECT_EQ((co_await to.input().write_all("more")).error().code(), Errc::closed);
          },
          std::ref(child), std::cref(sent));
      got = co_await read_all(child.output());
    });
    EXPECT_TRUE(got == sent);
    EXPECT_TRUE((co_await child.wait().or_throw()).success());
  });
}

TEST_P(Processes, capture_feeds_the_input_and_keeps_the_output) {
  run_children([this]() -> Task<> {
    const auto got = co_await process::capture(cat(), {.input = "two lines\nof text\n"}).or_throw();
    EXPECT_EQ(got.output, "two lines\nof text\n");
    EXPECT_EQ(got.errors, "");
    EXPECT_TRUE(got.status.success());
    EXPECT_EQ((co_await process::capture(cat()).or_throw()).output, "")
        << "no input is an empty one";
    // A child that reads nothing of it is no failure.
    const auto deaf =
        co_await process::capture(exits(4), {.input = std::string(1'000'000, 'x')}).or_throw();
    EXPECT_EQ(deaf.status.code, 4);
  });
}

TEST_P(Processes, a_child_that_writes_too_much_is_killed_and_an_error) {
  run_children([this]() -> Task<> {
    const auto got = co_await process::capture(flood(), {.capture_max = 100'000});
    EXPECT_EQ(got.error().code(), Errc::too_large);
  });
}

TEST_P(Processes, a_cancelled_wait_leaves_the_child_running) {
  run_children([this]() -> Task<> {
    auto child = Process::spawn(sleeps()).or_throw();
    EXPECT_EQ((co_await with_timeout(1ms, child.wait())).error().code(), Errc::timed_out);
    EXPECT_FALSE(child.has_ended());
    EXPECT_TRUE(child.kill(0)) << "it is there";
  });
}

TEST_P(Processes, a_timed_out_program_is_gone_before_the_timeout_returns) {
  run_children([this]() -> Task<> {
    EXPECT_EQ((co_await with_timeout(1ms, process::run_process(sleeps()))).error().code(),
              Errc::timed_out);
    if (!is_sim()) EXPECT_FALSE(has_children());
    EXPECT_EQ((co_await with_timeout(1ms, process::capture(stubborn()))).error().code(),
              Errc::timed_out);
    if (!is_sim()) EXPECT_FALSE(has_children());
    auto child = Process::spawn(sleeps()).or_throw();
    EXPECT_EQ((co_await with_timeout(1ms, child.wait_or_kill())).error().code(), Errc::timed_out);
    EXPECT_TRUE(child.has_ended());
  });
}

TEST_P(Processes, a_child_cannot_outlive_the_scope_that_owns_it) {
  run_children([this]() -> Task<> {
    co_await with_scope([&](Scope& scope) -> Task<> {
      scope.start(
          [](SpawnOptions options) -> Task<> {
            auto child = Process::spawn(std::move(options)).or_throw();
            co_await sleep_until(k_no_deadline);
          },
          sleeps());
      co_await turns(3);
      scope.cancel();
    });
    auto dropped = Process::spawn(sleeps()).or_throw();
  });  // run_children() checks that nobody is left.
}

TEST_P(Processes, terminate_kills_what_does_not_want_to_end) {
  run_children([this]() -> Task<> {
    auto polite = Process::spawn(sleeps()).or_throw();
    EXPECT_EQ((co_await polite.terminate().or_throw()).signal, SIGTERM);
    auto options = stubborn();
    options.output = Stdio::pipe();
    auto deaf = Process::spawn(std::move(options)).or_throw();
    EXPECT_EQ((co_await deaf.output().read_line().or_throw()).text(), "ready\n");
    EXPECT_EQ((co_await deaf.terminate(5ms).or_throw()).signal, SIGKILL);
    EXPECT_EQ((co_await deaf.terminate(5ms).or_throw()).signal, SIGKILL) << "of one that has ended";
  });
}

TEST_P(Processes, a_wait_of_a_cancelled_task_starts_nothing) {
  run_children([this]() -> Task<> {
    auto child = Process::spawn(sleeps()).or_throw();
    const auto end = co_await with_scope([&](Scope& scope) -> Task<> {
      scope.cancel();
      static_cast<void>(co_await child.wait());
      ADD_FAILURE() << "went on";
    });
    EXPECT_TRUE(end.cancelled);
    EXPECT_FALSE(child.has_ended());
  });
}

TEST_P(Processes, several_tasks_wait_for_one_child) {
  run_children([this]() -> Task<> {
    auto child = Process::spawn(sleeps()).or_throw();
    auto both = when_all(child.wait(), child.wait(), [](Process& own) -> Task<> {
      co_await checkpoint();
      EXPECT_TRUE(own.kill(SIGKILL));
    }(child));
    const auto [first, second, unit] = co_await std::move(both);
    EXPECT_EQ(first->signal, SIGKILL);
    EXPECT_EQ(second->signal, SIGKILL);
  });
}

TEST_P(Processes, a_program_that_does_not_exist_is_said_to) {
  run_children([]() -> Task<> {
    const auto made = Process::spawn({.program = "no-such-program-here", .output = Stdio::pipe()});
    EXPECT_EQ(made.error().code(), Errc::no_such_file);
    EXPECT_EQ(made.error().object(), "no-such-program-here");
    co_return;
  });
}

TEST_P(Processes, a_pipe_carries_bytes_ends_and_broken_ends) {
  run_children([]() -> Task<> {
    auto [reader, writer] = process::make_pipe().or_throw();
    EXPECT_TRUE(co_await writer.write_all("one\ntwo\n"));
    EXPECT_EQ((co_await reader.read_line().or_throw()).text(), "one\n");
    writer.shutdown_write();
    EXPECT_EQ((co_await reader.read_line().or_throw()).text(), "two\n");
    EXPECT_TRUE((co_await reader.read().or_throw()).empty());
    EXPECT_TRUE((co_await reader.read().or_throw()).empty()) << "again and again";
    EXPECT_TRUE((co_await writer.read().or_throw()).empty()) << "there is nothing to read there";
    EXPECT_EQ((co_await reader.write_all("x")).error().code(), Errc::closed);

    auto [deaf, mouth] = process::make_pipe().or_throw();
    deaf.close();
    Result<> said;
    while (said) {
      said = co_await mouth.write_all("nobody hears");
      if (said) said = co_await mouth.flush();
    }
    EXPECT_EQ(said.error().code(), Errc::broken_pipe);
  });
}

TEST_P(Processes, a_cancelled_read_of_a_pipe_loses_nothing) {
  run_children([]() -> Task<> {
    auto [reader, writer] = process::make_pipe().or_throw();
    EXPECT_EQ((co_await with_timeout(1ms, reader.read())).error().code(), Errc::timed_out);
    EXPECT_TRUE(co_await writer.write_all("kept"));
    char text[4];
    EXPECT_TRUE(co_await reader.read_exact(std::as_writable_bytes(std::span(text))));
    EXPECT_EQ(std::string_view(text, 4), "kept");
  });
}

TEST_P(Processes, a_large_write_that_is_cut_breaks_the_pipe) {
  run_children([]() -> Task<> {
    auto [reader, writer] = process::make_pipe().or_throw();
    const std::string large(4'000'000, 'x');
    EXPECT_EQ((co_await with_timeout(1ms, writer.write_all(large))).error().code(),
              Errc::timed_out);
    EXPECT_EQ((co_await writer.write_all("more")).error().code(), Errc::broken);
  });
}

TEST_P(Processes, children_cancelled_at_any_point_leave_nothing_behind) {
  run_children([this]() -> Task<> {
    std::uint32_t random = 12345;
    for (int round = 0; round < 60; ++round) {
      random = random * 1'664'525U + 1'013'904'223U;
      const Duration limit = std::chrono::microseconds((random >> 8) % 4'000);
      SpawnOptions which = round % 4 == 0   ? cat()
                           : round % 4 == 1 ? sleeps()
                           : round % 4 == 2 ? flood()
                                            : stubborn();
      static_cast<void>(co_await with_timeout(
          limit, process::capture(std::move(which),
                                  {.input = std::string(10'000, 'y'), .capture_max = 300'000})));
      auto child = Process::spawn(round % 2 == 0 ? exits(1) : sleeps()).or_throw();
      static_cast<void>(co_await with_timeout(limit / 2, child.terminate(limit / 4)));
    }
  });
}

ON_EVERY_DRIVER(Processes);

// --- What needs a kernel ---

class KernelProcesses : public WithChildren {
 public:
  /// Runs a command of the shell and returns its output.
  static Task<std::string> say(SpawnOptions options) {
    const auto got = co_await process::capture(std::move(options)).or_throw();
    EXPECT_TRUE(got.status.success()) << got.status.describe() << ": " << got.errors;
    co_return got.output;
  }
};

TEST_P(KernelProcesses, what_exec_says_comes_back_exactly) {
  run_children([]() -> Task<> {
    const auto error = [](SpawnOptions options) {
      options.output = Stdio::pipe();
      return Process::spawn(std::move(options)).error();
    };
    EXPECT_EQ(error({.program = "/no/such/file"}).code(), Errc::no_such_file);
    EXPECT_EQ(error({.program = "/etc/passwd"}).code(), Errc::access_denied);
    EXPECT_EQ(error({.program = "/tmp"}).code(), Errc::access_denied);
    EXPECT_EQ(error({.program = "true", .directory = "/no/such/place"}).message(),
              "chdir /no/such/place: No such file or directory");
    EXPECT_EQ(error({.program = std::string("tr\0ue", 5)}).code(), Errc::invalid_argument);
    EXPECT_EQ(error({.program = "true", .environment = {.set = {"nothing"}}}).code(),
              Errc::invalid_argument);
    EXPECT_EQ(error({.program = "true", .extra_descriptors = {{.from = 0, .as = 2}}}).code(),
              Errc::bad_descriptor);
    char path[] = "/tmp/rondo-noexec-XXXXXX";
    const int fd = ::mkstemp(path);
    EXPECT_EQ(::write(fd, "neither ELF nor #!\n", 19), 19);
    EXPECT_EQ(::fchmod(fd, 0755), 0);
    ::close(fd);
    EXPECT_EQ(error({.program = path}).code(), Errc{ENOEXEC});
    ::unlink(path);
    // A file in PATH that may not be run is refused, not unknown.
    EXPECT_EQ(error({.program = "passwd", .environment = {.inherit = false, .set = {"PATH=/etc"}}})
                  .code(),
              Errc::access_denied);
    co_return;
  });
}

/// 0 when a program that must lose groups which nobody may take away is refused, and one that is to
/// stay what it is runs. In a child process, which gives up its own rights for that.
int check_groups(LoopOptions options) {
  constexpr gid_t k_group = 65'534;
  const gid_t more = 1'234;
  if (::setgroups(1, &more) != 0) return 1;
  if (::setresgid(k_group, k_group, more) != 0) return 2;  // `more` may still be taken on.
  if (::setresuid(k_group, k_group, k_group) != 0) return 3;
  int outcome = 0;
  Loop at(std::move(options));
  at.run([](int* out, gid_t own, gid_t other) -> Task<> {
      auto refused = Process::spawn({.program = "true", .gid = other});
      if (refused) *out = 4;
      else if (refused.error().message() != "setgroups true: Operation not permitted") *out = 5;
      auto stays = Process::spawn({.program = "true", .uid = own, .gid = own});
      if (!stays) *out = 6;
      else if (!(co_await stays->wait().or_throw()).success()) *out = 7;
    }(&outcome, k_group, more)).or_throw();
  return outcome;
}

TEST_P(KernelProcesses, groups_that_cannot_be_dropped_are_an_error_unless_nothing_changes) {
  if (::geteuid() != 0) return;  // Whoever has no rights has none to give up.
  EXPECT_EQ(in_child([this] { return check_groups(loop_options()); }), 0);
}

TEST_P(KernelProcesses, environment_directory_and_arguments_arrive) {
  run_children([]() -> Task<> {
    ::setenv("RONDO_A", "kept", 1);
    ::setenv("RONDO_B", "gone", 1);
    auto options = shell("echo $RONDO_A,$RONDO_B,$RONDO_C; pwd; echo \"$1\"", {"a b $HOME"});
    options.environment = {.set = {"RONDO_C=new"}, .remove = {"RONDO_B"}};
    options.directory = "/usr";
    EXPECT_EQ(co_await say(std::move(options)), "kept,,new\n/usr\na b $HOME\n");
    EXPECT_EQ(co_await say({.program = "/usr/bin/env",
                            .environment = {.inherit = false, .set = {"ONLY=this"}}}),
              "ONLY=this\n");
  });
}

TEST_P(KernelProcesses, errors_can_go_where_the_output_goes) {
  run_children([]() -> Task<> {
    auto options = shell("echo out; echo err >&2");
    options.errors = Stdio::merge();
    EXPECT_EQ(co_await say(std::move(options)), "out\nerr\n");
    auto apart = co_await process::capture(shell("echo out; echo err >&2")).or_throw();
    EXPECT_EQ(apart.output, "out\n");
    EXPECT_EQ(apart.errors, "err\n");
  });
}

TEST_P(KernelProcesses, limits_hold_in_the_child_only) {
  run_children([]() -> Task<> {
    auto options = shell("ulimit -n; ulimit -c");
    options.limits = {{.resource = process::Resource::descriptors, .soft = 17, .hard = 17},
                      {.resource = process::Resource::core, .soft = 0, .hard = 0}};
    EXPECT_EQ(co_await say(std::move(options)), "17\n0\n");
  });
}

TEST_P(KernelProcesses, extra_descriptors_arrive_at_their_numbers_whatever_their_order) {
  run_children([]() -> Task<> {
    int a[2];
    int b[2];
    EXPECT_EQ(::pipe2(a, O_CLOEXEC), 0);
    EXPECT_EQ(::pipe2(b, O_CLOEXEC), 0);
    EXPECT_EQ(::write(a[1], "A\n", 2), 2);
    EXPECT_EQ(::write(b[1], "B\n", 2), 2);
    auto options = shell("read x <&$1; read y <&$2; echo $x$y", {"3", "4"});
    // Each stands where the other is to go, when the numbers are that low.
    options.extra_descriptors = {{.from = b[0], .as = 4}, {.from = a[0], .as = 3}};
    EXPECT_EQ(co_await say(std::move(options)), "AB\n");
    for (const int fd : {a[0], a[1], b[0], b[1]}) ::close(fd);
  });
}

TEST_P(KernelProcesses, a_child_begins_with_default_dispositions_and_an_empty_mask) {
  run_children([this]() -> Task<> {
    const auto before = ::signal(SIGPIPE, SIG_IGN);
    sigset_t blocked;
    ::sigemptyset(&blocked);
    ::sigaddset(&blocked, SIGUSR2);
    ::pthread_sigmask(SIG_BLOCK, &blocked, nullptr);
    auto options = cat();
    options.input = Stdio::pipe();
    auto child = Process::spawn(std::move(options)).or_throw();
    EXPECT_EQ(status_of(child.pid(), "SigIgn:"), "0000000000000000");
    EXPECT_EQ(status_of(child.pid(), "SigBlk:"), "0000000000000000");
    ::signal(SIGPIPE, before);
    child.input().close();
    EXPECT_TRUE((co_await child.wait().or_throw()).success());
  });
}

TEST_P(KernelProcesses, a_dropped_child_takes_its_whole_group_with_it) {
  run_children([]() -> Task<> {
    auto options = shell("sleep 1000 & echo started; wait");
    options.output = Stdio::pipe();
    process::PipeStream output;
    {
      auto child = Process::spawn(std::move(options)).or_throw();
      output = std::move(child.output());
      EXPECT_EQ((co_await output.read_line().or_throw()).text(), "started\n");
    }
    // The grandchild held the pipe, too: only its end ends the stream.
    EXPECT_TRUE((co_await output.read().or_throw()).empty());
  });
}

TEST_P(KernelProcesses, what_a_child_leaves_behind_is_killed_unless_it_may_stay) {
  run_children([]() -> Task<> {
    const char* script = "exec 3<&0; (read line <&3; echo $line) & exit 0";
    for (const auto leftovers : {Leftovers::kill, Leftovers::leave}) {
      auto options = shell(script);
      options.input = options.output = Stdio::pipe();
      options.leftovers = leftovers;
      auto child = Process::spawn(std::move(options)).or_throw();
      EXPECT_TRUE((co_await child.wait().or_throw()).success());
      static_cast<void>(co_await child.input().write_all("late\n"));
      const std::string said = co_await read_all(child.output());
      EXPECT_EQ(said, leftovers == Leftovers::leave ? "late\n" : "");
    }
  });
}

TEST_P(KernelProcesses, kill_tree_finds_those_in_other_sessions) {
  run_children([]() -> Task<> {
    auto options = shell("setsid sleep 1000 & echo started; wait");
    options.output = Stdio::pipe();
    auto child = Process::spawn(std::move(options)).or_throw();
    EXPECT_EQ((co_await child.output().read_line().or_throw()).text(), "started\n");
    EXPECT_TRUE(child.kill_tree(SIGKILL));
    EXPECT_EQ((co_await child.wait().or_throw()).signal, SIGKILL);
    EXPECT_TRUE((co_await child.output().read().or_throw()).empty());
  });
}

TEST_P(KernelProcesses, groups_and_sessions_are_what_was_asked_for) {
  run_children([this]() -> Task<> {
    for (const auto group : {process::ProcessGroup::own, process::ProcessGroup::session,
                             process::ProcessGroup::inherit}) {
      auto options = cat();
      options.input = Stdio::pipe();
      options.group = group;
      auto child = Process::spawn(std::move(options)).or_throw();
      const bool leads = ::getpgid(child.pid()) == child.pid();
      EXPECT_EQ(leads, group != process::ProcessGroup::inherit);
      EXPECT_EQ(::getsid(child.pid()) == child.pid(), group == process::ProcessGroup::session);
      child.input().close();
      EXPECT_TRUE((co_await child.wait().or_throw()).success());
    }
  });
}

TEST_P(KernelProcesses, a_detached_child_runs_on_and_keeps_no_loop_alive) {
  int pid = 0;
  run_on(loop_options({.buffer_count = 64, .buffer_size = 4'096}), [this, &pid]() -> Task<> {
    auto child = Process::spawn(sleeps()).or_throw();
    pid = child.pid();
    std::move(child).detach();
    auto short_lived = Process::spawn(exits(0)).or_throw();
    std::move(short_lived).detach();  // Taken away if it ends in time.
    co_return;
  });
  EXPECT_EQ(::kill(pid, 0), 0);
  EXPECT_EQ(::kill(pid, SIGKILL), 0);
  while (::waitpid(-1, nullptr, 0) > 0) {
  }
}

TEST_P(KernelProcesses, a_thousand_children_have_three_descriptors_each) {
  run_children([this]() -> Task<> {
    int many[2];
    EXPECT_EQ(::pipe(many), 0) << "two that are not close-on-exec";
    for (int batch = 0; batch < 20; ++batch) {
      std::vector<Process> children;
      for (int i = 0; i < 50; ++i) {
        auto options = cat();
        options.input = options.output = options.errors = Stdio::pipe();
        children.push_back(Process::spawn(std::move(options)).or_throw());
      }
      for (Process& child : children) EXPECT_TRUE(co_await child.input().write_all("load\n"));
      for (Process& child : children) {
        // Once it answers, what its start-up opens is closed again.
        EXPECT_EQ((co_await child.output().read_line().or_throw()).text(), "load\n");
        EXPECT_EQ(open_descriptors(std::to_string(child.pid())),
                  (std::vector<std::string>{"0", "1", "2"}));
        child.input().shutdown_write();
      }
      for (Process& child : children) {
        EXPECT_EQ(co_await read_all(child.output()), "");
        EXPECT_TRUE((co_await child.wait().or_throw()).success());
      }
    }
    ::close(many[0]);
    ::close(many[1]);
  });
}

INSTANTIATE_TEST_SUITE_P(kernel, KernelProcesses,
                         ::testing::Values(std::string("uring"), std::string("epoll")),
                         [](const auto& which) { return which.param; });

}  // namespace
}  // namespace rondo::testing
