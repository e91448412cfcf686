// SPDX-License-Identifier: Apache-2.0
// Router: which handler answers which path and method.
//
//   http::Router router;
//   router.get("/", [](http::Request&, http::Response& out) { out.send("Hello, World!"); });
//   router.post("/api/v1/rooms/{room}/messages", post_message);         // a coroutine: Task<>
//   router.get("/files/{path...}", send_file);                          // the rest of the path
//
// A handler is a coroutine `Task<>(Request&, Response&)`, or a plain function of the same
// arguments when it has nothing to wait for: that costs no coroutine frame. Literal segments win
// over parameters, those over the rest. GET answers HEAD too. An unknown path is 404, a known one
// with another method 405 with Allow; OPTIONS is answered with Allow. A handler that throws is 500.
// Segments are compared percent-decoded; a path that does not decode is 400.
// Lifetime: coroutine lambdas with captures are safe here: the router keeps them while they run.
// Thread rule: filled on one thread, then used by the loop's.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "rondo/base/memory.hpp"
#include "rondo/base/move_fn.hpp"
#include "rondo/core/task.hpp"
#include "rondo/http/message.hpp"

namespace rondo::http {

/// A handler of either kind.
class Handler {
 public:
  Handler() = default;
  template <class F>
    requires(!std::is_same_v<std::remove_cvref_t<F>, Handler> &&
             std::is_invocable_v<std::decay_t<F>&, Request&, Response&>)
  Handler(F&& f) {  // NOLINT: every such function is a handler.
    using R = std::invoke_result_t<std::decay_t<F>&, Request&, Response&>;
    static_assert(std::is_void_v<R> || std::is_same_v<R, Task<>>,
                  "a handler returns void or Task<>");
    if constexpr (std::is_void_v<R>) plain_ = std::forward<F>(f);
    else task_ = std::forward<F>(f);
  }
  explicit operator bool() const noexcept { return plain_ || task_; }
  bool is_plain() const noexcept { return static_cast<bool>(plain_); }
  void call(Request& request, Response& response) { plain_(request, response); }
  Task<> start(Request& request, Response& response) { return task_(request, response); }

 private:
  MoveFn<void(Request&, Response&)> plain_;
  MoveFn<Task<>(Request&, Response&)> task_;
};

/// Parameters one route may have.
inline constexpr std::size_t k_params_max = 8;

namespace detail {
/// The parameters of a matched route.
struct Params {
  struct Item {
    std::string_view name;
    std::string_view value;
  };
  Item items[k_params_max];
  std::size_t count = 0;
  std::string decoded;  ///< holds the values that were percent-encoded
};
struct RouteNode;
}  // namespace detail

class Router {
 public:
  Router();
  Router(Router&&) noexcept;
  Router& operator=(Router&&) noexcept;
  ~Router();

  /// Adds a route. Twice the same method and pattern, or a pattern that does not begin with `/`,
  /// is an assertion.
  Router& on(Method method, std::string_view pattern, Handler handler);
  Router& get(std::string_view pattern, Handler handler) {
    return on(Method::get, pattern, std::move(handler));
  }
  Router& post(std::string_view pattern, Handler handler) {
    return on(Method::post, pattern, std::move(handler));
  }
  Router& put(std::string_view pattern, Handler handler) {
    return on(Method::put, pattern, std::move(handler));
  }
  Router& patch(std::string_view pattern, Handler handler) {
    return on(Method::patch, pattern, std::move(handler));
  }
  Router& del(std::string_view pattern, Handler handler) {
    return on(Method::delete_, pattern, std::move(handler));
  }
  /// Answers every path that no route has, in place of 404.
  Router& otherwise(Handler handler);
  /// Asked before every handler, in the order they were added; false means that it has answered.
  Router& filter(MoveFn<bool(Request&, Response&)> check);

  /// What matches: the handler, else the status to refuse with (400, 404, 405; 204 for OPTIONS)
  /// and for 405 and 204 the value of Allow.
  struct Match {
    Handler* handler = nullptr;
    int status = 0;
    std::string allow;
  };
  Match match(Method method, std::string_view path, detail::Params& params);
  /// Runs the filters; false when one of them has answered.
  bool admit(Request& request, Response& response);

 private:
  Owned<detail::RouteNode> root_;
  Handler otherwise_;
  std::vector<MoveFn<bool(Request&, Response&)>> filters_;
};

}  // namespace rondo::http
