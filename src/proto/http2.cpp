// SPDX-License-Identifier: Apache-2.0
// nghttp2 behind the session. Its callbacks are plain C: an exception of an event is kept, the
// call fails, and feed() or produce() throws it again.
//
// The callbacks serve both sides; what only one of them has (requests that begin, interim answers,
// pushes) is told apart by the frame's category and by is_client.
//
// DATA frames are written from the caller's memory into the caller's output (NO_COPY). When the
// output is long enough the read callback pauses nghttp2: between asking for bytes and writing
// them nothing may happen, since the stream may take them back.
#include "rondo/proto/http2.hpp"

#include <nghttp2/nghttp2.h>

#include <cstring>
#include <exception>
#include <utility>
#include <vector>

#include "http2_guard.hpp"
#include "http2_head.hpp"
#include "rondo/base/assert.hpp"

namespace rondo::proto {

namespace {

constexpr std::uint8_t k_drain_ping[8] = {'d', 'r', 'a', 'i', 'n', 'i', 'n', 'g'};

std::string_view view(const std::uint8_t* at, std::size_t size) noexcept {
  return {reinterpret_cast<const char*>(at), size};
}

std::uint8_t* bytes_of(std::string_view text) noexcept {
  return const_cast<std::uint8_t*>(reinterpret_cast<const std::uint8_t*>(text.data()));
}

nghttp2_nv pair_of(std::string_view name, std::string_view value) noexcept {
  return {bytes_of(name), bytes_of(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE};
}

/// What a peer has to answer for: not how an answer of ours went wrong.
bool is_the_peers(std::uint32_t code) noexcept {
  return code == NGHTTP2_PROTOCOL_ERROR || code == NGHTTP2_FLOW_CONTROL_ERROR ||
         code == NGHTTP2_STREAM_CLOSED || code == NGHTTP2_FRAME_SIZE_ERROR;
}

}  // namespace

std::string_view name_of(Http2Code code) noexcept {
  return nghttp2_http2_strerror(static_cast<std::uint32_t>(code));
}

void Http2Stream::open_as(std::int32_t id) noexcept {
  id_ = id;
  untaken_ = {};
  own_trailers_.clear();
  refusal_ = 0;
  reason_ = "";
  taken_ = 0;
  interims_ = 0;
  last_ = head_done_ = heard_all_ = said_all_ = reset_by_peer_ = false;
  head_sent_ = rest_refused_ = false;
  open_ = true;
}

struct Http2Session::State {
  State(Http2Events& e, const Http2Limits& l, Http2Role role)
      : events(e), limits(l), is_client(role == Http2Role::client), guard(!is_client) {}
  State(const State&) = delete;
  ~State() { nghttp2_session_del(session); }

  void rethrow() {
    if (error) std::rethrow_exception(std::exchange(error, nullptr));
  }
  void calm() {
    flooded = true;
    nghttp2_session_terminate_session(session, NGHTTP2_ENHANCE_YOUR_CALM);
  }
  Http2Stream* find(std::int32_t id) noexcept {
    return static_cast<Http2Stream*>(nghttp2_session_get_stream_user_data(session, id));
  }

  Http2Events& events;
  const Http2Limits limits;
  const bool is_client;
  nghttp2_session* session = nullptr;
  Http2Guard guard;
  Http2Head head;
  std::vector<nghttp2_nv> fields;
  std::exception_ptr error;
  std::string* out = nullptr;    // During produce().
  std::size_t enough = 0;
  std::size_t waiting = 0;       // Streams with bytes that were not taken.
  std::uint64_t body_bytes = 0;
  bool failed = false;           // nghttp2 gave up.
  bool flooded = false;
  bool bomb = false;             // A head unpacked without end.
  bool draining = false;
  bool leaving = false;          // The peer has said that the connection will end.
  bool settings_known = false;   // Those of the peer.
};

struct Http2Callbacks {
  using State = Http2Session::State;

  static State& state(void* user) noexcept { return *static_cast<State*>(user); }

