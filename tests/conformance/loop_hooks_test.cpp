// SPDX-License-Identifier: Apache-2.0
// Hooks of the prepare and check phases, idle hooks: when they run, and how they come and go.
#include <optional>
#include <string>
#include <vector>

#include "every_driver.hpp"
#include "net_pairs.hpp"
#include "rondo/core/event.hpp"
#include "spy_driver.hpp"

namespace rondo::testing {
namespace {

using Order = std::vector<std::string>;

class LoopHooks : public EveryDriver {
 protected:
  LoopOptions spied() {
    auto spy = std::make_unique<SpyDriver>(make_driver({.buffer_count = 64}));
    spy_ = spy.get();
    return {.own_driver = std::move(spy)};
  }
  SpyDriver& spy() { return *spy_; }

 private:
  SpyDriver* spy_ = nullptr;
};

TEST_P(LoopHooks, run_once_an_iteration_around_the_poll_phase) {
  Loop at(spied());
  Order order;
  Hook check = at.on_check([&] { order.push_back("check"); });
  Hook prepare = at.on_prepare([&] { order.push_back("prepare"); });
  auto soon = at.call_soon([&] { order.push_back("ready"); });
  spy().on_wait = [&](io::Wait) { order.push_back("poll"); };
  at.poll();
  EXPECT_EQ(order, (Order{"ready", "prepare", "poll", "check"}));
  at.poll();
  EXPECT_EQ(order.size(), 7u) << "both again, without anything else to do";
}

TEST_P(LoopHooks, of_one_kind_run_in_the_order_of_being_added) {
  Loop at(loop_options());
  Order order;
  Hook a = at.on_prepare([&] { order.push_back("a"); });
  Hook b = at.on_prepare([&] { order.push_back("b"); });
  Hook c = at.on_prepare([&] { order.push_back("c"); });
  at.poll();
  at.poll();
  EXPECT_EQ(order, (Order{"a", "b", "c", "a", "b", "c"}));
  b.remove();
  b.remove();
  at.poll();
  EXPECT_EQ(order.size(), 8u);
  EXPECT_TRUE(a.active());
  EXPECT_FALSE(b.active());
}

TEST_P(LoopHooks, do_not_keep_a_loop_turning) {
  Loop at(spied());
  int ran = 0;
  Hook prepare = at.on_prepare([&] { ++ran; });
  Hook check = at.on_check([&] { ++ran; });
  Hook idle = at.on_idle([&] { ++ran; });
  EXPECT_FALSE(at.has_work());
  at.run_forever();
  EXPECT_EQ(ran, 0);
  EXPECT_FALSE(at.run_once());
  EXPECT_EQ(spy().blocks, 0);
}

TEST_P(LoopHooks, a_hook_may_remove_itself_the_next_and_the_one_before) {
  for (int victim = 0; victim < 3; ++victim) {
    Loop at(loop_options());
    Order order;
    long captures = 0;
    std::vector<Hook> hooks(3);
    for (int i = 0; i < 3; ++i) {
      hooks[static_cast<std::size_t>(i)] = at.on_check([&, i, victim, guard = Guard(captures)] {
        order.push_back(std::to_string(i));
        // The middle one removes: its own captures live to the end of its run.
        if (i == 1) hooks[static_cast<std::size_t>(victim)] = Hook();
        EXPECT_GE(*guard.count, 2);
      });
    }
    EXPECT_EQ(captures, 3);
    at.poll();
    EXPECT_EQ(captures, 2);
    if (victim == 2)
      EXPECT_EQ(order, (Order{"0", "1"}));
    else
      EXPECT_EQ(order, (Order{"0", "1", "2"}));
    order.clear();
    at.poll();
    EXPECT_EQ(order.size(), 2u);
    hooks.clear();
    EXPECT_EQ(captures, 0);
  }
}

TEST_P(LoopHooks, a_hook_may_remove_all_of_them) {
  Loop at(loop_options());
  int ran = 0;
  std::vector<Hook> hooks;
  for (int i = 0; i < 5; ++i) {
    hooks.push_back(at.on_prepare([&] {
      ++ran;
      hooks.clear();
    }));
  }
  at.poll();
  at.poll();
  EXPECT_EQ(ran, 1);
}

TEST_P(LoopHooks, one_that_is_added_by_a_hook_runs_from_the_next_iteration_on_and_last) {
  Loop at(loop_options());
  Order order;
  Hook added;
  Hook a = at.on_prepare([&] {
    order.push_back("a");
    if (!added.active()) added = at.on_prepare([&] { order.push_back("new"); });
  });
  Hook b = at.on_prepare([&] { order.push_back("b"); });
  at.poll();
  EXPECT_EQ(order, (Order{"a", "b"}));
  at.poll();
  EXPECT_EQ(order, (Order{"a", "b", "a", "b", "new"}));
}

TEST_P(LoopHooks, a_hook_may_add_one_to_a_later_phase_of_the_same_iteration) {
  Loop at(loop_options());
  Order order;
  Hook check;
  Hook prepare = at.on_prepare([&] {
    order.push_back("prepare");
    if (!check.active()) check = at.on_check([&] { order.push_back("check"); });
  });
  at.poll();
  EXPECT_EQ(order, (Order{"prepare", "check"}));
}

TEST_P(LoopHooks, a_handle_may_be_moved_and_may_outlive_its_loop) {
  long captures = 0;
  Hook kept;
  {
    Loop at(loop_options());
    Hook one = at.on_prepare([guard = Guard(captures)] {});
    kept = std::move(one);
    EXPECT_FALSE(one.active());
    EXPECT_TRUE(kept.active());
  }
  EXPECT_FALSE(kept.active());
  EXPECT_EQ(captures, 1);
  kept.remove();
  EXPECT_EQ(captures, 0);
}

TEST_P(LoopHooks, what_a_prepare_hook_makes_ready_keeps_the_loop_from_waiting) {
  Loop at(spied());
  int ran = 0;
  auto far = at.call_later(1h, [] {});
  Hook prepare = at.on_prepare([&] {
    if (ran == 0) at.call_soon([&] { ++ran; });
  });
  EXPECT_TRUE(at.run_once());
  EXPECT_EQ(spy().blocks, 0);
  prepare.remove();
  at.poll();
  EXPECT_EQ(ran, 1);
}

TEST_P(LoopHooks, what_a_prepare_hook_writes_leaves_in_the_same_iteration) {
  run([]() -> Task<> {
    auto [near, far] = co_await tcp_pair();
    Hook late;
    // Made after the streams, and still before the flush of what they have collected.
    int begun = 0;
    std::uint64_t submitted = 0;
    Hook prepare = loop().on_prepare([&] {
      if (begun++ != 0) return;
      EXPECT_TRUE(near.try_write(SharedBytes::copy(as_bytes(std::string_view("from a hook")))));
      submitted = loop().driver().statistics().submissions;
    });
    std::uint64_t flushed = 0;
    Hook check = loop().on_check([&] {
      if (begun == 1 && flushed == 0) flushed = loop().driver().statistics().submissions;
    });
    auto got = co_await far.read();
    EXPECT_EQ(as_text(got->bytes()), "from a hook");
    EXPECT_GT(flushed, submitted) << "the output stayed behind for an iteration";
  });
}

TEST_P(LoopHooks, check_runs_after_completions_were_taken_and_before_those_who_waited) {
  run([this]() -> Task<> {
    const Pipe pipe = make_pipe();
    Order order;
    co_await with_scope([&](Scope& scope) -> Task<> {
      scope.start(
          [](int fd, Order* to) -> Task<> {
            static_cast<void>(co_await read_text(fd));
            to->push_back("reader");
          },
          pipe.in, &order);
      co_await turns(3);
      bool completed = false;
      Hook check = loop().on_check([&] {
        if (Loop::current().has_ready() && !completed) {
          completed = true;
          order.push_back("check");
        }
      });
      co_await write_text(pipe.out, "x");
      while (order.empty() || order.back() != "reader") co_await sleep_for(100us);
    });
    EXPECT_EQ(order.front(), "check");
    co_await close_pipe(pipe);
  });
}

// --- idle -----------------------------------------------------------------------------------

TEST_P(LoopHooks, idle_runs_only_when_nothing_is_ready_and_keeps_the_loop_from_waiting) {
  LoopOptions options = spied();
  options.ready_budget = 2;
  Loop at(std::move(options));
  Order order;
  auto far = at.call_later(1h, [] {});
  for (int i = 0; i < 4; ++i) at.call_soon([&] { order.push_back("ready"); });
  Hook prepare = at.on_prepare([&] { order.push_back("prepare"); });
  Hook idle = at.on_idle([&] { order.push_back("idle"); });
  at.run_once();
  EXPECT_EQ(order, (Order{"ready", "ready", "prepare"})) << "two are ready still";
  at.run_once();
  EXPECT_EQ(order, (Order{"ready", "ready", "prepare", "ready", "ready", "prepare", "idle"}));
  at.run_once();
  EXPECT_EQ(order.size(), 9u);
  EXPECT_EQ(spy().blocks, 0);
  EXPECT_EQ(at.poll_timeout(), 0ns);
  idle.remove();
  EXPECT_GT(at.poll_timeout(), 0ns);
}

TEST_P(LoopHooks, an_idle_hook_does_work_in_pieces_and_then_the_loop_waits_again) {
  Loop at(spied());
  int pieces = 0;
  Hook idle;
  at.run([](Loop* here, Hook* hook, int* n, SpyDriver* driver) -> Task<> {
      Event last;
      *hook = here->on_idle([=, &last] {
        if (++*n < 100) return;
        last.set();
        hook->remove();
      });
      co_await last.wait();
      EXPECT_EQ(driver->blocks, 0);
      co_await sleep_for(1ms);
      EXPECT_GT(driver->blocks, 0);
    }(&at, &idle, &pieces, &spy()))
      .or_throw();
  EXPECT_EQ(pieces, 100);
}

ON_EVERY_DRIVER(LoopHooks);

}  // namespace
}  // namespace rondo::testing
