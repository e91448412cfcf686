// SPDX-License-Identifier: Apache-2.0
// What an HTML page needs and where it links to, by Gumbo (HTML5), and the page with other URLs
// in their places. Everything else of the source stays byte for byte.
//
//   auto page = parse_page(html).or_return();
//   for (const Spot& spot : page.spots)
//     for (const SpotUrl& each : spot.urls) load(each.url, each.use);
//   html = rewrite(html, page, [](std::string_view url, Use) { return local(url); });
//
// A style sheet is a page with one spot: parse_style, then the same.
// Lifetime: values; positions count in the text given. Thread rule: any thread. Both take time
// that grows with the page: run_cpu.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fetch/html_tree.hpp"
#include "rondo/base/result.hpp"

namespace rondo::fetch {

/// What a resource is for.
enum class Use : std::uint8_t {
  link,   ///< of the page, followed with --depth only
  frame,  ///< a page inside of the page
  style,
  script,
  image,
  font,
  media,
  other,
};

/// One URL inside of a spot's text.
struct SpotUrl {
  std::size_t begin = 0;
  std::size_t end = 0;
  std::string url;
  Use use = Use::other;
};

/// A part of the source that names resources.
struct Spot {
  enum class Form : std::uint8_t {
    attribute,  ///< the value with its quotes; the text has no entities
    css,        ///< an attribute's value as well, a style
    sheet,      ///< the inside of a <style>
    file,       ///< all of a style sheet
    dropped,    ///< an attribute that a copy cannot keep: integrity, crossorigin
    base,       ///< the value of <base href>: a copy has none
  };
  Form form = Form::attribute;
  std::size_t begin = 0;
  std::size_t end = 0;
  std::string text;
  std::vector<SpotUrl> urls;
};

struct Page {
  std::string base;  ///< of <base href>, as written
  std::vector<Spot> spots;
};

/// Errors: too_large, whose object says in words which bound the text is beyond.
Result<Page> parse_page(std::string_view html, const ParseBounds& bounds = {});
Result<Page> parse_style(std::string_view css, const ParseBounds& bounds = {});

/// The new URL for one as written; nothing: it stays.
using Rename = std::function<std::optional<std::string>(std::string_view url, Use use)>;
std::string rewrite(std::string_view html, const Page& page, const Rename& rename);

}  // namespace rondo::fetch