  template <class F>
  static int guarded(State& state, F&& call) noexcept {
    try {
      return call();
    } catch (...) {
      state.error = std::current_exception();
      return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
  }

  static bool is_request(const nghttp2_frame& frame) noexcept {
    return frame.hd.type == NGHTTP2_HEADERS && frame.headers.cat == NGHTTP2_HCAT_REQUEST;
  }

  static int on_begin_headers(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    State& at = state(user);
    if (is_request(*frame)) return guarded(at, [&] { return begin_request(at, *frame); });
    Http2Stream* stream = at.find(frame->hd.stream_id);
    if (!stream) return 0;
    if (stream->head_done_) at.head.begin(stream->trailers_);
    else at.head.begin(std::get<ResponseHead>(stream->head_));
    return 0;
  }

  static int begin_request(State& at, const nghttp2_frame& frame) {
    const std::int32_t id = frame.hd.stream_id;
    Http2Stream* stream = at.events.begin();
    if (!stream) {
      nghttp2_submit_rst_stream(at.session, NGHTTP2_FLAG_NONE, id, NGHTTP2_REFUSED_STREAM);
      return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    stream->open_as(id);
    nghttp2_session_set_stream_user_data(at.session, id, stream);
    at.head.begin(stream->trailers_);  // Forgets those of before.
    at.head.begin(std::get<RequestHead>(stream->head_));
    return 0;
  }

  static int on_header(nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name,
                       std::size_t name_size, const std::uint8_t* value, std::size_t value_size,
                       std::uint8_t, void* user) {
    State& at = state(user);
    const bool is_head = frame->hd.type == NGHTTP2_HEADERS;
    const Http2Stream* stream = is_head ? at.find(frame->hd.stream_id) : nullptr;
    if (!stream) return 0;
    return guarded(at, [&] {
      if (!at.head.field(view(name, name_size), view(value, value_size), at.limits))
        at.bomb = true;
      // Nobody is left who could be told why trailers are refused.
      const bool refused = at.bomb || (stream->head_done_ && !at.head.is_good());
      return refused ? static_cast<int>(NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE) : 0;
    });
  }

  /// A name or value that HTTP/1 could not carry: the stream is reset, not the field dropped.
  static int on_invalid_header(nghttp2_session*, const nghttp2_frame*, const std::uint8_t*,
                               std::size_t, const std::uint8_t*, std::size_t, std::uint8_t,
                               void*) {
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  }

  static int on_frame_recv(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
    State& at = state(user);
    const bool is_ack = (frame->hd.flags & NGHTTP2_FLAG_ACK) != 0;
    switch (frame->hd.type) {
      case NGHTTP2_RST_STREAM:
        at.guard.count_reset();
        if (Http2Stream* stream = at.find(frame->hd.stream_id)) stream->reset_by_peer_ = true;
        return 0;
      case NGHTTP2_PING:
        return is_ack ? guarded(at, [&] { return pong(at, frame->ping.opaque_data); }) : 0;
      case NGHTTP2_SETTINGS:
        if (is_ack) return 0;
        at.settings_known = true;
        return guarded(at, [&] { return at.events.on_settings(), 0; });
      case NGHTTP2_GOAWAY:
        at.leaving = true;
        return guarded(at, [&] {
          at.events.on_goaway(static_cast<Http2Code>(frame->goaway.error_code));
          return 0;
        });
      case NGHTTP2_HEADERS:
      case NGHTTP2_DATA:
        return guarded(at, [&] { return take_part(session, at, *frame); });
      default:
        return 0;
    }
  }

  static int pong(State& at, const std::uint8_t* data) {
    if (!at.draining || std::memcmp(data, k_drain_ping, sizeof k_drain_ping) != 0) {
      at.events.on_pong();
      return 0;
    }
    return nghttp2_submit_goaway(at.session, NGHTTP2_FLAG_NONE,
                                 nghttp2_session_get_last_proc_stream_id(at.session),
                                 NGHTTP2_NO_ERROR, nullptr, 0);
  }

  /// A whole HEADERS or DATA frame: a head, trailers, the end of a body.
  static int take_part(nghttp2_session* session, State& at, const nghttp2_frame& frame) {
    Http2Stream* stream = at.find(frame.hd.stream_id);
    if (!stream) return 0;
    const bool ended = (frame.hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    if (frame.hd.type == NGHTTP2_HEADERS) {
      const Verdict verdict = at.head.finish(ended, at.limits);
      if (!stream->head_done_) return take_head(session, at, *stream, ended, verdict);
    }
    if (!ended) return 0;
    stream->heard_all_ = true;
    at.events.on_end(*stream);
    return 0;
  }

  static int take_head(nghttp2_session* session, State& at, Http2Stream& stream, bool ended,
                       const Verdict& verdict) {
    if (at.is_client && at.head.status() / 100 == 1) {
      if (++stream.interims_ > at.limits.interims_max)
        return nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, stream.id_,
                                         NGHTTP2_ENHANCE_YOUR_CALM);
      at.events.on_interim(stream, at.head.status());
      return 0;
    }
    stream.head_done_ = true;
    stream.heard_all_ = ended;
    stream.refusal_ = verdict.status;
    stream.reason_ = verdict.reason;
    at.events.on_head(stream);
    return 0;
  }

  static int on_data(nghttp2_session* session, std::uint8_t, std::int32_t id,
                     const std::uint8_t* data, std::size_t size, void* user) {
    State& at = state(user);
    Http2Stream* stream = at.find(id);
    if (!stream || size == 0) return stream ? 0 : nghttp2_session_consume(session, id, size);
    return guarded(at, [&] {
      at.events.on_body(*stream, rondo::as_bytes(view(data, size)));
      return 0;
    });
  }

  static void end_own(nghttp2_session* session, State& at, Http2Stream& stream) {
    stream.said_all_ = true;
    at.events.on_said_all(stream);
    if (stream.rest_refused_ && !stream.heard_all_)
      nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, stream.id_, NGHTTP2_NO_ERROR);
  }

  static int on_frame_send(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
    State& at = state(user);
    const bool can_end = frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA;
    if (Http2Stream* stream = can_end ? at.find(frame->hd.stream_id) : nullptr) {
      stream->head_sent_ = true;
      if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0)
        return guarded(at, [&] { return end_own(session, at, *stream), 0; });
    }
    if (frame->hd.type == NGHTTP2_RST_STREAM && is_the_peers(frame->rst_stream.error_code))
      at.guard.count_reset();
    return 0;
  }

