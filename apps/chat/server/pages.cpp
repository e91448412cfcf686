// SPDX-License-Identifier: Apache-2.0
// The embedded page over HTTP: validators, compression made at build time, a strict policy.
#include "chat/server/assets.hpp"
#include "chat/server/doors.hpp"

namespace rondo::chat {

namespace {

constexpr std::string_view k_policy =
    "default-src 'self'; base-uri 'none'; frame-ancestors 'none'; object-src 'none'";

bool lists(std::string_view field, std::string_view wanted) noexcept {
  while (!field.empty()) {
    const auto comma = field.find(',');
    std::string_view item = field.substr(0, comma);
    field = comma == std::string_view::npos ? std::string_view() : field.substr(comma + 1);
    while (item.starts_with(' ')) item.remove_prefix(1);
    if (item.starts_with("W/")) item.remove_prefix(2);
    const bool refused = item.ends_with(";q=0");
    item = item.substr(0, item.find_first_of("; "));
    if (item == wanted && !refused) return true;
  }
  return false;
}

struct Page {
  const Asset* asset;
  SharedBytes body;
  SharedBytes gzip;

  void send(http::Request& request, http::Response& response) const {
    const bool hashed = asset->path.starts_with("/assets/");
    response.header("Content-Security-Policy", k_policy);
    response.header("X-Content-Type-Options", "nosniff").header("Referrer-Policy", "no-referrer");
    response.header("ETag", asset->etag).header("Vary", "Accept-Encoding");
    response.header("Cache-Control", hashed ? "public, max-age=31536000, immutable" : "no-cache");
    if (lists(request.header("If-None-Match"), asset->etag)) return response.status(304).send();
    response.content_type(asset->content_type);
    if (gzip.empty() || !lists(request.header("Accept-Encoding"), "gzip"))
      return response.send(body);
    response.header("Content-Encoding", "gzip").send(gzip);
  }
};

}  // namespace

void add_pages(http::Router& router) {
  for (const Asset& asset : assets()) {
    const Page page{&asset, SharedBytes::copy(asset.body), SharedBytes::copy(asset.gzip)};
    const auto handler = [page](http::Request& q, http::Response& a) { page.send(q, a); };
    router.get(asset.path, handler);
    if (asset.path == "/index.html") router.get("/", handler);
  }
  if (assets().empty()) {
    router.get("/", [](http::Request&, http::Response& a) {
      a.content_type("text/plain")
          .send("This program was built without its web page (RONDO_WEB=OFF).\n");
    });
  }
}

}  // namespace rondo::chat
