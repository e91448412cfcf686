// SPDX-License-Identifier: Apache-2.0
// How a request comes to what carries it.
#include <algorithm>
#include <utility>

#include "http/client.hpp"
#include "http/client_http1.hpp"
#include "http/client_http2.hpp"

namespace rondo::http::detail {

// ---- Those who wait

void Origin::wake_one() noexcept {
  if (Waiting* first = waiting.pop_front()) first->turn.set();
}

void Origin::wake_all(const std::optional<Error>& failed) noexcept {
  while (Waiting* first = waiting.pop_front()) {
    first->failed = failed;
    first->turn.set();
  }
}

namespace {

/// One of those who wait; a turn that it was given and has not used goes to the next.
class InLine {
 public:
  /// `again`: it had its turn, and somebody who came by was faster.
  InLine(Origin& origin, bool again) noexcept : origin_(origin) {
    if (again)
      origin.waiting.push_front(self_);
    else
      origin.waiting.push_back(self_);
    ++origin.waiting_count;
  }
  InLine(const InLine&) = delete;
  ~InLine() {
    --origin_.waiting_count;
    if (self_.linked())
      self_.unlink();
    else if (!used_)
      origin_.wake_one();
  }
  Waiting& self() noexcept { return self_; }
  void use() noexcept { used_ = true; }

 private:
  Origin& origin_;
  Waiting self_;
  bool used_ = false;
};

/// While the origin's next connection is made. Whatever becomes of that, all who waited look again;
/// only when the first of all could not be made they fail with it, or each would try as long.
class OneAtATime {
 public:
  explicit OneAtATime(Origin& origin) noexcept : origin_(origin) { origin.opening = true; }
  OneAtATime(const OneAtATime&) = delete;
  ~OneAtATime() {
    origin_.opening = false;
    origin_.wake_all(failed);
  }
  std::optional<Error> failed;