  static int on_close(nghttp2_session*, std::int32_t id, std::uint32_t code, void* user) {
    State& at = state(user);
    Http2Stream* stream = at.find(id);
    if (!stream) return 0;
    if (!stream->untaken_.empty()) --at.waiting;
    stream->open_ = false;
    stream->untaken_ = {};
    // A request that was dropped before it was sent is one that the server has not seen.
    if (at.is_client && !stream->head_sent_) code = NGHTTP2_REFUSED_STREAM;
    return guarded(at, [&] {
      at.events.on_closed(*stream, static_cast<Http2Code>(code));
      return 0;
    });
  }

  static ssize_t read_body(nghttp2_session* session, std::int32_t id, std::uint8_t*,
                           std::size_t room, std::uint32_t* flags, nghttp2_data_source* source,
                           void* user) {
    State& at = state(user);
    const Http2Stream& stream = *static_cast<const Http2Stream*>(source->ptr);
    if (stream.untaken_.empty() && !stream.last_) return NGHTTP2_ERR_DEFERRED;
    if (at.out->size() >= at.enough) return NGHTTP2_ERR_PAUSE;
    const std::size_t size = std::min(room, stream.untaken_.size());
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (size < stream.untaken_.size() || !stream.last_) return static_cast<ssize_t>(size);
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (!stream.own_trailers_.empty()) {
      *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
      const int failed = guarded(at, [&] { return submit_trailers(session, id, stream); });
      if (failed != 0) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    return static_cast<ssize_t>(size);
  }

  static int submit_trailers(nghttp2_session* session, std::int32_t id,
                             const Http2Stream& stream) {
    std::vector<nghttp2_nv> fields;
    for (std::string_view rest = stream.own_trailers_; !rest.empty();) {
      const std::string_view line = rest.substr(0, rest.find('\n'));
      const std::size_t colon = line.find(':');
      fields.push_back(pair_of(line.substr(0, colon), line.substr(colon + 1)));
      rest.remove_prefix(line.size() + 1);
    }
    return nghttp2_submit_trailer(session, id, fields.data(), fields.size());
  }

  static int send_body(nghttp2_session*, nghttp2_frame*, const std::uint8_t* header,
                       std::size_t size, nghttp2_data_source* source, void* user) {
    State& at = state(user);
    Http2Stream& stream = *static_cast<Http2Stream*>(source->ptr);
    return guarded(at, [&] {
      at.out->append(view(header, 9)).append(as_text(stream.untaken_.first(size)));
      stream.untaken_ = stream.untaken_.subspan(size);
      stream.taken_ += size;
      at.body_bytes += size;
      at.guard.credit(size);
      if (size > 0 && stream.untaken_.empty()) {
        --at.waiting;
        at.events.on_taken(stream);
      }
      return 0;
    });
  }

  static nghttp2_session* make(State& at);
};

nghttp2_session* Http2Callbacks::make(State& at) {
  struct Setup {
    nghttp2_session_callbacks* callbacks = nullptr;
    nghttp2_option* option = nullptr;
    Setup() {
      if (nghttp2_session_callbacks_new(&callbacks) != 0 || nghttp2_option_new(&option) != 0)
        throw std::bad_alloc();
      nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
      nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
      nghttp2_session_callbacks_set_on_invalid_header_callback(callbacks, on_invalid_header);
      nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame_recv);
      nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
      nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_send);
      nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
      nghttp2_session_callbacks_set_send_data_callback(callbacks, send_body);
      nghttp2_option_set_no_auto_window_update(option, 1);
      nghttp2_option_set_no_closed_streams(option, 1);
    }
  };
  static const Setup setup;  // Never freed: sessions of other threads may be open at the end.
  nghttp2_session* made = nullptr;
  const auto make_one =
      at.is_client ? &nghttp2_session_client_new2 : &nghttp2_session_server_new2;
  if (make_one(&made, setup.callbacks, &at, setup.option) != 0) throw std::bad_alloc();
  return made;
}

Http2Session::Http2Session(Http2Events& events, const Http2Limits& limits, Http2Role role)
    : state_(new State(events, limits, role)) {
  state_->session = Http2Callbacks::make(*state_);
  // A client's streams are its own: what its peer may open are pushes, and it takes none.
  const bool is_client = state_->is_client;
  const auto streams = static_cast<std::uint32_t>(is_client ? 0 : limits.streams_max);
  const nghttp2_settings_entry settings[] = {
      {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, streams},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, static_cast<std::uint32_t>(limits.stream_window)},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, static_cast<std::uint32_t>(limits.head_max)},
      {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
      is_client ? nghttp2_settings_entry{NGHTTP2_SETTINGS_ENABLE_PUSH, 0}
                : nghttp2_settings_entry{NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1},
  };
  int failed = nghttp2_submit_settings(state_->session, NGHTTP2_FLAG_NONE, settings,
                                       std::size(settings));
  if (failed == 0)
    failed = nghttp2_session_set_local_window_size(
        state_->session, NGHTTP2_FLAG_NONE, 0,
        static_cast<std::int32_t>(std::max<std::size_t>(limits.connection_window, 65'535)));
  RONDO_ASSERT(failed == 0, "windows and streams_max are below 2^31");
}

Http2Session::~Http2Session() = default;

bool Http2Session::feed(ByteView input, TimePoint now) {
  State& at = *state_;
  if (at.failed || at.flooded) return false;
  if (!at.guard.admit(input, now, at.limits)) return at.calm(), false;
  const auto taken = nghttp2_session_mem_recv(
      at.session, reinterpret_cast<const std::uint8_t*>(input.data()), input.size());
  at.rethrow();
  if (taken < 0) {
    at.failed = true;
    at.flooded = taken == NGHTTP2_ERR_FLOODED;
    return false;
  }
  if (at.bomb || at.guard.too_many_resets(at.limits)) return at.calm(), false;
  return nghttp2_session_want_read(at.session) != 0;
}

bool Http2Session::produce(std::string& out, std::size_t enough) {
  State& at = *state_;
  const std::size_t before = out.size();
  at.out = &out;
  at.enough = enough;
  while (!at.failed && out.size() < enough) {
    const std::uint8_t* data = nullptr;
    const auto size = nghttp2_session_mem_send(at.session, &data);
    at.rethrow();
    if (size < 0) at.failed = true;
    if (size <= 0) break;
    out.append(view(data, static_cast<std::size_t>(size)));
  }
  at.out = nullptr;
  return out.size() > before;
}

bool Http2Session::has_output() const noexcept {
  return !state_->failed && nghttp2_session_want_write(state_->session) != 0;
}

bool Http2Session::is_over() const noexcept {
  return state_->failed || (nghttp2_session_want_read(state_->session) == 0 &&
                            nghttp2_session_want_write(state_->session) == 0);
}

bool Http2Session::request(Http2Stream& stream, std::span<const Field> fields, bool has_body) {
  State& at = *state_;
  if (at.failed || !can_begin()) return false;
  at.fields.clear();
  for (const Field& field : fields) at.fields.push_back(pair_of(field.name, field.value));
  nghttp2_data_provider body{{.ptr = &stream}, &Http2Callbacks::read_body};
  const std::int32_t id =
      nghttp2_submit_request(at.session, nullptr, at.fields.data(), at.fields.size(),
                             has_body ? &body : nullptr, &stream);
  if (id < 0) return false;
  // A stream is new, and so are its trailers: of a head, another's may be half there.
  stream.open_as(id);
  return true;
}

bool Http2Session::can_begin() const noexcept {
  return !state_->failed && !state_->leaving &&
         nghttp2_session_check_request_allowed(state_->session) != 0;
}

std::size_t Http2Session::peer_streams_max() const noexcept {
  return nghttp2_session_get_remote_settings(state_->session,
                                             NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
}

bool Http2Session::settings_known() const noexcept { return state_->settings_known; }

bool Http2Session::peer_allows_connect() const noexcept {
  return nghttp2_session_get_remote_settings(state_->session,
                                             NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL) == 1;
}

void Http2Session::ping() {
  if (!state_->failed) nghttp2_submit_ping(state_->session, NGHTTP2_FLAG_NONE, nullptr);
}

void Http2Session::answer(Http2Stream& stream, int status, std::span<const Field> fields,
                          bool has_body) {
  State& at = *state_;
  if (!stream.open_) return;
  const char digits[3] = {static_cast<char>('0' + status / 100),
                          static_cast<char>('0' + status / 10 % 10),
                          static_cast<char>('0' + status % 10)};
  at.fields.clear();
  at.fields.push_back(pair_of(":status", {digits, 3}));
  for (const Field& field : fields) at.fields.push_back(pair_of(field.name, field.value));
  if (status < 200) {
    nghttp2_submit_headers(at.session, NGHTTP2_FLAG_NONE, stream.id_, nullptr, at.fields.data(),
                           at.fields.size(), nullptr);
    return;
  }
  nghttp2_data_provider body{{.ptr = &stream}, &Http2Callbacks::read_body};
  // Without memory the stream stays open until a time-out resets it.
  nghttp2_submit_response(at.session, stream.id_, at.fields.data(), at.fields.size(),
                          has_body ? &body : nullptr);
}

void Http2Session::set_trailers(Http2Stream& stream, std::span<const Field> fields) {
  stream.own_trailers_.clear();
  for (const Field& field : fields)
    stream.own_trailers_.append(field.name).append(":").append(field.value).append("\n");
}

void Http2Session::supply(Http2Stream& stream, ByteView bytes, bool last) {
  if (!stream.open_) return;
  if (!stream.untaken_.empty()) --state_->waiting;
  if (!bytes.empty()) ++state_->waiting;
  stream.untaken_ = bytes;
  stream.last_ = last;
  if (!bytes.empty() || last) nghttp2_session_resume_data(state_->session, stream.id_);
}

void Http2Session::reset(Http2Stream& stream, Http2Code code) {
  if (!stream.open_) return;
  nghttp2_submit_rst_stream(state_->session, NGHTTP2_FLAG_NONE, stream.id_,
                            static_cast<std::uint32_t>(code));
}

void Http2Session::consumed(Http2Stream& stream, std::size_t bytes) {
  if (bytes == 0) return;
  if (!stream.open_) return discarded(bytes);
  nghttp2_session_consume(state_->session, stream.id_, bytes);
}

void Http2Session::discarded(std::size_t bytes) {
  if (bytes > 0) nghttp2_session_consume_connection(state_->session, bytes);
}

void Http2Session::refuse_rest(Http2Stream& stream) {
  if (!stream.open_ || stream.heard_all_) return;
  stream.rest_refused_ = true;
  if (stream.said_all_) reset(stream, Http2Code::no_error);
}

void Http2Session::drain() {
  State& at = *state_;
  if (at.failed || at.draining) return;
  at.draining = true;
  nghttp2_submit_shutdown_notice(at.session);
  nghttp2_submit_ping(at.session, NGHTTP2_FLAG_NONE, k_drain_ping);
}

void Http2Session::terminate(Http2Code code) {
  if (!state_->failed)
    nghttp2_session_terminate_session(state_->session, static_cast<std::uint32_t>(code));
}

bool Http2Session::in_head() const noexcept { return state_->guard.in_head(); }
std::uint64_t Http2Session::frames() const noexcept { return state_->guard.frames(); }
bool Http2Session::is_flooded() const noexcept { return state_->flooded; }
std::size_t Http2Session::waiting() const noexcept { return state_->waiting; }
std::uint64_t Http2Session::body_bytes() const noexcept { return state_->body_bytes; }
std::size_t Http2Session::backlog() const noexcept {
  return nghttp2_session_get_outbound_queue_size(state_->session);
}

}  // namespace rondo::proto
