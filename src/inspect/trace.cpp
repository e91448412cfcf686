// SPDX-License-Identifier: Apache-2.0
#include "rondo/inspect/trace.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <unordered_map>
#include <vector>

#include "rondo/io/operation.hpp"

namespace rondo::inspect {
namespace {

constexpr std::array<std::string_view, 8> k_phases = {"",        "timers", "pending", "ready",
                                                      "prepare", "poll",   "check",   "close"};
constexpr std::uint32_t k_poll = 5;

enum Track : int { k_phase_track = 1, k_running_track, k_pool_track };

const char* operation_name(const TraceEvent& event) noexcept {
  return io::op_name(static_cast<io::OpKind>(event.value & ~k_trace_more));
}
bool goes_on(const TraceEvent& event) noexcept { return (event.value & k_trace_more) != 0; }
std::int64_t waited_ns(const TraceEvent& offload) noexcept {
  return static_cast<std::int64_t>(offload.detail & UINT32_MAX);
}
std::int64_t ran_ns(const TraceEvent& offload) noexcept {
  return static_cast<std::int64_t>(offload.detail >> 32);
}

/// "rondo::Task<> chat::run(int)" -> "chat::run"; what stands between < and > is not looked into.
std::string_view short_name(std::string_view function) noexcept {
  int depth = 0;
  std::size_t begin = 0;
  for (std::size_t at = 0; at < function.size(); ++at) {
    const char c = function[at];
    if (c == '<') ++depth;
    if (c == '>') --depth;
    if (depth > 0) continue;
    if (c == ' ') begin = at + 1;
    if (c == '(' && at > begin) return function.substr(begin, at - begin);
  }
  return function.substr(begin);
}

/// Something that has begun: a phase, or what runs on the loop's thread.
struct Begun {
  std::uint64_t subject = 0;
  std::int64_t ns = 0;
  TraceKind kind = TraceKind::phase;
  std::uint64_t place = 0;
};

/// Walks over events and tells of what begins and ends, each end with its begin.
template <class Reader>
void walk(std::span<const TraceEvent> events, Reader& reader) {
  std::uint32_t phase = 0;
  std::int64_t phase_begin = 0;
  std::int64_t iteration_begin = -1;
  std::vector<Begun> running;
  std::unordered_map<std::uint64_t, TraceEvent> operations;
  for (const TraceEvent& event : events) {
    switch (event.kind) {
      case TraceKind::phase:
        if (phase != 0) reader.phase(phase, phase_begin, event.ns);
        if (event.value == 0 && iteration_begin >= 0) {
          reader.iteration(iteration_begin, event.ns);
          iteration_begin = -1;
        }
        if (event.value == 1) iteration_begin = event.ns;
        phase = event.value < k_phases.size() ? event.value : 0;
        phase_begin = event.ns;
        break;
      case TraceKind::resume:
      case TraceKind::unwind:
      case TraceKind::callback:
        running.push_back({event.subject, event.ns, event.kind, event.detail});
        break;
      case TraceKind::suspend:
        if (running.empty() || running.back().subject != event.subject) break;
        reader.ran(running.back(), event.ns);
        running.pop_back();
        break;
      case TraceKind::submit:
        reader.submitted(event);
        operations[event.subject] = event;
        break;
      case TraceKind::complete:
        if (const auto found = operations.find(event.subject); found != operations.end()) {
          reader.completed(found->second, event);
          if (!goes_on(event)) operations.erase(found);
        }
        break;
      case TraceKind::timer:
        reader.instant("timer", event);
        break;
      case TraceKind::posts:
        reader.instant("posts", event);
        break;
      case TraceKind::offload:
        reader.offloaded(event);
        break;
    }
  }
  if (events.empty()) return;
  reader.still_there(phase, phase_begin, running, operations, events.back().ns);
}

class Writer {
 public:
  explicit Writer(std::string_view loop_name) {
    name(0, "process_name", loop_name);
    name(k_phase_track, "thread_name", "phases");
    name(k_running_track, "thread_name", "running");
    name(k_pool_track, "thread_name", "pools");
  }
  std::string text() && {
    return R"({"displayTimeUnit":"ns","traceEvents":[)" + std::move(text_) + "}]}\n";
  }