 private:
  Origin& origin_;
};

}  // namespace

Task<Result<>> ClientState::wait_turn(Origin& origin, bool again) {
  if (origin.waiting_count >= options.waiting_max)
    co_return Error(Errc::would_exceed, "http", "too many requests wait for a connection");
  InLine place_in_line(origin, again);
  co_await place_in_line.self().turn.wait();
  place_in_line.use();
  if (place_in_line.self().failed) co_return *place_in_line.self().failed;
  co_return Result<>();
}

// ---- The way

bool ClientState::may_be_http2(const ClientExchange& ex) const noexcept {
  if (ex.http1_only || options.versions == Versions::http1) return false;
  if (options.versions == Versions::http2) return !ex.target.forwarded();
  if (ex.target.secure) return !ex.origin.http1;
  return options.http2_prior_knowledge && !ex.target.forwarded() && !ex.origin.http1;
}

Task<Result<>> ClientState::find_carrier(ClientExchange& ex, TimePoint began) {
  Origin& origin = ex.origin;
  if (options.versions == Versions::http2 && !may_be_http2(ex))
    co_return Error(Errc::not_supported, "http2 through a proxy that forwards", ex.target.proxy);
  for (bool had_turn = false; may_be_http2(ex); had_turn = true) {
    if (auto connection = with_room(origin)) {
      ex.timings.reused = true;
      ++statistics.reused;
      ex.timings.queued = now() - began;
      ex.carrier = Owned<ClientCarrier>(new Http2Carrier(ex, std::move(connection)));
      co_return Result<>();
    }
    const bool may_grow = !origin.is_full && origin.places.statistics().available > 0 &&
                          places.statistics().available > 0;
    const bool may_open = origin.http2.empty() || may_grow;
    if (origin.opening || !may_open) {
      auto turn = co_await wait_turn(origin, had_turn);
      if (!turn) co_return turn;
      continue;
    }
    auto opened = co_await open_http2(ex, began);
    if (ex.carrier) co_return opened;
    if (origin.http2.empty()) co_return opened;
    // Those that there are have to do.
    ex.place.reset();
    ex.origin_place.reset();
  }
  co_return co_await find_http1(ex, began);
}

std::shared_ptr<ClientHttp2> ClientState::with_room(Origin& origin) noexcept {
  for (const auto& connection : origin.http2)
    if (connection->has_room()) return connection;
  return nullptr;
}

/// Opens a connection and takes it, whichever version its server has chosen.
Task<Result<>> ClientState::open_http2(ClientExchange& ex, TimePoint began) {
  OneAtATime only(ex.origin);
  ex.origin_place.emplace(co_await ex.origin.places.acquire());
  evict_idle_http2();
  ex.place.emplace(co_await places.acquire());
  ex.timings.queued = now() - began;
  const bool demanded = options.versions == Versions::http2;
  std::vector<std::string> alpn = {"h2"};
  if (!demanded) alpn.emplace_back("http/1.1");
  auto opened = co_await connect(ex.target, ex.timings, began, std::move(alpn));
  if (opened && ex.target.secure && demanded && !opened->http2)
    opened = Error(Errc::protocol_error, "http2", ex.target.address + " does not speak HTTP/2");
  if (!opened) {
    ex.origin.is_full = !ex.origin.http2.empty();
    if (!ex.origin.is_full) only.failed = opened.error();
    co_return opened.error();
  }
  if (ex.target.secure && !opened->http2) {
    ex.origin.http1 = true;
    use_http1(ex, std::move(opened->transport));
    co_return Result<>();
  }
  auto made = std::make_shared<ClientHttp2>(*this, ex.origin, std::move(opened->transport));
  made->place = std::move(ex.place);
  made->origin_place = std::move(ex.origin_place);
  ex.place.reset();
  ex.origin_place.reset();
  ++statistics.http2;
  ex.origin.http2.push_back(made);
  ex.carrier = Owned<ClientCarrier>(new Http2Carrier(ex, made));
  made->start();
  co_return Result<>();
}

Task<Result<>> ClientState::find_http1(ClientExchange& ex, TimePoint began) {
  if (ex.origin.places.statistics().waiting >= options.waiting_max)
    co_return Error(Errc::would_exceed, "http", "too many requests wait for a connection");
  // Beside a connection of HTTP/2, which holds a place of its origin also while it is idle.
  for (std::size_t i = ex.origin.http2.size(); i-- > 0;) {
    ClientHttp2& each = *ex.origin.http2[i];
    if (ex.origin.places.statistics().available == 0 && each.is_idle()) each.close();
  }
  ex.origin_place.emplace(co_await ex.origin.places.acquire());
  evict_idle_http2();
  ex.place.emplace(co_await places.acquire());
  ex.timings.queued = now() - began;
  if (auto connection = take_idle(ex.origin)) {
    ex.timings.reused = true;
    ++statistics.reused;
    ex.carrier = Owned<ClientCarrier>(new Http1Carrier(ex, std::move(connection)));
    co_return Result<>();
  }
  auto opened = co_await connect(ex.target, ex.timings, began, {"http/1.1"});
  if (!opened) co_return opened.error();
  use_http1(ex, std::move(opened->transport));
  co_return Result<>();
}

void ClientState::use_http1(ClientExchange& ex, Owned<Transport> transport) {
  const proto::HttpLimits limits{.head_max = options.head_max,
                                 .fields_max = options.fields_max,
                                 .body_max = static_cast<std::uint64_t>(-1)};
  Owned<ClientConnection> made(new ClientConnection(std::move(transport), limits));
  ex.carrier = Owned<ClientCarrier>(new Http1Carrier(ex, std::move(made)));
}

// ---- Connections of HTTP/2 that end

/// It is over: a request that waited for one of its streams makes another.
void ClientState::forget(ClientHttp2& connection) noexcept {
  --statistics.connections;
  Origin& origin = connection.origin();
  std::erase_if(origin.http2, [&](const auto& each) { return each.get() == &connection; });
  origin.is_full = false;
  origin.wake_one();
  if (origin.is_unused()) see_idle();  // Not erased here: somebody may be walking the origins.
}

/// An idle connection of HTTP/2 holds its places: the one longest so goes when they are wanted.
void ClientState::evict_idle_http2() noexcept {
  if (places.statistics().available > 0) return;
  ClientHttp2* oldest = nullptr;
  for (auto& [name, origin] : origins) {
    for (const auto& each : origin.http2) {
      if (each->is_idle() && (!oldest || each->idle_since() < oldest->idle_since()))
        oldest = each.get();
    }
  }
  if (oldest) oldest->close();
}

}  // namespace rondo::http::detail
