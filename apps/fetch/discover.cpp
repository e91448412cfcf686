// SPDX-License-Identifier: Apache-2.0
// What pages name: which of it is loaded, and what stands for it in the copy.
#include <fmt/format.h>

#include <algorithm>

#include "fetch/loader.hpp"
#include "fetch/names.hpp"
#include "rondo/proto/http1.hpp"
#include "rondo/proto/url.hpp"

namespace rondo::fetch {
namespace {

/// As browsers do (WHATWG URL): line breaks and tabs go, backslashes are slashes, and what no URL
/// may hold is encoded.
std::string cleaned(std::string_view written) {
  std::string url;
  bool in_path = true;
  for (const char c : written) {
    if (c == '\t' || c == '\n' || c == '\r') continue;
    if (c == '?' || c == '#') in_path = false;
    if (c == '\\' && in_path)
      url += '/';
    else if (c == '#' || proto::is_target_byte(c))
      url += c;
    else
      url += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return url;
}

bool is_http(std::string_view url) {
  const std::size_t colon = url.find("://");
  return colon != url.npos && (proto::iequals(url.substr(0, colon), "http") ||
                               proto::iequals(url.substr(0, colon), "https"));
}

}  // namespace

Result<std::string> url_given(std::string_view text) {
  std::string url = cleaned(text);
  if (url.find("://") == url.npos) url.insert(0, "http://");
  auto whole = proto::resolve_reference(url, "");
  if (!whole || !is_http(*whole)) return Error(Errc::invalid_argument, "no http URL", text);
  return whole;
}

Result<std::string> url_in_page(std::string_view base, std::string_view written) {
  auto whole = proto::resolve_reference(base, cleaned(written));
  if (whole && !is_http(*whole)) return Error(Errc::invalid_argument, "no http URL", written);
  return whole;
}

void Loader::add(std::string url, Use use, std::uint32_t links, std::uint32_t frames) {
  if (const auto known = by_url_.find(url); known != by_url_.end()) return;
  if (items_.size() >= k_items_max.value) {
    ++left_out_;
    return;
  }
  Item& item = items_.emplace_back();
  item.url = std::move(url);
  item.use = use;
  item.links = links;
  item.frames = frames;
  by_url_.emplace(item.url, &item);
  ++under_way_;
  scope_->start([this, &item] { return load(item); });
}

void Loader::discover(const Item& from, std::string_view base, std::string_view written, Use use) {
  auto url = url_in_page(base, written);
  if (!url) return;  // data:, mailto:, javascript: and what is broken.
  if (url->size() > k_url_max.value) return;
  std::uint32_t links = from.links;
  std::uint32_t frames = from.frames;
  if (use == Use::link) {
    if (++links > options_.depth || from.frames > 0) return;
    const auto parts = proto::parse_url(*url);
    if (!parts || !hosts_given_.contains(parts->authority.host)) return;
    // "page#part" is the page itself.
    if (*url == from.url || *url == from.final_url) return;
  }
  if (use == Use::frame && ++frames > k_frames_max.value) return;
  add(std::move(*url), use, links, frames);
}

void Loader::discover_all(const Item& item, const Page& page) {
  const std::string base = base_of(item, page);
  for (const Spot& spot : page.spots) {
    if (spot.form == Spot::Form::base) continue;
    for (const SpotUrl& each : spot.urls) discover(item, base, each.url, each.use);
  }
}

/// What stands for `written` in the copy of `from`: a relative link, the whole URL when there is no
/// copy, or itself when it is neither.
std::optional<std::string> Loader::link_for(const Item& from, std::string_view base,
                                            std::string_view written) const {
  if (written.starts_with('#')) return std::nullopt;
  auto url = url_in_page(base, written);
  if (!url) return std::nullopt;
  const std::size_t hash = written.find('#');
  const std::string fragment(hash == written.npos ? std::string_view() : written.substr(hash));
  const auto found = by_url_.find(*url);
  if (found == by_url_.end() || !found->second->is_good()) return *url + fragment;
  return link_between(from.file, found->second->file) + fragment;
}

}  // namespace rondo::fetch
