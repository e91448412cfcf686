// SPDX-License-Identifier: Apache-2.0
// The inside of the HTTP server: one Connection per stream, one Http1Exchange per busy connection.
//
// States of a connection, all inside Connection::run():
//   idle      no Exchange, waits for the first bytes       keep_alive (head_timeout at first)
//   head      an Exchange with part of a head              head_timeout
//   handler   a plain handler runs inside next_request(), a coroutine one is awaited by run()
//   answer    finish(): the rest of the request is read away, the rest of the answer written
//   http2     the client speaks HTTP/2: run_http2() has the rest (http2_connection.hpp)
//   closing   refused or asked to: linger() reads what comes, so that the answer is not reset
// Answers are put together in Http1Exchange::out and given to the stream when a batch of input is
// used up, when 2 KiB have come together, and before anything that may wait.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "http/exchange.hpp"
#include "rondo/base/intrusive_list.hpp"
#include "rondo/core/event.hpp"
#include "rondo/core/loop.hpp"
#include "rondo/http/detail/peer_watch.hpp"
#include "rondo/http/server.hpp"
#include "rondo/net/socket.hpp"
#include "rondo/proto/http1.hpp"

namespace rondo::http::detail {

/// A base of its own: the head that Exchange refers to is there before it.
struct OwnParser {
  proto::RequestParser parser;
};

/// What is needed to serve one request after another; lent to a connection while it is busy.
struct Http1Exchange final : OwnParser, Exchange {
  explicit Http1Exchange(const ServerOptions& options);

  void begin();                                  // A new request: forgets the one before.
  // Request.
  bool pull(Result<ByteView>& piece) override;
  Task<Result<ByteView>> wait_body(bool yield) override;
  bool collect(Result<std::string_view>& all) override;
  Task<Result<std::string_view>> wait_all(bool yield) override;
  void set_body_max(std::uint64_t bytes) noexcept override { parser.set_body_max(bytes); }
  Task<> disconnected() override;
  const proto::FieldList& request_trailers() const noexcept override { return parser.trailers(); }
  // Response.
  void put_head(std::uint64_t length, bool has_length);
  void put_number(std::uint64_t value);
  void decide_close() noexcept;
  bool begin_whole(std::uint64_t length);        // True: a body has to follow.
  void send_whole(std::string_view body) override;
  void send_shared(SharedBytes body) override;
  void send_owned(std::string body) override;
  void begin_stream();
  void end_stream();                             // Puts what ends a streamed body.
  Task<Result<>> write(ByteView piece) override;
  Task<Result<>> flush() override;
  Task<Result<>> send_file(int fd, std::uint64_t offset, std::uint64_t length) override;
  void cut() noexcept override;
  Upgraded upgrade(std::string_view protocol) override;
  void cancel_upgraded() noexcept override;

  Http1Exchange* next = nullptr;   // In the server's list of free ones.
  Loan loan;                   // Received bytes; `input` is the part not parsed yet.
  ByteView input;
  std::string ahead;           // What disconnected() received meanwhile.
  std::string stored;          // A body put together by read_all().
  std::string out;             // Answers on their way to the stream.
  bool collecting = false;
  bool chunked = false;
};

class Http2Connection;
struct Http2Exchange;

class Connection : public ListLink {
 public:
  Connection(ServerState& server, ByteStream& stream, Peer peer, net::Stream* socket) noexcept;
  Connection(const Connection&) = delete;
  ~Connection();

  Task<> run();
  /// A soft stop: ends now when idle, after the answer when busy.
  void stop() noexcept;
  /// Ends the connection and its handler.
  void cancel() noexcept;
  /// A part of an answer has left and the rest will not come: nothing more is sent, so that the
  /// client does not take the part for the whole.
  void cut() noexcept;
  bool is_cut() const noexcept { return cut_; }
  std::string_view peer_address();
  bool secure() const noexcept { return peer_.secure; }

  ServerState& server() noexcept { return server_; }
  PeerWatch& watch() noexcept { return watch_; }
  ByteStream& stream() noexcept { return stream_; }
  net::Stream* socket() noexcept { return socket_; }
  bool stopping() const noexcept { return stopping_; }

 private:
  Task<> run_http2();
  bool begins_http2();
  bool wants_input() const noexcept;
  Duration patience() const noexcept;
  bool take(Result<Loan>& got);
  bool next_request();
  void begin_request();
  void refuse(int status, std::string_view why);
  bool ended_at_once() noexcept;
  bool wants_write() const noexcept;
  Task<> finish();
  Task<> drain();
  void pass_on_ahead();
  Task<> linger();
  void go_idle() noexcept;

  ServerState& server_;
  ByteStream& stream_;
  Peer peer_;
  net::Stream* socket_;
  PeerWatch watch_;
  rondo::detail::Chain* chain_ = nullptr;
  Http1Exchange* ex_ = nullptr;
  Http2Connection* http2_ = nullptr;
  Handler* handler_ = nullptr;   // Of the request at hand, when it is a coroutine.
  std::string address_;
  TimePoint head_due_ = k_no_deadline;  // Set while part of a head has arrived.
  std::size_t answered_ = 0;     // Since the last flush.
  std::size_t preface_ = 0;      // Bytes of HTTP/2's preface that have arrived.
  bool may_be_http2_;            // Nothing has arrived that is not its preface.
  bool served_ = false;          // At least one request: keep_alive instead of head_timeout.
  bool stopping_ = false;
  bool over_ = false;            // Nothing more is parsed.
  bool must_linger_ = false;
  bool cut_ = false;             // A handler threw, or was cancelled, inside its answer.
};

/// "Date: ...\r\n", made once a second and only while answers are sent.
class DateLine : rondo::detail::Timer {
 public:
  DateLine() noexcept;
  ~DateLine();
  std::string_view get();

 private:
  void refresh();
  char text_[37];
  bool fresh_ = false;
};

class ServerState : public rondo::detail::LoopHook {
 public:
  ServerState(Router r, const ServerOptions& o);
  ~ServerState();

  Http1Exchange& borrow(Connection& connection);
  void give_back(Http1Exchange& exchange) noexcept;
  Http2Exchange& borrow_http2();
  void give_back(Http2Exchange& exchange) noexcept;
  void enter(Connection& connection) noexcept;
  void leave(Connection& connection) noexcept;
  void stop_all() noexcept;
  /// Runs the filters and a plain handler; one that is a coroutine is returned, to be awaited.
  Handler* route(Exchange& exchange) noexcept;
  bool full() const noexcept { return slots_ >= options.connections_max; }

  Router router;
  ServerOptions options;
  ServerStatistics statistics;
  DateLine date;
  Event room;                    // Set while there is room for another connection.

 private:
  friend class Slot;
  IntrusiveList<Connection> connections_;
  Http1Exchange* free_ = nullptr;
  Http2Exchange* free_http2_ = nullptr;
  std::size_t slots_ = 0;
};

/// The right to be one of connections_max; taken before the session's task is started.
class Slot {
 public:
  explicit Slot(ServerState& server) noexcept : server_(&server) {
    if (++server.slots_ >= server.options.connections_max) server.room.reset();
  }
  Slot(Slot&& other) noexcept : server_(std::exchange(other.server_, nullptr)) {}
  ~Slot() {
    if (!server_) return;
    --server_->slots_;
    server_->room.set();
  }
  ServerState& server() noexcept { return *server_; }

 private:
  ServerState* server_;
};

}  // namespace rondo::http::detail
