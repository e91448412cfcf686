// SPDX-License-Identifier: Apache-2.0
// tcp::connect to a name, after RFC 8305: questions for both families and attempts at several
// addresses run as children of one scope; whoever knows something new says so through `changed`,
// and one loop decides what is started next. The first connection cancels the scope.
#include <algorithm>
#include <deque>
#include <functional>
#include <optional>
#include <utility>

#include "rondo/core/cancel.hpp"
#include "rondo/core/event.hpp"
#include "rondo/core/scope.hpp"
#include "rondo/net/resolve.hpp"
#include "rondo/net/tcp.hpp"

namespace rondo::tcp {
namespace {

using io::AddressFamily;
using net::Endpoint;

/// What the children of one connect share.
struct Race {
  std::deque<Endpoint> v6;
  std::deque<Endpoint> v4;
  bool asking_v6 = false;
  bool asking_v4 = false;
  std::size_t running = 0;
  bool v6_is_next = true;
  TimePoint next_attempt = TimePoint::min();
  TimePoint v4_known_at{};
  Event changed;
  std::optional<Stream> winner;
  std::vector<Error> failures;            ///< of attempts, in the order they failed
  std::optional<Error> resolution_error;  ///< of one family; it counts when there is no address

  bool has_address() const noexcept { return !v6.empty() || !v4.empty(); }
  bool is_over() const noexcept {
    return winner || (!has_address() && !asking_v6 && !asking_v4 && running == 0);
  }
  /// The families take turns as long as both have addresses.
  Endpoint take_next() {
    const bool from_v6 = v4.empty() || (v6_is_next && !v6.empty());
    std::deque<Endpoint>& list = from_v6 ? v6 : v4;
    const Endpoint next = list.front();
    list.pop_front();
    v6_is_next = !from_v6;
    return next;
  }
};

Task<> look_up(Race& race, const net::HostPort& where, AddressFamily family) {
  bool& asking = family == AddressFamily::v6 ? race.asking_v6 : race.asking_v4;
  auto found = co_await net::resolve(where.host, where.port, family);
  asking = false;
  if (found) {
    for (const Endpoint& endpoint : *found) {
      (endpoint.is_v6() ? race.v6 : race.v4).push_back(endpoint);
    }
    if (family == AddressFamily::v4) race.v4_known_at = Loop::current().now();
  } else if (!race.resolution_error || race.resolution_error->code() == Errc::no_such_host) {
    race.resolution_error = found.error();  // "No server answered" says more than "no such name".
  }
  race.changed.set();
}

Task<> attempt(Race& race, Endpoint where) {
  auto stream = co_await connect(where);
  --race.running;
  if (!stream) {
    race.failures.push_back(stream.error());
    race.next_attempt = TimePoint::min();  // The next one need not wait for it any longer.
  } else if (!race.winner) {
    race.winner = std::move(*stream);
  }
  race.changed.set();
}

/// No address was tried yet.
bool is_first(const Race& race) noexcept { return race.running == 0 && race.failures.empty(); }

/// The earliest instant at which the next address may be tried.
TimePoint may_start_at(const Race& race, const ConnectOptions& options) {
  const bool v6_may_come = race.asking_v6 && race.v6.empty();
  if (!v6_may_come || !is_first(race)) return race.next_attempt;
  return std::max(race.next_attempt, deadline_after(race.v4_known_at, options.resolution_delay));
}

Task<> run_race(Race& race, const ConnectOptions& options, Scope& scope) {
  while (!race.is_over()) {
    TimePoint until = k_no_deadline;
    if (race.has_address()) {
      const TimePoint now = Loop::current().now();
      until = may_start_at(race, options);
      if (until <= now) {
        race.next_attempt = deadline_after(now, options.attempt_delay);
        if (is_first(race) && options.resolved_at) *options.resolved_at = now;
        ++race.running;
        scope.start(attempt, std::ref(race), race.take_next());
        continue;
      }
    }
    race.changed.reset();
    (void)co_await with_deadline(until, race.changed.wait());
  }
  scope.cancel({"connected, or nothing is left to try"});
}

Error failure_of(const Race& race, const std::string& asked) {
  if (race.failures.empty()) {
    return race.resolution_error.value_or(Error(Errc::no_such_host, "connect", asked));
  }
  const Error& last = race.failures.back();
  if (race.failures.size() == 1) return last;
  std::string tried;
  for (const Error& failure : race.failures) {
    if (!tried.empty()) tried += "; ";
    tried += std::string(failure.object()) + ": " + describe(failure.code());
  }
  return Error(last.code(), "connect", asked + " (" + tried + ")");
}

}  // namespace

Task<Result<Stream>> connect(std::string host_and_port, ConnectOptions options) {
  auto where = net::parse_host_port(host_and_port);
  if (!where) co_return where.error();
  if (Endpoint::ip(where->host, where->port)) {
    const auto one = co_await net::resolve(where->host, where->port, options.family).or_return();
    if (options.resolved_at) *options.resolved_at = Loop::current().now();
    co_return co_await connect(one.front());
  }
  Race race;
  race.asking_v6 = options.family != AddressFamily::v4;
  race.asking_v4 = options.family != AddressFamily::v6;
  co_await with_scope([&](Scope& scope) -> Task<> {
    if (race.asking_v6) scope.start(look_up, std::ref(race), std::cref(*where), AddressFamily::v6);
    if (race.asking_v4) scope.start(look_up, std::ref(race), std::cref(*where), AddressFamily::v4);
    co_await run_race(race, options, scope);
  });
  if (race.winner) co_return std::move(*race.winner);
  co_return failure_of(race, host_and_port);
}

}  // namespace rondo::tcp
