// SPDX-License-Identifier: Apache-2.0
#include "fetch/names.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>

#include "rondo/proto/url.hpp"

namespace rondo::fetch {
namespace {

constexpr std::size_t k_segment_max = 120;
constexpr std::size_t k_depth_max = 16;  // Folders beyond it are one.

/// FNV-1a: the same name for the same URL in every run.
std::uint32_t hash_of(std::string_view text) noexcept {
  std::uint32_t hash = 2'166'136'261;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 16'777'619;
  return hash;
}

bool is_plain(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("-_.~+,=@()!").find(c) != std::string_view::npos;
}

struct Segment {
  std::string stem;
  std::string extension;  ///< with its dot; "" without
};

/// Where the extension begins: a short one of letters and digits.
std::size_t extension_at(std::string_view name) noexcept {
  const std::size_t dot = name.rfind('.');
  if (dot == name.npos || dot == 0 || name.size() - dot > 9 || dot + 1 == name.size())
    return name.size();
  for (const char c : name.substr(dot + 1)) {
    if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')))
      return name.size();
  }
  return dot;
}

/// A segment of the URL's path as a name; `apart` is put into it when it has to be told apart.
std::string safe(std::string_view raw, std::string_view extension, bool apart,
                 std::string_view whole) {
  const auto decoded = proto::percent_decode(raw);
  const std::string text = decoded ? *decoded : std::string(raw);
  std::string made;
  for (const char c : text) {
    const bool plain = is_plain(c) && !(c == '.' && made.ends_with('.'));
    apart = apart || !plain;
    made += plain ? c : '_';
  }
  if (made.starts_with('.')) made[0] = '_', apart = true;
  const std::size_t dot = extension_at(made);
  std::string stem = made.substr(0, dot);
  if (stem.ends_with('.')) stem.back() = '_', apart = true;
  const std::string end = dot < made.size() ? made.substr(dot) : std::string(extension);
  if (stem.size() > k_segment_max) stem.resize(k_segment_max), apart = true;
  if (apart) stem += fmt::format("-{:08x}", hash_of(whole));
  return stem + end;
}

}  // namespace

std::string local_name(std::string_view url, std::string_view extension) {
  const auto parts = proto::parse_url(url);
  if (!parts) return fmt::format("unknown/{:08x}", hash_of(url));
  std::string name;
  for (const char c : parts->authority.host) {
    const bool plain = is_plain(c) && !(c == '.' && name.ends_with('.'));
    if (c != '[' && c != ']') name += plain ? c : '_';
  }
  if (name.empty() || name.starts_with('.')) name.insert(0, "_");
  if (parts->authority.port) name += fmt::format("_{}", *parts->authority.port);
  proto::PathSegments segments(parts->path.substr(1));
  std::size_t depth = 0;
  for (auto segment = segments.next(); segment; ++depth) {
    const auto next = segments.next();
    const bool is_file = !next;
    if (is_file) {
      const std::string_view own = segment->empty() ? "index" : *segment;
      const std::string_view ending = segment->empty() && extension.empty() ? ".html" : extension;
      name += '/' + safe(own, ending, !parts->query.empty(), url);
    } else if (depth < k_depth_max && !segment->empty()) {
      name += '/' + safe(*segment, "", false, *segment);
    }
    segment = next;
  }
  return name;
}

std::string part_name(std::string_view file) { return std::string(file) + "#part"; }

namespace {

/// "a/b.png" -> "a/b-2.png"; a folder's name is whole, its dots mean nothing.
void number(std::string& name, std::size_t n) {
  const std::size_t slash = name.rfind('/');
  const std::size_t dot = std::min(name.rfind('.'), name.size());
  const bool has_extension = slash != name.npos && dot > slash;
  name.insert(has_extension ? dot : name.size(), fmt::format("-{}", n));
}

}  // namespace

bool NamePool::reserve(std::string_view name, std::string_view url) {
  if (const auto known = urls_.find(name); known != urls_.end()) return known->second == url;
  if (folders_.contains(name)) return false;
  for (std::size_t slash = name.find('/'); slash != name.npos; slash = name.find('/', slash + 1)) {
    if (urls_.contains(name.substr(0, slash))) return false;
  }
  for (std::size_t slash = name.find('/'); slash != name.npos; slash = name.find('/', slash + 1)) {
    folders_.emplace(name.substr(0, slash));
  }
  urls_.emplace(name, url);
  return true;
}

std::string NamePool::take(std::string wanted, std::string_view url) {
  // The host is a folder of itself and never a file, so a number behind it is never needed.
  for (std::size_t slash = wanted.find('/'); slash != wanted.npos;
       slash = wanted.find('/', slash + 1)) {
    std::string folder = wanted.substr(0, slash);
    for (std::size_t n = 2; urls_.contains(folder); ++n) {
      folder = wanted.substr(0, slash) + fmt::format("-{}", n);
    }
    wanted.replace(0, slash, folder);
    slash = folder.size();
  }
  if (reserve(wanted, url)) return wanted;
  std::size_t& last = numbers_.try_emplace(wanted, 1).first->second;
  std::string name;
  do {
    name = wanted;
    number(name, ++last);
  } while (!reserve(name, url));
  return name;
}

std::string link_between(std::string_view from, std::string_view to) {
  std::size_t common = 0;
  for (std::size_t i = 0; i < std::min(from.size(), to.size()) && from[i] == to[i]; ++i) {
    if (from[i] == '/') common = i + 1;
  }
  std::string link;
  for (const char c : from.substr(common)) {
    if (c == '/') link += "../";
  }
  proto::PathSegments segments(to.substr(common));
  bool first = true;
  while (auto segment = segments.next()) {
    if (!std::exchange(first, false)) link += '/';
    link += proto::percent_encode(*segment);
  }
  return link;
}

}  // namespace rondo::fetch
