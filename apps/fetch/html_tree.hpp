// SPDX-License-Identifier: Apache-2.0
// The tree of an HTML page, made by Gumbo in memory and time that are bounded.
//
//   auto tree = HtmlTree::parse(html, {});
//   if (tree) walk(tree->root());
//
// HTML's rules let a small page make a large tree: each formatting element that is left open is
// opened again in each paragraph, so that 20 kB make 900 MB; and the rules for <p> look through all
// that is open, so that 500 kB of <div> take twelve seconds.
// Lifetime: the tree's; it points into `html`. Thread rule: any one thread. It takes time: run_cpu.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string_view>

#include "fetch/limits.hpp"
#include "rondo/base/result.hpp"
#include "rondo/base/time.hpp"

struct GumboInternalNode;  // GumboNode of gumbo.h.

namespace rondo::fetch {

struct ParseBounds {
  std::size_t size_max = k_page_parsed_max.value;
  std::size_t tree_max = k_page_tree_max.value;
  std::size_t urls_max = k_page_urls_max.value;
  Duration time_max = std::chrono::milliseconds(k_page_parse_time.value);  ///< of one CPU
};

class Arena;

class HtmlTree {
 public:
  /// Errors: too_large, whose object says in words which bound the page is beyond.
  static Result<HtmlTree> parse(std::string_view html, const ParseBounds& bounds);
  HtmlTree(HtmlTree&&) noexcept;
  HtmlTree& operator=(HtmlTree&&) noexcept;
  ~HtmlTree();

  const GumboInternalNode* root() const noexcept { return root_; }
  /// What the tree and the parser took.
  std::size_t bytes() const noexcept;

 private:
  HtmlTree(std::unique_ptr<Arena> arena, const GumboInternalNode* root) noexcept;
  std::unique_ptr<Arena> arena_;
  const GumboInternalNode* root_;
};

}  // namespace rondo::fetch
