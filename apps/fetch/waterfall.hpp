// SPDX-License-Identifier: Apache-2.0
// The picture of a run: a row for each file, and in it how long each phase took, so that one sees
// what overlapped and what held the rest up.
// Lifetime: values. Thread rule: any thread.
#pragma once

#include <deque>
#include <string>

#include "fetch/item.hpp"

namespace rondo::fetch {

/// A picture in SVG, readable in light and dark.
std::string waterfall_svg(const std::deque<Item>& items);
/// A page with the picture and the same as a table.
std::string waterfall_html(const std::deque<Item>& items);

}  // namespace rondo::fetch
