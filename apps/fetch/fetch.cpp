// SPDX-License-Identifier: Apache-2.0
// Options -> Loader, with its progress beside it -> pages, waterfall, summary.
#include "fetch/fetch.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "cli/command.hpp"
#include "fetch/loader.hpp"
#include "fetch/progress.hpp"
#include "fetch/waterfall.hpp"
#include "rondo/core/scope.hpp"
#include "rondo/fs/file.hpp"
#include "rondo/process/stdio.hpp"

namespace rondo::fetch {
namespace {

constexpr const char* k_command = "rondo fetch";

struct CommandLine {
  FetchOptions fetch = {.user_agent = "rondo/" RONDO_VERSION};
  std::string waterfall;
  bool sequential = false;
  bool no_robots = false;
  bool json = false;
  bool quiet = false;
};

void add_options(cli::Options& options, CommandLine& line) {
  FetchOptions& fetch = line.fetch;
  options.text("--output", "DIR", fetch.folder, "where the copy goes (this folder)");
  options.also("-o", "--output");
  options.number("--concurrency", "N", fetch.concurrency, "files under way at once (32)");
  options.number("--per-host", "N", fetch.per_host, "connections to one server (6)");
  options.duration("--timeout", fetch.timeout, "a server may be silent that long (30s)");
  options.number("--depth", "N", fetch.depth, "links to follow, on the hosts given only (0: none)");
  options.flag("--no-robots", line.no_robots, "follow links that robots.txt forbids");
  options.flag("--resume", fetch.resume, "go on where the run before in DIR has stopped");
  options.flag("--sequential", line.sequential,
               "load the same once more, one after another, and compare");
  options.text("--waterfall", "FILE", line.waterfall,
               "a picture of what overlapped, .svg or .html");
  options.text("--user-agent", "TEXT", fetch.user_agent, "who asks (rondo/" RONDO_VERSION ")");
  options.text("--ca", "FILE", fetch.authorities_file,
               "whom to believe over https, PEM (the system's)");
  options.flag("--json", line.json, "a JSON object a line for each file, and one at the end");
  options.flag("--quiet", line.quiet, "nothing but errors");
}

Result<> check(CommandLine& line, const cli::Arguments& rest) {
  if (rest.empty()) return cli::usage("a URL is wanted");
  for (const std::string& each : rest) {
    auto url = url_given(each);
    if (!url) return cli::usage(each + " is no http or https URL");
    line.fetch.urls.push_back(std::move(*url));
  }
  const auto from_one = [](std::uint64_t n) { return n >= 1 && n <= 1'000; };
  if (!from_one(line.fetch.concurrency)) return cli::usage("--concurrency is 1 to 1000");
  if (!from_one(line.fetch.per_host)) return cli::usage("--per-host is 1 to 1000");
  const bool picture = line.waterfall.empty() || line.waterfall.ends_with(".svg") ||
                       line.waterfall.ends_with(".html");
  if (!picture) return cli::usage("--waterfall wants a name that ends in .svg or .html");
  if (line.json && line.quiet) return cli::usage("--json and --quiet contradict each other");
  line.fetch.obey_robots = !line.no_robots;
  return {};
}

Style style_of(const CommandLine& line) {
  if (line.quiet) return Style::quiet;
  if (line.json) return Style::json;
  const char* terminal = std::getenv("TERM");  // NOLINT: before any thread.
  const bool dumb = !terminal || std::string_view(terminal) == "dumb";
  return ::isatty(STDOUT_FILENO) && !dumb ? Style::bars : Style::lines;
}

/// Pages given that are not there; each with its reason on standard error.
int complain_of_pages(const Loader& loader, const FetchOptions& options) {
  int status = 0;
  for (const Item& item : loader.items()) {
    if (item.is_good() || item.links > 0 || item.use != Use::link) continue;
    if (std::ranges::find(options.urls, item.url) == options.urls.end()) continue;
    cli::complain(k_command, item.url + ": " + item.error);
    status = 1;
  }
  return status;
}

Task<int> fetch_main(CommandLine line) {
  auto out = process::standard_output();
  if (!out) {
    cli::complain(k_command, out.error().message());
    co_return 1;
  }
  std::unique_ptr<Loader> loader;
  try {
    loader = std::make_unique<Loader>(line.fetch);
  } catch (const SystemError& error) {
    cli::complain(k_command, std::string(error.what()) + " (see --ca)");
    co_return 1;
  }
  const Style style = style_of(line);
  const bool colours = style == Style::bars && !std::getenv("NO_COLOR");  // NOLINT: one thread.
  Progress progress(*loader, style, colours, out->stream());
  loader->on_end = [&](const Item& item) { progress.ended(item); };
  Result<> done;
  co_await with_scope([&](Scope& scope) -> Task<> {
    scope.start([&] { return progress.run(); });
    done = co_await loader->run();
    progress.finish();
  });
  if (!done) {
    cli::complain(k_command, done.error().message());
    co_return 1;
  }
  Duration sequential = Duration::zero();
  if (line.sequential && !loader->interrupted()) sequential = co_await loader->time_sequential();
  if (!line.waterfall.empty()) {
    const std::string picture = line.waterfall.ends_with(".svg") ? waterfall_svg(loader->items())
                                                                 : waterfall_html(loader->items());
    auto written = co_await fs::write_file_atomic(line.waterfall, std::string_view(picture));
    if (!written) {
      cli::complain(k_command, written.error().message());
      co_return 1;
    }
  }
  if (style != Style::quiet) {
    const std::string text = progress.summary(sequential, line.waterfall);
    (void)co_await out->write_all(std::string_view(text));
    (void)co_await out->flush();
  }
  const int status = complain_of_pages(*loader, line.fetch);
  co_return loader->interrupted() ? 1 : status;
}

constexpr cli::Command<CommandLine> k_fetch = {
    .name = k_command,
    .environment = "RONDO_FETCH_",
    .add_options = add_options,
    .check = check,
    .main = fetch_main,
    .about =
        "rondo fetch URL...: pages with all they need, loaded at once, as files to browse\n\n"
        "  rondo fetch https://example.org/ -o copy\n"
        "  rondo fetch https://example.org/docs/ --depth 2 --waterfall docs.html\n"
        "  rondo fetch https://example.org/ --resume           after an interruption\n\n",
    .notes =
        "A page's images, styles, scripts, fonts and frames are loaded from whatever host they\n"
        "are on, what its scripts would add later is not. Links to other pages are followed with\n"
        "--depth only, on the hosts of the URLs given, as their robots.txt allows. Proxies are\n"
        "taken from http_proxy, https_proxy and no_proxy. The status is 1 when a URL given could\n"
        "not be loaded.\n"};

}  // namespace

std::string fetch_help() { return k_fetch.help(); }
int run_fetch(const cli::Arguments& arguments) { return k_fetch.run(arguments); }

}  // namespace rondo::fetch
