// SPDX-License-Identifier: Apache-2.0
#include "serve/listing.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>

#include "cli/text.hpp"
#include "rondo/proto/url.hpp"

namespace rondo::serve {
namespace {

// The colours and measures of web/ui/tokens.css; no script, and no font to load.
constexpr std::string_view k_style = R"(
:root { color-scheme: light dark; }
body { margin: 0; font: 15px/22px system-ui, sans-serif;
  background: light-dark(#fbfaf7, #141516); color: light-dark(#1c1b19, #ecebe8); }
main { max-width: 920px; margin: 0 auto; padding: 32px 20px 64px; }
h1 { font-size: 18px; line-height: 24px; font-weight: 600; margin: 0 0 16px;
  overflow-wrap: anywhere; }
h1 a { color: inherit; text-decoration: none; }
h1 a:hover { text-decoration: underline; }
h1 span { color: light-dark(#6b6862, #9a9891); padding: 0 4px; font-weight: 400; }
table { width: 100%; border-collapse: collapse; background: light-dark(#ffffff, #1b1d1f);
  border: 1px solid light-dark(#e6e3dc, #2b2d30); border-radius: 8px; overflow: hidden; }
td, th { padding: 8px 12px; text-align: left; border-top: 1px solid light-dark(#e6e3dc, #2b2d30); }
tr:first-child td, tr:first-child th { border-top: 0; }
th { font-weight: 500; font-size: 13px; color: light-dark(#6b6862, #9a9891); }
td:first-child { width: 99%; }
td a { display: block; color: light-dark(#3b5bdb, #8ea6ff); text-decoration: none;
  overflow-wrap: anywhere; }
td a:hover, td a:focus-visible { text-decoration: underline; }
tbody tr:hover { background: light-dark(#f4f2ec, #212426); }
.size, .time { white-space: nowrap; color: light-dark(#6b6862, #9a9891);
  font-variant-numeric: tabular-nums; }
.size { text-align: right; }
.empty { color: light-dark(#6b6862, #9a9891); }
@media (max-width: 560px) { .time { display: none; } }
)";

/// "home / a / b" with a link for each folder above.
std::string crumbs(std::string_view path) {
  std::string text = R"(<a href="/">home</a>)";
  std::string link = "/";
  while (!path.empty()) {
    const std::size_t end = std::min(path.find('/'), path.size());
    const std::string_view name = path.substr(0, end);
    link += proto::percent_encode(name) + "/";
    text += fmt::format(R"(<span>/</span><a href="{}">{}</a>)", link, cli::escape_html(name));
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  return text;
}

std::string row(const ListedEntry& entry) {
  const std::string slash = entry.is_folder ? "/" : "";
  const auto seconds = static_cast<std::time_t>(entry.modified_ns / 1'000'000'000);
  const std::string time = fmt::format("{:%Y-%m-%d %H:%M}", fmt::gmtime(seconds));
  return fmt::format(R"(<tr><td><a href="./{}{}">{}{}</a></td><td class="size">{}</td>)"
                     R"(<td class="time"><time>{}</time></td></tr>)"
                     "\n",
                     proto::percent_encode(entry.name), slash, cli::escape_html(entry.name), slash,
                     entry.is_folder ? "" : cli::readable_size(entry.size), time);
}

}  // namespace

std::string listing_page(std::string_view path, std::vector<ListedEntry> entries) {
  std::ranges::sort(entries, [](const ListedEntry& a, const ListedEntry& b) {
    return a.is_folder != b.is_folder ? a.is_folder : a.name < b.name;
  });
  std::string rows;
  if (!path.empty())
    rows +=
        "<tr><td><a href=\"../\">..</a></td><td class=\"size\"></td>"
        "<td class=\"time\"></td></tr>\n";
  for (const ListedEntry& entry : entries) rows += row(entry);
  if (rows.empty()) rows = "<tr><td class=\"empty\" colspan=\"3\">Nothing is in here.</td></tr>\n";
  return fmt::format(
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
      "<title>/{0}</title><style>{1}</style></head>\n<body><main><h1>{2}</h1>\n"
      "<table><thead><tr><th scope=\"col\">Name</th><th scope=\"col\" class=\"size\">Size</th>"
      "<th scope=\"col\" class=\"time\">Changed (UTC)</th></tr></thead>\n"
      "<tbody>\n{3}</tbody></table>\n"
      "</main></body></html>\n",
      cli::escape_html(path), k_style, crumbs(path), rows);
}

}  // namespace rondo::serve
