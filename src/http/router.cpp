// SPDX-License-Identifier: Apache-2.0
// A tree of path segments; a request walks it once, and back where a literal led nowhere.
#include "rondo/http/router.hpp"

#include <algorithm>
#include <memory>
#include <optional>

#include "rondo/proto/url.hpp"

namespace rondo::http {

namespace detail {

struct RouteNode {
  struct Action {
    Method method;
    Handler handler;
  };
  struct Literal {
    std::string text;
    std::unique_ptr<RouteNode> node;
  };
  std::vector<Literal> literals;
  std::unique_ptr<RouteNode> param;   // {name}
  std::unique_ptr<RouteNode> rest;    // {name...}
  std::string name;                   // Of the parameter that leads here.
  std::vector<Action> actions;

  Handler* find(Method method) noexcept {
    Handler* of_get = nullptr;
    for (Action& action : actions) {
      if (action.method == method) return &action.handler;
      if (action.method == Method::get) of_get = &action.handler;
    }
    return method == Method::head ? of_get : nullptr;
  }
};

namespace {

/// Walks a path that has no percent-encoding, or whose segments were decoded.
struct Walk {
  Params& params;
  std::string_view path;

  RouteNode* walk(RouteNode& node, std::size_t at) {
    // `at` is behind a slash; npos: the path is used up.
    if (at == std::string_view::npos) return node.actions.empty() ? nullptr : &node;
    const std::size_t slash = path.find('/', at);
    const std::string_view raw = path.substr(at, slash == path.npos ? path.npos : slash - at);
    const std::size_t next = slash == path.npos ? path.npos : slash + 1;
    const std::size_t decoded_before = params.decoded.size();
    const std::optional<std::string_view> segment = decode(raw);
    if (!segment) return nullptr;
    for (RouteNode::Literal& literal : node.literals) {
      if (literal.text != *segment) continue;
      if (RouteNode* found = walk(*literal.node, next)) return found;
    }
    const std::size_t count = params.count;
    if (node.param && !segment->empty()) {
      params.items[params.count++] = {node.param->name, *segment};
      if (RouteNode* found = walk(*node.param, next)) return found;
      params.count = count;
    }
    params.decoded.resize(decoded_before);
    if (!node.rest) return nullptr;
    const std::optional<std::string_view> all = decode(path.substr(at));
    if (!all) return nullptr;
    params.items[params.count++] = {node.rest->name, *all};
    return node.rest.get();
  }

  /// Decoded text stands in params.decoded, whose room was made before: views of it stay.
  std::optional<std::string_view> decode(std::string_view raw) {
    if (raw.find('%') == raw.npos) return raw;
    auto text = proto::percent_decode(raw);
    if (!text) return std::nullopt;
    const std::size_t at = params.decoded.size();
    RONDO_ASSERT(at + text->size() <= params.decoded.capacity(), "room was made for the path");
    params.decoded.append(*text);
    return std::string_view(params.decoded).substr(at);
  }
};

RouteNode& child_of(RouteNode& node, std::string_view segment) {
  if (!segment.starts_with('{')) {
    for (auto& literal : node.literals) {
      if (literal.text == segment) return *literal.node;
    }
    node.literals.push_back({std::string(segment), std::make_unique<RouteNode>()});
    return *node.literals.back().node;
  }
  RONDO_ASSERT(segment.ends_with('}') && segment.size() > 2, "a parameter is written {name}");
  std::string_view name = segment.substr(1, segment.size() - 2);
  const bool rest = name.ends_with("...");
  if (rest) name.remove_suffix(3);
  std::unique_ptr<RouteNode>& child = rest ? node.rest : node.param;
  if (!child) {
    child = std::make_unique<RouteNode>();
    child->name = name;
  }
  RONDO_ASSERT(child->name == name, "two routes name the same segment differently");
  return *child;
}

std::string allow_of(const RouteNode& node) {
  std::string allow;
  const auto add = [&](Method method) {
    if (!allow.empty()) allow.append(", ");
    allow.append(proto::method_name(method));
  };
  bool has_get = false, has_head = false, has_options = false;
  for (const auto& action : node.actions) {
    add(action.method);
    has_get |= action.method == Method::get;
    has_head |= action.method == Method::head;
    has_options |= action.method == Method::options;
  }
  if (has_get && !has_head) add(Method::head);
  if (!has_options) add(Method::options);
  return allow;
}

}  // namespace

/// Middleware from the outside in. Handlers inside of them point here.
struct Layers {
  std::vector<Middleware*> list;
  std::vector<Owned<Middleware>> own;

