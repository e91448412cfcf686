// SPDX-License-Identifier: Apache-2.0
// A small HTTP API: a group behind a password, a form, a cookie, and a line for each request.
#include <cstdio>
#include <string>

#include "rondo/core/loop.hpp"
#include "rondo/core/scope.hpp"
#include "rondo/http/client.hpp"
#include "rondo/http/cookies.hpp"
#include "rondo/http/form.hpp"
#include "rondo/http/middleware.hpp"
#include "rondo/http/server.hpp"
#include "rondo/net/tcp.hpp"

using namespace rondo;

namespace {

Task<> add_note(http::Request& request, http::Response& response) {
  auto form = co_await http::read_form(request);
  if (!form) co_return response.send_error(http::status_of(form.error()));
  const std::string text(form->get("text").value_or("nothing"));
  (void)http::set_cookie(response, {.name = "last", .value = "1", .path = "/"});
  response.status(201).send(std::string(http::current_user()) + " noted: " + text);
}

http::Router api() {
  http::Router router;
  router.use(http::access_log([](const http::AccessRecord& each) {
    std::printf("%s %s %d\n", std::string(each.method).c_str(), std::string(each.target).c_str(),
                each.status);
  }));
  http::Group notes = router.group("/notes");
  notes.use(http::basic_authentication(
      "notes", [](std::string_view user, std::string_view password) -> Task<bool> {
        co_return user == "ada" && password == "secret";
      }));
  notes.post("", add_note);
  notes.get("/{id}", [](http::Request& request, http::Response& response) {
    const bool came_back = http::cookie(request, "last").has_value();
    response.send("note " + std::string(request.param("id")) + (came_back ? " again" : ""));
  });
  return router;
}

Task<> use(std::string url) {
  http::CookieJar jar;
  http::Client client({.base_url = url, .cookies = &jar});
  const http::Header ada{"Authorization", http::basic_authorization("ada", "secret")};
  const http::Header form{"Content-Type", "application/x-www-form-urlencoded"};
  auto stranger = (co_await client.get("notes/7")).or_throw();
  std::printf("%d\n", stranger.status());
  auto added = (co_await client.send({.method = "POST",
                                      .url = "notes",
                                      .headers = {ada, form},
                                      .body = "text=turn+the+loop"}))
                   .or_throw();
  std::printf("%s\n", (co_await added.read_all()).or_throw().c_str());
  auto read = (co_await client.send({.url = "notes/7", .headers = {ada}})).or_throw();
  std::printf("%s\n", (co_await read.read_all()).or_throw().c_str());
}

Task<> talk() {
  auto listener = tcp::listen({.address = "127.0.0.1:0"}).or_throw();
  http::Server server(api());
  co_await with_scope([&](Scope& scope) -> Task<> {
    scope.start([&]() -> Task<> { (void)co_await server.run(listener); });
    co_await use("http://" + listener.local().to_string() + "/");
    scope.cancel();
  });
}

}  // namespace

int main() { return run(talk()); }
