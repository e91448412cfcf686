// SPDX-License-Identifier: Apache-2.0
#include "fetch/progress.hpp"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>

#include "cli/text.hpp"
#include "rondo/core/cancel.hpp"

namespace rondo::fetch {
namespace {

constexpr Duration k_frame = std::chrono::milliseconds(100);
constexpr std::size_t k_bars_max = 12;
constexpr std::size_t k_bar = 20;

double seconds(Duration time) { return std::chrono::duration<double>(time).count(); }

std::string readable_time(Duration time) {
  if (time < std::chrono::seconds(1)) return fmt::format("{:.0f} ms", seconds(time) * 1'000);
  return fmt::format("{:.1f} s", seconds(time));
}

/// What is shown of a file: its name, or its URL when it has none.
std::string shown(const Item& item, std::size_t room) {
  std::string text = cli::terminal_text(item.file.empty() ? item.url : item.file);
  if (text.size() <= room) return text;
  return "..." + text.substr(text.size() - (room - 3));
}

struct Totals {
  std::size_t good = 0;
  std::size_t failed = 0;
  std::uint64_t bytes = 0;  ///< that came over the network
};

Totals totals_of(const Loader& loader) {
  Totals totals;
  for (const Item& item : loader.items()) {
    if (item.is_good()) ++totals.good;
    if (item.state == Item::State::failed) ++totals.failed;
    totals.bytes += item.received - item.resumed;
  }
  return totals;
}

std::string rate(std::uint64_t bytes, Duration time) {
  const double each = time > Duration::zero() ? static_cast<double>(bytes) / seconds(time) : 0;
  return cli::readable_size(static_cast<std::uint64_t>(each)) + "/s";
}

std::int64_t us(Duration time) {
  return std::chrono::duration_cast<std::chrono::microseconds>(time).count();
}

}  // namespace

std::string json_of(const Item& item) {
  const char* const k_states[] = {"waiting", "loading", "done", "kept", "failed"};
  boost::json::object line{{"url", item.url},
                           {"state", k_states[static_cast<std::size_t>(item.state)]},
                           {"status", item.status},
                           {"bytes", item.received},
                           {"resumed", item.resumed},
                           {"began_us", us(item.began)},
                           {"ended_us", us(item.ended)},
                           {"http2", item.http2}};
  if (!item.file.empty()) line["file"] = item.file;
  // JSON lets C1 controls and bytes that are no UTF-8 through, and may be read on a terminal too.
  if (!item.type.empty()) line["type"] = cli::terminal_text(item.type);
  if (!item.error.empty()) line["error"] = cli::terminal_text(item.error);
  if (!item.note.empty()) line["note"] = cli::terminal_text(item.note);
  const http::ClientTimings& t = item.timings;
  line["phases_us"] = {{"queued", us(t.queued)},       {"resolved", us(t.resolved)},
                       {"connected", us(t.connected)}, {"secured", us(t.secured)},
                       {"head", us(t.head)},           {"reused", t.reused}};
  return boost::json::serialize(line);
}

std::string Progress::line_of(const Item& item) const {
  const bool failed = item.state == Item::State::failed;
  const std::string_view word = failed                            ? "failed"
                                : item.state == Item::State::kept ? "kept"
                                : item.resumed > 0                ? "resumed"
                                                                  : "done";
  const std::string_view colour = !colours_ ? "" : failed ? "\x1b[31m" : "\x1b[32m";
  const std::string_view plain = colours_ ? "\x1b[0m" : "";
  const Duration time = item.ended - item.began - item.timings.queued;
  std::string line = fmt::format("{}{:<7}{} {:>7} {:>7}  {}", colour, word, plain,
                                 failed ? "" : cli::readable_size(item.received),
                                 readable_time(time), shown(item, 4'000));
  const std::string& words = failed ? item.error : item.note;
  if (!words.empty()) line += ": " + cli::terminal_text(words);
  return line;
}

void Progress::ended(const Item& item) {
  if (style_ == Style::quiet) return;
  pending_ += (style_ == Style::json ? json_of(item) : line_of(item)) + "\n";
}

Progress::Size Progress::terminal_size() noexcept {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_row == 0) return {};
  return {.rows = size.ws_row, .columns = size.ws_col};
}

std::string Progress::bar_line(const Item& item, std::size_t columns) const {
  const std::size_t fixed = k_bar + 32;
  const std::size_t room = columns > fixed + 12 ? columns - fixed : 12;
  const double part =
      item.size > 0
          ? std::min(1.0, static_cast<double>(item.received) / static_cast<double>(item.size))
          : 0;
  const auto filled = static_cast<std::size_t>(part * k_bar);
  std::string bar(filled, '=');
  if (filled < k_bar) bar += item.received > 0 ? '>' : ' ';
  bar.resize(k_bar, ' ');
  const std::string share = item.size > 0 ? fmt::format("{:.0f}%", part * 100) : "";
  const Duration time = loader_.elapsed() - item.began - item.timings.queued;
  return fmt::format("{:<{}} [{}] {:>4} {:>8} {:>10}", shown(item, room), room, bar, share,
                     cli::readable_size(item.received),
                     item.received > 0 ? rate(item.received - item.resumed, time) : "waits");
}

/// Takes the last frame away, puts the new lines in its place and draws the next one below.
std::string Progress::frame() {
  std::string text;
  if (drawn_ > 0) text = fmt::format("\x1b[{}A\r\x1b[J", drawn_);
  text += std::exchange(pending_, {});
  const Size size = terminal_size();
  const std::size_t most = std::min(k_bars_max, size.rows > 3 ? size.rows - 3 : 1);
  drawn_ = 0;
  if (finished_.is_set()) return text;
  std::size_t more = 0;
  for (const Item& item : loader_.items()) {
    if (item.state != Item::State::loading || item.timings.head == Duration::zero()) continue;
    if (drawn_ == most) {
      ++more;
      continue;
    }
    text += bar_line(item, size.columns) + "\n";
    ++drawn_;
  }
  const Totals totals = totals_of(loader_);
  text += fmt::format("{} of {} files, {}, {}, {}{}\n", totals.good + totals.failed,
                      loader_.items().size(), cli::readable_size(totals.bytes),
                      rate(totals.bytes, loader_.elapsed()), readable_time(loader_.elapsed()),
                      more > 0 ? fmt::format(", {} more under way", more) : "");
  ++drawn_;
  return text;
}

Task<> Progress::run() {
  if (style_ == Style::quiet) co_return;
  bool last = false;
  while (!last) {
    last = (co_await with_timeout(k_frame, finished_.wait())).has_value();
    const std::string text = style_ == Style::bars ? frame() : std::exchange(pending_, {});
    if (!text.empty() && !co_await out_.write_all(std::string_view(text))) co_return;
  }
  (void)co_await out_.flush();
}

std::string Progress::summary(Duration sequential, const std::string& waterfall) const {
  const Totals totals = totals_of(loader_);
  const Duration time = loader_.elapsed() - sequential;
  if (style_ == Style::json) {
    boost::json::object line{{"files", totals.good},
                             {"failed", totals.failed},
                             {"bytes", totals.bytes},
                             {"elapsed_us", us(time)},
                             {"interrupted", loader_.interrupted()}};
    if (sequential > Duration::zero()) line["sequential_us"] = us(sequential);
    if (loader_.left_out() > 0) line["left_out"] = loader_.left_out();
    return boost::json::serialize(line) + "\n";
  }
  std::string text =
      fmt::format("{} files, {} in {}, {}", totals.good, cli::readable_size(totals.bytes),
                  readable_time(time), rate(totals.bytes, time));
  if (totals.failed > 0) text += fmt::format("; {} could not be loaded", totals.failed);
  if (loader_.left_out() > 0)
    text += fmt::format("; {} more were left out (at most {} in a run)", loader_.left_out(),
                        k_items_max.value);
  text += "\n";
  if (sequential > Duration::zero() && time > Duration::zero()) {
    text += fmt::format("one after another: {}, {:.1f} times as long\n", readable_time(sequential),
                        seconds(sequential) / seconds(time));
  }
  if (loader_.interrupted()) text += "interrupted: the same command with --resume goes on\n";
  if (!waterfall.empty()) text += "what overlapped: " + waterfall + "\n";
  return text;
}

}  // namespace rondo::fetch
