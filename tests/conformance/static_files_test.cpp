// SPDX-License-Identifier: Apache-2.0
// Files over HTTP on every driver, asked for by the library's own client.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "every_driver.hpp"
#include "rondo/fs/dir.hpp"
#include "rondo/http/client.hpp"
#include "rondo/http/server.hpp"
#include "rondo/http/static_files.hpp"
#include "rondo/net/tcp.hpp"
#include "rondo/proto/compress.hpp"

namespace rondo::testing {
namespace {

using http::Answer;
using http::Client;
using http::Header;
using http::StaticFilesOptions;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class StaticFiles : public EveryDriver {
 protected:
  using Body = std::function<Task<>(Client& client, std::string url, std::string root)>;
  /// Runs `body` beside a server of a folder's files.
  void serving(StaticFilesOptions options, Body body) {
    run([&]() -> Task<> {
      co_await fs::make_directories("/tmp").or_throw();
      co_await fs::with_temporary_directory([&](std::string root) -> Task<> {
        auto files = co_await http::StaticFiles::open(root, std::move(options)).or_throw();
        files_ = &files;
        http::Router router;
        router.get("/{path...}", [&](http::Request& in, http::Response& out) -> Task<> {
          co_await files.serve(in, out, in.param("path"));
        });
        http::Server server(std::move(router));
        auto listener = tcp::listen({.address = "127.0.0.1:0"}).or_throw();
        co_await with_scope([&](Scope& scope) -> Task<> {
          scope.start([&]() -> Task<> { (void)co_await server.run(listener); });
          Client client({.redirects_max = 0, .retries_max = 0, .unpack = false});
          co_await body(client, "http://127.0.0.1:" + std::to_string(listener.port()) + "/", root);
          scope.cancel();
        });
      });
    });
  }
  std::uint64_t packings() const { return files_->statistics().packings; }

  http::StaticFiles* files_ = nullptr;  ///< those of serving()
};

std::string pattern(std::size_t size) {
  std::string text(size, ' ');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>('a' + (i * 7 + i / 251) % 26);
  return text;
}

struct Got {
  int status = 0;
  std::string body;
  proto::ResponseHead head;
  std::string_view operator[](std::string_view name) const { return head.get(name); }
};

Task<Got> get(Client& client, std::string url, std::vector<Header> headers = {},
              std::string method = "GET") {
  auto answer = co_await client
                    .send({.method = std::move(method), .url = url, .headers = std::move(headers)})
                    .or_throw();
  std::string body = (co_await answer.read_all()).or_throw();
  co_return Got{answer.status(), std::move(body), answer.head()};
}

TEST_P(StaticFiles, files_of_every_size_come_whole_with_their_type) {
  serving({}, [](Client& client, std::string url, std::string root) -> Task<> {
    co_await fs::make_directories(root + "/css").or_throw();
    for (const std::size_t size : {0u, 1u, 5'000u, 65'536u, 65'537u, 1'500'000u}) {
      const std::string text = pattern(size);
      co_await fs::write_file(root + "/css/page.css", std::string_view(text)).or_throw();
      const Got got = co_await get(client, url + "css/page.css");
      EXPECT_EQ(got.status, 200);
      EXPECT_EQ(got.body, text) << size;
      EXPECT_EQ(got["Content-Type"], "text/css; charset=utf-8");
      EXPECT_EQ(got["Content-Length"], std::to_string(size));
      EXPECT_EQ(got["X-Content-Type-Options"], "nosniff");
      const Got head = co_await get(client, url + "css/page.css", {}, "HEAD");
      EXPECT_EQ(head["Content-Length"], std::to_string(size));
      EXPECT_EQ(head.body, "");
    }
    EXPECT_EQ(client.statistics().opened, 1u);
  });
}

TEST_P(StaticFiles, what_is_known_already_is_not_sent_again) {
  serving({}, [](Client& client, std::string url, std::string root) -> Task<> {
    co_await fs::write_file(root + "/a", "first").or_throw();
    const Got got = co_await get(client, url + "a");
    const std::string tag(got["ETag"]);
    const std::string date(got["Last-Modified"]);
    EXPECT_THAT(tag, StartsWith("\""));
    const auto status = [&](std::vector<Header> headers) -> Task<int> {
      co_return (co_await get(client, url + "a", std::move(headers))).status;
    };
    EXPECT_EQ(co_await status({{"If-None-Match", tag}}), 304);
    EXPECT_EQ(co_await status({{"If-None-Match", "\"x\", W/" + tag}}), 304);
    EXPECT_EQ(co_await status({{"If-None-Match", "*"}}), 304);
    EXPECT_EQ(co_await status({{"If-None-Match", "\"x\""}}), 200);
    EXPECT_EQ(co_await status({{"If-Modified-Since", date}}), 304);
    EXPECT_EQ(co_await status({{"If-Modified-Since", "Thu, 01 Jan 1970 00:00:00 GMT"}}), 200);
    EXPECT_EQ(co_await status({{"If-None-Match", "\"x\""}, {"If-Modified-Since", date}}), 200);
    EXPECT_EQ(co_await status({{"If-Match", "\"x\""}}), 412);
    EXPECT_EQ(co_await status({{"If-Match", tag}}), 200);
    EXPECT_EQ(co_await status({{"If-Unmodified-Since", "Thu, 01 Jan 1970 00:00:00 GMT"}}), 412);
    co_await fs::write_file(root + "/a", "second!").or_throw();
    EXPECT_EQ(co_await status({{"If-None-Match", tag}}), 200) << "another size, another tag";
  });
}

TEST_P(StaticFiles, a_range_of_bytes_comes_as_it_was_asked_for) {
  serving({}, [](Client& client, std::string url, std::string root) -> Task<> {
    co_await fs::write_file(root + "/a", "0123456789").or_throw();
    struct Row {
      const char* range;
      int status;
      const char* body;
      const char* content_range;
    };
    const Row rows[] = {{"bytes=0-3", 206, "0123", "bytes 0-3/10"},
                        {"bytes=7-", 206, "789", "bytes 7-9/10"},
                        {"bytes=-4", 206, "6789", "bytes 6-9/10"},
                        {"bytes=-40", 206, "0123456789", "bytes 0-9/10"},
                        {"bytes=8-100", 206, "89", "bytes 8-9/10"},
                        {"bytes=10-", 416, "", "bytes */10"},
                        {"bytes=-0", 416, "", "bytes */10"},
                        {"bytes=5-2", 200, "0123456789", ""},
                        {"bytes=0-1,4-5", 200, "0123456789", ""},
                        {"bytes=a-b", 200, "0123456789", ""},
                        {"bytes=99999999999999999999-", 200, "0123456789", ""},
                        {"lines=1-2", 200, "0123456789", ""}};
    std::string tag;
    for (const Row& row : rows) {
      const Got got = co_await get(client, url + "a", {{"Range", row.range}});
      EXPECT_EQ(got.status, row.status) << row.range;
      EXPECT_EQ(got.body, row.body) << row.range;
      EXPECT_EQ(got["Content-Range"], row.content_range) << row.range;
      tag = got["ETag"];
    }
    EXPECT_EQ((co_await get(client, url + "a", {{"Range", "bytes=1-1"}, {"If-Range", tag}})).body,
              "1");
    EXPECT_EQ(
        (co_await get(client, url + "a", {{"Range", "bytes=1-1"}, {"If-Range", "\"x\""}})).status,
        200);
    const std::string large = pattern(400'000);
    co_await fs::write_file(root + "/b", std::string_view(large)).or_throw();
    const Got part = co_await get(client, url + "b", {{"Range", "bytes=1000-300999"}});
    EXPECT_EQ(part.body, large.substr(1'000, 300'000));
  });
}

TEST_P(StaticFiles, what_is_packed_beside_is_sent_to_who_takes_it) {
  serving({}, [](Client& client, std::string url, std::string root) -> Task<> {
    co_await fs::write_file(root + "/a.js", "plain").or_throw();
    co_await fs::write_file(root + "/a.js.gz", "packed").or_throw();
    const Got packed = co_await get(client, url + "a.js", {{"Accept-Encoding", "br, gzip;q=0.5"}});
    EXPECT_EQ(packed.body, "packed");
    EXPECT_EQ(packed["Content-Encoding"], "gzip");
    EXPECT_EQ(packed["Content-Type"], "text/javascript; charset=utf-8");
    EXPECT_EQ(packed["Vary"], "Accept-Encoding");
    const Got plain = co_await get(client, url + "a.js", {{"Accept-Encoding", "gzip;q=0"}});
    EXPECT_EQ(plain.body, "plain");
    EXPECT_NE(plain["ETag"], packed["ETag"]);
    EXPECT_EQ((co_await get(client, url + "a.js")).body, "plain");
    EXPECT_EQ((co_await get(client, url + "a.js.gz"))["Content-Type"], "application/gzip");
  });
}

TEST_P(StaticFiles, text_is_packed_once_and_kept) {
  serving({.compress = true}, [](Client& client, std::string url, std::string root) -> Task<> {
    const std::string text(50'000, 'x');
    co_await fs::write_file(root + "/a.txt", std::string_view(text)).or_throw();
    co_await fs::write_file(root + "/a.png", std::string_view(text)).or_throw();
    co_await fs::write_file(root + "/small.txt", "small").or_throw();
    std::string tag;
    for (const char* asked : {"br, gzip", "zstd", "gzip", "gzip"}) {
      const Got got = co_await get(client, url + "a.txt", {{"Accept-Encoding", asked}});
      EXPECT_TRUE(std::string_view(asked).starts_with(got["Content-Encoding"]));
      const auto coding = proto::coding_of(got["Content-Encoding"]);
      EXPECT_EQ(proto::unpack(coding.value(), got.body, text.size()).or_throw(), text);
      tag = got["ETag"];
    }
    EXPECT_EQ((co_await get(client, url + "a.txt",
                            {{"Accept-Encoding", "gzip"}, {"If-None-Match", tag}}))
                  .status,
              304);
    EXPECT_EQ((co_await get(client, url + "a.txt")).body, text);
    EXPECT_EQ((co_await get(client, url + "a.png", {{"Accept-Encoding", "gzip"}})).body, text);
    EXPECT_EQ((co_await get(client, url + "small.txt", {{"Accept-Encoding", "gzip"}})).body,
              "small");
  });
}

TEST_P(StaticFiles, who_ask_for_the_same_file_at_once_have_it_packed_once) {
  serving({.compress = true}, [&](Client& client, std::string url, std::string root) -> Task<> {
    const std::string text = pattern(300'000);
    co_await fs::write_file(root + "/a.txt", std::string_view(text)).or_throw();
    const std::vector<Header> gzip = {{"Accept-Encoding", "gzip"}};
    co_await with_scope([&](Scope& scope) -> Task<> {
      for (int i = 0; i < 6; ++i) {
        scope.start([&]() -> Task<> {
          const Got got = co_await get(client, url + "a.txt", gzip);
          EXPECT_EQ(got["Content-Encoding"], "gzip");
          EXPECT_EQ(proto::unpack(proto::Coding::gzip, got.body, text.size()).or_throw(), text);
        });
      }
      co_return;
    });
    EXPECT_EQ(packings(), 1U);
    EXPECT_EQ(files_->statistics().known, 1U);
  });
}

TEST_P(StaticFiles, who_leaves_while_a_file_is_packed_for_him_leaves_it_to_the_next) {
  serving({.compress = true}, [&](Client& client, std::string url, std::string root) -> Task<> {
    const std::string text = pattern(100'000);
    for (int moment = 0; moment < 12; ++moment) {
      const std::string name = "a" + std::to_string(moment) + ".txt";
      co_await fs::write_file(root + "/" + name, std::string_view(text)).or_throw();
      co_await with_scope([&](Scope& scope) -> Task<> {
        const auto ask = [&]() -> Task<> {
          const Got got = co_await get(client, url + name, {{"Accept-Encoding", "gzip"}});
          EXPECT_EQ(got["Content-Encoding"], "gzip");
        };
        auto first = scope.start(ask);
        scope.start(ask);
        co_await turns(moment * 3);
        first.cancel();
      });
    }
  });
}

TEST_P(StaticFiles, what_does_not_get_smaller_is_tried_once) {
  serving({.compress = true}, [&](Client& client, std::string url, std::string root) -> Task<> {
    std::string noise(5'000, ' ');
    std::uint32_t state = 1;
    for (char& c : noise) c = static_cast<char>((state = state * 1'664'525 + 1'013'904'223) >> 24);
    co_await fs::write_file(root + "/a.txt", std::string_view(noise)).or_throw();
    for (int i = 0; i < 3; ++i) {
      const Got got = co_await get(client, url + "a.txt", {{"Accept-Encoding", "gzip"}});
      EXPECT_EQ(got.body, noise);
      EXPECT_EQ(got["Content-Encoding"], "");
    }
    EXPECT_EQ(packings(), 1U);
  });
}

TEST_P(StaticFiles, nothing_is_packed_for_who_gets_no_body) {
  serving({.compress = true}, [&](Client& client, std::string url, std::string root) -> Task<> {
    const std::string text = pattern(50'000);
    co_await fs::write_file(root + "/a.txt", std::string_view(text)).or_throw();
    const std::string plain((co_await get(client, url + "a.txt"))["ETag"]);
    const auto ask = [&](Header condition, std::string method = "GET") -> Task<Got> {
      co_return co_await get(client, url + "a.txt",
                             {{"Accept-Encoding", "gzip"}, std::move(condition)}, method);
    };
    const Got head = co_await ask({"X-None", "1"}, "HEAD");
    EXPECT_EQ(head.status, 200);
    EXPECT_EQ(head["Content-Length"], "50000");
    EXPECT_EQ((co_await ask({"If-None-Match", plain})).status, 304);
    EXPECT_EQ((co_await ask({"If-None-Match", "*"})).status, 304);
    EXPECT_EQ((co_await ask({"If-Match", "\"other\""})).status, 412);
    const Got own = co_await ask({"If-Match", plain});
    EXPECT_EQ(own.status, 200);
    EXPECT_EQ(own.body, text) << "it asked for the file as it is";
    EXPECT_EQ(packings(), 0U);
    const Got packed = co_await ask({"If-None-Match", "\"other\""});
    EXPECT_EQ(packed["Content-Encoding"], "gzip");
    EXPECT_EQ(packings(), 1U);
    const std::string tag(packed["ETag"]);
    EXPECT_EQ((co_await ask({"If-None-Match", tag})).status, 304);
    EXPECT_EQ((co_await ask({"If-Match", tag})).body, packed.body);
    const Got head_of_packed = co_await ask({"X-None", "1"}, "HEAD");
    EXPECT_EQ(head_of_packed["Content-Encoding"], "gzip");
    EXPECT_EQ(head_of_packed["Content-Length"], std::to_string(packed.body.size()));
    EXPECT_EQ(packings(), 1U);
  });
}

TEST_P(StaticFiles, something_can_stand_behind_every_page) {
  serving({.append_html = "<script>"},
          [](Client& client, std::string url, std::string root) -> Task<> {
            co_await fs::write_file(root + "/index.html", "<p>page").or_throw();
            co_await fs::write_file(root + "/a.txt", "text").or_throw();
            EXPECT_EQ((co_await get(client, url)).body, "<p>page<script>");
            EXPECT_EQ((co_await get(client, url + "a.txt")).body, "text");
          });
}

TEST_P(StaticFiles, folders_have_an_index_and_a_slash_or_a_listing) {
  StaticFilesOptions options;
  options.listing = [](http::Request&, http::Response& out, std::string path) -> Task<> {
    out.send("list of '" + path + "'");
    co_return;
  };
  serving(std::move(options), [](Client& client, std::string url, std::string root) -> Task<> {
    co_await fs::make_directories(root + "/docs/deep").or_throw();
    co_await fs::write_file(root + "/docs/index.html", "index").or_throw();
    EXPECT_EQ((co_await get(client, url + "docs/")).body, "index");
    const Got moved = co_await get(client, url + "docs?q=1");
    EXPECT_EQ(moved.status, 308);
    EXPECT_EQ(moved["Location"], "/docs/?q=1");
    EXPECT_EQ((co_await get(client, url)).body, "list of ''");
    EXPECT_EQ((co_await get(client, url + "docs/deep/")).body, "list of 'docs/deep/'");
    EXPECT_EQ((co_await get(client, url + "docs/index.html/")).status, 404) << "no folder";
  });
}

TEST_P(StaticFiles, nothing_outside_and_nothing_hidden_is_served) {
  serving({}, [](Client& client, std::string url, std::string root) -> Task<> {
    co_await fs::write_file(root + "/.secret", "x").or_throw();
    co_await fs::make_directories(root + "/.git").or_throw();
    co_await fs::write_file(root + "/.git/config", "x").or_throw();
    co_await fs::symbolic_link("/etc/passwd", root + "/link").or_throw();
    for (const char* path : {"none", ".secret", ".git/config", "%2e%2e/%2e%2e/etc/passwd",
                             "..%2f..%2fetc%2fpasswd", "a%5c..", "%2e", "link", "none/x"}) {
      const int status = (co_await get(client, url + path)).status;
      EXPECT_TRUE(status == 404 || status == 400) << path << " " << status;
    }
    EXPECT_EQ((co_await get(client, url + "a%00b")).status, 400);
  });
}

TEST_P(StaticFiles, a_fallback_stands_for_the_routes_of_a_page) {
  serving({.fallback = "app.html"},
          [](Client& client, std::string url, std::string root) -> Task<> {
            co_await fs::write_file(root + "/app.html", "the page").or_throw();
            const Got got = co_await get(client, url + "rooms/42");
            EXPECT_EQ(got.status, 200);
            EXPECT_EQ(got.body, "the page");
            EXPECT_EQ(got["Content-Type"], "text/html; charset=utf-8");
          });
}

TEST_P(StaticFiles, a_reader_that_leaves_or_stalls_harms_nobody) {
  serving({}, [](Client& client, std::string url, std::string root) -> Task<> {
    const std::string large = pattern(5'000'000);
    co_await fs::write_file(root + "/large", std::string_view(large)).or_throw();
    co_await fs::write_file(root + "/small", "small").or_throw();
    {
      auto half = co_await client.get(url + "large").or_throw();
      EXPECT_FALSE((co_await half.read()).or_throw().empty());
      EXPECT_EQ((co_await get(client, url + "small")).body, "small");
    }
    for (int moment = 0; moment < 20; ++moment) {
      co_await with_scope([&](Scope& scope) -> Task<> {
        scope.start([&]() -> Task<> { (void)co_await get(client, url + "large"); });
        co_await turns(moment * 3);
        scope.cancel();
      });
    }
    EXPECT_EQ((co_await get(client, url + "large")).body.size(), large.size());
  });
}

TEST(ContentType, is_told_by_the_ending_in_any_case) {
  EXPECT_EQ(http::content_type_of("a/b.HTML"), "text/html; charset=utf-8");
  EXPECT_EQ(http::content_type_of("x.tar.gz"), "application/gzip");
  for (const char* none : {"", "a", ".", "a.", "a.unknown", "a.averyveryverylongending"})
    EXPECT_EQ(http::content_type_of(none), "application/octet-stream") << none;
}

ON_EVERY_DRIVER(StaticFiles);

}  // namespace
}  // namespace rondo::testing
