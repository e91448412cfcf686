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
// A group has a prefix, and middleware around its handlers (http/middleware.hpp has some).
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
struct Layers;
}  // namespace detail

/// The rest of what stands around a handler, and the handler itself: awaited once, or not at all.
class Next {
 public:
  Task<> operator()() const;

 private:
  friend struct detail::Layers;
  Next(const detail::Layers& layers, std::size_t at, Handler& handler, Request& request,
       Response& response) noexcept
      : layers_(&layers), at_(at), handler_(&handler), request_(&request), response_(&response) {}
  const detail::Layers* layers_;
  std::size_t at_;
  Handler* handler_;
  Request* request_;
  Response* response_;
};

/// Stands around handlers: does what is to be done before, awaits next(), and what after.
using Middleware = MoveFn<Task<>(Request&, Response&, Next)>;
/// Asked before a handler; false means that it has answered.
using Filter = MoveFn<bool(Request&, Response&)>;

class Router;

namespace detail {
/// The verbs of what has on(): each adds a route and returns what it was called on.
struct Verbs {
  template <class Self>
  auto& get(this Self&& self, std::string_view pattern, Handler handler) {
    return self.on(Method::get, pattern, std::move(handler));
  }
  template <class Self>
  auto& post(this Self&& self, std::string_view pattern, Handler handler) {
    return self.on(Method::post, pattern, std::move(handler));
  }
  template <class Self>
  auto& put(this Self&& self, std::string_view pattern, Handler handler) {
    return self.on(Method::put, pattern, std::move(handler));
  }
  template <class Self>
  auto& patch(this Self&& self, std::string_view pattern, Handler handler) {
    return self.on(Method::patch, pattern, std::move(handler));
  }
  template <class Self>
  auto& del(this Self&& self, std::string_view pattern, Handler handler) {
    return self.on(Method::delete_, pattern, std::move(handler));
  }
};
}  // namespace detail

/// A part of a router: routes below a prefix with middleware of their own, inside of that of the
/// group around. A handle: fill it before the router is moved into a server.
class Group : public detail::Verbs {
 public:
  /// Puts middleware around every route that is added from now on, inside of what is there.
  Group& use(Middleware middleware);
  /// As Router::on, and get, post, put, patch, del; the pattern is what follows the prefix, and may
  /// be "" for the prefix itself.
  Group& on(Method method, std::string_view pattern, Handler handler);
  /// A group inside of this one.
  Group group(std::string_view prefix);

 private:
  friend Router;
  Group(Router& router, std::string prefix, detail::Layers& layers)
      : router_(&router), prefix_(std::move(prefix)), layers_(&layers) {}
  Router* router_;
  std::string prefix_;
  detail::Layers* layers_;
};

class Router : public detail::Verbs {
 public:
  Router();
  Router(Router&&) noexcept;
  Router& operator=(Router&&) noexcept;
  ~Router();

  /// Adds a route. Twice the same method and pattern, or a pattern that does not begin with `/`,
  /// is an assertion. get, post, put, patch and del are on() of these methods.
  Router& on(Method method, std::string_view pattern, Handler handler);
  /// Answers every path that no route has, in place of 404.
  Router& otherwise(Handler handler);
  /// Puts middleware around every route that is added from now on, and around what answers paths
  /// without one. What is refused before a route is looked for (400, 405, OPTIONS) is outside.
  Router& use(Middleware middleware);
  /// Routes below `prefix`, "/api/{version}" say, with middleware of their own.
  Group group(std::string_view prefix);
  /// Asked before every handler, in the order they were added; false means that it has answered.
  Router& filter(Filter check);

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
  friend Group;
  void add(Method method, std::string_view pattern, Handler handler);
  detail::Layers& new_layers(const detail::Layers* around);

  Owned<detail::RouteNode> root_;
  Handler otherwise_;
  bool answers_unknown_ = false;  ///< by a handler that was given
  std::vector<Filter> filters_;
  std::vector<Owned<detail::Layers>> layers_;  ///< the first is the router's own
};

}  // namespace rondo::http
