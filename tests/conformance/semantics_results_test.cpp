// SPDX-License-Identifier: Apache-2.0
// Rules 16, 17 and 30 to 33 of the semantics: results, starting tasks, looking at them, channels.
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "every_driver.hpp"
#include "rondo/core/channel.hpp"
#include "rondo/core/future.hpp"

namespace rondo::testing {
namespace {

using SemanticsResults = EveryDriver;

Task<Result<int>> succeeds(int value) {
  co_await checkpoint();
  co_return value;
}
Task<Result<int>> fails(Errc code) {
  co_await checkpoint();
  co_return Error(code, "fails", "the object");
}

// --- 16, 17 --------------------------------------------------------------------------------

TEST_P(SemanticsResults, rule_16_or_throw_yields_the_value_or_throws_the_error) {
  run([]() -> Task<> {
    EXPECT_EQ(co_await succeeds(4).or_throw(), 4);
    try {
      co_await fails(Errc::too_large).or_throw();
      ADD_FAILURE() << "nothing was thrown";
    } catch (const SystemError& error) {
      EXPECT_EQ(error.code(), Errc::too_large);
      EXPECT_STREQ(error.what(), "fails the object: too large");
    }
    Channel<int> closed{1};
    closed.close();
    EXPECT_THROW(co_await closed.send(1).or_throw(), SystemError);  // An operation has it too.
    EXPECT_THROW(co_await with_timeout(1us, sleep_for(1h)).or_throw(), SystemError);
  });
}

TEST_P(SemanticsResults, rule_16_or_return_ends_the_surrounding_task_with_the_error) {
  run([]() -> Task<> {
    bool went_on = false;
    auto outer = [&](bool bad) -> Task<Result<std::string>> {
      const int n = co_await (bad ? fails(Errc::closed) : succeeds(3)).or_return();
      went_on = true;
      co_return std::string(static_cast<std::size_t>(n), 'x');
    };
    EXPECT_EQ(*co_await outer(false), "xxx");
    went_on = false;
    const Result<std::string> failed = co_await outer(true);
    EXPECT_EQ(failed.error().message(), "fails the object: closed on this side");
    EXPECT_FALSE(went_on);
  });
}

TEST_P(SemanticsResults, rule_16_or_return_passes_through_several_tasks) {
  run([]() -> Task<> {
    struct Chain {
      static Task<Result<int>> down(int depth) {
        if (depth == 0) co_return co_await fails(Errc::stopping).or_return();
        co_return 1 + co_await down(depth - 1).or_return();
      }
    };
    EXPECT_EQ((co_await Chain::down(20)).error().code(), Errc::stopping);
    Channel<int> closed{1};
    closed.close();
    auto of_operation = [&]() -> Task<Result<>> {
      co_await closed.send(1).or_return();
      ADD_FAILURE() << "went on";
      co_return {};
    };
    EXPECT_EQ((co_await of_operation()).error().code(), Errc::closed);
  });
}

TEST_P(SemanticsResults, rule_16_or_return_destroys_the_locals_before_the_parent_goes_on) {
  run([]() -> Task<> {
    std::vector<std::string> order;
    auto inner = [&]() -> Task<Result<int>> {
      AtExit last([&] { order.push_back("first local"); });
      AtExit first([&] { order.push_back("last local"); });
      co_return co_await fails(Errc::closed).or_return();
    };
    // The frame lives in the awaiting expression: it has ended before the next statement.
    static_cast<void>(co_await inner());
    order.push_back("parent");
    EXPECT_EQ(order, (std::vector<std::string>{"last local", "first local", "parent"}));
  });
}

TEST_P(SemanticsResults, rule_16_or_return_in_a_started_task_gives_its_handle_the_error) {
  run([]() -> Task<> {
    long alive = 0;
    co_await with_scope([&](Scope& scope) -> Task<> {
      auto child = scope.start(
          [](Guard) -> Task<Result<int>> {
            co_return 1 + co_await fails(Errc::bad_message).or_return();
          },
          Guard(alive));
      EXPECT_EQ((co_await child).error().code(), Errc::bad_message);
      EXPECT_EQ(alive, 0);
      auto thrower = [&]() -> Task<Result<int>> {
        co_await checkpoint();
        throw std::runtime_error("no result at all");
      };
      auto passes = [&]() -> Task<Result<int>> { co_return co_await thrower().or_return(); };
      EXPECT_THROW(static_cast<void>(co_await passes()), std::runtime_error);
    });
  });
}

TEST_P(SemanticsResults, rule_16_a_failed_result_whose_handle_is_dropped_unread_is_counted) {
  run([]() -> Task<> {
    co_await with_scope([](Scope& scope) -> Task<> {
      scope.start(fails, Errc::closed);  // Dropped unread: counted.
      scope.start(succeeds, 1);          // Dropped, but it succeeded.
      auto read = scope.start(fails, Errc::closed);
      EXPECT_EQ((co_await read).error().code(), Errc::closed);
      auto kept = scope.start(fails, Errc::closed);
      co_await turns(3);
      EXPECT_TRUE(kept.done());  // Its handle dies unread: counted.
    });
    EXPECT_EQ(loop().statistics().dropped_errors, 2u);
  });
}

TEST_P(SemanticsResults, rule_17_an_exception_passes_through_many_parents_as_the_same_object) {
  run([]() -> Task<> {
    const std::runtime_error* thrown = nullptr;
    long alive = 0;
    struct Chain {
      static Task<int> down(int depth, Guard guard, const std::runtime_error** at) {
        if (depth == 0) {
          co_await checkpoint();
          try {
            throw std::runtime_error("deep");
          } catch (const std::runtime_error& error) {
            *at = &error;
            throw;
          }
        }
        co_return 1 + co_await down(depth - 1, guard, at);
      }
    };
    try {
      co_await Chain::down(50, Guard(alive), &thrown);
      ADD_FAILURE() << "no exception";
    } catch (const std::runtime_error& error) {
      EXPECT_EQ(&error, thrown) << "it was copied on its way";
    }
    EXPECT_EQ(alive, 0);
  });
}

// --- 30 ------------------------------------------------------------------------------------

TEST(SemanticsStart, rule_30_only_functions_whose_parameters_own_are_called_directly) {
  using detail::calls_directly;
  EXPECT_TRUE((calls_directly<Task<> (*)(std::string, int, std::unique_ptr<int>)>()));
  EXPECT_FALSE(calls_directly<Task<> (*)(std::string_view)>());
  EXPECT_FALSE(calls_directly<Task<> (*)(const std::string&)>());
  EXPECT_FALSE(calls_directly<Task<> (*)(int*)>());
  EXPECT_FALSE(calls_directly<Task<> (*)(std::span<const int>)>());
  EXPECT_FALSE((calls_directly<Task<> (*)(std::string, std::span<int, 4>)>()));
  auto plain = [](std::string) -> Task<> { co_return; };
  auto generic = [](auto) -> Task<> { co_return; };
  auto capturing = [n = 1]() -> Task<> {
    static_cast<void>(n);
    co_return;
  };
  EXPECT_TRUE(calls_directly<decltype(plain)>());
  EXPECT_FALSE(calls_directly<decltype(generic)>());
  EXPECT_FALSE(calls_directly<decltype(capturing)>());
}

TEST_P(SemanticsResults, rule_30_start_keeps_function_and_arguments_as_long_as_the_task) {
  run([]() -> Task<> {
    std::string seen;
    co_await with_scope([&](Scope& scope) -> Task<> {
      {
        std::string text = "a string that is long enough to live on the heap";
        scope.start([text, out = &seen]() -> Task<> {  // A capture read after a suspension.
          co_await sleep_for(100us);
          out->append(text).append("|");
        });
        scope.start(
            [](const std::string& kept, std::string& out) -> Task<> {
              co_await sleep_for(200us);
              out.append(kept).append("|");
            },
            text, std::ref(seen));
        scope.start(
            [](std::string_view view, std::string* out) -> Task<> {
              co_await sleep_for(300us);
              out->append(view);
            },
            std::string(text), &seen);
        text.assign(text.size(), 'X');
      }
      co_return;
    });
    const std::string once = "a string that is long enough to live on the heap";
    EXPECT_EQ(seen, once + "|" + once + "|" + once);
  });
}

TEST_P(SemanticsResults, rule_30_move_only_arguments_and_std_ref_work_as_with_std_thread) {
  run([]() -> Task<> {
    int target = 0;
    co_await with_scope([&](Scope& scope) -> Task<> {
      auto first = scope.start([](std::unique_ptr<int> p) -> Task<int> { co_return *p; },
                               std::make_unique<int>(5));
      auto second = scope.start(
          [](int& into, std::unique_ptr<int> p) -> Task<> {
            co_await checkpoint();
            into = *p;
          },
          std::ref(target), std::make_unique<int>(6));
      EXPECT_EQ(*co_await first, 5);
      EXPECT_TRUE((co_await second).has_value());
    });
    EXPECT_EQ(target, 6);
  });
}

TEST_P(SemanticsResults, rule_30_frame_and_arguments_die_at_the_tasks_end_not_with_its_handle) {
  run([]() -> Task<> {
    long alive = 0;
    co_await with_scope([&](Scope& scope) -> Task<> {
      auto kept = scope.start([g = Guard(alive)]() -> Task<int> {
        co_await checkpoint();
        co_return 1;
      });
      auto direct = scope.start(
          [](Guard) -> Task<int> {
            co_await checkpoint();
            co_return 2;
          },
          Guard(alive));
      co_await turns(4);
      EXPECT_TRUE(kept.done());
      EXPECT_TRUE(direct.done());
      EXPECT_EQ(alive, 0) << "only the result waits for the joiner";
      EXPECT_EQ(*co_await kept + *co_await direct, 3);
    });
  });
}

TEST_P(SemanticsResults, rule_30_a_child_runs_from_the_ready_queue_not_inside_of_start) {
  run([]() -> Task<> {
    int ran = 0;
    co_await with_scope([&](Scope& scope) -> Task<> {
      scope.start(
          [](int* n) -> Task<> {
            ++*n;
            co_return;
          },
          &ran);
      EXPECT_EQ(ran, 0);
      EXPECT_EQ(scope.live(), 2u);
      co_await checkpoint();
      EXPECT_EQ(ran, 1);
      EXPECT_EQ(scope.live(), 1u) << "the body itself";
    });
  });
}

TEST_P(SemanticsResults, rule_30_a_name_is_the_handles_and_the_lists) {
  run([]() -> Task<> {
    co_await with_scope([](Scope& scope) -> Task<> {
      auto named = scope.start(Named{"history"}, [](int) -> Task<> { co_await sleep_for(1h); }, 1);
      auto nameless = scope.start([]() -> Task<> { co_return; });
      EXPECT_STREQ(named.name(), "history");
      EXPECT_STREQ(nameless.name(), "");
      co_await turns(2);
      const std::string list = loop().describe_tasks();
      EXPECT_NE(list.find("history in "), std::string::npos);
      const std::string place = std::string(" by ") + std::source_location::current().file_name();
      EXPECT_NE(list.find(place), std::string::npos) << list;
      named.cancel();
    });
  });
}

// --- 31, 32, 33 ----------------------------------------------------------------------------

TEST_P(SemanticsResults, rule_31_frames_come_from_the_loops_thread_and_go_back_to_it) {
  run([]() -> Task<> {
    // After a warm-up, the same work asks the allocator for nothing.
    auto work = []() -> Task<> {
      co_await with_scope([](Scope& scope) -> Task<> {
        for (int i = 0; i < 50; ++i) scope.start(succeeds, i);
        co_return;
      });
    };
    for (int i = 0; i < 3; ++i) co_await work();
    const unsigned long refills = detail::FramePool::refills;
    const long live = detail::FramePool::live;
    for (int i = 0; i < 20; ++i) co_await work();
    EXPECT_EQ(detail::FramePool::refills, refills) << "frames did not go round";
    EXPECT_EQ(detail::FramePool::live, live);
  });
}

TEST_P(SemanticsResults, rule_32_the_loop_lists_started_tasks_with_the_place_of_their_last_await) {
  run([]() -> Task<> {
    co_await with_scope([](Scope& scope) -> Task<> {
      unsigned line = 0;
      auto waits = [](unsigned* at) -> Task<> {
        co_await checkpoint();
        *at = __LINE__ + 1;
        co_await sleep_for(1h);
      };
      auto child = scope.start(Named{"sleeper"}, waits, &line);
      co_await turns(4);
      std::string all = loop().describe_tasks();
      const std::size_t at = all.find("sleeper in ");
      EXPECT_NE(at, std::string::npos) << all;
      const std::string place = "semantics_results_test.cpp:" + std::to_string(line);
      EXPECT_NE(all.find(place, at), std::string::npos) << all;
      EXPECT_EQ(loop().statistics().live_tasks, 3u) << "main, the body, the child";
      child.cancel();
      all = loop().describe_tasks();
      EXPECT_NE(all.find(place + ", cancelled"), std::string::npos) << all;
    });
    EXPECT_EQ(loop().statistics().live_tasks, 1u);
  });
}

TEST_P(SemanticsResults, rule_33_a_full_channel_does_what_its_construction_said) {
  run([]() -> Task<> {
    auto fill = [](Channel<int>& channel) -> Task<Result<>> {
      EXPECT_TRUE((co_await channel.send(1)).has_value());
      EXPECT_TRUE((co_await channel.send(2)).has_value());
      co_return co_await channel.send(3);
    };
    Channel<int> rejects{2, OnFull::reject};
    EXPECT_EQ((co_await fill(rejects)).error().code(), Errc::would_exceed);
    EXPECT_EQ(rejects.size(), 2u);
    Channel<int> oldest{2, OnFull::drop_oldest};
    EXPECT_TRUE((co_await fill(oldest)).has_value());
    EXPECT_EQ(*oldest.try_receive() * 10 + *oldest.try_receive(), 23);
    EXPECT_EQ(oldest.statistics().dropped, 1u);
    Channel<int> newest{2, OnFull::drop_newest};
    EXPECT_TRUE((co_await fill(newest)).has_value());
    EXPECT_EQ(*newest.try_receive() * 10 + *newest.try_receive(), 12);
    Channel<int> closes{2, OnFull::close};
    EXPECT_EQ((co_await fill(closes)).error().code(), Errc::closed);
    EXPECT_TRUE(closes.closed());
    EXPECT_EQ(co_await closes.receive(), 1) << "what is in can still be received";
    Channel<int> waits{2};  // No default but waiting.
    const auto bounded = co_await with_timeout(1ms, fill(waits));
    EXPECT_EQ(bounded.error().code(), Errc::timed_out);
    EXPECT_EQ(waits.size(), 2u) << "a cancelled send was sent";
  });
}

ON_EVERY_DRIVER(SemanticsResults);

}  // namespace
}  // namespace rondo::testing
