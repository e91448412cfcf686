// SPDX-License-Identifier: Apache-2.0
// A process that forks while it has a loop: the child may not use it, may destroy it without the
// parent noticing, and may make one of its own.
#include <poll.h>

#include <optional>
#include <string>

#include "every_driver.hpp"
#include "net_pairs.hpp"

#include "rondo/io/file_ops.hpp"

namespace rondo::testing {
namespace {

class LoopFork : public EveryDriver {
 protected:
  /// Sends the child's assertions into `said`.
  static int in_child_saying(std::string& said, MoveFn<int()> body) {
    int ends[2];
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    const int status = in_child([&] {
      ::dup2(ends[1], STDERR_FILENO);
      return body();
    });
    ::close(ends[1]);
    char text[4096];
    for (ssize_t got; (got = ::read(ends[0], text, sizeof text)) > 0;)
      said.append(text, static_cast<std::size_t>(got));
    ::close(ends[0]);
    return status;
  }
  static constexpr int k_aborted = 1000 + SIGABRT;
  static constexpr const char* k_sentence = "after fork() make a new Loop";
};

TEST_P(LoopFork, using_an_inherited_loop_in_the_child_asserts_with_what_to_do) {
  Loop at(loop_options());
  MoveFn<void()> uses[] = {
      [&] { at.poll(); },
      [&] { at.run_once(); },
      [&] {
        at.call_soon([] {});
        at.run_forever();
      },
      [&] { static_cast<void>(at.run([]() -> Task<> { co_return; }())); },
  };
  for (auto& use : uses) {
    std::string said;
    EXPECT_EQ(in_child_saying(said,
                              [&] {
                                use();
                                return 0;
                              }),
              k_aborted);
    EXPECT_NE(said.find(k_sentence), std::string::npos) << said;
  }
  EXPECT_EQ(at.run([]() -> Task<int> { co_return 4; }()).or_throw(), 4);
}

TEST_P(LoopFork, posting_to_an_inherited_loop_does_not_wake_the_parents) {
  if (is_sim()) return;  // Nothing of it reaches the kernel.
  Loop at(loop_options());
  std::string said;
  EXPECT_EQ(in_child_saying(said,
                            [&] {
                              at.post([] {});
                              return 0;
                            }),
            k_aborted);
  EXPECT_NE(said.find(k_sentence), std::string::npos) << said;
  EXPECT_FALSE(at.poll());
  EXPECT_EQ(at.statistics().posts, 0u);
}

TEST_P(LoopFork, a_task_that_goes_on_in_the_child_is_stopped_at_its_next_operation) {
  if (is_sim()) return;
  std::string said;
  const Pipe pipe = make_pipe();
  run([&]() -> Task<> {
    EXPECT_EQ(in_child_saying(said,
                              [&] {
                                io::ReadOp op;
                                op.fd = pipe.in;
                                op.on_complete = [](io::Operation&,
                                                    const io::Completion&) noexcept {};
                                loop().driver().submit(op);
                                return 0;
                              }),
              k_aborted);
    co_await close_pipe(pipe);
  });
  EXPECT_NE(said.find(k_sentence), std::string::npos) << said;
}

TEST_P(LoopFork, destroying_it_in_the_child_disturbs_nothing_of_the_parent) {
  long captures = 0;  // Outlives the loop, which drops the callback at its end.
  auto at = std::make_unique<Loop>(loop_options());
  auto far = at->call_later(1h, [guard = Guard(captures)] {});
  std::optional<Hook> hook(at->on_prepare([] {}));
  const Pipe pipe = make_pipe();
  // A read in flight, the wake-up armed, a timer armed, a task suspended.
  std::string text;
  MainTask<void> main = at->start([](Pipe ends, std::string* to) -> Task<> {
    co_await with_scope([&](Scope& scope) -> Task<> {
      auto reader = scope.start(read_text, ends.in, std::size_t{16});
      auto sleeper = scope.start([]() -> Task<> { co_await sleep_for(1h); });
      *to = *co_await reader;
      sleeper.cancel();
    });
    co_await write_text(ends.out, "again");
    *to += co_await read_text(ends.in);
    co_await close_pipe(ends);
  }(pipe, &text));
  for (int i = 0; i < 5; ++i) at->poll();

  EXPECT_EQ(in_child([&] {
              Loop* inherited = at.release();
              delete inherited;
              hook.reset();
              far.cancel();
              return captures == 1 ? 0 : 1;  // Not destroyed either: it could submit.
            }),
            0);
  EXPECT_EQ(captures, 1);
  EXPECT_TRUE(text.empty());
  // The child lives on after it has destroyed its copy, while the parent works.
  MainTask<void> writer =
      at->start([](int to) -> Task<> { co_await write_text(to, "once,"); }(pipe.out));
  while (!main.done() || !writer.done()) at->run_once();
  EXPECT_EQ(text, "once,again");
}

TEST_P(LoopFork, the_parents_streams_go_on_receiving_while_the_child_lives) {
  if (is_sim()) return;
  run([]() -> Task<> {
    auto [near, far] = co_await tcp_pair();
    (co_await near.write_all(as_bytes(std::string_view("before")))).or_throw();
    EXPECT_EQ((co_await far.read())->text(), "before");
    int alive[2];
    EXPECT_EQ(::pipe2(alive, O_CLOEXEC), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      // Writes to what it has inherited of the buffers' pages, and waits for the parent's end.
      ::alarm(30);
      ::close(alive[1]);
      char end;
      static_cast<void>(!::read(alive[0], &end, 1));
      ::_exit(0);
    }
    ::close(alive[0]);
    std::string got;
    for (int i = 0; i < 200; ++i) {
      const std::string line = "after " + std::to_string(i) + "\n";
      (co_await near.write_all(as_bytes(line))).or_throw();
      EXPECT_EQ((co_await far.read_line())->text(), line);
    }
    ::close(alive[1]);
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
  });
}

TEST_P(LoopFork, a_fresh_loop_works_in_the_child_with_or_without_the_old_one) {
  for (const bool destroy_first : {false, true}) {
    auto at = std::make_unique<Loop>(loop_options());
    at->run([]() -> Task<> { co_await sleep_for(1ms); }()).or_throw();
    EXPECT_EQ(in_child([&] {
                if (destroy_first) at.reset();
                Loop own(loop_options());
                const Result<int> bytes = own.run([]() -> Task<int> {
                  auto [near, far] = co_await tcp_pair();
                  co_await sleep_for(1ms);
                  (co_await near.write_all(as_bytes(std::string_view("child")))).or_throw();
                  auto got = co_await far.read();
                  co_return static_cast<int>(got->text().size());
                }());
                return *bytes == 5 ? 0 : 1;
              }),
              0);
    EXPECT_EQ(at->run([]() -> Task<int> {
                  co_await sleep_for(1ms);
                  co_return 6;
                }())
                  .or_throw(),
              6);
  }
}

TEST_P(LoopFork, a_loop_of_the_child_is_inherited_by_the_childs_child_in_its_turn) {
  EXPECT_EQ(in_child([&] {
              Loop own(loop_options());
              own.run([]() -> Task<> { co_await checkpoint(); }()).or_throw();
              const int status = in_child([&] {
                ::close(STDERR_FILENO);
                own.poll();
                return 0;
              });
              own.run([]() -> Task<> { co_await checkpoint(); }()).or_throw();
              return status == k_aborted ? 0 : 1;
            }),
            0);
}

ON_EVERY_DRIVER(LoopFork);

}  // namespace
}  // namespace rondo::testing
