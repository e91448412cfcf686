// SPDX-License-Identifier: Apache-2.0
// What stands around handlers: logging, names for requests, traces, authentication; and filters
// that stand before them: CORS, rate limits.
//
//   http::Router router;
//   router.use(http::request_id());
//   router.use(http::access_log([](const http::AccessRecord& each) { print(each); }));
//   router.filter(http::cors({.origins = {"https://app.example.org"}}));
//   http::Group admin = router.group("/admin");
//   admin.use(http::basic_authentication("admin", check_password));   // Task<bool>(user, password)
//   admin.get("/users", list_users);
//
// One of your own is a coroutine that awaits next(), or does not:
//
//   router.use([](http::Request& in, http::Response& out, http::Next next) -> Task<> {
//     if (closed_for_today()) co_return out.send_error(503);
//     co_await next();
//   });
//
// Lifetime: the router keeps them. Thread rule: the loop's thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "rondo/base/limits.hpp"
#include "rondo/base/move_fn.hpp"
#include "rondo/base/time.hpp"
#include "rondo/core/task.hpp"
#include "rondo/http/router.hpp"
#include "rondo/proto/trace_context.hpp"

namespace rondo::http {

/// One request that was answered; valid during the call.
struct AccessRecord {
  std::string_view peer;
  std::string_view method;
  std::string_view target;
  int status = 0;
  std::uint64_t bytes = 0;      ///< of the answer's body
  Duration took = {};           ///< until the handler returned
  std::string_view request_id;  ///< "" without request_id() around
};
/// Tells about each request when its handler has returned, also when it threw or was cancelled
/// (status 0 when it had not answered).
Middleware access_log(MoveFn<void(const AccessRecord&)> tell);

/// Gives each request a name of 32 hex digits: in the field X-Request-Id of the answer and as
/// current_request_id(). `trust` takes the client's, when it has 1 to 128 visible characters: for
/// programs behind a proxy of one's own.
struct RequestIdOptions {
  bool trust = false;
};
Middleware request_id(RequestIdOptions options = {});
/// The name of the request on whose behalf this runs, also in functions of run_blocking; else "".
std::string_view current_request_id() noexcept;

/// Takes part in the trace that the client names in `traceparent`, or begins one. While the
/// handler runs current_trace() is this step, and every http::Client sends it on.
Middleware trace_context();
/// The step on whose behalf this runs; null without one.
const proto::TraceContext* current_trace() noexcept;

/// 401 unless the client sends name and password (RFC 7617) that `check` accepts. While the
/// handler runs current_user() is the name. Over an insecure connection anybody can read both.
Middleware basic_authentication(
    std::string realm, MoveFn<Task<bool>(std::string_view user, std::string_view password)> check);
/// 401 unless the client sends a bearer token (RFC 6750) for which `check` says who it is; "" for
/// nobody.
Middleware bearer_authentication(std::string realm,
                                 MoveFn<Task<std::string>(std::string_view token)> check);
/// Who was authenticated, else "".
std::string_view current_user() noexcept;

/// Which pages of other origins may read answers (WHATWG Fetch, section 3.2).
struct CorsOptions {
  std::vector<std::string> origins = {};  ///< "https://app.example.org"; "*" is everybody
  std::vector<std::string> methods = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"};
  std::vector<std::string> headers = {};  ///< fields a page may send beside the simple ones
  std::vector<std::string> exposed = {};  ///< fields of answers a page may read
  bool credentials = false;               ///< with cookies; never with "*" (asserted)
  std::chrono::seconds max_age = std::chrono::hours(1);  ///< a browser remembers a preflight
};
Filter cors(CorsOptions options);

/// 429 with Retry-After for a client's address (of IPv6 its /64) that asks more often. Addresses
/// beyond limits::http_rate_clients_max push out the one that asked longest ago.
struct RateLimitOptions {
  std::uint64_t requests = 100;
  Duration per = std::chrono::seconds(1);
  std::uint64_t burst = 200;
};
Filter rate_limit(RateLimitOptions options);

}  // namespace rondo::http
