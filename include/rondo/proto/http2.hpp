// SPDX-License-Identifier: Apache-2.0
// HTTP/2 (RFC 9113), one side of one connection: bytes in, events out.
// nghttp2 parses, frames and packs heads; floods that it lets pass are counted and refused here.
//
//   struct Requests : Http2Events { ... };           // a server: lends a Http2Stream to each
//   Http2Session session(requests);
//   bool open = session.feed(received, now);         // calls on_head, on_body, on_closed ...
//   session.answer(stream, 200, fields, true);       // now or later, not from inside an event
//   session.supply(stream, piece, true);             // `piece` stays where it is until on_taken
//   while (session.produce(out, 32'768)) write(out);
//
//   Http2Session session(answers, limits, Http2Role::client);
//   session.request(stream, fields, has_body);       // the rest is the same
//
// Back-pressure both ways: what a peer may send ahead grows only by consumed(), and produce()
// takes of a stream what the peer's windows allow. Pushes are refused.
// No I/O and no clock: the time is handed in. A std::bad_alloc of an event comes out of feed().
// Lifetime: the events outlive the session; a stream lives from begin() or request() to on_closed,
// or longer than the session. Thread rule: one thread at a time.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "rondo/base/bytes.hpp"
#include "rondo/base/limits.hpp"
#include "rondo/base/memory.hpp"
#include "rondo/base/time.hpp"
#include "rondo/proto/http1.hpp"

namespace rondo::proto {

/// What a client begins with (RFC 9113, section 3.4).
inline constexpr std::string_view k_http2_preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// RFC 9113, section 7: why a stream or a connection ends.
enum class Http2Code : std::uint32_t {
  no_error = 0, protocol_error = 1, internal_error = 2, flow_control_error = 3,
  settings_timeout = 4, stream_closed = 5, frame_size_error = 6, refused_stream = 7, cancel = 8,
  compression_error = 9, connect_error = 10, enhance_your_calm = 11, inadequate_security = 12,
  http_1_1_required = 13
};
/// "CANCEL", as the RFC writes it.
std::string_view name_of(Http2Code code) noexcept;

enum class Http2Role : std::uint8_t { server, client };

/// Limits of one session; the defaults are those of base/limits.hpp. Those of a head have the
/// statuses of HttpLimits; what exceeds one of the rates, or continuations_max, is a flood.
struct Http2Limits {
  std::size_t head_max = limits::http_head_max.value;        ///< bytes, unpacked: 431
  std::size_t fields_max = limits::http_fields_max.value;    ///< 431
  std::size_t target_max = limits::http_target_max.value;    ///< bytes: 414
  std::size_t streams_max = limits::http2_streams_max.value;              ///< at once
  std::size_t stream_window = limits::http2_stream_window.value;          ///< bytes
  std::size_t connection_window = limits::http2_connection_window.value;  ///< bytes
  std::size_t continuations_max = limits::http2_continuations_max.value;  ///< frames of a head
  std::size_t reset_rate = limits::http2_reset_rate.value;                ///< streams/s
  std::size_t control_rate = limits::http2_control_rate.value;            ///< frames/s
  std::size_t interims_max = limits::http_interims_max.value;             ///< 1xx of one answer
};

/// One request and its answer, as far as the session knows them. Derive from it.
class Http2Stream {
 public:
  Http2Stream(const Http2Stream&) = delete;
  Http2Stream& operator=(const Http2Stream&) = delete;

  /// A server's: complete from on_head on, in the form of HTTP/1.1 with field names as they were
  /// sent.
  const RequestHead& request_head() const noexcept { return std::get<RequestHead>(head_); }
  /// A client's: the same of the answer.
  const ResponseHead& response_head() const noexcept { return std::get<ResponseHead>(head_); }
  /// What came behind the body; complete from on_end on.
  const FieldList& trailers() const noexcept { return trailers_; }
  /// Not 0: the head breaks a rule or a limit; a server answers with this status, and why.
  int refusal() const noexcept { return refusal_; }
  const char* reason() const noexcept { return reason_; }
  /// Bytes supplied that were not taken yet.
  ByteView untaken() const noexcept { return untaken_; }
  /// Bytes taken of all that were supplied.
  std::uint64_t taken() const noexcept { return taken_; }
  bool is_open() const noexcept { return open_; }
  /// All of the request was received (by a server) or produced (by a client).
  bool request_ended() const noexcept { return is_client() ? said_all_ : heard_all_; }
  /// The same of the answer.
  bool answer_ended() const noexcept { return is_client() ? heard_all_ : said_all_; }
  /// It was the peer who reset it.
  bool was_reset_by_peer() const noexcept { return reset_by_peer_; }

 protected:
  explicit Http2Stream(Http2Role role = Http2Role::server) {
    if (role == Http2Role::client) head_.emplace<ResponseHead>();
  }
  ~Http2Stream() = default;

 private:
  friend class Http2Session;
  friend struct Http2Callbacks;
  bool is_client() const noexcept { return std::holds_alternative<ResponseHead>(head_); }
  void open_as(std::int32_t id) noexcept;

