// SPDX-License-Identifier: Apache-2.0
// HTTP/2 in the client: a ClientHttp2 for each connection, a ClientStream for each request on it,
// and the Http2Carrier through which a ClientExchange sees its stream.
//
// Two operations of their own run for a connection, since requests come and go: read_on() hands
// what arrives to the session, write_on() gives the session's output to the transport. They hold
// the connection; whoever else has it (its origin, carriers) may let go at any time. A stream holds
// itself while the session knows it.
//
// States of a connection:
//   open     in its origin's list, counted, holds its places
//   leaving  open, and begins nothing more: the server said GOAWAY, or does not seem to be there
//   gone_    in no list; what the session still had to say was handed to the transport
// An open connection without streams is idle; one that is leaving is closed then.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "http/client.hpp"
#include "http/http2_tunnel.hpp"
#include "rondo/base/intrusive_list.hpp"
#include "rondo/core/event.hpp"
#include "rondo/core/from_callback.hpp"
#include "rondo/http/detail/peer_watch.hpp"
#include "rondo/proto/http2.hpp"

namespace rondo::http::detail {

/// States: what is_open() and the ends say, and `failure`, which is set once.
struct ClientStream final : proto::Http2Stream, ListLink {
  ClientStream() noexcept : Http2Stream(proto::Http2Role::client) {}

  /// Sends the body of the request, or begins to.
  void begin_body(const Outgoing& out);
  /// Whatever comes behind its answer's head belongs to another protocol.
  void begin_tunnel();
  /// Nobody wants the answer any more; a tunnel sends what it was given.
  void abandon() noexcept;
  void stir() noexcept {
    moved.set();
    taken_more.set();
  }
  void fail(Error why, Fate fate_of_it) noexcept;
  void use_up(std::size_t bytes) noexcept;
  void give(ByteView bytes, bool last) noexcept;
  void end_body() noexcept;
  Task<Result<>> wait_taken();

