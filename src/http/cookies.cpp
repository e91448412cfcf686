// SPDX-License-Identifier: Apache-2.0
#include "rondo/http/cookies.hpp"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "base/text.hpp"
#include "rondo/base/limits.hpp"
#include "rondo/core/loop.hpp"
#include "rondo/proto/http1.hpp"
#include "rondo/proto/url.hpp"

namespace rondo::http {
namespace {

bool is_address(std::string_view host) noexcept {
  if (host.starts_with('[')) return true;
  return !host.empty() && host.find_first_not_of("0123456789.") == host.npos;
}

/// Section 5.1.3.
bool domain_matches(std::string_view host, std::string_view domain) noexcept {
  if (host == domain) return true;
  return host.size() > domain.size() && host.ends_with(domain) &&
         host[host.size() - domain.size() - 1] == '.' && !is_address(host);
}

/// Section 5.1.4.
bool path_matches(std::string_view path, std::string_view of_cookie) noexcept {
  if (!path.starts_with(of_cookie)) return false;
  return path.size() == of_cookie.size() || of_cookie.ends_with('/') ||
         path[of_cookie.size()] == '/';
}
std::string_view default_path(std::string_view path) noexcept {
  const std::size_t last = path.rfind('/');
  return last == 0 || last == path.npos ? "/" : path.substr(0, last);
}

bool begins_with(std::string_view name, std::string_view prefix) noexcept {
  return name.size() >= prefix.size() && proto::iequals(name.substr(0, prefix.size()), prefix);
}

/// What the name promises must be so; the name's case does not matter (section 5.7).
bool keeps_promise(const SetCookie& cookie) noexcept {
  // Without a name the value is all that is sent: "__Host-a=1" would look like one that was kept.
  if (cookie.name.empty())
    return !begins_with(cookie.value, "__Secure-") && !begins_with(cookie.value, "__Host-");
  if (begins_with(cookie.name, "__Secure-")) return cookie.secure;
  if (begins_with(cookie.name, "__Host-"))
    return cookie.secure && cookie.domain.empty() && cookie.path == "/";
  return true;
}

struct Place {
  std::string host;
  std::string path;
  bool secure = false;
};
std::optional<Place> place_of(std::string_view url) {
  const auto parts = proto::parse_url(url);
  if (!parts) return std::nullopt;
  return Place{.host = lower(parts->authority.host),
               .path = std::string(parts->path),
               .secure = proto::iequals(parts->scheme, "https")};
}

WallTime expiry_of(const SetCookie& cookie) {
  if (cookie.max_age) {
    if (*cookie.max_age <= std::chrono::seconds(0)) return WallTime::min();
    return loop().wall_time() + *cookie.max_age;
  }
  return cookie.expires.value_or(WallTime::max());
}

}  // namespace

std::optional<std::string> cookie(const Request& request, std::string_view name) {
  const proto::RequestHead& head = request.head();
  for (std::size_t i = head.find("Cookie"); i < head.field_count();
       i = head.find("Cookie", i + 1)) {
    if (auto value = proto::cookie_value(head.field(i).value, name)) return std::string(*value);
  }
  return std::nullopt;
}

Result<> set_cookie(Response& response, const SetCookie& cookie) {
  auto field = proto::write_set_cookie(cookie);
  if (!field) return field.error();
  response.header("Set-Cookie", *field);
  return {};
}

Result<> remove_cookie(Response& response, std::string_view name, std::string_view path,
                       std::string_view domain) {
  // A browser takes the removal only of what it would take the setting of.
  const bool secure = begins_with(name, "__");
  return set_cookie(response, {.name = std::string(name),
                               .value = "",
                               .domain = std::string(domain),
                               .path = std::string(path),
                               .max_age = std::chrono::seconds(0),
                               .secure = secure});
}

struct CookieJar::State {
  struct Kept {
    std::string name;
    std::string value;
    std::string path;
    WallTime expires = WallTime::max();
    std::uint64_t made = 0;
    std::uint64_t used = 0;
    bool host_only = false;
    bool secure = false;
  };
  using Kepts = std::vector<Kept>;

  void store(std::string_view url, std::string_view set_cookie);
  std::string header_for(std::string_view url);
  std::size_t size() const noexcept;
  bool hides_secure(const std::string& domain, const Kept& cookie) const;
  void put(const std::string& domain, Kept cookie);
  static void shrink(Kepts& kept, std::size_t most);
  void drop_expired();

