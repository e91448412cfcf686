// SPDX-License-Identifier: Apache-2.0
// Client, Answer: redirects and repetitions around single attempts.
#include "http/client.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>

#include "http/client_http1.hpp"
#include "http/client_http2.hpp"
#include "rondo/core/loop.hpp"
#include "rondo/core/sleep.hpp"
#include "rondo/proto/base64.hpp"
#include "rondo/proto/http1_write.hpp"
#include "rondo/proto/url.hpp"

namespace rondo::http {

using proto::iequals;

std::string basic_authorization(std::string_view user, std::string_view password) {
  const std::string pair = std::string(user).append(":").append(password);
  return "Basic " + proto::base64_encode(as_bytes(pair));
}

ClientOptions& ClientOptions::proxies_from_environment() {
  const auto read = [](const char* name, const char* otherwise) -> std::string {
    const char* value = std::getenv(name);
    if (!value) value = std::getenv(otherwise);
    return value ? value : "";
  };
  // Not HTTP_PROXY: in a CGI program the client chooses that one (CVE-2016-5385).
  http_proxy = read("http_proxy", "http_proxy");
  https_proxy = read("https_proxy", "HTTPS_PROXY");
  const std::string list = read("no_proxy", "NO_PROXY");
  for (std::size_t at = 0; at < list.size();) {
    const std::size_t end = std::min(list.find(',', at), list.size());
    std::string_view item = std::string_view(list).substr(at, end - at);
    while (item.starts_with(' ') || item.starts_with('.')) item.remove_prefix(1);
    while (item.ends_with(' ')) item.remove_suffix(1);
    if (!item.empty()) no_proxy.emplace_back(item);
    at = end + 1;
  }
  return *this;
}

namespace detail {
namespace {

bool may_repeat(const ClientRequest& request) {
  constexpr std::string_view k_idempotent[] = {"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"};
  return !request.body_source &&
         std::ranges::find(k_idempotent, request.method) != std::end(k_idempotent);
}

bool is_redirect(int status) noexcept {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

Result<> check(const ClientRequest& request) {
  if (!proto::is_token(request.method) || request.method == "CONNECT") {
    return Error(Errc::invalid_argument, "http method", request.method);
  }
  constexpr std::string_view k_own[] = {"host",       "connection",        "content-length",
                                        "keep-alive", "transfer-encoding", "upgrade",
                                        "expect"};
  for (const Header& field : request.headers) {
    const bool own = std::ranges::any_of(
        k_own, [&](std::string_view name) { return iequals(name, field.name); });
    if (own || !proto::is_token(field.name) || !proto::is_field_value(field.value)) {
      return Error(Errc::invalid_argument, "http field", field.name);
    }
  }
  return {};
}

/// What may not go to another host: it would tell our secrets to whom a server names.
bool is_secret(std::string_view name) noexcept {
  return iequals(name, "authorization") || iequals(name, "cookie") ||
         iequals(name, "proxy-authorization");
}

/// RFC 9110, section 15.4: what is asked of the place a server names. What becomes a GET is a new
/// request: a task of the old one's body may still be ending (HTTP/2), and has it until then.
std::shared_ptr<Sending> turned(std::shared_ptr<Sending> sending, int status, bool same_origin) {
  ClientRequest& before = sending->request;
  const bool to_get = status == 303 ? before.method != "HEAD"
                                    : (status == 301 || status == 302) && before.method == "POST";
  if (to_get) {
    ClientRequest get{.url = before.url, .headers = std::move(before.headers)};
    std::erase_if(get.headers, [](const Header& field) {
      return iequals(std::string_view(field.name).substr(0, 8), "content-");
    });
    sending = std::make_shared<Sending>(std::move(get));
  }
  if (same_origin) return sending;
  std::erase_if(sending->request.headers, [](const auto& f) { return is_secret(f.name); });
  sending->request.trailers = {};  // Nobody knows what is in them.
  return sending;
}

/// Retry-After in seconds (RFC 9110, section 10.2.3); dates are not used by anybody here.
Duration asked_delay(const proto::ResponseHead& head) {
  const std::string_view text = head.get("Retry-After");
  unsigned seconds = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), seconds);
  const bool whole = read.ec == std::errc() && read.ptr == text.data() + text.size();
  return whole ? std::chrono::seconds(seconds) : Duration::zero();
}

/// Half of it for certain, half by chance, so that many clients do not come back at once.
Duration with_chance(Duration delay) {
  std::array<std::byte, 2> random;
  Loop::current().driver().random(random);
  const auto part = std::to_integer<int>(random[0]) * 256 + std::to_integer<int>(random[1]);
  return delay / 2 + delay * part / 131'072;
}

/// What may be different the next time.
bool may_pass(const Error& error) noexcept {
  constexpr Errc k_passing[] = {
      Errc::connection_refused, Errc::connection_reset,     Errc::connection_aborted,
      Errc::broken_pipe,        Errc::connection_timed_out, Errc::timed_out,
      Errc::host_unreachable,   Errc::network_unreachable,  Errc::resolve_failed,
      Errc::truncated,          Errc::end_of_stream};
  return std::ranges::find(k_passing, error.code()) != std::end(k_passing);
}

bool is_refusal(int status) noexcept { return status == 502 || status == 503 || status == 504; }

}  // namespace

Task<Result<Owned<ClientExchange>>> ClientState::attempt(std::shared_ptr<Sending> sending,
                                                         const Target& target, Attempt& how) {
  for (bool again = false;; again = true) {
    Owned<ClientExchange> exchange(new ClientExchange(*this, target, how));
    const TimePoint began = now();
    auto found = co_await find_carrier(*exchange, began);
    if (!found) co_return found.error();
    ++statistics.requests;
    auto done = co_await exchange->exchange(sending);
    exchange->timings.head = now() - began;
    if (done) co_return std::move(exchange);
    const Fate fate = exchange->carrier->fate();
    const bool reused = exchange->timings.reused;
    if (fate == Fate::unseen)
      exchange->carrier.reset();
    else
      exchange->fail();
    if (done.error() == Errc::not_supported) co_return done.error();
    // A connection that its server had given up: nobody has seen the request.
    const bool unheard = fate == Fate::unheard && reused && may_repeat(sending->request);
    how.unseen = fate == Fate::unseen && sending->is_whole();
    if (!unheard && (!how.unseen || again)) co_return done.error();
    ++statistics.retries;
  }
}

Task<Result<Answer>> ClientState::send(ClientRequest given) {
  auto sending = std::make_shared<Sending>(std::move(given));
  if (auto good = check(sending->request); !good) co_return good.error();
  auto target = Target::of(options, sending->request.url);
  if (!target) co_return target.error();
  std::size_t followed = 0;
  std::size_t repeated = 0;
  Duration delay = options.retry_delay;
  LoginAttempt login(authenticator);
  while (true) {
    login.authorize(sending->request, *target);
    Result<Answer> answer = Error(Errc::try_again, "http");
    Attempt how;
    if (auto made = co_await attempt(sending, *target, how))
      answer = Answer(*made->release());
    else
      answer = made.error();
    if (answer && login.answers(sending->request, *target, answer->head())) {
      (void)co_await answer->read_all(65'536);  // So that its connection is kept.
      answer = Error(Errc::try_again, "http");
      ++statistics.challenges;
      continue;
    }
    const bool refused = answer && is_refusal(answer->status());
    const bool passing = refused || (!answer && may_pass(answer.error()));
    const bool repeatable = how.unseen || may_repeat(sending->request);
    if (passing && repeatable && repeated < options.retries_max) {
      const Duration asked = refused ? asked_delay(answer->head()) : Duration::zero();
      if (asked <= 10 * delay) {
        if (answer) (void)co_await answer->read_all(65'536);  // So that its connection is kept.
        answer = Error(Errc::try_again, "http");
        ++repeated;
        ++statistics.retries;
        co_await sleep_for(std::max(asked, with_chance(delay)));
        delay *= 2;
        continue;
      }
    }
    if (!answer || !is_redirect(answer->status()) || options.redirects_max == 0) {
      if (answer) answer->exchange_->redirects = followed;
      co_return answer;
    }
    const std::string_view location = answer->header("Location");
    const int status = answer->status();
    const bool replayable = !sending->request.body_source || status == 303;
    if (location.empty() || !replayable) co_return answer;
    if (followed == options.redirects_max) {
      co_return Error(Errc::bad_message, "http: too many redirects", sending->request.url);
    }
    auto next = proto::resolve_reference(target->url, location);
    auto onward = next ? Target::of(options, *next) : Result<Target>(next.error());
    if (!onward) co_return Error(Errc::bad_message, "http: redirected to", location);
    (void)co_await answer->read_all(65'536);
    const bool same = onward->secure == target->secure && onward->address == target->address;
    sending = turned(std::move(sending), status, same);
    answer = Error(Errc::try_again, "http");
    target = std::move(onward);
    login.redirected();
    ++followed;
    ++statistics.redirects;
  }
}

}  // namespace detail

// ---- Answer

Answer::~Answer() { delete exchange_; }

int Answer::status() const noexcept { return head().status(); }
const proto::ResponseHead& Answer::head() const noexcept { return exchange_->head; }
std::string_view Answer::url() const noexcept { return exchange_->target.url; }
std::size_t Answer::redirects() const noexcept { return exchange_->redirects; }
const ClientTimings& Answer::timings() const noexcept { return exchange_->timings; }

const proto::FieldList& Answer::trailers() const noexcept { return exchange_->trailers; }

std::string_view Answer::version() const noexcept {
  if (head().major_version() == 2) return "HTTP/2";
  return head().minor_version() == 0 ? "HTTP/1.0" : "HTTP/1.1";
}

bool Answer::was_packed() const noexcept { return exchange_->unpacking.has_value(); }

Task<Result<ByteView>> Answer::read() {
  return exchange_->unpacking ? exchange_->read_unpacked() : exchange_->read_piece();
}

Task<Result<std::string>> Answer::read_all(std::size_t max) {
  std::string text;
  while (true) {
    auto piece = co_await read();
    if (!piece) co_return piece.error();
    if (piece->empty()) co_return text;
    if (text.size() + piece->size() > max) {
      exchange_->fail();
      co_return Error(Errc::too_large, "http body", exchange_->target.url);
    }
    text.append(as_text(*piece));
  }
}

// ---- ClientUpgrade

ClientUpgrade::~ClientUpgrade() { delete exchange_; }
ByteStream& ClientUpgrade::stream() noexcept { return exchange_->carrier->upgraded(); }
const proto::ResponseHead& ClientUpgrade::head() const noexcept { return exchange_->head; }

Loan ClientUpgrade::take_rest(ByteView& rest) noexcept {
  return exchange_->carrier->take_rest(rest);
}

Task<Result<ClientUpgrade>> Client::upgrade(ClientRequest request, std::string protocol,
                                            bool over_http2) {
  if (auto good = detail::check(request); !good) co_return good.error();
  auto target = detail::Target::of(state_->options, request.url);
  if (!target) co_return target.error();
  target->tunnel = true;  // A proxy that forwards requests need not know the protocol.
  const auto sending = std::make_shared<detail::Sending>(std::move(request));
  const bool only_http2 = state_->options.versions == Versions::http2;
  detail::Attempt how{.upgrade = protocol, .http1_only = !over_http2 && !only_http2};
  auto made = co_await state_->attempt(sending, *target, how);
  if (!made && made.error() == Errc::not_supported && !only_http2) {
    how.http1_only = true;
    made = co_await state_->attempt(sending, *target, how);
  }
  if (!made) co_return made.error();
  detail::ClientExchange& exchange = **made;
  const int status = exchange.head.status();
  const bool agreed = exchange.head.major_version() == 2 ? status / 100 == 2 : status == 101;
  if (!agreed || exchange.ended) {
    co_return Error(Errc::access_denied, "http upgrade",
                    target->url + " answered " + std::to_string(status));
  }
  // It may live long: others have the place.
  exchange.place.reset();
  exchange.origin_place.reset();
  co_return ClientUpgrade(*made->release());
}

// ---- Client

Client::Client(ClientOptions options) : state_(new detail::ClientState(std::move(options))) {}
Client::~Client() = default;

Task<Result<Answer>> Client::send(ClientRequest request) {
  return state_->send(std::move(request));
}

ClientStatistics Client::statistics() const noexcept {
  ClientStatistics now = state_->statistics;
  for (const auto& [name, origin] : state_->origins) {
    now.idle += origin.idle.size();
    for (const auto& each : origin.http2) now.idle += each->is_idle() ? 1 : 0;
  }
  return now;
}

}  // namespace rondo::http