  void phase(std::uint32_t number, std::int64_t begin, std::int64_t end) {
    bar(k_phase_track, k_phases[number], begin, end);
  }
  void iteration(std::int64_t, std::int64_t) {}
  void ran(const Begun& what, std::int64_t end) {
    if (what.kind == TraceKind::callback) return bar(k_running_track, "callback", what.ns, end);
    const std::source_location place = trace_place(what.place);
    bar(k_running_track, short_name(place.function_name()), what.ns, end);
    text_.append(R"(,"args":{"task":)");
    quote(hex(what.subject));
    text_.append(R"(,"defined":)");
    quote(std::string(place.file_name()) + ":" + std::to_string(place.line()));
    if (what.kind == TraceKind::unwind) text_.append(R"(,"cancelled":true)");
    text_.append("}");
  }
  void submitted(const TraceEvent& event) {
    of_operation("b", k_running_track, "operation", operation_name(event), event);
    of_operation("s", k_running_track, "flow", "operation", event);
  }
  void completed(const TraceEvent& submitted, const TraceEvent& event) {
    if (goes_on(event))
      return of_operation("n", k_running_track, "operation", operation_name(event), event);
    TraceEvent end = event;
    end.ns = std::max(event.ns, submitted.ns);
    of_operation("e", k_running_track, "operation", operation_name(event), end);
    text_.append(R"(,"args":{"result":)");
    text_.append(std::to_string(static_cast<std::int32_t>(event.detail))).append("}");
    of_operation("f", k_phase_track, "flow", "operation", end);
    text_.append(R"(,"bp":"e")");
  }
  void instant(std::string_view what, const TraceEvent& event) {
    open("i", k_running_track, what, event.ns);
    text_.append(R"(,"s":"t")");
  }
  void offloaded(const TraceEvent& event) {
    for (const bool waiting : {true, false}) {
      const std::int64_t begun = event.ns - ran_ns(event);
      const std::string_view what = waiting ? "waits" : "runs";
      TraceEvent at = event;
      at.ns = waiting ? begun - waited_ns(event) : begun;
      of_operation("b", k_pool_track, "pool", what, at);
      at.ns = waiting ? begun : event.ns;
      of_operation("e", k_pool_track, "pool", what, at);
    }
  }
  void still_there(std::uint32_t number, std::int64_t begin, const std::vector<Begun>& running,
                   const std::unordered_map<std::uint64_t, TraceEvent>& operations,
                   std::int64_t end) {
    for (auto what = running.rbegin(); what != running.rend(); ++what) ran(*what, end);
    if (number != 0) phase(number, begin, end);
    std::vector<TraceEvent> open;
    for (const auto& [subject, event] : operations) open.push_back(event);
    std::ranges::sort(open, {},
                      [](const TraceEvent& event) { return std::pair(event.ns, event.subject); });
    for (TraceEvent& event : open) {
      event.ns = end;
      of_operation("e", k_running_track, "operation", operation_name(event), event);
    }
  }

 private:
  void open(std::string_view kind, int track, std::string_view what, std::int64_t ns) {
    text_.append(text_.empty() ? "\n" : "},\n");
    text_.append(R"({"ph":")").append(kind).append(R"(","pid":1,"tid":)");
    text_.append(std::to_string(track)).append(R"(,"name":)");
    quote(what);
    text_.append(R"(,"ts":)");
    time(ns);
  }
  void name(int track, std::string_view what, std::string_view value) {
    open("M", track, what, 0);
    text_.append(R"(,"args":{"name":)");
    quote(value);
    text_.append("}");
  }
  void bar(int track, std::string_view what, std::int64_t begin, std::int64_t end) {
    open("X", track, what, begin);
    text_.append(R"(,"dur":)");
    time(end - begin);
  }
  void of_operation(std::string_view kind, int track, std::string_view category,
                    std::string_view what, const TraceEvent& event) {
    open(kind, track, what, event.ns);
    text_.append(R"(,"cat":")").append(category).append(R"(","id":)");
    quote(hex(event.subject));
  }
  /// Microseconds with three decimals.
  void time(std::int64_t ns) {
    char digits[32];
    const std::int64_t size = std::abs(ns);
    std::snprintf(digits, sizeof digits, "%s%lld.%03lld", ns < 0 ? "-" : "",
                  static_cast<long long>(size / 1'000), static_cast<long long>(size % 1'000));
    text_.append(digits);
  }
  static std::string hex(std::uint64_t number) {
    char digits[24];
    std::snprintf(digits, sizeof digits, "0x%llx", static_cast<unsigned long long>(number));
    return digits;
  }
  void quote(std::string_view what) {
    text_.push_back('"');
    for (const char c : what) {
      if (c == '"' || c == '\\') text_.push_back('\\');
      text_.push_back(static_cast<unsigned char>(c) < 0x20 ? ' ' : c);
    }
    text_.push_back('"');
  }

  std::string text_;
};

struct Summarizer {
  TraceSummary sum = {};
  void phase(std::uint32_t number, std::int64_t begin, std::int64_t end) {
    if (number == k_poll) sum.polls.add(Duration(end - begin));
  }
  void iteration(std::int64_t begin, std::int64_t end) {
    sum.iterations.add(Duration(end - begin));
  }
  void ran(const Begun& what, std::int64_t end) { sum.resumes.add(Duration(end - what.ns)); }
  void submitted(const TraceEvent&) {}
  void completed(const TraceEvent& begin, const TraceEvent& end) {
    if (!goes_on(end)) sum.operations.add(Duration(end.ns - begin.ns));
  }
  void instant(std::string_view, const TraceEvent&) {}
  void offloaded(const TraceEvent& event) {
    sum.offload_waits.add(Duration(waited_ns(event)));
    sum.offloads.add(Duration(ran_ns(event)));
  }
  void still_there(std::uint32_t, std::int64_t, const std::vector<Begun>&,
                   const std::unordered_map<std::uint64_t, TraceEvent>&, std::int64_t) {}
};

}  // namespace

std::string_view phase_name(std::uint32_t number) noexcept {
  return number < k_phases.size() ? k_phases[number] : "";
}

std::string chrome_trace(std::span<const TraceEvent> events, std::string_view loop_name) {
  Writer writer(loop_name);
  walk(events, writer);
  return std::move(writer).text();
}
std::string chrome_trace(const TraceRing& ring, std::string_view loop_name) {
  return chrome_trace(ring.snapshot(), loop_name);
}

TraceSummary summarize(std::span<const TraceEvent> events) {
  Summarizer reader;
  walk(events, reader);
  if (!events.empty()) reader.sum.span = Duration(events.back().ns - events.front().ns);
  return reader.sum;
}

}  // namespace rondo::inspect
