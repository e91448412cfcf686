// SPDX-License-Identifier: Apache-2.0
// HTTP/2 (RFC 9113), the server's side of one connection: bytes in, events out.
// nghttp2 parses, frames and packs heads; floods that it lets pass are counted and refused here.
//
//   struct Requests : Http2Events { ... };           // lends a Http2Stream to each request
//   Http2Session session(requests);
//   bool open = session.feed(received, now);         // calls on_head, on_body, on_closed ...
//   session.answer(stream, 200, fields, true);       // now or later, not from inside an event
//   session.supply(stream, piece, true);             // `piece` stays where it is until on_taken
//   while (session.produce(out, 32'768)) write(out);
//
// Back-pressure both ways: what a peer may send ahead grows only by consumed(), and produce()
// takes of a stream what the peer's windows allow. Trailers of requests are read and dropped.
// It refuses to push. Each stream costs what nghttp2 keeps of it and no other memory.
// No I/O and no clock: the time is handed in. A std::bad_alloc of an event comes out of feed().
// Lifetime: the events outlive the session; a stream lives from begin() to on_closed, or longer
// than the session. Thread rule: one thread at a time.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

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
  compression_error = 9, connect_error = 10, enhance_your_calm = 11
};

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
};

/// One request and its answer, as far as the session knows them. Derive from it.
class Http2Stream {
 public:
  Http2Stream(const Http2Stream&) = delete;
  Http2Stream& operator=(const Http2Stream&) = delete;

  /// Complete from on_head on, in the form of HTTP/1.1 with field names as they were sent.
  const RequestHead& request_head() const noexcept { return request_; }
  /// Not 0: the request must be answered with this status, and why.
  int refusal() const noexcept { return refusal_; }
  const char* reason() const noexcept { return reason_; }
  /// Bytes supplied that were not taken yet.
  ByteView untaken() const noexcept { return untaken_; }
  /// Bytes taken of all that were supplied.
  std::uint64_t taken() const noexcept { return taken_; }
  bool is_open() const noexcept { return open_; }
  /// The client has sent all of its request.
  bool request_ended() const noexcept { return request_ended_; }
  /// The answer's last byte was produced.
  bool answer_ended() const noexcept { return answer_ended_; }

 protected:
  Http2Stream() = default;
  ~Http2Stream() = default;

 private:
  friend class Http2Session;
  friend struct Http2Callbacks;
  RequestHead request_;
  ByteView untaken_;
  const char* reason_ = "";
  std::int32_t id_ = 0;
  int refusal_ = 0;
  std::uint64_t taken_ = 0;
  bool last_ = false;           // Nothing comes behind `untaken_`.
  bool open_ = false;
  bool request_ended_ = false;
  bool answer_ended_ = false;
  bool rest_refused_ = false;   // The client is told to stop once the answer has ended.
};

/// What a session tells. None of these may call feed() or produce().
class Http2Events {
 public:
  /// A request begins: lends it a stream. Null: it is refused, and may be sent again.
  virtual Http2Stream* begin() = 0;
  /// The head is complete. Without a body request_ended() is true, and on_end is not called.
  virtual void on_head(Http2Stream& stream) = 0;
  /// A piece of the body, at least 1 byte, valid during the call.
  virtual void on_body(Http2Stream& stream, ByteView piece) = 0;
  virtual void on_end(Http2Stream& stream) = 0;
  /// All that was supplied was taken: its memory may go, and more may be supplied.
  virtual void on_taken(Http2Stream& stream) = 0;
  /// The session is through with the stream: both sides have ended, or one has reset it.
  virtual void on_closed(Http2Stream& stream, Http2Code code) = 0;

 protected:
  ~Http2Events() = default;
};

class Http2Session {
 public:
  explicit Http2Session(Http2Events& events, const Http2Limits& limits = {});
  Http2Session(const Http2Session&) = delete;
  ~Http2Session();

  /// Takes received bytes, all of them. False: nothing more is read; what produce() still has to
  /// say is sent. The same is true once is_over(), which a mistake of the client leads to.
  bool feed(ByteView input, TimePoint now);
  /// Appends frames to `out`, at most 16 KiB beyond `enough` bytes. False when there were none.
  bool produce(std::string& out, std::size_t enough);
  /// produce() would append something.
  bool has_output() const noexcept;
  /// Neither side has anything more to say.
  bool is_over() const noexcept;

  /// Begins the answer to an open stream, once. Names and values are legal (is_token,
  /// is_field_value), 200..999 is final and 100..199 is not. Without a body the answer ends here.
  void answer(Http2Stream& stream, int status, std::span<const Field> fields, bool has_body);
  /// Gives the answer's next bytes, which stay valid until on_taken, on_closed or another
  /// supply(). `last`: the answer ends behind them.
  void supply(Http2Stream& stream, ByteView bytes, bool last);
  /// Ends the stream; on_closed comes when that was sent.
  void reset(Http2Stream& stream, Http2Code code);
  /// Bytes of the body were used: the client may send as many more.
  void consumed(Http2Stream& stream, std::size_t bytes);
  /// Bytes of the body were thrown away: only on other streams may the client send as many more.
  void discarded(std::size_t bytes);

  /// Whatever is left of the request is not wanted: once the answer has ended the client is told
  /// to stop (RFC 9113, section 8.1).
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
  /// Streams whose supplied bytes wait for the client's windows (or for produce()).
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
