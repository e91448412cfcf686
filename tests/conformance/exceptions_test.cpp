// SPDX-License-Identifier: Apache-2.0
// Every exception is accounted for: the same table on all drivers. Each row says where an
// exception comes from, whom it reaches, and what is counted when it reaches nobody. After every
// row the loop still works.
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "every_driver.hpp"
#include "rondo/core/channel.hpp"
#include "rondo/core/error_group.hpp"
#include "rondo/core/from_callback.hpp"
#include "rondo/core/generator.hpp"
#include "rondo/core/map_concurrent.hpp"
#include "rondo/core/offload.hpp"
#include "rondo/core/race.hpp"
#include "rondo/core/select.hpp"
#include "rondo/core/when.hpp"

namespace rondo::testing {
namespace {

struct Boom : std::runtime_error {
  using std::runtime_error::runtime_error;
};

Task<> throws(std::string text, int turns_before = 1) {
  co_await turns(turns_before);
  throw Boom(text);
}
Task<int> throws_int(std::string text, int turns_before = 1) {
  co_await throws(std::move(text), turns_before);
  co_return 0;
}
Task<Result<int>> fails() {
  co_await checkpoint();
  co_return Errc::closed;
}
/// A destructor that says it may throw, and does.
struct Bomb {
  ~Bomb() noexcept(false) {
    if (armed) throw Boom("destructor");
  }
  bool armed = true;
};
AsyncGenerator<int> throwing_generator() {
  co_yield 1;
  co_await checkpoint();
  throw Boom("generator");
}

struct Row {
  const char* name;
  std::function<Task<>()> body;
  const char* reaches;  ///< the text that arrives at the await; null: nothing does
  std::uint64_t lost = 0;
  std::uint64_t never_awaited = 0;
  std::uint64_t dropped = 0;
};

std::vector<Row> task_rows() {
  return {
      {"out of an awaited task", [] { return throws("a"); }, "a"},
      {"out of a task before its first wait", [] { return throws("a", 0); }, "a"},
      {"through three tasks",
       []() -> Task<> {
         co_await []() -> Task<> { co_await []() -> Task<> { co_await throws("deep"); }(); }();
       },
       "deep"},
      {"out of an argument of the await",
       []() -> Task<> {
         auto make = []() -> Task<> { throw Boom("made"); };
         co_await make();
       },
       "made"},
  };
}

std::vector<Row> scope_rows() {
  return {
      {"out of a scope's body",
       []() -> Task<> { co_await with_scope([](Scope&) -> Task<> { co_await throws("body"); }); },
       "body"},
      {"out of a child",
       []() -> Task<> {
         co_await with_scope([](Scope& s) -> Task<> {
           s.start(throws, "child", 1);
           co_await sleep_for(1h);
         });
       },
       "child"},
      {"out of two children",
       []() -> Task<> {
         co_await with_scope([](Scope& s) -> Task<> {
           s.start(throws, "first", 1);
           s.start(throws, "second", 1);
           co_return;
         });
       },
       "first", 1},
      {"out of the first of three children: the others never run",
       []() -> Task<> {
         co_await with_scope([](Scope& s) -> Task<> {
           for (const char* text : {"1", "2", "3"}) s.start(throws, text, 0);
           co_return;
         });
       },
       "1"},
      {"out of start_now",
       []() -> Task<> {
         co_await with_scope([](Scope& s) -> Task<> {
           s.start_now(throws, "now", 0);
           co_return;
         });
       },
       "now"},
      {"out of the function that makes a child",
       []() -> Task<> {
         co_await with_scope([](Scope& s) -> Task<> {
           s.start([](int) -> Task<> { throw Boom("no task"); }, 1);
           co_return;
         });
       },
       "no task"},
      {"out of a child whose handle is awaited",
       []() -> Task<> {
         co_await with_scope([](Scope& s) -> Task<> {
           auto handle = s.start(throws_int, "joined", 1);
           (void)co_await handle;
         });
       },
       "joined"},
      {"out of a nested scope",
       []() -> Task<> {
         co_await with_scope([](Scope& s) -> Task<> {
           s.start([]() -> Task<> {
             co_await with_scope([](Scope& inner) -> Task<> {
               inner.start(throws, "inner", 1);
               co_return;
             });
           });
           co_return;
         });
       },
       "inner"},
  };
}

std::vector<Row> bracket_rows() {
  return {
      {"while being cancelled",
       []() -> Task<> {
         co_await with_scope([](Scope& s) -> Task<> {
           s.start(
               []() -> Task<> { co_await finally(sleep_for(1h), [] { return throws("late"); }); });
           co_await turns(3);
           s.cancel();
         });
       },
       "late"},
      {"out of with_timeout", []() -> Task<> { (void)co_await with_timeout(1h, throws("timed")); },
       "timed"},
      {"out of shield", []() -> Task<> { co_await shield(throws("shielded")); }, "shielded"},
      {"out of a clean-up",
       []() -> Task<> { co_await finally(turns(1), [] { return throws("cleanup"); }); }, "cleanup"},
      {"out of the function that makes a clean-up",
       []() -> Task<> { co_await finally(turns(1), []() -> Task<> { throw Boom("no cleanup"); }); },
       "no cleanup"},
      {"out of body and clean-up",
       []() -> Task<> { co_await finally(throws("both"), [] { return throws("cleanup"); }); },
       "both", 1},
  };
}

std::vector<Row> together_rows() {
  return {
      {"out of when_all", []() -> Task<> { co_await when_all(throws("all"), turns(1)); }, "all"},
      {"out of two branches of when_all",
       []() -> Task<> { co_await when_all(throws("one"), throws("two")); }, "one", 1},
      {"out of when_any", []() -> Task<> { co_await when_any(throws("any"), sleep_for(1h)); },
       "any"},
      {"out of select",
       []() -> Task<> {
         Channel<int> never{1};
         co_await select(never.receive(), throws("selected"));
       },
       "selected"},
      {"out of the start of a case of select",
       []() -> Task<> {
         Channel<int> never{1};
         co_await select(never.receive(),
                         from_callback<int>([](Resume<int>) { throw Boom("case"); }), turns(3));
       },
       "case"},
      {"out of a race that another won",
       []() -> Task<> {
         auto good = []() -> Task<int> {
           co_await turns(5);
           co_return 1;
         };
         EXPECT_EQ(*co_await race(throws_int("racer"), good()), 1);
       },
       nullptr, 1},
      {"out of a race that all lost",
       []() -> Task<> { (void)co_await race(throws_int("r1"), throws_int("r2")); }, "r1", 1},
      {"out of map_concurrent",
       []() -> Task<> {
         co_await for_each_concurrent(std::vector<int>{1, 2}, 1, [](int) { return throws("map"); });
       },
       "map"},
      {"out of an error group",
       []() -> Task<> {
         co_await with_error_group([](Scope& s) -> Task<> {
           s.start(throws, "x", 1);
           s.start(throws, "y", 1);
           co_return;
         });
       },
       "2 tasks failed: x; y"},
      {"out of a generator",
       []() -> Task<> {
         auto each = throwing_generator();
         while (co_await each.next()) {
         }
       },
       "generator"},
  };
}

std::vector<Row> callback_rows() {
  return {
      {"out of run_blocking",
       []() -> Task<> { (void)co_await run_blocking([] { throw Boom("blocking"); }); }, "blocking"},
      {"out of the start of from_callback",
       []() -> Task<> {
         (void)co_await from_callback<int>([](Resume<int>) { throw Boom("begin"); });
       },
       "begin"},
      {"out of call_soon",
       []() -> Task<> {
         loop().call_soon([] { throw Boom("callback"); });
         co_await turns(2);
       },
       nullptr, 1},
      {"out of call_later",
       []() -> Task<> {
         loop().call_later(1us, [] { throw 7; });
         co_await sleep_for(1ms);
       },
       nullptr, 1},
      {"out of a posted function",
       []() -> Task<> {
         loop().post([] { throw Boom("posted"); });
         co_await sleep_for(1ms);
       },
       nullptr, 1},
      {"out of a hook",
       []() -> Task<> {
         bool once = true;
         Hook hook = loop().on_prepare([&] {
           if (std::exchange(once, false)) throw Boom("hook");
         });
         co_await sleep_for(1ms);
       },
       nullptr, 1},
      {"out of start_callback's task and callback",
       []() -> Task<> {
         start_callback(throws("task"), [](Result<>) { throw Boom("its callback"); });
         co_await turns(4);
       },
       nullptr, 2},
  };
}

std::vector<Row> nobody_rows() {
  return {
      {"out of a destructor at the end of a block",
       []() -> Task<> {
         {
           Bomb bomb;
         }
         co_return;
       },
       "destructor"},
      {"out of a destructor at the end of a child",
       []() -> Task<> {
         co_await with_scope([](Scope& s) -> Task<> {
           s.start([]() -> Task<> {
             Bomb bomb;
             co_await checkpoint();
           });
           co_return;
         });
       },
       "destructor"},
      {"nobody awaits the task",
       []() -> Task<> {
         {
           Task<> dropped = throws("never");
         }
         co_return;
       },
       nullptr, 0, 1},
      {"nobody reads the failed Result of a child",
       []() -> Task<> {
         co_await with_scope([](Scope& s) -> Task<> {
           s.start(fails);
           co_return;
         });
       },
       nullptr, 0, 0, 1},
  };
}

std::vector<Row> rows() {
  std::vector<Row> all;
  for (auto* part :
       {&task_rows, &scope_rows, &bracket_rows, &together_rows, &callback_rows, &nobody_rows}) {
    for (Row& row : part()) all.push_back(std::move(row));
  }
  return all;
}

class Exceptions : public EveryDriver {};

TEST_P(Exceptions, each_reaches_whom_the_table_says_and_the_loop_lives) {
  for (const Row& row : rows()) {
    SCOPED_TRACE(row.name);
    run([&row]() -> Task<> {
      std::string reached = "nothing";
      try {
        co_await row.body();
      } catch (const std::exception& error) {
        reached = error.what();
      }
      EXPECT_EQ(reached, row.reaches ? row.reaches : "nothing");
      const LoopStatistics counted = loop().statistics();
      EXPECT_EQ(counted.lost_exceptions, row.lost);
      EXPECT_EQ(counted.never_awaited, row.never_awaited);
      EXPECT_EQ(counted.dropped_errors, row.dropped);
      co_await sleep_for(1us);
      EXPECT_EQ(co_await []() -> Task<int> { co_return 5; }(), 5) << "the loop lives";
    });
  }
}

ON_EVERY_DRIVER(Exceptions);

}  // namespace
}  // namespace rondo::testing
