// SPDX-License-Identifier: Apache-2.0
// What a loop records: every begin with its end, on every driver; a golden run in virtual time.
#include "rondo/inspect/trace.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "every_driver.hpp"
#include "rondo/core/offload.hpp"
#include "rondo/testing/sim_loop.hpp"

namespace rondo::testing {
namespace {

using inspect::chrome_trace;
using inspect::summarize;

using Recording = EveryDriver;

Task<> nap(Duration time) { co_await sleep_for(time); }

std::vector<TraceEvent> events_of_this_loop() { return Loop::current().recording()->snapshot(); }

TEST_P(Recording, nothing_is_recorded_unless_it_was_asked_for) {
  run([]() -> Task<> {
    EXPECT_EQ(Loop::current().recording(), nullptr);
    Loop::current().record(16);
    co_await sleep_for(1ms);
    EXPECT_GT(Loop::current().recording()->written(), 0U);
    Loop::current().stop_recording();
    EXPECT_EQ(Loop::current().recording(), nullptr);
    co_await sleep_for(1ms);
  });
}

TEST_P(Recording, tasks_operations_timers_posts_and_functions_are_in_it) {
  run([this]() -> Task<> {
    Loop::current().record();
    const Pipe pipe = make_pipe();
    co_await with_scope([&](Scope& scope) -> Task<> {
      auto reader = scope.start(read_text, pipe.in, std::size_t{16});
      scope.start(nap, 2ms);
      (void)co_await run_blocking([] { return 0; });
      int called = 0;
      auto handle = Loop::current().call_later(1ms, [&] { ++called; });
      co_await write_text(pipe.out, "x");
      EXPECT_EQ(*co_await reader, "x");
      co_await sleep_for(3ms);
      EXPECT_EQ(called, 1);
    });
    co_await close_pipe(pipe);
    const auto events = events_of_this_loop();
    std::map<TraceKind, int> seen;
    std::map<std::uint64_t, int> open;
    std::string defined;
    for (const TraceEvent& event : events) {
      ++seen[event.kind];
      if (event.kind == TraceKind::submit) EXPECT_EQ(open[event.subject]++, 0);
      if (event.kind == TraceKind::complete) {
        EXPECT_EQ(open[event.subject], 1) << "a completion of what nobody submitted";
        if (!(event.value & k_trace_more)) open[event.subject] = 0;
      }
      if (event.kind == TraceKind::resume)
        defined.append(trace_place(event.detail).function_name()).append("\n");
    }
    EXPECT_GE(seen[TraceKind::resume], 5);
    EXPECT_GE(seen[TraceKind::timer], 3);
    EXPECT_EQ(seen[TraceKind::offload], 1);
    EXPECT_EQ(seen[TraceKind::callback], 1);
    EXPECT_GE(seen[TraceKind::submit], 3);
    EXPECT_THAT(defined, ::testing::HasSubstr("nap"));
    EXPECT_THAT(defined, ::testing::HasSubstr("read_text"));
    // What ran when it began has no begin in it, and what looks now has no end.
    EXPECT_EQ(seen[TraceKind::suspend],
              seen[TraceKind::resume] + seen[TraceKind::unwind] + seen[TraceKind::callback]);
  });
}

TEST_P(Recording, a_cancelled_task_is_seen_unwinding) {
  run([]() -> Task<> {
    Loop::current().record();
    co_await with_scope([&](Scope& scope) -> Task<> {
      auto sleeper = scope.start(nap, Duration(1h));
      co_await sleep_for(1ms);
      sleeper.cancel();
    });
    int unwound = 0;
    for (const TraceEvent& event : events_of_this_loop())
      unwound += event.kind == TraceKind::unwind;
    EXPECT_EQ(unwound, 1);
    EXPECT_THAT(chrome_trace(*Loop::current().recording()),
                ::testing::HasSubstr("\"cancelled\":true"));
  });
}

/// Lines of a trace that hold `what`.
int count(const std::string& trace, std::string_view what) {
  int found = 0;
  for (std::size_t at = 0; (at = trace.find(what, at)) != trace.npos; at += what.size()) ++found;
  return found;
}

TEST_P(Recording, a_trace_is_balanced_wherever_the_ring_begins) {
  run([]() -> Task<> {
    for (const std::size_t kept : {2U, 8U, 32U, 65'536U}) {
      Loop::current().record(kept);
      co_await with_scope([&](Scope& scope) -> Task<> {
        for (int i = 0; i < 20; ++i) scope.start(nap, Duration(i * 100us));
        (void)co_await run_blocking([] { return 0; });
      });
      const std::string trace = chrome_trace(*Loop::current().recording(), "a \"loop\"\n");
      EXPECT_EQ(count(trace, R"({"ph":"b")"), count(trace, R"({"ph":"e")")) << kept;
      EXPECT_LE(count(trace, R"({"ph":"f")"), count(trace, R"({"ph":"s")")) << kept;
      EXPECT_THAT(trace, ::testing::HasSubstr(R"("name":"a \"loop\" ")"));
      EXPECT_EQ(trace.find("\"dur\":-"), trace.npos) << "something ended before it began";
      EXPECT_TRUE(trace.ends_with("}]}\n"));
    }
  });
}

TEST_P(Recording, a_summary_tells_of_iterations_resumes_and_waits) {
  run([]() -> Task<> {
    Loop::current().record();
    for (int i = 0; i < 5; ++i) co_await sleep_for(1ms);
    (void)co_await run_blocking([] { return 0; });
    const auto sum = summarize(events_of_this_loop());
    EXPECT_GE(sum.iterations.count, 5U);
    EXPECT_GE(sum.resumes.count, 5U);
    EXPECT_GE(sum.polls.count, 5U);
    EXPECT_EQ(sum.offloads.count, 1U);
    EXPECT_GE(sum.span, 4ms);
    EXPECT_GE(sum.polls.total, 3ms) << "it slept there";
    EXPECT_LE(sum.polls.max, sum.span);
  });
}

TEST(TraceSummary, of_nothing_is_nothing) {
  EXPECT_EQ(summarize({}).iterations.count, 0U);
  EXPECT_THAT(chrome_trace(std::span<const TraceEvent>()), ::testing::HasSubstr("traceEvents"));
}

ON_EVERY_DRIVER(Recording);

/// Events in words, without what differs from one run to the next.
std::string told(const std::vector<TraceEvent>& events) {
  static constexpr const char* k_words[] = {"phase",  "resume",   "suspend", "unwind", "callback",
                                            "submit", "complete", "timer",   "posts",  "offload"};
  std::string text;
  for (const TraceEvent& event : events) {
    text.append(std::to_string(event.ns / 1'000'000)).append(" ms ");
    text.append(k_words[static_cast<int>(event.kind)]);
    if (event.kind == TraceKind::phase && event.value > 0)
      text.append(" ").append(inspect::phase_name(event.value));
    text.append("\n");
  }
  return text;
}

TEST(RecordingOfASimulation, is_the_same_every_time) {
  std::string runs[2];
  for (std::string& words : runs) {
    SimLoop loop({.seed = 3});
    loop.run([&]() -> Task<> {
      Loop::current().record();
      co_await sleep_for(10ms);
      words = told(events_of_this_loop());
    });
  }
  EXPECT_EQ(runs[0], runs[1]);
  EXPECT_EQ(runs[0],
            "0 ms suspend\n"
            "0 ms phase prepare\n"
            "0 ms phase poll\n"
            "10 ms phase check\n"
            "10 ms phase close\n"
            "10 ms phase\n"
            "10 ms phase timers\n"
            "10 ms timer\n"
            "10 ms phase pending\n"
            "10 ms phase ready\n"
            "10 ms resume\n");
}

}  // namespace
}  // namespace rondo::testing