  std::variant<RequestHead, ResponseHead> head_;
  FieldList trailers_;
  std::string own_trailers_;    // Lines; sent behind the last byte.
  ByteView untaken_;
  const char* reason_ = "";
  std::int32_t id_ = 0;
  int refusal_ = 0;
  std::uint64_t taken_ = 0;
  std::size_t interims_ = 0;    // Interim answers, so far.
  bool last_ = false;           // Nothing comes behind `untaken_` but trailers.
  bool open_ = false;
  bool head_done_ = false;      // The head that counts has arrived: another one is trailers.
  bool heard_all_ = false;
  bool said_all_ = false;
  bool reset_by_peer_ = false;
  bool head_sent_ = false;      // Ours.
  bool rest_refused_ = false;   // The peer is told to stop once our side has ended.
};

/// What a session tells. None of these may call feed() or produce().
class Http2Events {
 public:
  /// A server's: a request begins, lends it a stream. Null: it is refused, and may be sent again.
  virtual Http2Stream* begin() { return nullptr; }
  /// The head is complete. Without a body the peer's side has ended, and on_end is not called.
  virtual void on_head(Http2Stream& stream) = 0;
  /// A client's: an interim answer, 100 or 103 say; its fields are dropped.
  virtual void on_interim(Http2Stream& stream, int status) { (void)stream, (void)status; }
  /// A piece of the body, at least 1 byte, valid during the call.
  virtual void on_body(Http2Stream& stream, ByteView piece) = 0;
  /// Body and trailers are complete.
  virtual void on_end(Http2Stream& stream) = 0;
  /// All that was supplied was taken: its memory may go, and more may be supplied.
  virtual void on_taken(Http2Stream& stream) = 0;
  /// Our side has ended: the last byte, or the trailers, were produced.
  virtual void on_said_all(Http2Stream& stream) { (void)stream; }
  /// The session is through with the stream: both sides have ended, or one has reset it. A client
  /// is told refused_stream of what the server has not begun to process.
  virtual void on_closed(Http2Stream& stream, Http2Code code) = 0;
  /// The peer's settings have come, anew perhaps.
  virtual void on_settings() {}
  /// The peer says that the connection will end: can_begin() is false from now on.
  virtual void on_goaway(Http2Code code) { (void)code; }
  /// A ping() was answered.
  virtual void on_pong() {}

 protected:
  ~Http2Events() = default;
};

class Http2Session {
 public:
  explicit Http2Session(Http2Events& events, const Http2Limits& limits = {},
                        Http2Role role = Http2Role::server);
  Http2Session(const Http2Session&) = delete;
  ~Http2Session();

  /// Takes received bytes, all of them. False: nothing more is read; what produce() still has to
  /// say is sent. The same is true once is_over(), which a mistake of the peer leads to.
  bool feed(ByteView input, TimePoint now);
  /// Appends frames to `out`, at most 16 KiB beyond `enough` bytes. False when there were none.
  bool produce(std::string& out, std::size_t enough);
  /// produce() would append something.
  bool has_output() const noexcept;
  /// Neither side has anything more to say.
  bool is_over() const noexcept;

  /// A client's: begins a request; `fields` begins with the pseudo-fields. Names are in lower case
  /// or made so, values legal. Without a body the request ends here. False: no more can be begun on
  /// this connection, or there is no memory.
  bool request(Http2Stream& stream, std::span<const Field> fields, bool has_body);
  /// A request can be begun: the peer has not said that it will end, and there are numbers left.
  bool can_begin() const noexcept;
  /// Requests that the peer serves at once.
  std::size_t peer_streams_max() const noexcept;
  /// The peer's settings are known, and what they say of extended CONNECT (RFC 8441).
  bool settings_known() const noexcept;
  bool peer_allows_connect() const noexcept;
  /// Asks the peer for a sign of life: on_pong.
  void ping();

  /// A server's: begins the answer to an open stream, once. Names and values are legal (is_token,
  /// is_field_value), 200..999 is final and 100..199 is not. Without a body the answer ends here.
  void answer(Http2Stream& stream, int status, std::span<const Field> fields, bool has_body);
  /// Gives the next bytes of the body, which stay valid until on_taken, on_closed or another
  /// supply(). `last`: the body ends behind them.
  void supply(Http2Stream& stream, ByteView bytes, bool last);
  /// What is sent behind the last byte: before the supply() that gives it. Legal names and values.
  void set_trailers(Http2Stream& stream, std::span<const Field> fields);
  /// Ends the stream; on_closed comes when that was sent.
  void reset(Http2Stream& stream, Http2Code code);
  /// Bytes of the body were used: the peer may send as many more.
  void consumed(Http2Stream& stream, std::size_t bytes);
  /// Bytes of the body were thrown away: only on other streams may the peer send as many more.
  void discarded(std::size_t bytes);

  /// Whatever is left of what the peer sends is not wanted: once our side has ended it is told to
  /// stop (RFC 9113, section 8.1).
  void refuse_rest(Http2Stream& stream);

  /// Says that the connection will end; requests that are on their way are still served, those
  /// the client begins after it has heard of it are not.
  void drain();
  /// Ends the connection: streams the client has begun and not heard of are not served.
  void terminate(Http2Code code);

  /// Part of a head, or of the preface, has arrived.
  bool in_head() const noexcept;
  /// Frames that have begun to arrive: tells the head at hand from the one before.
  std::uint64_t frames() const noexcept;
  /// The connection was ended for one of the rates.
  bool is_flooded() const noexcept;
  /// Streams whose supplied bytes wait for the peer's windows (or for produce()).
  std::size_t waiting() const noexcept;
  /// Bytes of bodies produced so far.
  std::uint64_t body_bytes() const noexcept;
  /// Control frames that wait for produce(); more than a few hundred: stop feeding.
  std::size_t backlog() const noexcept;

 private:
  friend struct Http2Callbacks;
  struct State;
  Owned<State> state_;
};

}  // namespace rondo::proto
