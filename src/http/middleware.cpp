// SPDX-License-Identifier: Apache-2.0
#include "rondo/http/middleware.hpp"

#include <algorithm>
#include <list>
#include <map>
#include <span>
#include <utility>

#include "base/text.hpp"
#include "rondo/core/loop.hpp"
#include "rondo/core/task_local.hpp"
#include "rondo/net/endpoint.hpp"
#include "rondo/proto/base64.hpp"
#include "rondo/proto/http1.hpp"

namespace rondo::http {
namespace {

constexpr TaskLocal<std::string> k_request_id;
constexpr TaskLocal<std::string> k_user;
constexpr TaskLocal<proto::TraceContext> k_trace;

constexpr std::size_t k_id_max = 128;

bool is_visible(std::string_view text) noexcept {
  return !text.empty() && text.size() <= k_id_max &&
         std::ranges::all_of(text, [](char c) { return c > 0x20 && c < 0x7f; });
}

template <std::size_t N>
std::array<std::byte, N> random_bytes() {
  std::array<std::byte, N> bytes;
  Loop::current().driver().random(bytes);
  return bytes;
}

std::string_view view_of(const std::string* text) noexcept {
  return text ? std::string_view(*text) : std::string_view();
}

/// Tells when the handler is done, however it ends.
struct Told {
  MoveFn<void(const AccessRecord&)>& tell;
  Request& request;
  Response& response;
  TimePoint began = now();
  bool threw = false;
  bool returned = false;

  ~Told() {
    const bool answered = response.started() || returned;
    tell({.peer = request.peer(),
          .method = request.method_text(),
          .target = request.target(),
          .status = threw      ? 500
                    : answered ? response.status()
                               : 0,
          .bytes = response.body_size(),
          .took = now() - began,
          .request_id = current_request_id()});
  }
};

/// The text behind "Basic " or "Bearer " of the Authorization field; "" without.
std::string_view credentials(const Request& request, std::string_view scheme) noexcept {
  std::string_view field = request.header("Authorization");
  if (field.size() <= scheme.size() || field[scheme.size()] != ' ' ||
      !proto::iequals(field.substr(0, scheme.size()), scheme))
    return {};
  field.remove_prefix(scheme.size());
  return trimmed_front(field);
}

std::string challenge(std::string_view scheme, const std::string& realm) {
  RONDO_ASSERT(realm.find_first_of("\"\\") == realm.npos && proto::is_field_value(realm),
               "a realm is one line without quotes and backslashes");
  return std::string(scheme) + " realm=\"" + realm + "\"";
}

void refuse(Response& response, std::string_view challenge) {
  response.header("WWW-Authenticate", challenge).send_error(401);
}

std::string joined(const std::vector<std::string>& list) {
  std::string text;
  for (const std::string& each : list) text += (text.empty() ? "" : ", ") + each;
  return text;
}

/// What stands for a client: an address of IPv4, however it is written, or the /64 of IPv6, which
/// is what one client has at the least. Told by bytes: "::1" and "::ffff:1.2.3.4" begin alike.
std::string client_of(std::string_view peer) {
  const auto endpoint = net::Endpoint::parse(peer);
  if (!endpoint) return std::string(peer.substr(0, peer.rfind(':')));
  const std::string bytes = endpoint->ip_bytes();
  constexpr std::size_t k_network = 8;
  return bytes.empty() ? std::string(peer) : bytes.substr(0, k_network);
}

/// Token buckets by client, the one that asked last in front.
class Buckets {
 public:
  explicit Buckets(const RateLimitOptions& options) : options_(options) {
    RONDO_ASSERT(options.requests > 0 && options.burst > 0 && options.per > Duration::zero(),
                 "a rate limit lets something through");
    each_ = options.per / static_cast<std::int64_t>(options.requests);
  }

  /// Zero when the request is let through, else when it may be asked again.
  Duration take(const std::string& client) {
    const TimePoint now = Loop::current().now();
    const auto [at, fresh] = index_.try_emplace(client);
    if (fresh) {
      order_.push_front({.client = &at->first, .full_at = now});
      at->second = order_.begin();
      if (order_.size() > limits::http_rate_clients_max.value) {
        const std::string oldest = *order_.back().client;
        order_.pop_back();
        index_.erase(oldest);
      }
    } else {
      order_.splice(order_.begin(), order_, at->second);
    }
    // The bucket as the instant at which it would be full again.
    Bucket& bucket = order_.front();
    const TimePoint full_at = std::max(bucket.full_at, now) + each_;
    const Duration most = each_ * static_cast<std::int64_t>(options_.burst);
    if (full_at - now > most) return full_at - now - most;
    bucket.full_at = full_at;
    return Duration::zero();
  }

