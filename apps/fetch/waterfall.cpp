// SPDX-License-Identifier: Apache-2.0
#include "fetch/waterfall.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "cli/text.hpp"

namespace rondo::fetch {
namespace {

constexpr int k_row = 20;
constexpr int k_head = 56;
constexpr int k_label = 300;
constexpr int k_width = 820;  // Of the time axis.
constexpr int k_note = 130;   // To the right of it.

struct Phase {
  std::string_view name;
  std::string_view css;
};
constexpr std::array<Phase, 6> k_phases = {{{"waits for its turn", "queued"},
                                            {"name", "dns"},
                                            {"connection", "connect"},
                                            {"TLS", "tls"},
                                            {"first byte", "wait"},
                                            {"body", "body"}}};

// The colours of the chat page and of the loop's phases: they stand for the same everywhere.
constexpr std::string_view k_style = R"(
.wf { font: 12px/16px system-ui, sans-serif; background: #fbfaf7; }
.wf text { fill: #1c1b19; } .wf .muted { fill: #6b6862; } .wf .line { stroke: #e6e3dc; }
.wf .queued { fill: #d5d1c7; } .wf .dns { fill: #12a594; } .wf .connect { fill: #e5a100; }
.wf .tls { fill: #8e4ec6; } .wf .wait { fill: #a7b6f2; } .wf .body { fill: #3b5bdb; }
.wf .bad { fill: #c92a2a; }
@media (prefers-color-scheme: dark) {
.wf { background: #141516; }
.wf text { fill: #ecebe8; } .wf .muted { fill: #9a9891; } .wf .line { stroke: #2b2d30; }
.wf .queued { fill: #3a3c40; } .wf .wait { fill: #4a5590; } .wf .body { fill: #8ea6ff; }
.wf .bad { fill: #ff8787; } }
)";

double ms(Duration time) { return std::chrono::duration<double, std::milli>(time).count(); }

/// The ends of the phases in ms from the run's begin; each at or behind the one before.
std::array<double, 6> ends_of(const Item& item) {
  const http::ClientTimings& t = item.timings;
  const double began = ms(item.began);
  std::array<double, 6> ends = {ms(t.queued),  ms(t.resolved), ms(t.connected),
                                ms(t.secured), ms(t.head),     ms(item.ended) - began};
  double last = 0;
  for (double& end : ends) {
    last = end = std::max(last, end);
    end += began;
  }
  return ends;
}

std::string time_text(double ms) {
  return ms < 1'000 ? fmt::format("{:.0f} ms", ms) : fmt::format("{:.2f} s", ms / 1'000);
}

/// A step of the axis that is 1, 2 or 5 of something, about eight of them.
double step_for(double total) {
  double step = 1;
  for (int i = 0; total / step > 10; ++i) step *= i % 3 == 1 ? 2.5 : 2;
  return step;
}

std::string short_name(const Item& item, std::size_t room) {
  std::string name = item.url.substr(std::min(item.url.find("://") + 3, item.url.size()));
  if (name.size() <= room) return name;
  const std::size_t end = room - room / 2 - 3;
  return name.substr(0, room / 2) + "..." + name.substr(name.size() - end);
}

std::string legend() {
  std::string text;
  int x = k_label;
  for (const Phase& phase : k_phases) {
    text += fmt::format(
        "<rect class=\"{}\" x=\"{}\" y=\"12\" width=\"10\" height=\"10\" rx=\"2\"/>"
        "<text class=\"muted\" x=\"{}\" y=\"21\">{}</text>\n",
        phase.css, x, x + 15, phase.name);
    x += 30 + 7 * static_cast<int>(phase.name.size());
  }
  return text;
}

std::string row(const Item& item, int y, double scale) {
  const auto ends = ends_of(item);
  const bool failed = item.state == Item::State::failed;
  std::string title = item.url + "\n";
  std::string bars;
  double from = ms(item.began);
  for (std::size_t i = 0; i < k_phases.size(); ++i) {
    const double width = (ends[i] - from) * scale;
    if (ends[i] > from) {
      title += fmt::format("{}: {}\n", k_phases[i].name, time_text(ends[i] - from));
    }
    if (width > 0.05) {
      bars += fmt::format(R"(<rect class="{}" x="{:.1f}" y="{}" width="{:.1f}" height="{}"/>)",
                          failed ? "bad" : k_phases[i].css, k_label + from * scale, y + 4,
                          std::max(width, 0.5), i == 0 ? 4 : 12);
    }
    from = ends[i];
  }
  title += failed ? cli::terminal_text(item.error)
                  : fmt::format("{}, {}", cli::readable_size(item.received),
                                item.http2 ? "HTTP/2" : "HTTP/1.1");
  return fmt::format(
      "<g><title>{}</title><text x=\"8\" y=\"{}\">{}</text>{}"
      "<text class=\"muted\" x=\"{:.1f}\" y=\"{}\">{}</text></g>\n",
      cli::escape_html(title), y + 14, cli::escape_html(short_name(item, 44)), bars,
      k_label + from * scale + 6, y + 14,
      failed ? "failed"
             : fmt::format("{}, {}{}", time_text(from - ms(item.began)),
                           cli::readable_size(item.received), item.http2 ? ", h2" : ""));
}

}  // namespace

std::string waterfall_svg(const std::deque<Item>& items) {
  double total = 1;
  for (const Item& item : items) total = std::max(total, ms(item.ended));
  const double scale = k_width / total;
  const int height = k_head + k_row * static_cast<int>(items.size()) + 16;
  const int width = k_label + k_width + k_note;
  std::string text = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"wf\" viewBox=\"0 0 {0} {1}\" "
      "width=\"{0}\" height=\"{1}\" role=\"img\" aria-label=\"What was loaded when\">"
      "<style>{2}</style>\n",
      width, height, k_style);
  text += legend();
  const double step = step_for(total);
  for (double at = 0; at <= total; at += step) {
    const double x = k_label + at * scale;
    text += fmt::format(
        "<line class=\"line\" x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1}\" y2=\"{2}\"/>"
        "<text class=\"muted\" x=\"{3:.1f}\" y=\"{4}\">{5}</text>\n",
        x, k_head, height - 8, x + 3, k_head - 6, time_text(at));
  }
  int y = k_head;
  for (const Item& item : items) {
    text += row(item, y, scale);
    y += k_row;
  }
  return text + "</svg>\n";
}

std::string waterfall_html(const std::deque<Item>& items) {
  std::string rows;
  for (const Item& item : items) {
    const auto ends = ends_of(item);
    rows += fmt::format("<tr><td>{}</td><td>{}</td><td>{}</td>", cli::escape_html(item.url),
                        item.state == Item::State::failed ? cli::escape_html(item.error)
                                                          : std::to_string(item.status),
                        cli::readable_size(item.received));
    double from = ms(item.began);
    rows += fmt::format("<td>{}</td>", time_text(from));
    for (const double end : ends) {
      rows += fmt::format("<td>{}</td>", end > from ? time_text(end - from) : "");
      from = end;
    }
    rows += "</tr>\n";
  }
  std::string heads = "<th>URL</th><th>Status</th><th>Size</th><th>Begin</th>";
  for (const Phase& phase : k_phases) heads += fmt::format("<th>{}</th>", phase.name);
  return fmt::format(
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
      "<title>rondo fetch: what was loaded when</title><style>"
      ":root {{ color-scheme: light dark; }}\n"
      "body {{ margin: 24px; font: 14px/20px system-ui, sans-serif;"
      " background: light-dark(#fbfaf7, #141516); color: light-dark(#1c1b19, #ecebe8); }}\n"
      "svg {{ max-width: 100%; height: auto; }}\n"
      "div {{ overflow-x: auto; }} table {{ border-collapse: collapse; margin-top: 24px; }}\n"
      "td, th {{ padding: 4px 10px; text-align: left; white-space: nowrap;"
      " border-top: 1px solid light-dark(#e6e3dc, #2b2d30);"
      " font-variant-numeric: tabular-nums; }}\n"
      "</style></head>\n<body>\n{}<div><table><thead><tr>{}</tr></thead>\n<tbody>\n{}</tbody>"
      "</table></div>\n</body></html>\n",
      waterfall_svg(items), heads, rows);
}

}  // namespace rondo::fetch