  Task<> run(std::size_t at, Handler& handler, Request& request, Response& response) const {
    if (at < list.size()) {
      const Next next(*this, at + 1, handler, request, response);
      co_await (*list[at])(request, response, next);
    } else if (handler.is_plain()) {
      handler.call(request, response);
    } else {
      co_await handler.start(request, response);
    }
  }
  void add(Middleware&& middleware) {
    own.emplace_back(new Middleware(std::move(middleware)));
    list.push_back(own.back().get());
  }
  /// The handler inside of what there is now: what is added later is not around it.
  Handler around(Handler&& handler) {
    if (list.empty()) return std::move(handler);
    struct Inside {
      Layers layers;
      Handler handler;
    };
    auto inside = std::make_unique<Inside>();
    inside->layers.list = list;
    inside->handler = std::move(handler);
    return Handler([inside = std::move(inside)](Request& request, Response& response) {
      return inside->layers.run(0, inside->handler, request, response);
    });
  }
};

}  // namespace detail

Task<> Next::operator()() const { return layers_->run(at_, *handler_, *request_, *response_); }

Router::Router() : root_(std::make_unique<detail::RouteNode>()) { new_layers(nullptr); }
Router::Router(Router&&) noexcept = default;
Router& Router::operator=(Router&&) noexcept = default;
Router::~Router() = default;

detail::Layers& Router::new_layers(const detail::Layers* around) {
  layers_.emplace_back(new detail::Layers);
  if (around) layers_.back()->list = around->list;
  return *layers_.back();
}

Router& Router::on(Method method, std::string_view pattern, Handler handler) {
  RONDO_ASSERT(handler, "a route needs a handler");
  add(method, pattern, layers_.front()->around(std::move(handler)));
  return *this;
}

void Router::add(Method method, std::string_view pattern, Handler handler) {
  RONDO_ASSERT(pattern.starts_with('/'), "a pattern begins with /");
  detail::RouteNode* node = root_.get();
  std::size_t params = 0;
  bool rest = false;
  for (proto::PathSegments left(pattern); auto segment = left.next();) {
    RONDO_ASSERT(!rest, "{name...} is the last segment");
    if (segment->starts_with('{')) ++params;
    rest = segment->ends_with("...}");
    node = &detail::child_of(*node, *segment);
  }
  RONDO_ASSERT(params <= k_params_max, "a route has at most 8 parameters");
  for (const auto& action : node->actions) {
    RONDO_ASSERT(action.method != method, "this method and pattern have a handler already");
  }
  node->actions.push_back({method, std::move(handler)});
}

Router& Router::otherwise(Handler handler) {
  otherwise_ = layers_.front()->around(std::move(handler));
  answers_unknown_ = true;
  return *this;
}

Router& Router::use(Middleware middleware) {
  layers_.front()->add(std::move(middleware));
  if (answers_unknown_) return *this;
  otherwise_ = layers_.front()->around(
      Handler([](Request&, Response& response) { response.send_error(404); }));
  return *this;
}

Group Router::group(std::string_view prefix) {
  RONDO_ASSERT(prefix.starts_with('/') && !prefix.ends_with('/'), "a prefix is written /a/b");
  return {*this, std::string(prefix), new_layers(layers_.front().get())};
}

Group& Group::use(Middleware middleware) {
  layers_->add(std::move(middleware));
  return *this;
}

Group& Group::on(Method method, std::string_view pattern, Handler handler) {
  RONDO_ASSERT(handler, "a route needs a handler");
  router_->add(method, prefix_ + std::string(pattern), layers_->around(std::move(handler)));
  return *this;
}

Group Group::group(std::string_view prefix) {
  RONDO_ASSERT(prefix.starts_with('/') && !prefix.ends_with('/'), "a prefix is written /a/b");
  return {*router_, prefix_ + std::string(prefix), router_->new_layers(layers_)};
}

Router& Router::filter(Filter check) {
  filters_.push_back(std::move(check));
  return *this;
}

Router::Match Router::match(Method method, std::string_view path, detail::Params& params) {
  params.count = 0;
  params.decoded.clear();
  if (!path.starts_with('/')) {
    return {nullptr, path == "*" && method == Method::options ? 204 : 400, {}};
  }
  if (path.find('%') != path.npos) {
    if (!proto::percent_decode(path)) return {nullptr, 400, {}};
    // Each level of the walk may keep one decoded segment, and a rest all of them once more.
    params.decoded.reserve(2 * path.size());
  }
  detail::RouteNode* node = detail::Walk{params, path}.walk(*root_, 1);
  if (!node) {
    if (otherwise_) return {&otherwise_, 200, {}};
    return {nullptr, 404, {}};
  }
  if (Handler* handler = node->find(method)) return {handler, 200, {}};
  return {nullptr, method == Method::options ? 204 : 405, detail::allow_of(*node)};
}

bool Router::admit(Request& request, Response& response) {
  for (auto& check : filters_) {
    if (!check(request, response)) {
      RONDO_ASSERT(response.started(), "a filter that refuses has answered");
      return false;
    }
  }
  return true;
}

}  // namespace rondo::http
