// SPDX-License-Identifier: Apache-2.0
// URLs: encoding round-trips, normal paths stay inside the root and are stable, parts lie in text.
#include <string>

#include "cuts.hpp"
#include "rondo/base/bytes.hpp"
#include "rondo/proto/base64.hpp"
#include "rondo/proto/url.hpp"

using namespace rondo;
using namespace rondo::proto;

namespace {

void check_path(std::string_view text) {
  const Result<std::string> path = normalise_path(text);
  if (!path) return;
  require(path->starts_with('/') && path->find("//") == std::string::npos);
  require(path->find('\0') == std::string::npos && path->find('\\') == std::string::npos);
  for (PathSegments left(*path); auto segment = left.next();)
    require(*segment != ".." && *segment != ".");
  std::string encoded;  // A normal path, encoded again, is itself.
  for (const char c : *path) encoded += c == '/' ? "/" : percent_encode({&c, 1});
  const Result<std::string> again = normalise_path(encoded);
  require(again && *again == *path);
}

void check_url(std::string_view text) {
  if (const Result<UrlView> url = parse_url(text)) {
    require(!url->authority.host.empty() && !url->path.empty());
    require(url->path.front() == '/' && url->query.size() < text.size());
  }
  if (const Result<std::string> whole = resolve_reference("http://host/a/b?c", text)) {
    require(parse_url(*whole).has_value());
    require(*resolve_reference(*whole, "") == *whole);  // What is resolved stays as it is.
  }
  if (const Result<Authority> authority = parse_authority(text))
    require(text.starts_with(authority->host));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  if (text.find('\0') == std::string::npos) {
    const Result<std::string> back = percent_decode(percent_encode(text));
    require(back && *back == text);
  }
  std::size_t taken = 0;
  for (QueryReader left(text); auto pair = left.next();)
    taken += pair->name.size() + pair->value.size();
  require(taken <= text.size());
  check_path(text);
  check_path("/" + text);
  check_url(text);
  std::string room(size, '\0');
  if (const auto got = base64_decode(text, std::as_writable_bytes(std::span(room))))
    require(base64_encode(as_bytes(std::string_view(room).substr(0, *got))) == text);
  return 0;
}
