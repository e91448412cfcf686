// SPDX-License-Identifier: Apache-2.0
// Rules 21 to 26 and 30 of the semantics: brackets, who gets the value, exceptions, children.
#include <stdexcept>
#include <string>
#include <vector>

#include "every_driver.hpp"
#include "rondo/base/log.hpp"
#include "rondo/core/channel.hpp"
#include "rondo/core/event.hpp"
#include "rondo/core/when.hpp"

namespace rondo::testing {
namespace {

using SemanticsScope = EveryDriver;

Task<int> late_value(Duration after, int value) {
  co_await sleep_for(after);
  co_return value;
}
Task<> throw_after_turns(int n, const char* text) {
  co_await turns(n);
  throw std::runtime_error(text);
}
/// Throws when it is cancelled while it waits, as a clean-up may.
Task<> throw_when_struck(const char* text) {
  co_await finally(sleep_for(1h), [text]() -> Task<> {
    co_await checkpoint();
    throw std::runtime_error(text);
  });
}

// --- 21 ------------------------------------------------------------------------------------

TEST_P(SemanticsScope, rule_21_a_time_out_is_a_value_in_its_own_bracket) {
  run([]() -> Task<> {
    const Result<int> late = co_await with_timeout(1ms, late_value(1h, 1));
    EXPECT_EQ(late.error().code(), Errc::timed_out);
    EXPECT_STREQ(late.error().operation(), "with_timeout");
    EXPECT_EQ(*co_await with_timeout(1h, late_value(1us, 2)), 2);
    EXPECT_EQ((co_await with_deadline(now() - 1s, late_value(1h, 3))).error().code(),
              Errc::timed_out);
    EXPECT_TRUE((co_await with_timeout(1h, sleep_for(1us))).has_value());
  });
}

TEST_P(SemanticsScope, rule_21_an_outer_deadline_never_shows_as_timed_out_of_an_inner_bracket) {
  run([]() -> Task<> {
    bool inner_returned = false;
    const auto outer = co_await with_timeout(1ms, [](bool* returned) -> Task<> {
      static_cast<void>(co_await with_timeout(1h, sleep_for(2h)));
      *returned = true;
    }(&inner_returned));
    EXPECT_EQ(outer.error().code(), Errc::timed_out);
    EXPECT_FALSE(inner_returned);
  });
}

TEST_P(SemanticsScope, rule_21_both_deadlines_at_once_belong_to_the_outer_bracket) {
  run([]() -> Task<> {
    bool inner_returned = false;
    const TimePoint when = now() + 1ms;
    const auto outer = co_await with_deadline(when, [](TimePoint same, bool* back) -> Task<> {
      static_cast<void>(co_await with_deadline(same, sleep_for(2h)));
      *back = true;
      co_await checkpoint();
    }(when, &inner_returned));
    EXPECT_EQ(outer.error().code(), Errc::timed_out);
    EXPECT_FALSE(inner_returned) << "the outer request was there before the inner one had ended";
  });
}

TEST_P(SemanticsScope, rule_21_a_scope_says_that_it_was_cancelled_and_why) {
  run([]() -> Task<> {
    const ScopeEnd quiet = co_await with_scope([](Scope&) -> Task<> { co_return; });
    EXPECT_FALSE(quiet.cancelled);
    const ScopeEnd own = co_await with_scope([](Scope& scope) -> Task<> {
      scope.cancel({"enough"});
      scope.cancel({"later reasons do not count"});
      co_await sleep_for(1h);
    });
    EXPECT_TRUE(own.cancelled);
    EXPECT_STREQ(own.reason.text, "enough");
    const ScopeEnd late =
        co_await move_on_after(1ms, [](Scope&) -> Task<> { co_await sleep_for(1h); });
    EXPECT_TRUE(late.cancelled);
    EXPECT_STREQ(late.reason.text, "deadline");
    const ScopeEnd soon = co_await move_on_after(1h, [](Scope&) -> Task<> { co_return; });
    EXPECT_FALSE(soon.cancelled);
  });
}

TEST_P(SemanticsScope, rule_21_a_scope_with_a_value_is_empty_only_when_it_was_cancelled) {
  run([]() -> Task<> {
    const std::optional<int> none =
        co_await move_on_after(1ms, [](Scope&) { return late_value(1h, 1); });
    EXPECT_FALSE(none.has_value());
    const std::optional<int> some = co_await with_scope([](Scope& scope) -> Task<int> {
      scope.cancel();
      co_return 5;  // No checkpoint on the way: the value is there and wins.
    });
    EXPECT_EQ(some, 5);
  });
}

TEST_P(SemanticsScope, rule_21_a_request_from_outside_is_no_value_of_the_inner_scope) {
  run([]() -> Task<> {
    bool inner_returned = false;
    const ScopeEnd outer = co_await with_scope([&](Scope& scope) -> Task<> {
      scope.start(
          [](Scope* from) -> Task<> {
            co_await turns(3);
            from->cancel({"outer"});
          },
          &scope);
      co_await with_scope([](Scope&) -> Task<> { co_await sleep_for(1h); });
      inner_returned = true;
    });
    EXPECT_TRUE(outer.cancelled);
    EXPECT_STREQ(outer.reason.text, "outer");
    EXPECT_FALSE(inner_returned);
  });
}

TEST_P(SemanticsScope, rule_21_a_body_that_ends_all_the_same_does_not_own_the_outer_request) {
  run([]() -> Task<> {
    std::optional<ScopeEnd> inner;
    co_await move_on_after(100us, [&](Scope&) -> Task<> {
      inner = co_await with_scope([](Scope&) -> Task<> { co_await shield(sleep_for(2ms)); });
    });
    EXPECT_TRUE(inner.has_value()) << "the body had ended by itself";
    EXPECT_FALSE(inner && inner->cancelled) << "cancelled by somebody else, not by this scope";
  });
}

TEST_P(SemanticsScope, rule_21_cancelled_is_a_value_at_a_handle_when_only_the_child_was) {
  run([]() -> Task<> {
    co_await with_scope([](Scope& scope) -> Task<> {
      auto child = scope.start(late_value, 1h, 1);
      co_await turns(3);
      child.cancel();
      const Result<int> joined = co_await child;
      EXPECT_EQ(joined.error().code(), Errc::cancelled);
      EXPECT_STREQ(joined.error().operation(), "join");
      EXPECT_FALSE(scope.cancelled()) << "a cancelled child cancels nobody else";
    });
  });
}

TEST_P(SemanticsScope, rule_21_a_cancelled_joiner_leaves_the_child_alone) {
  run([]() -> Task<> {
    co_await with_scope([](Scope& scope) -> Task<> {
      auto child = scope.start(late_value, 2ms, 9);
      const auto bounded = co_await with_timeout(
          100us, [](JoinHandle<int>& h) -> Task<Result<int>> { co_return co_await h; }(child));
      EXPECT_EQ(bounded.error().code(), Errc::timed_out);
      EXPECT_EQ(*co_await child, 9);
    });
  });
}

TEST_P(SemanticsScope, rule_21_a_deadline_reaches_the_childrens_children) {
  run([]() -> Task<> {
    long alive = 0;
    const ScopeEnd end = co_await move_on_after(1ms, [&](Scope& outer) -> Task<> {
      outer.start(
          [](long& n) -> Task<> {
            co_await with_scope([&](Scope& inner) -> Task<> {
              inner.start([](Guard) -> Task<> { co_await sleep_for(1h); }, Guard(n));
              co_await sleep_for(1h);
            });
          },
          std::ref(alive));
      co_await sleep_for(1h);
    });
    EXPECT_TRUE(end.cancelled);
    EXPECT_EQ(alive, 0) << "the bracket was left before its grandchildren had ended";
  });
}

// --- 22, 23 --------------------------------------------------------------------------------

TEST_P(SemanticsScope, rule_22_a_value_that_arrives_after_the_time_out_struck_wins) {
  run([]() -> Task<> {
    const Result<int> got = co_await with_timeout(1ms, []() -> Task<int> {
      co_return co_await shield(late_value(3ms, 8));  // Cannot be stopped at the deadline.
    }());
    EXPECT_EQ(got.value_or(-1), 8);
  });
}

TEST_P(SemanticsScope, rule_22_it_returns_when_the_operation_has_ended_not_at_the_deadline) {
  run([]() -> Task<> {
    bool ended = false;
    const Result<> got = co_await with_timeout(100us, [](bool* flag) -> Task<> {
      co_await finally(sleep_for(1h), [flag]() -> Task<> {
        co_await sleep_for(2ms);
        *flag = true;
      });
    }(&ended));
    EXPECT_EQ(got.error().code(), Errc::timed_out);
    EXPECT_TRUE(ended);
  });
}

TEST_P(SemanticsScope, rule_23_when_any_yields_the_first_and_every_value_that_arrived) {
  run([]() -> Task<> {
    Channel<int> a{1};
    Channel<int> b{1};
    auto wait_both = [&](Scope& scope) -> Task<> {
      scope.start(
          [](Channel<int>* one, Channel<int>* two) -> Task<> {
            co_await turns(5);
            EXPECT_TRUE(one->try_send(1));
            EXPECT_TRUE(two->try_send(2));  // Handed over before the first branch has run.
          },
          &a, &b);
      auto any = co_await when_any(a.receive(), b.receive(), sleep_for(1h));
      EXPECT_EQ(any.index, 0u);
      EXPECT_EQ(std::get<0>(any.values).value(), 1);
      EXPECT_TRUE(std::get<1>(any.values).has_value()) << "the loser's item was lost";
      EXPECT_EQ(std::get<1>(any.values).value_or(std::nullopt), 2);
      EXPECT_FALSE(std::get<2>(any.values).has_value());
    };
    co_await with_scope(wait_both);
  });
}

TEST_P(SemanticsScope, rule_23_losers_have_ended_before_when_any_returns) {
  run([]() -> Task<> {
    long alive = 0;
    auto slow_to_die = [](Guard) -> Task<> {
      co_await finally(sleep_for(1h), []() -> Task<> { co_await sleep_for(1ms); });
    };
    const auto any = co_await when_any(slow_to_die(Guard(alive)), late_value(10us, 4),
                                       slow_to_die(Guard(alive)));
    EXPECT_EQ(any.index, 1u);
    EXPECT_EQ(std::get<1>(any.values), 4);
    EXPECT_EQ(alive, 0);
  });
}

TEST_P(SemanticsScope, rule_23_when_any_that_is_cancelled_without_a_winner_ends_its_awaiter) {
  run([]() -> Task<> {
    bool returned = false;
    co_await move_on_after(1ms, [&](Scope&) -> Task<> {
      co_await when_any(sleep_for(1h), sleep_for(2h));
      returned = true;
    });
    EXPECT_FALSE(returned);
  });
}

// --- 24 ------------------------------------------------------------------------------------

TEST_P(SemanticsScope, rule_24_shield_masks_and_the_request_strikes_at_the_next_checkpoint) {
  run([]() -> Task<> {
    std::string seen;
    co_await move_on_after(100us, [&](Scope&) -> Task<> {
      co_await shield([](std::string* out) -> Task<> {
        co_await sleep_for(2ms);
        out->append("shielded ");
        co_await checkpoint();
        out->append("to the end ");
      }(&seen));
      seen.append("after ");
      co_await checkpoint();
      seen.append("too far");
    });
    EXPECT_EQ(seen, "shielded to the end after ");
  });
}

TEST_P(SemanticsScope, rule_24_a_shield_holds_for_its_limit_only) {
  run([]() -> Task<> {
    bool after = false;
    const ScopeEnd end = co_await move_on_after(100us, [&](Scope&) -> Task<> {
      co_await shield(sleep_for(1h), 1ms);
      after = true;
    });
    EXPECT_TRUE(end.cancelled);
    EXPECT_FALSE(after);
  });
}

TEST_P(SemanticsScope, rule_24_a_shield_without_a_request_has_no_limit) {
  run([]() -> Task<> { EXPECT_EQ(co_await shield(late_value(3ms, 1), 100us), 1); });
}

TEST_P(SemanticsScope, rule_24_finally_is_not_struck_at_its_entry_and_always_cleans_up) {
  run([]() -> Task<> {
    bool body_ran = false;
    bool cleaned = false;
    bool after = false;
    co_await with_scope([&](Scope& scope) -> Task<> {
      scope.cancel();
      auto body = [&]() -> Task<> {
        body_ran = true;
        co_return;
      };
      co_await finally(body(), [&]() -> Task<> {
        co_await sleep_for(100us);  // Shielded although cancelled.
        cleaned = true;
      });
      after = true;
    });
    EXPECT_FALSE(body_ran);
    EXPECT_TRUE(cleaned);
    EXPECT_FALSE(after);
  });
}

TEST_P(SemanticsScope, rule_24_finally_cleans_up_after_value_exception_and_cancellation) {
  run([]() -> Task<> {
    int cleaned = 0;
    auto clean = [&]() -> Task<> {
      co_await checkpoint();
      ++cleaned;
    };
    EXPECT_EQ(co_await finally(late_value(1us, 3), clean), 3);
    EXPECT_EQ(cleaned, 1);
    std::string caught;
    try {
      co_await finally(throw_after_turns(1, "body"), clean);
    } catch (const std::runtime_error& error) {
      caught = error.what();
    }
    EXPECT_EQ(caught, "body");
    EXPECT_EQ(cleaned, 2);
    co_await move_on_after(100us,
                           [&](Scope&) -> Task<> { co_await finally(sleep_for(1h), clean); });
    EXPECT_EQ(cleaned, 3);
  });
}

TEST_P(SemanticsScope, rule_24_a_clean_up_that_was_asked_to_stop_is_cancelled_at_its_limit) {
  run([]() -> Task<> {
    bool too_far = false;
    co_await move_on_after(100us, [&](Scope&) -> Task<> {
      (void)co_await finally(
          late_value(1us, 7),
          [&]() -> Task<> {
            co_await sleep_for(1h);
            too_far = true;
          },
          1ms);
    });
    EXPECT_FALSE(too_far);
  });
}

TEST_P(SemanticsScope, rule_24_of_two_exceptions_the_bodys_goes_on) {
  run([]() -> Task<> {
    auto broken_cleanup = []() -> Task<> {
      co_await checkpoint();
      throw std::runtime_error("clean-up");
    };
    std::string caught;
    try {
      co_await finally(throw_after_turns(1, "body"), broken_cleanup);
    } catch (const std::runtime_error& error) {
      caught = error.what();
    }
    EXPECT_EQ(caught, "body");
    try {
      static_cast<void>(co_await finally(late_value(1us, 1), broken_cleanup));
    } catch (const std::runtime_error& error) {
      caught = error.what();
    }
    EXPECT_EQ(caught, "clean-up");
  });
}

// --- 25 ------------------------------------------------------------------------------------

TEST_P(SemanticsScope, rule_25_the_first_exception_goes_on_and_the_others_are_counted) {
  run([]() -> Task<> {
    std::string caught;
    std::size_t others = 99;
    bool body_went_on = false;
    try {
      co_await with_scope([&](Scope& scope) -> Task<> {
        AtExit count([&] { others = scope.other_exceptions(); });
        scope.start(throw_after_turns, 2, "first");
        scope.start(throw_after_turns, 2, "second");
        scope.start(throw_after_turns, 2, "third");
        co_await finally(sleep_for(1h), []() -> Task<> { co_await turns(5); });
        body_went_on = true;
      });
    } catch (const std::runtime_error& error) {
      caught = error.what();
    }
    EXPECT_EQ(caught, "first");
    EXPECT_EQ(others, 2u);
    EXPECT_FALSE(body_went_on);
  });
}

TEST_P(SemanticsScope, rule_25_a_childs_exception_cancels_its_joiner_in_the_same_scope) {
  run([]() -> Task<> {
    bool joined = false;
    try {
      co_await with_scope([&](Scope& scope) -> Task<> {
        auto child = scope.start(throw_after_turns, 2, "child");
        static_cast<void>(co_await child);
        joined = true;
      });
      ADD_FAILURE() << "the exception was lost";
    } catch (const std::runtime_error&) {
    }
    EXPECT_FALSE(joined);
  });
}

TEST_P(SemanticsScope, rule_25_a_joiner_outside_of_the_scope_is_told_failed) {
  run([]() -> Task<> {
    std::optional<JoinHandle<void>> handle;
    Event there;
    Errc seen = {};
    co_await with_scope([&](Scope& outer) -> Task<> {
      outer.start(
          [](std::optional<JoinHandle<void>>* h, Event* e, Errc* code) -> Task<> {
            co_await e->wait();
            *code = (co_await **h).error().code();
          },
          &handle, &there, &seen);
      try {
        co_await with_scope([&](Scope& inner) -> Task<> {
          handle.emplace(inner.start(throw_after_turns, 5, "inner"));
          there.set();
          co_return;
        });
      } catch (const std::runtime_error&) {
      }
    });
    EXPECT_EQ(seen, Errc::failed);
  });
}

TEST_P(SemanticsScope, rule_25_an_exception_thrown_while_being_cancelled_wins) {
  run([]() -> Task<> {
    std::string caught;
    try {
      co_await move_on_after(100us, [](Scope&) { return throw_when_struck("roll back failed"); });
    } catch (const std::runtime_error& error) {
      caught = error.what();
    }
    EXPECT_EQ(caught, "roll back failed");
    try {
      static_cast<void>(co_await with_timeout(100us, throw_when_struck("in a time-out")));
    } catch (const std::runtime_error& error) {
      caught = error.what();
    }
    EXPECT_EQ(caught, "in a time-out");
    try {
      static_cast<void>(co_await when_any(throw_when_struck("in a loser"), late_value(1us, 1)));
    } catch (const std::runtime_error& error) {
      caught = error.what();
    }
    EXPECT_EQ(caught, "in a loser");
  });
}

TEST_P(SemanticsScope, rule_25_when_all_waits_for_every_branch_and_passes_the_first_exception) {
  run([]() -> Task<> {
    long alive = 0;
    std::string caught;
    try {
      co_await when_all(throw_after_turns(2, "one"), [](Guard) -> Task<> {
        co_await finally(sleep_for(1h), []() -> Task<> { co_await sleep_for(1ms); });
      }(Guard(alive)));
    } catch (const std::runtime_error& error) {
      caught = error.what();
      EXPECT_EQ(alive, 0);
    }
    EXPECT_EQ(caught, "one");
  });
}

// --- 26 ------------------------------------------------------------------------------------

std::vector<std::string>* g_lines = nullptr;
void keep_line(LogLevel, std::string_view line) {
  if (g_lines) g_lines->emplace_back(line);
}

TEST_P(SemanticsScope, rule_26_is_unwinding_is_true_in_destructors_of_cancelled_frames_only) {
  run([]() -> Task<> {
    std::vector<bool> seen;
    std::vector<int> exceptions;
    bool caught = false;
    auto waits = [&](Duration how_long) -> Task<> {
      AtExit note([&] {
        seen.push_back(is_unwinding());
        exceptions.push_back(std::uncaught_exceptions());
      });
      try {
        co_await sleep_for(how_long);
      } catch (...) {
        caught = true;
        throw;
      }
    };
    co_await waits(1us);
    co_await move_on_after(100us, [&](Scope&) { return waits(1h); });
    EXPECT_EQ(seen, (std::vector<bool>{false, true}));
    EXPECT_EQ(exceptions, (std::vector<int>{0, 0})) << "cancellation is no exception";
    EXPECT_FALSE(caught) << "catch (...) does not see a cancellation";
    EXPECT_FALSE(is_unwinding());
  });
}

TEST_P(SemanticsScope, rule_26_the_kept_arguments_of_a_cancelled_child_die_unwinding_too) {
  run([]() -> Task<> {
    bool unwinding = false;
    co_await with_scope([&](Scope& scope) -> Task<> {
      auto child = scope.start([note = AtExit([&] { unwinding = is_unwinding(); })]() -> Task<> {
        co_await sleep_for(1h);
      });
      co_await turns(3);
      child.cancel();
    });
    EXPECT_TRUE(unwinding);
  });
}

TEST_P(SemanticsScope, rule_26_a_task_never_awaited_is_reported_but_not_while_unwinding) {
  std::vector<std::string> lines;
  g_lines = &lines;
  LogSink before = set_log_sink(&keep_line);
  run([]() -> Task<> {
    auto forgotten = []() -> Task<> { co_return; };
    {
      Task<> dropped = forgotten();
    }
    EXPECT_EQ(g_lines->size(), 1u);
    g_lines->clear();
    try {
      Task<> dropped = forgotten();
      throw 1;
    } catch (int) {
    }
    co_await move_on_after(100us, [&](Scope&) -> Task<> {
      Task<> dropped = forgotten();
      co_await sleep_for(1h);
    });
    Task<> awaited = forgotten();
    co_await std::move(awaited);
    co_await with_scope([&](Scope& scope) -> Task<> {
      scope.start(forgotten);
      scope.cancel();  // Started, cancelled, never run: no mistake either.
      co_return;
    });
  });
  set_log_sink(before);
  g_lines = nullptr;
  EXPECT_TRUE(lines.empty()) << lines.front();
}

TEST_P(SemanticsScope, rule_26_the_report_names_function_and_place) {
  std::vector<std::string> lines;
  g_lines = &lines;
  LogSink before = set_log_sink(&keep_line);
  run([]() -> Task<> {
    {
      Task<> dropped = throw_after_turns(1, "never");
    }
    co_return;
  });
  set_log_sink(before);
  g_lines = nullptr;
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_NE(lines[0].find("throw_after_turns"), std::string::npos) << lines[0];
  EXPECT_NE(lines[0].find("semantics_scope_test.cpp:"), std::string::npos) << lines[0];
}

ON_EVERY_DRIVER(SemanticsScope);

}  // namespace
}  // namespace rondo::testing