  std::map<std::string, Kepts, std::less<>> domains;
  std::uint64_t clock = 0;  ///< counts uses
};

CookieJar::CookieJar() : state_(new State) {}
CookieJar::CookieJar(CookieJar&&) noexcept = default;
CookieJar::~CookieJar() = default;

void CookieJar::store(std::string_view url, std::string_view set_cookie) {
  state_->store(url, set_cookie);
}
std::string CookieJar::header_for(std::string_view url) { return state_->header_for(url); }
std::size_t CookieJar::size() const noexcept { return state_->size(); }
void CookieJar::clear() noexcept { state_->domains.clear(); }

void CookieJar::State::store(std::string_view url, std::string_view set_cookie) {
  const auto from = place_of(url);
  auto cookie = proto::parse_set_cookie(set_cookie);
  if (!from || !cookie || !keeps_promise(*cookie)) return;
  if (cookie->secure && !from->secure) return;
  bool host_only = cookie->domain.empty();
  if (!host_only && proto::is_public_suffix(cookie->domain)) {
    if (cookie->domain != from->host) return;
    host_only = true;
  }
  const std::string domain = host_only ? from->host : cookie->domain;
  if (!domain_matches(from->host, domain)) return;
  Kept kept{.name = std::move(cookie->name),
            .value = std::move(cookie->value),
            .path = cookie->path.empty() ? std::string(default_path(from->path)) : cookie->path,
            .expires = expiry_of(*cookie),
            .host_only = host_only,
            .secure = cookie->secure};
  if (!from->secure && hides_secure(domain, kept)) return;
  put(domain, std::move(kept));
}

/// Leaves secure cookies alone (section 5.7): whoever can change what goes over http would
/// otherwise set one that is sent beside a secure one, or before it, from a domain above or below.
bool CookieJar::State::hides_secure(const std::string& domain, const Kept& cookie) const {
  const WallTime now = loop().wall_time();
  return std::ranges::any_of(domains, [&](const auto& entry) {
    const auto& [other, kept] = entry;
    if (!domain_matches(other, domain) && !domain_matches(domain, other)) return false;
    return std::ranges::any_of(kept, [&](const Kept& each) {
      return each.secure && each.expires > now && each.name == cookie.name &&
             path_matches(cookie.path, each.path);
    });
  });
}

void CookieJar::State::put(const std::string& domain, Kept cookie) {
  Kepts& kept = domains[domain];
  const auto same = std::ranges::find_if(kept, [&](const Kept& each) {
    return each.name == cookie.name && each.path == cookie.path &&
           each.host_only == cookie.host_only;
  });
  cookie.made = cookie.used = ++clock;
  if (same != kept.end()) {
    cookie.made = same->made;
    kept.erase(same);
  }
  if (cookie.expires > loop().wall_time()) kept.push_back(std::move(cookie));
  shrink(kept, limits::http_cookies_per_domain_max.value);
  if (kept.empty()) domains.erase(domain);
  if (size() <= limits::http_cookies_max.value) return;
  drop_expired();
  while (size() > limits::http_cookies_max.value) {
    const auto oldest = std::ranges::min_element(domains, {}, [](const auto& each) {
      return std::ranges::min_element(each.second, {}, &Kept::used)->used;
    });
    shrink(oldest->second, oldest->second.size() - 1);
    if (oldest->second.empty()) domains.erase(oldest);
  }
}

void CookieJar::State::shrink(Kepts& kept, std::size_t most) {
  while (kept.size() > most) kept.erase(std::ranges::min_element(kept, {}, &Kept::used));
}

void CookieJar::State::drop_expired() {
  const WallTime now = loop().wall_time();
  for (auto at = domains.begin(); at != domains.end();) {
    std::erase_if(at->second, [&](const Kept& cookie) { return cookie.expires <= now; });
    at = at->second.empty() ? domains.erase(at) : std::next(at);
  }
}

std::string CookieJar::State::header_for(std::string_view url) {
  const auto to = place_of(url);
  if (!to || domains.empty()) return {};
  const WallTime now = loop().wall_time();
  std::vector<Kept*> found;
  // The host itself and every domain above it.
  for (std::string_view domain = to->host; !domain.empty();) {
    const auto at = domains.find(domain);
    if (at != domains.end()) {
      for (Kept& each : at->second) {
        const bool its_host = !each.host_only || domain == to->host;
        const bool sent = its_host && each.expires > now && (to->secure || !each.secure) &&
                          domain_matches(to->host, domain) && path_matches(to->path, each.path);
        if (sent) found.push_back(&each);
      }
    }
    const std::size_t dot = domain.find('.');
    domain = dot == domain.npos ? std::string_view() : domain.substr(dot + 1);
  }
  // Section 5.8.3: longer paths first, then those that were made earlier.
  std::ranges::sort(found, [](const Kept* a, const Kept* b) {
    if (a->path.size() != b->path.size()) return a->path.size() > b->path.size();
    return a->made < b->made;
  });
  std::string field;
  for (Kept* each : found) {
    const std::string pair = each->name.empty() ? each->value : each->name + "=" + each->value;
    const std::string_view between = field.empty() ? "" : "; ";
    // A server refuses a head that is too large: what was made for fewer pages stays.
    if (field.size() + between.size() + pair.size() > limits::http_cookie_field_max.value) break;
    field.append(between).append(pair);
    each->used = ++clock;
  }
  return field;
}

std::size_t CookieJar::State::size() const noexcept {
  std::size_t count = 0;
  for (const auto& [domain, kept] : domains) count += kept.size();
  return count;
}

}  // namespace rondo::http
