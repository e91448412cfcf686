// SPDX-License-Identifier: Apache-2.0
#include "rondo/base/trace.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

namespace rondo {
namespace {

std::int64_t next_ns(void* context) noexcept { return ++*static_cast<std::int64_t*>(context); }

TEST(TraceRing, keeps_the_last_events_in_their_order) {
  std::int64_t now = 0;
  TraceRing ring(4, &next_ns, &now);
  EXPECT_TRUE(ring.snapshot().empty());
  for (std::uint64_t i = 0; i < 3; ++i) ring.put(TraceKind::resume, i, 10 + i, 7);
  std::vector<TraceEvent> events = ring.snapshot();
  ASSERT_EQ(events.size(), 3U);
  for (std::uint64_t i = 0; i < 3; ++i) {
    EXPECT_EQ(events[i].subject, i);
    EXPECT_EQ(events[i].detail, 10 + i);
    EXPECT_EQ(events[i].value, 7U);
    EXPECT_EQ(events[i].kind, TraceKind::resume);
  }
  for (std::uint64_t i = 3; i < 100; ++i) ring.put(TraceKind::timer, i);
  events = ring.snapshot();
  // One fewer than there is room for: the next one may be being written.
  ASSERT_EQ(events.size(), 3U);
  for (std::uint64_t i = 0; i < 3; ++i) EXPECT_EQ(events[i].subject, 97 + i);
  EXPECT_EQ(ring.written(), 100U);
  EXPECT_EQ(ring.capacity(), 4U);
}

TEST(TraceRing, times_are_read_at_a_tick_and_hold_until_the_next) {
  std::int64_t now = 1'000;
  TraceRing ring(8, &next_ns, &now);
  ring.tick();
  ring.put(TraceKind::timer, 0);
  ring.put(TraceKind::timer, 1);
  ring.tick();
  ring.put(TraceKind::timer, 2);
  const auto events = ring.snapshot();
  EXPECT_EQ(events[0].ns, events[1].ns);
  EXPECT_EQ(events[2].ns, events[0].ns + 1);
}

TEST(TraceRing, the_processors_counter_is_told_in_nanoseconds_of_the_clock) {
  TraceRing ring(4, nullptr, nullptr);
  const std::int64_t before = std::chrono::steady_clock::now().time_since_epoch().count();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  ring.tick();
  ring.put(TraceKind::timer, 0);
  const std::int64_t after = std::chrono::steady_clock::now().time_since_epoch().count();
  const auto events = ring.snapshot();
  // Within what the rate between two readings of the counter may be off.
  constexpr std::int64_t k_slack = 5'000'000;
  EXPECT_GE(events[0].ns, before + 20'000'000 - k_slack);
  EXPECT_LE(events[0].ns, after + k_slack);
}

TEST(TraceRing, a_place_is_itself_again) {
  const std::source_location here = std::source_location::current();
  const std::source_location back = trace_place(trace_place(here));
  EXPECT_EQ(back.line(), here.line());
  EXPECT_STREQ(back.file_name(), here.file_name());
}

TEST(TraceRing, a_snapshot_of_another_thread_has_whole_events_only) {
  TraceRing ring(64, nullptr, nullptr);
  std::atomic<bool> done = false;
  std::thread reader([&] {
    do {
      std::uint64_t last = 0;
      for (const TraceEvent& event : ring.snapshot()) {
        EXPECT_EQ(event.detail, ~event.subject) << "torn";
        EXPECT_EQ(event.value, static_cast<std::uint32_t>(event.subject));
        EXPECT_GT(event.subject, last) << "out of order";
        last = event.subject;
      }
    } while (!done);
  });
  for (std::uint64_t i = 1; i <= 300'000; ++i) {
    ring.put(TraceKind::submit, i, ~i, static_cast<std::uint32_t>(i));
  }
  done = true;
  reader.join();
}

}  // namespace
}  // namespace rondo
