// SPDX-License-Identifier: Apache-2.0
// The URLs of a style sheet, by a tokenizer after CSS Syntax Level 3: url(), @import, image-set()
// and src(), with comments, strings and escapes where they may stand. What is broken is skipped as
// a browser skips it; nothing is an error.
//
//   for (const CssUrl& each : css_urls(sheet)) load(each.url);
//
// Lifetime: values; begin and end count in the text given. Thread rule: any thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace rondo::fetch {

inline constexpr std::size_t k_all_urls = static_cast<std::size_t>(-1);

struct CssUrl {
  std::size_t begin = 0;  ///< of what css_string() of another URL may stand for
  std::size_t end = 0;
  std::string url;  ///< without its escapes
  enum class Of : unsigned char { image, font, import } of = Of::image;
};

/// In the order in which they stand, the first `most` of them.
std::vector<CssUrl> css_urls(std::string_view css, std::size_t most = k_all_urls);

/// `url` as a quoted string of CSS.
std::string css_string(std::string_view url);

}  // namespace rondo::fetch
