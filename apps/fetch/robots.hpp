// SPDX-License-Identifier: Apache-2.0
// robots.txt (RFC 9309): which paths of a host a program may follow links to.
//
//   const Robots robots = parse_robots(text, "rondo");
//   if (robots.allows("/a?b=c")) ...
//
// The group that names the agent counts, else that of "*"; the longest rule wins, and Allow of two
// as long ones. A path that no rule matches is allowed. Whatever a server writes, its text, rules
// and patterns are bounded (limits.hpp), and matching is linear in pattern and path.
// Lifetime: a value. Thread rule: any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "rondo/base/time.hpp"

namespace rondo::fetch {

struct RobotsRule {
  bool allow = false;
  std::string pattern;  ///< `*` is any text, `$` at the end the end
};

struct Robots {
  std::vector<RobotsRule> rules;
  /// Crawl-delay, no part of the RFC: between two requests; zero: not said.
  Duration delay = Duration::zero();

  bool allows(std::string_view path_and_query) const noexcept;
  static Robots none_allowed() { return {.rules = {{.allow = false, .pattern = "/"}}}; }
};

Robots parse_robots(std::string_view text, std::string_view agent);

}  // namespace rondo::fetch
