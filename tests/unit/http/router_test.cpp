// SPDX-License-Identifier: Apache-2.0
#include "rondo/http/router.hpp"

#include <gtest/gtest.h>

namespace rondo::http {
namespace {

Router routes() {
  Router router;
  const auto nothing = [](Request&, Response&) {};
  router.get("/", nothing).get("/rooms", nothing).post("/rooms", nothing);
  router.get("/rooms/{room}", nothing).get("/rooms/new", nothing);
  router.get("/rooms/{room}/messages/{id}", nothing).get("/files/{path...}", nothing);
  return router;
}

struct Case {
  const char* path;
  int status;
  const char* first;
};

TEST(HttpRouter, findsTheRouteAndItsParameters) {
  Router router = routes();
  const Case cases[] = {
      {"/", 200, ""},
      {"/rooms", 200, ""},
      {"/rooms/", 404, ""},
      {"//", 404, ""},
      {"/rooms/lobby", 200, "lobby"},
      {"/rooms/new", 200, ""},
      {"/rooms/newer", 200, "newer"},
      {"/rooms/a%20b", 200, "a b"},
      {"/rooms/a%2Fb", 200, "a/b"},
      {"/rooms/%6Eew", 200, ""},
      {"/rooms/%zz", 400, ""},
      {"/rooms/%00", 400, ""},
      {"/rooms/new/messages/7", 200, "new"},
      {"/rooms/lobby/messages", 404, ""},
      {"/files/", 200, ""},
      {"/files/a/b.txt", 200, "a/b.txt"},
      {"/files/a%20b/c", 200, "a b/c"},
      {"/files", 404, ""},
      {"", 400, ""},
      {"*", 400, ""},
  };
  for (const Case& one : cases) {
    detail::Params params;
    const Router::Match match = router.match(Method::get, one.path, params);
    EXPECT_EQ(match.status, one.status) << one.path;
    EXPECT_EQ(match.handler != nullptr, one.status == 200) << one.path;
    if (*one.first) {
      ASSERT_GE(params.count, 1U) << one.path;
      EXPECT_EQ(params.items[0].value, one.first) << one.path;
    } else if (one.status == 200 && one.path != std::string_view("/files/")) {
      EXPECT_EQ(params.count, 0U) << one.path;
    }
  }
}

TEST(HttpRouter, keepsEveryParameterWithItsName) {
  Router router = routes();
  detail::Params params;
  ASSERT_TRUE(router.match(Method::get, "/rooms/l%C3%B6bby/messages/%37", params).handler);
  ASSERT_EQ(params.count, 2U);
  EXPECT_EQ(params.items[0].name, "room");
  EXPECT_EQ(params.items[0].value, "l\u00f6bby");
  EXPECT_EQ(params.items[1].name, "id");
  EXPECT_EQ(params.items[1].value, "7");
}

TEST(HttpRouter, namesTheMethodsOfAPath) {
  Router router = routes();
  detail::Params params;
  const Router::Match wrong = router.match(Method::delete_, "/rooms", params);
  EXPECT_EQ(wrong.status, 405);
  EXPECT_EQ(wrong.allow, "GET, POST, HEAD, OPTIONS");
  EXPECT_EQ(router.match(Method::options, "/rooms", params).status, 204);
  EXPECT_TRUE(router.match(Method::head, "/rooms", params).handler);
}

TEST(HttpRouter, growsNoMemoryOverPathsMadeToBacktrack) {
  Router router;
  std::string pattern;
  for (int i = 0; i < 8; ++i) pattern.append("/a");
  router.get(pattern, [](Request&, Response&) {});
  router.get("/{a}/{b}/{c}/{d}/{e}/{f}/{g}/z", [](Request&, Response&) {});
  std::string path;
  for (int i = 0; i < 7; ++i) path.append("/%61");
  detail::Params params;
  EXPECT_EQ(router.match(Method::get, path + "/y", params).status, 404);
  EXPECT_TRUE(router.match(Method::get, path + "/z", params).handler);
  EXPECT_EQ(params.count, 7U);
}

}  // namespace
}  // namespace rondo::http
