// SPDX-License-Identifier: Apache-2.0
#include "ws/session.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <utility>

#include "rondo/core/cancel.hpp"
#include "rondo/core/detail/frame_pool.hpp"
#include "rondo/core/offload.hpp"
#include "rondo/core/sleep.hpp"

namespace rondo::ws::detail {

namespace {

constexpr std::size_t k_unlimited = std::numeric_limits<std::size_t>::max() / 2;
constexpr Duration k_for_ever = Duration::max();
/// With its head it is accepted in one piece, and copied.
constexpr std::size_t k_small = limits::cork_block.value - proto::k_frame_header_max;
constexpr std::size_t k_piece = 65'536;         // Of a client's large message.
constexpr std::size_t k_deflate_here = 65'536;  // More is deflated on a thread.

/// A frame in a block of the pool, alive while a write of it may wait.
class Encoded {
 public:
  Encoded(ByteView head, ByteView payload)
      : head_(head.size()), size_(head.size() + payload.size()) {
    block_ = static_cast<std::byte*>(rondo::detail::FramePool::take(size_));
    std::memcpy(block_, head.data(), head.size());
    if (!payload.empty()) std::memcpy(block_ + head.size(), payload.data(), payload.size());
  }
  Encoded(const Encoded&) = delete;
  ~Encoded() { rondo::detail::FramePool::give(block_, size_); }
  ByteView bytes() const noexcept { return {block_, size_}; }
  ByteSpan payload() noexcept { return {block_ + head_, size_ - head_}; }

