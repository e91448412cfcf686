// SPDX-License-Identifier: Apache-2.0
#include "rondo/http/form.hpp"

#include <gtest/gtest.h>

#include "talk.hpp"

namespace rondo::testing {
namespace {

/// The answer to a POST of `body`.
std::string post(http::Router router, std::string type, std::string body) {
  const std::string request =
      "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: " + type +
      "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  return play({.router = std::move(router),
               .pair = {.capacity = 100},
               .client = [&](ByteStream& peer, std::string&) -> Task<> {
                 (void)co_await peer.write_all(std::string_view(request));
               }})
      .heard;
}

http::Router form_router() {
  http::Router router;
  router.post("/", [](http::Request& in, http::Response& out) -> Task<> {
    auto form = co_await http::read_form(in);
    if (!form) co_return out.send_error(http::status_of(form.error()));
    out.send(std::string(form->get("a").value_or("-")) + "|" +
             std::string(form->get("none").value_or("-")) + "|" +
             std::to_string(form->pairs().size()));
  });
  return router;
}

TEST(Form, pairsAreDecoded) {
  const std::string type = "application/x-www-form-urlencoded";
  EXPECT_TRUE(post(form_router(), type, "a=1+2%2C3&b=&a=4").ends_with("1 2,3|-|3"));
  EXPECT_TRUE(post(form_router(), type + "; charset=utf-8", "").ends_with("-|-|0"));
  EXPECT_TRUE(post(form_router(), type, "a=%zz").starts_with("HTTP/1.1 400 "));
  EXPECT_TRUE(post(form_router(), "text/plain", "a=1").starts_with("HTTP/1.1 400 "));
}

TEST(Form, hasOnlySoManyPairs) {
  const std::string type = "application/x-www-form-urlencoded";
  std::string body = "a=1";
  for (std::size_t i = 1; i < limits::http_form_pairs_max.value; ++i) body += "&b";
  EXPECT_TRUE(post(form_router(), type, body).ends_with("1|-|1000"));
  EXPECT_TRUE(post(form_router(), type, body + "&b").starts_with("HTTP/1.1 413 "));
}

http::Router multipart_router(std::size_t part_max = 1'000) {
  http::Router router;
  router.post("/", [=](http::Request& in, http::Response& out) -> Task<> {
    auto parts = http::Multipart::of(in);
    if (!parts) co_return out.send_error(http::status_of(parts.error()));
    std::string seen;
    while (true) {
      auto more = co_await parts->next();
      if (!more) co_return out.send_error(http::status_of(more.error()));
      if (!*more) break;
      seen += parts->head().name + "=";
      if (parts->head().name == "skipped") continue;
      auto text = co_await parts->read_all(part_max);
      if (!text) co_return out.send_error(http::status_of(text.error()));
      seen += *text + "|";
      EXPECT_TRUE((co_await parts->read())->empty());
    }
    EXPECT_FALSE((co_await parts->next()).or_throw());
    out.send(seen);
  });
  return router;
}

TEST(Multipart, partsComeOneAfterTheOther) {
  proto::MultipartWriter form("B");
  form.text("a", "one").text("skipped", std::string(5'000, 'x')).file("f", "n", "x/y", "bytes\r\n");
  const std::string type = form.content_type();
  const std::string body = form.finish();
  EXPECT_TRUE(post(multipart_router(), type, body).ends_with("a=one|skipped=f=bytes\r\n|"));
  const std::string cut = post(multipart_router(), type, body.substr(0, body.size() - 6));
  EXPECT_TRUE(cut.starts_with("HTTP/1.1 400 ")) << cut;
  EXPECT_TRUE(post(multipart_router(2), type, body).starts_with("HTTP/1.1 413 "));
  EXPECT_TRUE(post(multipart_router(), "multipart/form-data", body).starts_with("HTTP/1.1 400 "));
  EXPECT_TRUE(post(multipart_router(), type, "--B\r\nbad\r\n\r\n").starts_with("HTTP/1.1 400 "));
}

}  // namespace
}  // namespace rondo::testing
