// SPDX-License-Identifier: Apache-2.0
// ClientHttp2: a connection of HTTP/2 and its streams.
#include "http/client_http2.hpp"

#include <algorithm>
#include <utility>

#include "http/fields.hpp"
#include "rondo/core/cancel.hpp"
#include "rondo/core/loop.hpp"

namespace rondo::http::detail {

namespace {

/// Output is produced up to this size, then written: two TLS records' worth.
constexpr std::size_t k_out_enough = 32'768;
/// Output blocks that outgrew this are not kept by an idle connection.
constexpr std::size_t k_out_kept = 16'384;
/// While more frames than this wait to be written, no more is read.
constexpr std::size_t k_backlog_max = 512;

ClientStream& of(proto::Http2Stream& stream) noexcept { return static_cast<ClientStream&>(stream); }

Error protocol_error(std::string_view why) { return {Errc::protocol_error, "http2", why}; }

}  // namespace

ClientHttp2::ClientHttp2(ClientState& client, Origin& origin, Owned<Transport> transport)
    : client_(&client),
      origin_(&origin),
      options_(client.options),
      transport_(std::move(transport)),
      session_(*this,
               {.head_max = client.options.head_max,
                .fields_max = client.options.fields_max,
                .stream_window = client.options.stream_window,
                .connection_window = client.options.connection_window},
               proto::Http2Role::client),
      write_watch_(transport_->stream(), this,
                   [](void* self) noexcept {
                     static_cast<ClientHttp2*>(self)->end(Error(Errc::timed_out, "http request"));
                   }),
      idle_since_(now()),
      heard_at_(idle_since_) {
  relieved_.set();
}

ClientHttp2::~ClientHttp2() {
  RONDO_ASSERT(gone_ && open_.empty(), "a connection of HTTP/2 ends before it goes");
}

void ClientHttp2::start() {
  if (options_.ping_interval > Duration::zero()) arm_ping(options_.ping_interval);
  LoopHook::run = [](LoopHook& hook) {
    auto& self = static_cast<ClientHttp2&>(hook);
    self.stopping_ = true;
    self.look_idle();
  };
  Loop& loop = Loop::current();
  stopping_ = loop.stop_requested();
  if (!stopping_) loop.add_stop_hook(*this);
  // An exception is one of memory: this connection only.
  const auto over = [self = shared_from_this()](Result<> how) {
    if (!how) self->end(how.error());
  };
  reading_ = start_callback(read_on(shared_from_this()), over);
  writing_ = start_callback(write_on(shared_from_this()), over);
}

// ---- The two operations

Task<> ClientHttp2::read_on(std::shared_ptr<ClientHttp2> self) {
  ByteStream& stream = self->transport_->stream();
  while (!self->gone_) {
    if (self->session_.backlog() > k_backlog_max) {
      self->relieved_.reset();
      self->wake();
      co_await self->relieved_.wait();
      continue;
    }
    auto got = co_await stream.read();
    if (self->gone_) co_return;
    if (!got) {
      self->end(got.error());
    } else if (got->empty()) {
      self->end(Error(Errc::truncated, "http2", "the server has closed the connection"));
    } else {
      self->take(got->bytes());
    }
  }
}

Task<> ClientHttp2::write_on(std::shared_ptr<ClientHttp2> self) {
  ClientHttp2& at = *self;
  while (!at.gone_) {
    const bool any = at.session_.produce(at.out_, k_out_enough);
    at.look_idle();
    if (at.gone_) co_return;
    if (!any && at.session_.is_over()) co_return at.end(at.reason_of_end());
    if (any) {
      at.writing_now_ = true;
      auto sent = co_await at.write_watch_.write(as_bytes(at.out_), at.options_.answer_timeout);
      at.writing_now_ = false;
      at.out_.clear();
      at.relieved_.set();
      if (!sent) at.end(sent.error());
      continue;
    }
    if (at.is_idle() && at.out_.capacity() > k_out_kept) at.out_ = {};
    at.relieved_.set();
    at.wake_.reset();
    co_await at.wake_.wait();
  }
}

void ClientHttp2::take(ByteView input) {
  heard_at_ = now();
  ++pieces_heard_;
  if (!session_.feed(input, heard_at_)) return end(reason_of_end());
  if (session_.has_output()) wake();
  look_idle();
}

/// Why the session reads no more.
Error ClientHttp2::reason_of_end() const {
  if (session_.is_flooded()) return protocol_error("a flood of frames without use");
  if (leaving_) return protocol_error("GOAWAY: " + std::string(name_of(goaway_)));
  return protocol_error("the server broke the rules of the protocol");
}

/// Behind the session's events: in them it must not be asked for output.
void ClientHttp2::look_idle() noexcept {
  if (gone_ || !is_idle()) return;
  const bool wanted = stopping_ || client_->places.statistics().waiting > 0 ||
                      origin_->places.statistics().waiting > 0;
  if (leaving_ || wanted) return close();
  client_->see_idle();
}

// ---- Its end

/// With an error: it has failed.
void ClientHttp2::end(std::optional<Error> why) noexcept {
  if (std::exchange(gone_, true)) return;
  const auto keep = weak_from_this().lock();  // Its origin may be the last to hold it.
  say_last();
  fail_all(why ? *why : Error(Errc::closed, "http2", "the connection was closed"));
  ping_timer_.cancel();
  if (linked()) unlink();
  reading_.cancel();
  writing_.cancel();
  settled_.set();
  place.reset();
  origin_place.reset();
  std::exchange(client_, nullptr)->forget(*this);
}

/// GOAWAY, as far as that can be had without waiting.
void ClientHttp2::say_last() noexcept {
  ByteStream& stream = transport_->stream();
  if (writing_now_) return;  // It would get into the middle of a frame.
  session_.terminate(proto::Http2Code::no_error);
  while (out_.size() < limits::cork_max.value && session_.produce(out_, k_out_enough)) continue;
  if (!out_.empty()) (void)stream.try_write(SharedBytes::copy(out_));
  stream.shutdown_write();
}

void ClientHttp2::fail_all(const Error& why) noexcept {
  while (ClientStream* stream = open_.pop_front()) {
    stream->http2 = nullptr;
    if (stream->tunnel) stream->tunnel->on_closed(why.code());
    stream->fail(why, stream->heard ? Fate::unknown : Fate::unheard);
    stream->self.reset();
  }
  streams_ = 0;
}

void ClientHttp2::leave() noexcept {
  if (std::exchange(leaving_, true)) return;
  if (gone_) return;
  origin_->wake_one();
  if (is_idle()) close();
}

// ---- Streams

bool ClientHttp2::has_room() const noexcept {
  return !gone_ && !leaving_ && streams_ + reserved_ < session_.peer_streams_max() &&
         session_.can_begin();
}

void ClientHttp2::unreserve() noexcept {
  --reserved_;
  if (gone_) return;
  stream_gone();
  look_idle();
}

std::shared_ptr<ClientStream> ClientHttp2::open(std::span<const proto::Field> fields,
                                                bool has_body) {
  --reserved_;
  if (gone_ || leaving_) return nullptr;
  auto stream = std::make_shared<ClientStream>();
  if (!session_.request(*stream, fields, has_body)) {
    leave();
    return nullptr;
  }
  stream->http2 = this;
  stream->self = stream;
  open_.push_back(*stream);
  ++streams_;
  wake();
  return stream;
}

/// There is room for another one, or nobody is left.
void ClientHttp2::stream_gone() noexcept {
  if (is_idle()) idle_since_ = now();
  origin_->wake_one();
}

Task<bool> ClientHttp2::wait_settings() {
  const auto self = shared_from_this();
  if (!session_.settings_known())
    (void)co_await with_timeout(options_.answer_timeout, settled_.wait());
  co_return !gone_ && session_.settings_known();
}

// ---- What the session tells

void ClientHttp2::on_head(proto::Http2Stream& stream) {
  of(stream).has_head = of(stream).heard = true;
  of(stream).may_send_body.set();  // Or not: send_body() looks what it says.
  of(stream).stir();
}

void ClientHttp2::on_interim(proto::Http2Stream& stream, int status) {
  of(stream).heard = true;
  if (status == 100) of(stream).may_send_body.set();
}

void ClientHttp2::on_body(proto::Http2Stream& stream, ByteView piece) {
  ClientStream& to = of(stream);
  if (to.abandoned) return session_.discarded(piece.size());
  if (to.tunnel) return to.tunnel->on_data(piece);
  to.unused += piece.size();
  to.arrived.append(as_text(piece));
  to.stir();
}

void ClientHttp2::on_end(proto::Http2Stream& stream) {
  if (of(stream).tunnel) of(stream).tunnel->on_end();
  of(stream).stir();
}

void ClientHttp2::on_taken(proto::Http2Stream& stream) {
  if (of(stream).tunnel) of(stream).tunnel->on_taken();
  of(stream).stir();
}

void ClientHttp2::on_said_all(proto::Http2Stream& stream) { of(stream).stir(); }

void ClientHttp2::on_closed(proto::Http2Stream& closed, proto::Http2Code code) {
  ClientStream& stream = of(closed);
  const auto keep = std::move(stream.self);
  stream.unlink();
  stream.http2 = nullptr;
  --streams_;
  session_.discarded(std::exchange(stream.unused, 0));
  const std::string name(name_of(code));
  if (stream.tunnel)
    stream.tunnel->on_closed(stream.answer_ended() ? Errc{0} : Errc::connection_reset);
  if (stream.answer_ended()) {
    stream.writing.cancel();
    stream.stir();
  } else if (code == proto::Http2Code::refused_stream && !stream.heard) {
    stream.fail({Errc::connection_reset, "http2", "the server refused the stream"}, Fate::unseen);
  } else if (code == proto::Http2Code::http_1_1_required) {
    origin_->http1 = true;
    origin_->wake_all();
    stream.fail({Errc::connection_reset, "http2", "the server wants HTTP/1.1"}, Fate::unseen);
  } else if (stream.was_reset_by_peer()) {
    stream.fail({Errc::connection_reset, "http2", "the server reset the stream: " + name},
                Fate::unknown);
  } else {
    stream.fail(protocol_error("the answer broke the rules: " + name), Fate::unknown);
  }
  stream_gone();
}

void ClientHttp2::on_settings() {
  settled_.set();
  origin_->wake_all();  // It may be room for many.
}

void ClientHttp2::on_goaway(proto::Http2Code code) {
  goaway_ = code;
  leaving_ = true;  // Closed behind its last stream, and by take() if there is none.
  origin_->wake_one();
}

// ---- Signs of life

void ClientHttp2::arm_ping(Duration after) noexcept {
  // The callback is cancelled by end(), before the connection goes.
  ping_timer_ = Loop::current().call_later(after, [this] { look_for_life(); });
}

void ClientHttp2::look_for_life() {
  if (pinged_at_ > heard_at_)
    return end(Error(Errc::timed_out, "http2", "the server did not answer a ping"));
  const Duration quiet = now() - heard_at_;
  if (quiet < options_.ping_interval) return arm_ping(options_.ping_interval - quiet);
  pinged_at_ = now();
  session_.ping();
  wake();
  arm_ping(options_.ping_timeout);
}

// ---- A stream

void ClientStream::fail(Error why, Fate fate_of_it) noexcept {
  if (!failure) {
    failure = std::move(why);
    fate = fate_of_it;
  }
  writing.cancel();
  stir();
  may_send_body.set();
}

void ClientStream::use_up(std::size_t bytes) noexcept {
  bytes = std::min(bytes, unused);  // A stream that was closed has given all of it back.
  if (bytes == 0 || !http2) return;
  unused -= bytes;
  http2->session().consumed(*this, bytes);
  http2->wake();
}

void ClientStream::abandon() noexcept {
  abandoned = true;
  writing.cancel();
  if (!http2) return;
  if (tunnel) {
    tunnel->shutdown_write();
    http2->session().refuse_rest(*this);  // It ends behind what is still sent.
    return http2->wake();
  }
  http2->session().supply(*this, {}, false);  // What it was to send is going away.
  http2->session().discarded(std::exchange(unused, 0));
  http2->session().reset(*this, proto::Http2Code::cancel);
  http2->wake();
}

void ClientStream::begin_tunnel() {
  tunnel = std::make_unique<Http2Tunnel>(*this, http2->session(), http2->wake_event());
}

void ClientStream::give(ByteView bytes, bool last) noexcept {
  if (!http2) return;
  http2->session().supply(*this, bytes, last);
  http2->wake();
}

/// Nothing more comes but the trailers.
void ClientStream::end_body() noexcept {
  if (sending->request.trailers && http2) {
    std::vector<Header> all;
    try {
      all = sending->request.trailers();
    } catch (...) {
      return fail(Error(Errc::failed, "http trailers", "an exception"), Fate::unknown);
    }
    std::vector<proto::Field> fields;
    for (const Header& field : all) {
      if (may_be_trailer(field.name, field.value))
        fields.push_back({field.name, trimmed(field.value)});
    }
    http2->session().set_trailers(*this, fields);
  }
  give(untaken(), true);
}

Task<Result<>> ClientStream::wait_taken() {
  while (http2 && !untaken().empty()) {
    taken_more.reset();
    co_await taken_more.wait();
  }
  if (!http2) co_return Error(Errc::broken, "http2");
  co_return Result<>();
}

namespace {

/// Takes what was supplied back when the piece goes.
struct Piece {
  ClientStream& stream;
  std::string bytes;
  ~Piece() {
    if (!stream.untaken().empty()) stream.give({}, false);
  }
};

/// Sends what the source makes, at the pace of the server's windows.
Task<> send_body(std::shared_ptr<ClientStream> stream, Duration wait_for_100) {
  ClientRequest& request = stream->sending->request;
  if (request.expect_continue)
    (void)co_await with_timeout(wait_for_100, stream->may_send_body.wait());
  // Who refuses gets none of it; the stream is reset when the answer goes.
  if (request.expect_continue && stream->has_head && stream->response_head().status() >= 300)
    co_return;
  if (!request.body_source) {
    stream->give(as_bytes(request.body), false);
    stream->end_body();
    co_return;
  }
  while (true) {
    stream->producing = true;
    auto made = co_await stream->sending->next_piece();
    stream->producing = false;
    if (!made) {
      stream->fail(made.error(), Fate::unknown);
      co_return;
    }
    if (made->empty()) break;
    Piece piece{*stream, std::move(*made)};
    stream->give(as_bytes(piece.bytes), false);
    if (!co_await stream->wait_taken()) co_return;
  }
  stream->end_body();
}

}  // namespace

void ClientStream::begin_body(const Outgoing& out) {
  sending = out.sending;
  const ClientRequest& request = sending->request;
  if (!request.body_source && !request.expect_continue) {
    give(as_bytes(request.body), false);
    return end_body();
  }
  writing = start_callback(send_body(self, http2->options().continue_timeout),
                           [stream = self](Result<> how) {
                             if (!how) stream->fail(how.error(), Fate::unknown);
                           });
}

}  // namespace rondo::http::detail