 private:
  struct Bucket {
    const std::string* client;
    TimePoint full_at;
  };
  RateLimitOptions options_;
  Duration each_{};
  std::list<Bucket> order_;
  std::map<std::string, std::list<Bucket>::iterator> index_;
};

}  // namespace

std::string_view current_request_id() noexcept { return view_of(k_request_id.get()); }
std::string_view current_user() noexcept { return view_of(k_user.get()); }
const proto::TraceContext* current_trace() noexcept { return k_trace.get(); }

Middleware access_log(MoveFn<void(const AccessRecord&)> tell) {
  return [tell = std::move(tell)](Request& in, Response& out, Next next) mutable -> Task<> {
    Told told{.tell = tell, .request = in, .response = out};
    try {
      co_await next();
      told.returned = true;
    } catch (...) {
      told.threw = true;
      throw;
    }
  };
}

Middleware request_id(RequestIdOptions options) {
  return [options](Request& in, Response& out, Next next) -> Task<> {
    const std::string_view given = in.header("X-Request-Id");
    const bool take = options.trust && is_visible(given);
    std::string id = take ? std::string(given) : proto::hex_of(random_bytes<16>());
    out.header("X-Request-Id", id);
    co_await k_request_id.with(std::move(id), next());
  };
}

Middleware trace_context() {
  return [](Request& in, Response&, Next next) -> Task<> {
    auto trace = proto::parse_traceparent(in.header("traceparent"));
    if (!trace) trace = proto::TraceContext{.trace_id = random_bytes<16>()};
    trace->parent_id = random_bytes<8>();
    co_await k_trace.with(*trace, next());
  };
}

Middleware basic_authentication(std::string realm,
                                MoveFn<Task<bool>(std::string_view, std::string_view)> check) {
  return [text = challenge("Basic", realm) + ", charset=\"UTF-8\"", check = std::move(check)](
             Request& in, Response& out, Next next) mutable -> Task<> {
    const std::string_view packed = credentials(in, "Basic");
    std::string pair(packed.size(), ' ');
    const auto size = proto::base64_decode(packed, std::as_writable_bytes(std::span(pair)));
    pair.resize(size.value_or(0));
    const std::size_t colon = pair.find(':');
    const bool known =
        colon != pair.npos && co_await check(pair.substr(0, colon), pair.substr(colon + 1));
    if (!known) co_return refuse(out, text);
    co_await k_user.with(pair.substr(0, colon), next());
  };
}

Middleware bearer_authentication(std::string realm,
                                 MoveFn<Task<std::string>(std::string_view)> check) {
  return [text = challenge("Bearer", realm), check = std::move(check)](
             Request& in, Response& out, Next next) mutable -> Task<> {
    const std::string_view token = credentials(in, "Bearer");
    std::string user = token.empty() ? std::string() : co_await check(token);
    if (user.empty()) co_return refuse(out, text);
    co_await k_user.with(std::move(user), next());
  };
}

Filter cors(CorsOptions options) {
  const bool everybody = std::ranges::find(options.origins, "*") != options.origins.end();
  RONDO_ASSERT(!everybody || !options.credentials,
               "with credentials the origins are named, or any page could act for its visitor");
  return [=, methods = joined(options.methods), headers = joined(options.headers),
          exposed = joined(options.exposed)](Request& in, Response& out) {
    const std::string_view origin = in.header("Origin");
    const bool asks = in.method() == Method::options && !origin.empty() &&
                      in.head().has("Access-Control-Request-Method");
    if (!everybody) out.header("Vary", "Origin");
    const bool known =
        everybody || std::ranges::find(options.origins, origin) != options.origins.end();
    if (!origin.empty() && known) {
      out.header("Access-Control-Allow-Origin", everybody ? "*" : origin);
      if (options.credentials) out.header("Access-Control-Allow-Credentials", "true");
      if (!asks && !exposed.empty()) out.header("Access-Control-Expose-Headers", exposed);
    }
    if (!asks) return true;
    if (known) {
      out.header("Access-Control-Allow-Methods", methods);
      if (!headers.empty()) out.header("Access-Control-Allow-Headers", headers);
      out.header("Access-Control-Max-Age", std::to_string(options.max_age.count()));
    }
    out.status(204).send();
    return false;
  };
}

Filter rate_limit(RateLimitOptions options) {
  return [buckets = Buckets(options)](Request& in, Response& out) mutable {
    const Duration wait = buckets.take(client_of(in.peer()));
    if (wait == Duration::zero()) return true;
    const auto seconds = std::chrono::ceil<std::chrono::seconds>(wait).count();
    out.header("Retry-After", std::to_string(seconds)).send_error(429);
    return false;
  };
}

}  // namespace rondo::http
