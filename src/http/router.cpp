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
}  // namespace detail

Router::Router() : root_(std::make_unique<detail::RouteNode>()) {}
Router::Router(Router&&) noexcept = default;
Router& Router::operator=(Router&&) noexcept = default;
Router::~Router() = default;

Router& Router::on(Method method, std::string_view pattern, Handler handler) {
  RONDO_ASSERT(pattern.starts_with('/'), "a pattern begins with /");
  RONDO_ASSERT(handler, "a route needs a handler");
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
  return *this;
}

Router& Router::otherwise(Handler handler) {
  otherwise_ = std::move(handler);
  return *this;
}

Router& Router::filter(MoveFn<bool(Request&, Response&)> check) {
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
