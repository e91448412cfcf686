// SPDX-License-Identifier: Apache-2.0
#include "rondo/http/server.hpp"

#include <cstring>
#include <exception>
#include <memory>
#include <utility>

#include "http/connection.hpp"
#include "http/http2_connection.hpp"
#include "rondo/base/log.hpp"
#include "rondo/core/scope.hpp"
#include "rondo/core/select.hpp"
#include "rondo/core/sleep.hpp"
#include "rondo/proto/http1_write.hpp"
#include "rondo/tls/stream.hpp"

namespace rondo::http {

namespace detail {

// --- Date -------------------------------------------------------------------------------------

DateLine::DateLine() noexcept {
  fire = [](Timer& timer) noexcept { static_cast<DateLine&>(timer).fresh_ = false; };
  std::memcpy(text_, "Date: ", 6);
  std::memcpy(text_ + 6 + proto::k_http_date_size, "\r\n", 2);
}

DateLine::~DateLine() {
  if (armed()) Loop::current().disarm(*this);
}

std::string_view DateLine::get() {
  if (!fresh_) [[unlikely]] refresh();
  return {text_, sizeof text_};
}

void DateLine::refresh() {
  using std::chrono::seconds;
  Loop& at = Loop::current();
  const WallTime wall = at.wall_time();
  char date[proto::k_http_date_size];
  proto::format_http_date(wall, date);
  std::memcpy(text_ + 6, date, sizeof date);
  const auto next = std::chrono::floor<seconds>(wall) + seconds(1);
  deadline = (at.now() + (next - wall)).time_since_epoch().count();
  at.arm(*this);
  fresh_ = true;
}

// --- ServerState ------------------------------------------------------------------------------

ServerState::ServerState(Router r, const ServerOptions& o) : router(std::move(r)), options(o) {
  run = [](LoopHook& hook) { static_cast<ServerState&>(hook).stop_all(); };
  room.set();
}

ServerState::~ServerState() {
  if (linked()) unlink();
  while (free_) delete std::exchange(free_, free_->next);
  while (free_http2_) delete std::exchange(free_http2_, free_http2_->next);
}

Http1Exchange& ServerState::borrow(Connection& connection) {
  if (!free_) {
    free_ = new Http1Exchange(options);
    ++statistics.exchanges;
  }
  Http1Exchange& taken = *std::exchange(free_, free_->next);
  taken.connection = &connection;
  taken.parser.reset();
  --statistics.idle;
  return taken;
}

void ServerState::give_back(Http1Exchange& exchange) noexcept {
  exchange.connection = nullptr;
  exchange.loan = {};
  exchange.input = {};
  exchange.ahead.clear();
  exchange.out.clear();
  exchange.parser.set_body_max(options.body_max);
  // A block that grew for one large request is not kept for small ones.
  if (exchange.stored.capacity() > limits::cork_max.value) exchange.stored = {};
  if (exchange.out.capacity() > limits::cork_max.value) exchange.out = {};
  exchange.owned = {};
  exchange.shared = {};
  exchange.next = std::exchange(free_, &exchange);
  ++statistics.idle;
}

Http2Exchange& ServerState::borrow_http2() {
  if (!free_http2_) {
    free_http2_ = new Http2Exchange();
    ++statistics.exchanges;
  }
  return *std::exchange(free_http2_, free_http2_->next);
}

void ServerState::give_back(Http2Exchange& exchange) noexcept {
  exchange.clear();
  exchange.next = std::exchange(free_http2_, &exchange);
}

void ServerState::enter(Connection& connection) noexcept {
  Loop& at = Loop::current();
  if (!linked() && !at.stop_requested()) at.add_stop_hook(*this);
  connections_.push_back(connection);
  ++statistics.accepted;
  ++statistics.connections;
  ++statistics.idle;
}

void ServerState::leave(Connection& connection) noexcept {
  connection.unlink();
  --statistics.connections;
  --statistics.idle;
}

namespace {

void answer_miss(Response& response, const Router::Match& match) {
  if (!match.allow.empty()) response.header("Allow", match.allow);
  if (match.status == 204) response.status(204).send();
  else response.send_error(match.status);
}

}  // namespace

Handler* ServerState::route(Exchange& ex) noexcept {
  try {
    const Router::Match match = router.match(ex.head.method(), ex.head.path(), ex.params);
    if (!router.admit(ex.request, ex.response)) return nullptr;
    if (match.handler && !match.handler->is_plain()) return match.handler;
    if (match.handler) match.handler->call(ex.request, ex.response);
    else answer_miss(ex.response, match);
  } catch (...) {
    ex.handler_threw();
  }
  return nullptr;
}

void ServerState::stop_all() noexcept {
  room.set();
  for (Connection* at = connections_.first(); at; at = connections_.next(*at)) at->stop();
}

namespace {

/// Its parameters own what they hold, so that it is started directly (no wrapper frame).
Task<> serve_socket(Slot slot, net::Stream peer) {
  Connection connection(slot.server(), peer.stream(), {}, &peer);
  try {
    co_await connection.run();
  } catch (const std::exception& error) {
    log(LogLevel::error, error.what());  // Out of memory: this connection only.
  }
}

/// The same behind a handshake, which a soft stop ends.
Task<> serve_secured(Slot slot, net::Stream peer, tls::Context context) {
  const auto address = peer.peer();
  const std::string from = address ? address->to_string() : std::string();
  try {
    auto agreed = co_await select(tls::accept(std::move(context), std::move(peer)),
                                  until_stop_requested());
    auto& secured = std::get<0>(agreed.values);
    if (!secured || !*secured) co_return;  // The context counts it; the peer was told why.
    tls::Stream stream = std::move(*secured).or_throw();
    Connection connection(slot.server(), stream, 
                          {.address = from, .secure = true, .http2 = stream.alpn() == "h2"}, nullptr);
    co_await connection.run();
  } catch (const std::exception& error) {
    log(LogLevel::error, error.what());  // Out of memory: this connection only.
  }
}

/// Accepts until a soft stop and hands each connection to `begin(sessions, slot, stream)`.
template <class F>
Task<Result<>> accept_all(ServerState& state, net::Listener& listener, F begin) {
  Result<> outcome;
  co_await with_scope([&](Scope& sessions) -> Task<> {
    while (true) {
      while (state.full() && !stop_requested()) co_await state.room.wait();
      auto peer = co_await listener.accept();
      if (!peer) {
        // At a stop who comes now is refused at once, instead of waiting for nobody.
        if (peer.error() == Errc::stopping) listener.close();
        else outcome = peer.error();
        co_return;
      }
      begin(sessions, Slot(state), std::move(*peer));
    }
  });
  co_return outcome;
}

}  // namespace
}  // namespace detail

Server::Server(Router router, ServerOptions options)
    : state_(std::make_unique<detail::ServerState>(std::move(router), options)) {}
Server::~Server() {
  RONDO_ASSERT(state_->statistics.connections == 0, "a server was destroyed while it serves");
}

Task<Result<>> Server::run(net::Listener& listener) {
  return detail::accept_all(
      *state_, listener, [](Scope& sessions, detail::Slot slot, net::Stream peer) {
        sessions.start(detail::serve_socket, std::move(slot), std::move(peer));
      });
}

Task<Result<>> Server::run(net::Listener& listener, tls::Context context) {
  return detail::accept_all(
      *state_, listener, [context](Scope& sessions, detail::Slot slot, net::Stream peer) {
        sessions.start(detail::serve_secured, std::move(slot), std::move(peer), context);
      });
}

Task<> Server::serve(ByteStream& stream, Peer peer) {
  // In a bracket of its own: a stalled write cancels the connection, not who called.
  co_await with_scope([&](Scope& own) -> Task<> {
    own.start([&]() -> Task<> {
      detail::Connection connection(*state_, stream, peer, nullptr);
      co_await connection.run();
    });
    co_return;
  });
}

ServerStatistics Server::statistics() const noexcept { return state_->statistics; }
const ServerOptions& Server::options() const noexcept { return state_->options; }

}  // namespace rondo::http