  ClientHttp2* http2 = nullptr;        ///< while the session knows it
  std::shared_ptr<ClientStream> self;  ///< then
  std::shared_ptr<Sending> sending;
  CallbackOperation writing;  ///< of a body that is made piece by piece
  std::unique_ptr<Http2Tunnel> tunnel;
  Event moved;             ///< anything has changed; for who waits for the answer
  Event taken_more;        ///< the same, for who sends the body: each resets its own
  Event may_send_body;     ///< the server has said 100
  std::string arrived;     ///< of the answer's body, not read yet
  std::string lent;        ///< what was read last
  std::size_t unused = 0;  ///< bytes of these that the server may not send anew yet
  std::optional<Error> failure;
  Fate fate = Fate::unknown;
  bool has_head = false;
  bool heard = false;      ///< an answer, if only an interim one
  bool producing = false;  ///< the source of the body is at work
  bool abandoned = false;
};

class ClientHttp2 final : public std::enable_shared_from_this<ClientHttp2>,
                          proto::Http2Events,
                          rondo::detail::LoopHook {
 public:
  ClientHttp2(ClientState& client, Origin& origin, Owned<Transport> transport);
  ClientHttp2(const ClientHttp2&) = delete;
  ~ClientHttp2();

  /// Begins reading and writing.
  void start();
  /// It begins another request now. A carrier that was made has its stream reserved.
  bool has_room() const noexcept;
  bool is_idle() const noexcept { return streams_ == 0 && reserved_ == 0; }
  bool is_gone() const noexcept { return gone_; }
  TimePoint idle_since() const noexcept { return idle_since_; }
  /// Grows with everything that is heard.
  std::uint64_t pieces_heard() const noexcept { return pieces_heard_; }
  void reserve() noexcept { ++reserved_; }
  void unreserve() noexcept;
  /// Begins a request on what was reserved; null: not on this connection.
  std::shared_ptr<ClientStream> open(std::span<const proto::Field> fields, bool has_body);
  /// Begins nothing more.
  void leave() noexcept;
  /// Says goodbye and ends; streams that are open fail.
  void close() noexcept { end(std::nullopt); }

  proto::Http2Session& session() noexcept { return session_; }
  const ClientOptions& options() const noexcept { return options_; }
  Origin& origin() noexcept { return *origin_; }
  void wake() noexcept { wake_.set(); }
  Event& wake_event() noexcept { return wake_; }
  /// Waits until the server's settings are known. False: the connection is gone.
  Task<bool> wait_settings();

  std::optional<Semaphore::Permit> place;
  std::optional<Semaphore::Permit> origin_place;

 private:
  void on_head(proto::Http2Stream& stream) override;
  void on_interim(proto::Http2Stream& stream, int status) override;
  void on_body(proto::Http2Stream& stream, ByteView piece) override;
  void on_end(proto::Http2Stream& stream) override;
  void on_taken(proto::Http2Stream& stream) override;
  void on_said_all(proto::Http2Stream& stream) override;
  void on_closed(proto::Http2Stream& stream, proto::Http2Code code) override;
  void on_settings() override;
  void on_goaway(proto::Http2Code code) override;

  static Task<> read_on(std::shared_ptr<ClientHttp2> self);
  static Task<> write_on(std::shared_ptr<ClientHttp2> self);
  void take(ByteView input);
  Error reason_of_end() const;
  void end(std::optional<Error> why) noexcept;
  void say_last() noexcept;
  void fail_all(const Error& why) noexcept;
  void stream_gone() noexcept;
  void look_idle() noexcept;
  void arm_ping(Duration after) noexcept;
  void look_for_life();

  ClientState* client_;  // Null once it is gone.
  Origin* origin_;
  const ClientOptions& options_;
  Owned<Transport> transport_;
  proto::Http2Session session_;
  PeerWatch write_watch_;
  CallbackOperation reading_;
  CallbackOperation writing_;
  CallbackHandle ping_timer_;
  IntrusiveList<ClientStream> open_;
  Event wake_;       // Set while there may be output.
  Event relieved_;   // Set when output has left.
  Event settled_;    // The server's settings are known, or will never be.
  std::string out_;  // Output on its way to the transport.
  TimePoint idle_since_;
  TimePoint heard_at_;  // Anything.
  TimePoint pinged_at_{};
  std::uint64_t pieces_heard_ = 0;
  std::size_t streams_ = 0;
  std::size_t reserved_ = 0;
  proto::Http2Code goaway_ = proto::Http2Code::no_error;
  bool leaving_ = false;
  bool stopping_ = false;     // A soft stop was asked for: closed as soon as it is idle.
  bool writing_now_ = false;  // out_ is in the transport's hands.
  bool gone_ = false;
};

struct Http2Carrier final : ClientCarrier {
  Http2Carrier(ClientExchange& exchange, std::shared_ptr<ClientHttp2> on);
  ~Http2Carrier() override;

  Task<Result<>> exchange(const Outgoing& out) override;
  const proto::ResponseHead& head() const noexcept override { return stream->response_head(); }
  const proto::FieldList& trailers() const noexcept override { return stream->trailers(); }
  bool pull(Result<ByteView>& piece) override;
  Task<Result<>> wait_more() override;
  Fate fate() const noexcept override { return stream ? stream->fate : Fate::unseen; }
  void end() noexcept override {}
  ByteStream& upgraded() override { return *stream->tunnel; }
  Loan take_rest(ByteView& rest) noexcept override { return rest = {}, Loan(); }

  bool begin(const Outgoing& out);
  Task<Result<>> wait_head(TimePoint began);
  Result<> check_head();

  ClientExchange& ex;
  std::shared_ptr<ClientHttp2> connection;
  std::shared_ptr<ClientStream> stream;
  bool reserved = true;
};

}  // namespace rondo::http::detail
