// SPDX-License-Identifier: Apache-2.0
// Many resources over one connection: HTTP/2 has them all under way at once, each ends with a
// trailer, and an upload goes out while its answer comes in.
#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "rondo/core/loop.hpp"
#include "rondo/core/map_concurrent.hpp"
#include "rondo/core/scope.hpp"
#include "rondo/core/sleep.hpp"
#include "rondo/http/client.hpp"
#include "rondo/http/server.hpp"
#include "rondo/net/tcp.hpp"

using namespace rondo;
using namespace rondo::literals;

namespace {

int under_way = 0;
int most_under_way = 0;

/// A part of a document, in pieces; how many bytes they were stands behind them.
Task<> send_part(http::Request& request, http::Response& response) {
  most_under_way = std::max(most_under_way, ++under_way);
  const std::string piece = "part " + std::string(request.param("number")) + "\n";
  std::size_t size = 0;
  for (int i = 0; i < 3; ++i) {
    if (!co_await response.write(piece)) co_return;
    size += piece.size();
    co_await sleep_for(5ms);
  }
  response.trailer("X-Size", std::to_string(size));
  --under_way;
}

/// Answers each piece as it comes.
Task<> count_words(http::Request& request, http::Response& response) {
  std::size_t spaces = 0;
  while (true) {
    auto piece = co_await request.read();
    if (!piece || piece->empty()) break;
    for (const char c : as_text(*piece)) spaces += c == ' ' ? 1 : 0;
    if (!co_await response.write(std::to_string(spaces) + "\n")) co_return;
  }
  response.trailer("X-Language", request.trailers().get("X-Language", "unknown"));
}

struct Part {
  std::string text;
  bool whole = false;
};

Task<Part> load(http::Client& client, std::string url) {
  auto answer = (co_await client.get(std::move(url))).or_throw();
  Part part{.text = (co_await answer.read_all()).or_throw()};
  part.whole = answer.trailers().get("X-Size") == std::to_string(part.text.size());
  co_return part;
}

Task<> use(std::string origin) {
  // Over TLS nothing has to be said: the server chooses. Without TLS it has to be known before.
  http::Client client({.versions = http::Versions::http2});
  std::vector<std::string> urls;
  for (int i = 0; i < 40; ++i) urls.push_back(origin + "/part/" + std::to_string(i));
  const std::vector<Part> parts =
      co_await map_concurrent(urls, 40, [&](const std::string& url) { return load(client, url); });
  int whole = 0;
  for (const Part& part : parts) whole += part.whole ? 1 : 0;
  std::printf("%zu parts, %d of them whole by their trailers\n", parts.size(), whole);

  http::ClientRequest upload{.method = "POST", .url = origin + "/words"};
  std::vector<std::string> lines = {"so much ", "depends ", "upon "};
  upload.body_source = [&]() -> Task<Result<std::string>> {
    if (lines.empty()) co_return std::string();
    co_await sleep_for(1ms);
    std::string line = std::move(lines.front());
    lines.erase(lines.begin());
    co_return line;
  };
  upload.trailers = [] { return std::vector<http::Header>{{"X-Language", "en"}}; };
  auto counted = (co_await client.send(std::move(upload))).or_throw();
  const std::string counts = (co_await counted.read_all()).or_throw();
  std::printf("words so far, the last time: %s", counts.substr(counts.size() - 2).c_str());
  std::printf("language, from trailer to trailer: %s\n",
              std::string(counted.trailers().get("X-Language")).c_str());
  std::printf("%s, %d connection\n", std::string(counted.version()).c_str(),
              static_cast<int>(client.statistics().opened));
}

Task<> run() {
  http::Router router;
  router.get("/part/{number}", send_part);
  router.post("/words", count_words);
  http::Server server(std::move(router));
  auto listener = tcp::listen({.address = "127.0.0.1:0"}).or_throw();
  co_await with_scope([&](Scope& scope) -> Task<> {
    scope.start([&]() -> Task<> { (void)co_await server.run(listener); });
    co_await use("http://127.0.0.1:" + std::to_string(listener.port()));
    scope.cancel();
  });
  std::printf("the server had more than ten of them under way at once: %s\n",
              most_under_way > 10 ? "yes" : "no");
}

}  // namespace

int main() { return rondo::run(run()); }