 private:
  std::byte* block_;
  std::size_t head_;
  std::size_t size_;
};

}  // namespace

Session::Session(ByteStream& stream, Options options, Agreed agreed, proto::WebSocketRole role)
    : protocol(std::move(agreed.protocol)),
      stream_(stream),
      // A client's writes have a time-out each: nobody's handler is there to be cancelled.
      watch_(stream, this,
             [](void* self) noexcept { static_cast<Session*>(self)->server_->cancel(); }),
      options_(std::move(options)),
      decoder_({.role = role,
                .message_max = options_.message_max,
                .deflate = agreed.deflate.has_value()}),
      deflate_(agreed.deflate) {}

Session::Session(http::Upgraded upgraded, Options options, Agreed agreed)
    : Session(upgraded.stream, std::move(options), std::move(agreed),
              proto::WebSocketRole::server) {
  server_.emplace(std::move(upgraded));
  begin(std::move(server_->loan), server_->rest);
}

Session::Session(http::ClientUpgrade upgraded, Options options, Agreed agreed)
    : Session(upgraded.stream(), std::move(options), std::move(agreed),
              proto::WebSocketRole::client) {
  client_.emplace(std::move(upgraded));
  ByteView rest;
  Loan loan = client_->take_rest(rest);
  begin(std::move(loan), rest);
}

void Session::begin(Loan loan, ByteView rest) {
  // What arrived with the handshake lies in a buffer that is shared with nobody.
  loan_ = std::move(loan);
  if (!rest.empty()) {
    const auto before = static_cast<std::size_t>(rest.data() - loan_.bytes().data());
    input_ = loan_.writable().subspan(before, rest.size());
  }
  Timer::fire = [](Timer& timer) noexcept { static_cast<Session&>(timer).tick(); };
  LoopHook::run = [](LoopHook& hook) {
    auto& self = static_cast<Session&>(hook);
    self.stopping_ = true;
    self.start_close(CloseCode::going_away, {});
  };
  Loop& loop = Loop::current();
  rearm(options_.ping_interval);
  if (loop.stop_requested())
    LoopHook::run(*this);
  else
    loop.add_stop_hook(*this);
}

Session::~Session() {
  if (is_open()) {
    start_close(Loop::current().stop_requested() ? CloseCode::going_away : CloseCode::normal, {});
  }
  if (armed()) Loop::current().disarm(*this);
  if (linked()) unlink();
}

// --- Receiving --------------------------------------------------------------------------------

bool Session::pull(Result<Message>& message) {
  if (std::exchange(delivered_, false)) {
    if (whole_.capacity() > limits::cork_max.value) whole_ = {};
    whole_.clear();
  }
  Message found;
  Step step = final_ != Errc{0} ? Step::over : Step::go_on;
  while (step == Step::go_on) step = next_event(found);
  if (ping_waits_ && (step == Step::need_more || !ponged_)) answer_ping();
  if (step == Step::need_more) return false;
  if (step == Step::over) {
    message = Error(final_, "receive");
    return true;
  }
  ++statistics.messages_received;
  statistics.bytes_received += found.bytes.size();
  message = found;
  return true;
}

Task<Result<Message>> Session::wait(bool yield) {
  if (yield) co_await checkpoint();
  Result<Message> message = Message{};
  while (!pull(message)) {
    loan_ = {};
    auto got = co_await watch_.read(k_for_ever);
    if (final_ != Errc{0}) continue;
    if (!got) {
      end(got.error().code());
    } else if (got->empty()) {
      end(close_sent_ && stopping_ ? Errc::stopping : Errc::end_of_stream);
    } else {
      loan_ = std::move(*got);
      input_ = loan_.writable();
      heard_ = true;
      ponged_ = false;
    }
  }
  co_return message;
}

Session::Step Session::next_event(Message& message) {
  using Event = proto::WebSocketEvent;
  const Event event = decoder_.next(input_);
  switch (event) {
    case Event::need_more:
      return Step::need_more;
    case Event::data:
      return data(message);
    case Event::ping:
    case Event::pong:
      if (!rate_allows()) return fail(CloseCode::policy, Errc::protocol_error);
      misses_ = 0;
      if (event == Event::pong) return Step::go_on;
      // Only the latest ping is answered (section 5.5.3 allows it).
      ping_size_ = static_cast<std::uint8_t>(decoder_.payload().size());
      std::ranges::copy(decoder_.payload(), ping_);
      ping_waits_ = true;
      return Step::go_on;
    case Event::close:
      return got_close();
    case Event::error:
      break;
  }
  const auto with = static_cast<CloseCode>(decoder_.close_code());
  return fail(with, with == CloseCode::too_big        ? Errc::too_large
                    : with == CloseCode::invalid_text ? Errc::bad_message
                                                      : Errc::protocol_error);
}

Session::Step Session::data(Message& message) {
  const ByteView piece = decoder_.payload();
  const bool last = decoder_.message_end();
  if (close_sent_) return Step::go_on;  // On its way when we closed.
  if (decoder_.packed()) return packed_data(message, piece, last);
  if (in_pieces_ || !last) whole_.append(as_text(piece));
  if (!last) {
    in_pieces_ = true;
    return Step::go_on;
  }
  delivered_ = std::exchange(in_pieces_, false);
  if (delivered_) ++statistics.copied;
  message.kind = decoder_.message_type() == Opcode::text ? Kind::text : Kind::binary;
  message.bytes = delivered_ ? as_bytes(whole_) : piece;
  return Step::message;
}

Session::Step Session::packed_data(Message& message, ByteView piece, bool last) {
  if (!inflater_) inflater_.emplace();
  in_pieces_ = true;
  auto inflated = inflater_->feed(piece, whole_, options_.message_max);
  if (inflated && last) inflated = inflater_->finish(whole_, options_.message_max);
  if (!inflated) {
    const bool large = inflated.error() == Errc::too_large;
    return fail(large ? CloseCode::too_big : CloseCode::invalid_text, inflated.error().code());
  }
  if (!last) return Step::go_on;
  inflater_.reset();  // An idle connection keeps no window.
  in_pieces_ = false;
  delivered_ = true;
  ++statistics.copied;
  const bool is_text = decoder_.message_type() == Opcode::text;
  if (is_text && !proto::is_valid_utf8(whole_))
    return fail(CloseCode::invalid_text, Errc::bad_message);
  message.kind = is_text ? Kind::text : Kind::binary;
  message.bytes = as_bytes(whole_);
  return Step::message;
}

bool Session::rate_allows() noexcept {
  const TimePoint now = Loop::current().now();
  if (now - rate_second_ >= std::chrono::seconds(1)) {
    rate_second_ = now;
    rate_count_ = 0;
  }
  return ++rate_count_ <= options_.control_rate;
}

Session::Step Session::got_close() {
  close_received_ = true;
  if (!close_sent_) {
    code = static_cast<CloseCode>(decoder_.close_code());
    reason = decoder_.close_reason();
    close_sent_ = true;
    queue_control(close_frame(decoder_.close_code()));
  }
  end(stopping_ ? Errc::stopping : Errc::closed);
  return Step::over;
}

Session::Step Session::fail(CloseCode with, Errc why) {
  start_close(with, {});
  end(why);
  return Step::over;
}

/// The connection has ended for the receiver; sending has too.
void Session::end(Errc why) noexcept {
  if (final_ == Errc{0}) final_ = why;
  input_ = {};
  ping_waits_ = false;
  if (armed()) Loop::current().disarm(*this);
}

// --- Control frames ---------------------------------------------------------------------------

proto::MaskKey Session::new_mask() noexcept {
  proto::MaskKey key;
  Loop::current().driver().random(key);
  return key;
}

SharedBytes Session::control(Opcode opcode, ByteView payload) {
  return is_client() ? proto::make_masked_frame(opcode, payload, new_mask())
                     : proto::make_frame(opcode, payload);
}

SharedBytes Session::close_frame(std::uint16_t with, std::string_view why) {
  const proto::MaskKey key = is_client() ? new_mask() : proto::MaskKey();
  return proto::make_close_frame(with, why, is_client() ? &key : nullptr);
}

void Session::queue_control(SharedBytes frame) noexcept {
  if (sending_large_) {
    waiting_bytes_ += frame.size();
    waiting_.push_back(std::move(frame));
    return;
  }
  // A stream that has failed says so to the next read.
  (void)stream_.try_write(frame, k_unlimited);
}

void Session::answer_ping() noexcept {
  ping_waits_ = false;
  ponged_ = true;
  if (close_sent_ || stream_.unsent() > options_.queue_max) return;
  ++statistics.pongs_sent;
  queue_control(control(Opcode::pong, {ping_, ping_size_}));
}

void Session::start_close(CloseCode with, std::string_view why) noexcept {
  if (close_sent_ || final_ != Errc{0}) return;
  code = with;
  reason = why;
  close_sent_ = true;
  queue_control(close_frame(static_cast<std::uint16_t>(with), why));
  // In a soft stop the answer and the end of the connection have to fit into stop_grace.
  rearm(stopping_ ? options_.close_timeout / 2 : options_.close_timeout);
}

void Session::rearm(Duration after) noexcept {
  Loop& loop = Loop::current();
  if (armed()) loop.disarm(*this);
  deadline = deadline_after(loop.now(), after).time_since_epoch().count();
  if (deadline != k_no_deadline.time_since_epoch().count()) loop.arm(*this);
}

/// The keep-alive; after a Close of ours, the end of the peer's time to answer it.
void Session::tick() noexcept {
  const bool alive = std::exchange(heard_, false) || stream_.unread() > 0;
  if (alive && !close_sent_) misses_ = 0;
  if (close_sent_ || misses_ >= 2) {
    end(stopping_ ? Errc::stopping : Errc::timed_out);
    return watch_.interrupt(Errc::timed_out);
  }
  ++misses_;
  ++statistics.pings_sent;
  queue_control(control(Opcode::ping, {}));
  rearm(options_.ping_interval);
}

// --- Sending ----------------------------------------------------------------------------------

Task<Result<>> Session::send(Opcode opcode, ByteView payload) {
  if (!is_open()) co_return Error(Errc::closed, "send");
  RONDO_DEBUG_ASSERT(opcode != Opcode::text || proto::is_valid_utf8(as_text(payload)),
                     "text messages are UTF-8: use send_binary");
  ++statistics.messages_sent;
  statistics.bytes_sent += payload.size();
  const bool as_it_is = !deflate_ || payload.size() < options_.deflate_min;
  if (as_it_is && !is_client() && payload.size() <= k_small) {
    // What nearly every message is: no frame of a coroutine but this one.
    std::array<std::byte, proto::k_frame_header_max> store;
    const Encoded frame(
        proto::write_frame_header({.opcode = opcode, .size = payload.size()}, store), payload);
    co_return co_await watch_.write(frame.bytes(), options_.write_timeout);
  }
  if (as_it_is) co_return co_await send_frame(opcode, payload, false);
  const auto pack = [&] { return proto::deflate_message(payload, deflate_->server_window); };
  Result<std::string> packed = std::string();
  if (payload.size() <= k_deflate_here)
    packed = pack();
  else
    packed = co_await run_cpu(pack);
  // It may have been closed meanwhile, and nothing follows a Close (section 5.5.1).
  if (!is_open()) co_return Error(Errc::closed, "send");
  const bool smaller = packed && packed->size() < payload.size();
  if (!smaller) co_return co_await send_frame(opcode, payload, false);
  ++statistics.deflated;
  co_return co_await send_frame(opcode, as_bytes(*packed), true);
}

Task<Result<>> Session::write(ByteView bytes) {
  if (!is_client()) co_return co_await watch_.write(bytes, options_.write_timeout);
  // In pieces, so that the time-out is one of progress.
  do {
    const ByteView piece = bytes.first(std::min(bytes.size(), k_piece));
    auto sent = co_await with_timeout(options_.write_timeout, stream_.write_all(piece));
    if (!sent) co_return sent;
    bytes = bytes.subspan(piece.size());
  } while (!bytes.empty());
  co_return {};
}

/// A masked copy of the payload, piece by piece.
Task<Result<>> Session::send_masked(ByteView payload, proto::MaskKey key) {
  std::vector<std::byte> room(std::min(payload.size(), k_piece));
  for (std::size_t at = 0; at < payload.size(); at += room.size()) {
    const ByteSpan piece = ByteSpan(room).first(std::min(room.size(), payload.size() - at));
    std::ranges::copy(payload.subspan(at, piece.size()), piece.begin());
    proto::apply_mask(piece, key, at);
    auto sent = co_await write(piece);
    if (!sent) co_return sent;
  }
  co_return {};
}

Task<Result<>> Session::send_frame(Opcode opcode, ByteView payload, bool packed) {
  const proto::MaskKey key = is_client() ? new_mask() : proto::MaskKey();
  std::array<std::byte, proto::k_frame_header_max> store;
  const ByteView head = proto::write_frame_header({.opcode = opcode,
                                                   .size = payload.size(),
                                                   .packed = packed,
                                                   .mask = is_client() ? &key : nullptr},
                                                  store);
  if (head.size() + payload.size() <= limits::cork_block.value) {
    Encoded frame(head, payload);
    if (is_client()) proto::apply_mask(frame.payload(), key);
    co_return co_await write(frame.bytes());
  }
  // From here on nothing else may get between head and payload.
  struct Large {
    Session& session;
    bool cut = false;
    explicit Large(Session& s) noexcept : session(s) { session.sending_large_ = true; }
    ~Large() {
      session.sending_large_ = false;
      if (cut)
        session.cut_off();
      else
        session.flush_waiting();
    }
  } large(*this);
  auto sent = co_await write(head);
  if (!sent) co_return sent;
  large.cut = true;
  if (is_client())
    sent = co_await send_masked(payload, key);
  else
    sent = co_await write(payload);
  large.cut = !sent;
  co_return sent;
}

/// A frame's head has left and its payload will not come: the peer would take whatever follows
/// for it.
void Session::cut_off() noexcept {
  waiting_.clear();
  waiting_bytes_ = 0;
  close_sent_ = true;
  end(Errc::broken);
  stream_.shutdown_write();
  watch_.interrupt(Errc::broken);
}

void Session::flush_waiting() noexcept {
  for (const SharedBytes& frame : waiting_) {
    (void)stream_.try_write(frame, k_unlimited);
  }
  waiting_.clear();
  waiting_bytes_ = 0;
}

Result<> Session::try_send(const SharedBytes& frame) noexcept {
  RONDO_ASSERT(!is_client(), "a client masks each frame with a key of its own: use send_text");
  if (!is_open()) return Error(Errc::closed, "try_send");
  if (sending_large_) {
    if (stream_.unsent() + waiting_bytes_ + frame.size() > options_.queue_max) {
      return Error(Errc::would_exceed, "try_send");
    }
    waiting_bytes_ += frame.size();
    waiting_.push_back(frame);
  } else if (auto queued = stream_.try_write(frame, options_.queue_max); !queued) {
    return queued;
  }
  ++statistics.messages_sent;
  statistics.bytes_sent += frame.size();
  return {};
}

}  // namespace rondo::ws::detail

namespace rondo::ws {

SharedBytes encode_text(std::string_view text) { return proto::make_text_frame(text); }
SharedBytes encode_binary(ByteView bytes) {
  return proto::make_frame(detail::Opcode::binary, bytes);
}

}  // namespace rondo::ws
