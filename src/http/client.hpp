// SPDX-License-Identifier: Apache-2.0
// The inside of the HTTP client.
//
// A request is a ClientExchange; what carries it, a connection of HTTP/1.1 or a stream of HTTP/2,
// is its ClientCarrier (the client's mirror of the server's Exchange). find_carrier() is where a
// request waits:
//   HTTP/1.1  takes a place of its origin and one of the client, then an idle connection or a new
//             one. They stay with the Answer until its body has ended.
//   HTTP/2    a stream of a connection with room. A connection is opened by one request at a time;
//             the others wait for what becomes of it, in `waiting`. It holds the places itself.
// Which of the two an https origin speaks is not known before a first handshake.
//
// An idle connection whose server has said anything, or has left, is not used again. That it may
// leave at the very moment is why a request that may be repeated is.
#pragma once

#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "http/authenticator.hpp"
#include "rondo/base/intrusive_list.hpp"
#include "rondo/core/callback.hpp"
#include "rondo/core/event.hpp"
#include "rondo/core/semaphore.hpp"
#include "rondo/core/stream.hpp"
#include "rondo/http/client.hpp"
#include "rondo/proto/compress.hpp"
#include "rondo/proto/http1.hpp"
#include "rondo/tls/stream.hpp"

namespace rondo::http::detail {

using tls::detail::Transport;

/// A URL taken apart, and how it is reached.
struct Target {
  static Result<Target> of(const ClientOptions& options, std::string_view url);

  std::string url;
  std::string host;                 ///< as in the URL; an IPv6 address with brackets
  std::string authority;            ///< for Host: the port only when it is not the scheme's own
  std::string address;              ///< "host:port", to be connected to
  std::string path;                 ///< with the query
  std::string proxy;                ///< "host:port" of the proxy; empty: none
  std::string proxy_authorization;  ///< what the proxy is shown; empty: nothing
  bool secure = false;
  bool tunnel = false;  ///< through a proxy by CONNECT also without TLS
  /// What may share a connection.
  std::string origin() const {
    const bool apart = tunnel && !proxy.empty();
    return (secure ? "https " : apart ? "tunnel " : "http ") + address + " " + proxy;
  }
  /// Requests go through the proxy in the clear, with the whole URL as their target.
  bool forwarded() const noexcept { return !proxy.empty() && !secure && !tunnel; }
};

/// A request on its way, shared by its attempts and by what may still send its body.
struct Sending {
  explicit Sending(ClientRequest&& of) noexcept : request(std::move(of)) {}
  /// Waits for the next piece of body_source; empty at its end.
  Task<Result<std::string>> next_piece();
  /// The body can be sent from its beginning.
  bool is_whole() const noexcept { return !source_used; }

  ClientRequest request;
  std::uint64_t source_left = 0;
  bool source_used = false;
};

/// What stands behind the first line, and how the body is measured.
struct Outgoing {
  std::shared_ptr<Sending> sending;
  std::vector<Header> fields;
  std::optional<std::uint64_t> length;  ///< of the body, to be told
  bool has_body = false;                ///< bytes, or trailers, may follow the head
};

/// What became of a request that failed.
enum class Fate : std::uint8_t {
  unknown,  ///< the server may have done what it was asked
  unheard,  ///< the connection was lost before anything of an answer came
  unseen,   ///< the server has not begun with it: it may be sent again, whatever it is
};

/// Carries one request and its answer. Destroyed before the answer's end it gives both up.
struct ClientCarrier {
  virtual ~ClientCarrier() = default;
  /// Sends the request and waits for the answer's head, both within the options' time-outs.
  virtual Task<Result<>> exchange(const Outgoing& out) = 0;
  virtual const proto::ResponseHead& head() const noexcept = 0;
  virtual const proto::FieldList& trailers() const noexcept = 0;
  /// The next piece of the body; empty at its end. False: more input is needed.
  virtual bool pull(Result<ByteView>& piece) = 0;
  /// Waits for input, without a time-out. An error is final.
  virtual Task<Result<>> wait_more() = 0;
  virtual Fate fate() const noexcept = 0;
  /// The answer has been read to its end.
  virtual void end() noexcept = 0;
  /// The other protocol's stream, after an upgrade.
  virtual ByteStream& upgraded() = 0;
  virtual Loan take_rest(ByteView& rest) noexcept = 0;
};

/// A connection of HTTP/1.1.
struct ClientConnection {
  ClientConnection(Owned<Transport> below, const proto::HttpLimits& limits)
      : transport(std::move(below)), parser(limits) {}
  ByteStream& stream() noexcept { return transport->stream(); }

