// SPDX-License-Identifier: Apache-2.0
// The inside of the HTTP client. A request takes a place (of the client and of its origin), then
// a connection: one that is idle, or a new one. Both stay with the Answer until its body has ended;
// the connection is then idle again, if both sides may go on.
//
// An idle connection whose server has said anything, or has left, is not used again. That it may
// leave at the very moment is why a request that may be repeated is.
#pragma once

#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "http/authenticator.hpp"
#include "rondo/core/callback.hpp"
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
  std::string host;       ///< as in the URL; an IPv6 address with brackets
  std::string authority;  ///< for Host: the port only when it is not the scheme's own
  std::string address;    ///< "host:port", to be connected to
  std::string path;       ///< with the query
  std::string proxy;      ///< "host:port" of the proxy; empty: none
  bool secure = false;
  bool tunnel = false;    ///< through a proxy by CONNECT also without TLS
  /// What may share a connection.
  std::string origin() const {
    return (secure ? "https " : tunnel ? "tunnel " : "http ") + address + " " + proxy;
  }
  /// Requests go through the proxy in the clear, with the whole URL as their target.
  bool forwarded() const noexcept { return !proxy.empty() && !secure && !tunnel; }
};

struct ClientConnection {
  ClientConnection(Owned<Transport> below, const proto::HttpLimits& limits)
      : transport(std::move(below)), parser(limits) {}
  ByteStream& stream() noexcept { return transport->stream(); }

  Owned<Transport> transport;
  proto::ResponseParser parser;
  Loan loan;       ///< holds `input`
  ByteView input;  ///< received, not parsed yet
  TimePoint idle_since{};
  bool served = false;  ///< an answer came on it before
};

struct Origin {
  explicit Origin(std::size_t max) noexcept : places(max) {}
  Semaphore places;
  std::list<Owned<ClientConnection>> idle;  ///< newest first
  std::size_t users = 0;                    ///< requests under way or waiting
};

struct ClientState {
  explicit ClientState(ClientOptions&& given);
  ~ClientState();

  Task<Result<Answer>> send(ClientRequest request);
  Task<Result<Owned<ClientExchange>>> attempt(const ClientRequest& request, const Target& target,
                                              std::string_view upgrade = {});
  Task<Result<Owned<ClientConnection>>> connect(const Target& target, ClientTimings& timings,
                                                TimePoint began);
  Task<Result<Owned<Transport>>> reach(const Target& target, TimePoint& resolved_at);
  Task<Result<>> open_tunnel(ByteStream& proxy, const Target& target);
  Owned<ClientConnection> take_idle(Origin& origin);
  void give_back(Origin& origin, Owned<ClientConnection> connection);
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
  ClientExchange(ClientState& of, const Target& to, std::string_view protocol);
  ~ClientExchange();

  Task<Result<>> write(const ClientRequest& request);
  Task<Result<>> write_body(const ClientRequest& request);
  Task<Result<>> read_head();
  Task<Result<>> exchange(const ClientRequest& request);
  /// False: more input is needed.
  bool next_piece(Result<ByteView>& piece);
  Task<Result<>> receive(Duration patience, const char* phase);
  Task<Result<ByteView>> read_piece();
  Task<Result<ByteView>> read_unpacked();
  void end_body() noexcept;
  void fail() noexcept;

  ClientState& client;
  Target target;
  std::string upgrade;  ///< the protocol asked for; empty: none
  std::string origin_name;
  Origin& origin;
  std::optional<Semaphore::Permit> place;
  std::optional<Semaphore::Permit> origin_place;
  Owned<ClientConnection> connection;
  proto::ResponseHead head;  ///< a copy: the connection may serve others before the answer goes
  std::optional<Unpacking> unpacking;
  ClientTimings timings;
  std::size_t redirects = 0;
  bool may_unpack = false;  ///< it was we who asked for a packed answer
  bool head_received = false;
  bool any_received = false;  ///< at least a byte of an answer: nothing is repeated after it
  bool sent_all = false;
  bool ended = false;
};

}  // namespace rondo::http::detail
