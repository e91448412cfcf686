// SPDX-License-Identifier: Apache-2.0
#include "fetch/robots.hpp"

#include <string.h>

#include <algorithm>
#include <charconv>

#include "fetch/limits.hpp"
#include "rondo/proto/http1.hpp"

namespace rondo::fetch {
namespace {

using proto::iequals;

constexpr Duration k_delay_max = std::chrono::seconds(30);

std::string_view trimmed(std::string_view text) noexcept {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

/// Where `text` begins in `path`; npos: nowhere. memmem is linear, string_view::find is not.
std::size_t find(std::string_view path, std::string_view text) noexcept {
  if (text.empty()) return 0;
  const void* found = ::memmem(path.data(), path.size(), text.data(), text.size());
  if (!found) return path.npos;
  return static_cast<std::size_t>(static_cast<const char*>(found) - path.data());
}

/// The texts between the `*` of a pattern, each found behind the one before, as early as it can be:
/// what follows has then the most room, so that nothing is ever tried again.
bool matches(std::string_view pattern, std::string_view path) noexcept {
  const bool whole = pattern.ends_with('$');
  if (whole) pattern.remove_suffix(1);
  std::size_t star = pattern.find('*');
  if (!path.starts_with(pattern.substr(0, star))) return false;
  if (star == pattern.npos) return !whole || path.size() == pattern.size();
  path.remove_prefix(star);
  while (true) {
    pattern.remove_prefix(star + 1);
    star = pattern.find('*');
    if (star == pattern.npos)
      return whole ? path.ends_with(pattern) : find(path, pattern) != path.npos;
    const std::size_t at = find(path, pattern.substr(0, star));
    if (at == path.npos) return false;
    path.remove_prefix(at + star);
  }
}

/// Cut short, a pattern matches more: right for what is forbidden, wrong for what is allowed.
void add_rule(Robots& group, bool allow, std::string_view pattern) {
  const bool is_long = pattern.size() > k_robots_pattern_max.value;
  if (group.rules.size() == k_robots_rules_max.value || (allow && is_long)) return;
  pattern = pattern.substr(0, k_robots_pattern_max.value);
  if (is_long && pattern.ends_with('$')) pattern.remove_suffix(1);  // It was not the end.
  group.rules.push_back({.allow = allow, .pattern = std::string(pattern)});
}

Duration delay_of(std::string_view value) noexcept {
  double seconds = 0;
  std::from_chars(value.data(), value.data() + value.size(), seconds);
  if (!(seconds > 0)) return Duration::zero();
  const double most = std::chrono::duration<double>(k_delay_max).count();
  return std::chrono::duration_cast<Duration>(
      std::chrono::duration<double>(std::min(seconds, most)));
}

}  // namespace

bool Robots::allows(std::string_view path) const noexcept {
  const RobotsRule* best = nullptr;
  for (const RobotsRule& rule : rules) {
    if (!matches(rule.pattern, path)) continue;
    const bool longer = !best || rule.pattern.size() > best->pattern.size();
    const bool kinder = best && rule.pattern.size() == best->pattern.size() && rule.allow;
    if (longer || kinder) best = &rule;
  }
  return !best || best->allow;
}

Robots parse_robots(std::string_view text, std::string_view agent) {
  text = text.substr(0, k_robots_max.value);
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  Robots own, of_all;
  bool own_named = false;
  bool in_agents = false;  // Lines of User-agent that follow each other begin one group.
  bool for_own = false, for_all = false;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find_first_of("\r\n"), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    line = trimmed(line.substr(0, std::min(line.find('#'), line.size())));
    const std::size_t colon = line.find(':');
    if (colon == line.npos) continue;
    const std::string_view name = trimmed(line.substr(0, colon));
    const std::string_view value = trimmed(line.substr(colon + 1));
    if (iequals(name, "user-agent")) {
      if (!in_agents) for_own = for_all = false;
      in_agents = true;
      for_all = for_all || value == "*";
      for_own = for_own || (!value.empty() && iequals(value, agent));
      own_named = own_named || for_own;
      continue;
    }
    const bool allow = iequals(name, "allow");
    const bool is_rule = allow || iequals(name, "disallow");
    const bool is_delay = iequals(name, "crawl-delay");
    if (!is_rule && !is_delay) continue;  // Sitemap and the like are part of no group.
    in_agents = false;
    for (Robots* group : {for_own ? &own : nullptr, for_all ? &of_all : nullptr}) {
      if (!group) continue;
      if (is_delay) {
        group->delay = delay_of(value);
      } else if (!value.empty()) {
        add_rule(*group, allow, value);
      }
    }
  }
  return own_named ? own : of_all;
}

}  // namespace rondo::fetch