  Owned<Transport> transport;
  proto::ResponseParser parser;
  Loan loan;       ///< holds `input`
  ByteView input;  ///< received, not parsed yet
  TimePoint idle_since{};
};

class ClientHttp2;

/// A request that waits for what becomes of a connection, or for a stream of one.
struct Waiting : ListLink {
  Event turn;
  std::optional<Error> failed;  ///< the connection it waited for could not be made
};

struct Origin {
  explicit Origin(std::size_t max) noexcept : places(max) {}
  /// Lets the longest waiter look again, or all of them.
  void wake_one() noexcept;
  void wake_all(const std::optional<Error>& failed = {}) noexcept;
  bool is_unused() const noexcept { return users == 0 && idle.empty() && http2.empty(); }

  Semaphore places;
  std::list<Owned<ClientConnection>> idle;          ///< of HTTP/1.1, newest first
  std::vector<std::shared_ptr<ClientHttp2>> http2;  ///< all that are open
  IntrusiveList<Waiting> waiting;
  std::size_t waiting_count = 0;
  std::size_t users = 0;  ///< requests under way or waiting
  bool http1 = false;     ///< its server has chosen it, or asked for it
  bool is_full = false;   ///< no connection could be made beside those of `http2`
  bool opening = false;   ///< a connection that may become one of HTTP/2 is being made
};

/// A connection that was just made.
struct Opened {
  Owned<Transport> transport;
  bool http2 = false;
};

struct ClientExchange;

/// How an attempt differs from the usual.
struct Attempt {
  std::string_view upgrade = {};  ///< the protocol asked for; empty: none
  bool http1_only = false;
  bool unseen = false;  ///< out: it failed, and the server has not begun with it
};

struct ClientState {
  explicit ClientState(ClientOptions&& given);
  ~ClientState();

  Task<Result<Answer>> send(ClientRequest request);
  Task<Result<Owned<ClientExchange>>> attempt(std::shared_ptr<Sending> sending,
                                              const Target& target, Attempt& how);

  // client_ways.cpp
  bool may_be_http2(const ClientExchange& ex) const noexcept;
  Task<Result<>> find_carrier(ClientExchange& ex, TimePoint began);
  Task<Result<>> find_http1(ClientExchange& ex, TimePoint began);
  Task<Result<>> open_http2(ClientExchange& ex, TimePoint began);
  Task<Result<>> wait_turn(Origin& origin, bool again);
  std::shared_ptr<ClientHttp2> with_room(Origin& origin) noexcept;
  void use_http1(ClientExchange& ex, Owned<Transport> transport);
  void forget(ClientHttp2& connection) noexcept;
  void evict_idle_http2() noexcept;

  // client_pool.cpp
  Task<Result<Opened>> connect(const Target& target, ClientTimings& timings, TimePoint began,
                               std::vector<std::string> alpn);
  Task<Result<Owned<Transport>>> reach(const Target& target, TimePoint& resolved_at);
  Task<Result<>> open_tunnel(ByteStream& proxy, const Target& target);
  Owned<ClientConnection> take_idle(Origin& origin);
  void give_back(Origin& origin, Owned<ClientConnection> connection);
  void see_idle() noexcept;
  void close_idle();
  void evict_oldest() noexcept;
  void leave(const std::string& name) noexcept;

  const ClientOptions options;
  Authenticator authenticator;
  std::optional<tls::Context> tls;
  Semaphore places;
  std::map<std::string, Origin> origins;
  CallbackHandle reaper;
  ClientStatistics statistics;
};

/// Unpacks an answer's body while it is read.
struct Unpacking {
  explicit Unpacking(proto::Coding coding) : unpacker(coding) {}
  proto::Unpacker unpacker;
  ByteView input = {};     ///< received, not unpacked yet
  std::string room = {};   ///< of the piece that was handed out
  std::uint64_t size = 0;  ///< unpacked so far
};

/// What one request holds; with its Answer from the head on.
struct ClientExchange {
  ClientExchange(ClientState& of, const Target& to, const Attempt& how);
  ~ClientExchange();

  Outgoing outgoing(std::shared_ptr<Sending> sending);
  Task<Result<>> exchange(std::shared_ptr<Sending> sending);
  void take_head();
  /// False: more input is needed.
  bool next_piece(Result<ByteView>& piece);
  Task<Result<ByteView>> read_piece();
  Task<Result<ByteView>> read_unpacked();
  void end_body() noexcept;
  void fail() noexcept;
  Error timed_out(const char* phase) const { return Error(Errc::timed_out, phase, target.url); }

  ClientState& client;
  Target target;
  std::string upgrade;  ///< the protocol asked for; empty: none
  std::string origin_name;
  Origin& origin;
  std::optional<Semaphore::Permit> place;
  std::optional<Semaphore::Permit> origin_place;
  Owned<ClientCarrier> carrier;
  proto::ResponseHead head;  ///< a copy: the connection may serve others before the answer goes
  proto::FieldList trailers;
  std::optional<Unpacking> unpacking;
  ClientTimings timings;
  std::size_t redirects = 0;
  bool http1_only = false;
  bool may_unpack = false;  ///< it was we who asked for a packed answer
  bool ended = false;
};

Error phase_error(Error error, const char* phase, std::string_view url);

}  // namespace rondo::http::detail
