// SPDX-License-Identifier: Apache-2.0
// What a loop did: recorded while it ran, told in words, and written for Perfetto.
#include <cstdio>
#include <rondo/rondo.hpp>
#include <set>
#include <thread>

using namespace rondo;
using namespace rondo::literals;

namespace {

Task<> cook(Duration time) { co_await sleep_for(time); }

Task<> lay_the_table() {
  co_await run_blocking([] { std::this_thread::sleep_for(2ms); }).or_throw();
}

Task<> dinner() {
  Loop::current().record();
  co_await with_scope([](Scope& kitchen) -> Task<> {
    kitchen.start(cook, 5ms);
    kitchen.start(cook, 10ms);
    kitchen.start(lay_the_table);
    co_return;
  });
  const auto events = Loop::current().recording()->snapshot();

  std::set<std::string> ran;
  for (const TraceEvent& event : events) {
    if (event.kind != TraceKind::resume) continue;
    const auto place = trace_place(event.detail);
    const std::string_view name = place.function_name();
    for (const std::string_view task : {"cook", "lay_the_table"}) {
      if (name.find(task) != name.npos) ran.emplace(task);
    }
  }
  for (const std::string& task : ran) std::printf("ran: %s\n", task.c_str());

  const auto sum = inspect::summarize(events);
  std::printf("functions on the pool: %d\n", static_cast<int>(sum.offloads.count));
  std::printf("it slept in the poll phase: %s\n", sum.polls.total > 5ms ? "yes" : "no");

  co_await fs::with_temporary_directory([&](std::string folder) -> Task<> {
    co_await fs::write_file(folder + "/dinner.json", inspect::chrome_trace(events, "dinner"))
        .or_throw();
    std::printf("written for ui.perfetto.dev\n");
  });
}

}  // namespace

int main() { return run(dinner()); }
