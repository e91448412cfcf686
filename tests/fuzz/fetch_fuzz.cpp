// SPDX-License-Identifier: Apache-2.0
// What `rondo fetch` reads from servers: pages, style sheets, robots.txt and URLs. What is written
// again with no change is the same text, and what was renamed is found under its new name.
#include <string>

#include "cuts.hpp"
#include "fetch/css.hpp"
#include "fetch/loader.hpp"
#include "fetch/names.hpp"
#include "fetch/page.hpp"
#include "fetch/robots.hpp"

using namespace rondo;
using namespace rondo::fetch;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const Rename none = [](std::string_view, Use) { return std::nullopt; };
  const Rename fixed = [](std::string_view, Use) { return "x\"'</style>&\\y"; };

  std::size_t last = 0;
  for (const CssUrl& each : css_urls(text)) {
    require(each.begin >= last && each.begin <= each.end && each.end <= size);
    last = each.end;
  }
  const Page sheet = parse_style(text).or_throw();
  require(rewrite(text, sheet, none) == text);
  require(css_urls(rewrite(text, sheet, fixed)).size() == css_urls(text).size());

  // A budget that pages of a fuzzer's size are beyond: the parse is left in the middle.
  const ParseBounds bounds = {.tree_max = 64 * 1'024 + size * 32};
  if (auto tree = HtmlTree::parse(text, bounds)) require(tree->bytes() <= bounds.tree_max);
  const ParseBounds wide = {.tree_max = 2'097'152, .urls_max = 1'000};
  const auto within = parse_page(text, wide);
  if (!within) {
    require(within.error() == Errc::too_large && !within.error().object().empty());
    return 0;
  }
  const Page& page = *within;
  last = 0;
  for (const Spot& spot : page.spots) {
    require(spot.begin >= last && spot.begin <= spot.end && spot.end <= size);
    last = spot.begin;
    for (const SpotUrl& each : spot.urls)
      require(each.begin <= each.end && each.end <= spot.text.size());
  }
  (void)parse_page(rewrite(text, page, fixed), wide);

  const Robots robots = parse_robots(text.substr(0, 2'000), "rondo");
  (void)robots.allows(std::string_view(text).substr(0, 200));

  if (auto url = url_in_page("http://host/a/b", text)) {
    const std::string name = local_name(*url, ".html");
    require(name.find("..") == name.npos && name.find("/.") == name.npos && !name.starts_with('/'));
    require(name.size() < 4'000);
  }
  return 0;
}
