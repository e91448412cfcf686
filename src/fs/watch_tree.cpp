// SPDX-License-Identifier: Apache-2.0
#include "fs/watch_tree.hpp"

#include <climits>
#include <cstdint>
#include <utility>

namespace rondo::fs {

bool is_below(const std::string& path, const std::string& above) noexcept {
  if (!path.starts_with(above)) return false;
  return path.size() == above.size() || above.ends_with('/') || path[above.size()] == '/';
}

bool WatchTree::put(int wd, Node node) {
  forget(wd);
  const auto near = by_path_.lower_bound({node.path, INT_MIN});
  const bool is_free = near == by_path_.end() || near->first != node.path;
  by_path_.emplace(node.path, wd);
  nodes_.insert_or_assign(wd, std::move(node));
  return is_free;
}

void WatchTree::forget(int wd) {
  const auto at = nodes_.find(wd);
  if (at == nodes_.end()) return;
  by_path_.erase({at->second.path, wd});
  nodes_.erase(at);
}

std::vector<int> WatchTree::below(const WatchRoot& root, const std::string& path,
                                  std::uint64_t position, Moved& met) const {
  std::vector<int> wds;
  const auto take = [&](int wd) {
    const Node& node = nodes_.at(wd);
    if (node.root.get() != &root) return;
    if (node.since > position)
      met.is_certain = false;
    else
      wds.push_back(wd);
  };
  auto at = by_path_.lower_bound({path, INT_MIN});
  for (; at != by_path_.end() && at->first == path; ++at) take(at->second);
  const std::string prefix = path.ends_with('/') ? path : path + '/';
  for (at = by_path_.lower_bound({prefix, INT_MIN}); at != by_path_.end(); ++at) {
    if (!at->first.starts_with(prefix)) break;
    take(at->second);
  }
  met.count = wds.size();
  return wds;
}

WatchTree::Moved WatchTree::rename(const WatchRoot& root, const std::string& from,
                                   const std::string& to, std::uint64_t position) {
  Moved met;
  for (const int wd : below(root, from, position, met)) {
    Node node = nodes_.at(wd);
    node.path = to + node.path.substr(from.size());
    node.since = position;
    if (!put(wd, std::move(node))) met.is_certain = false;
  }
  return met;
}

std::vector<int> WatchTree::cut(const WatchRoot& root, const std::string& path) {
  Moved met;
  const std::vector<int> wds = below(root, path, UINT64_MAX, met);
  for (const int wd : wds) forget(wd);
  return wds;
}

std::vector<int> WatchTree::of(const WatchRoot& root) const {
  std::vector<int> wds;
  for (const auto& [wd, node] : nodes_) {
    if (node.root.get() == &root) wds.push_back(wd);
  }
  return wds;
}

}  // namespace rondo::fs
