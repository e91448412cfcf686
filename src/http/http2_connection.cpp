// SPDX-License-Identifier: Apache-2.0
#include "http/http2_connection.hpp"

#include <algorithm>
#include <utility>

#include "rondo/base/log.hpp"

namespace rondo::http::detail {

namespace {

/// Output is produced up to this size, then written: two TLS records' worth.
constexpr std::size_t k_out_enough = 32'768;
/// Output blocks that outgrew this are not kept by a connection without requests.
constexpr std::size_t k_out_kept = 16'384;
/// While more frames than this wait to be written, no more is read.
constexpr std::size_t k_backlog_max = 512;

proto::Http2Limits limits_of(const ServerOptions& options) noexcept {
  return {.head_max = options.head_max,
          .fields_max = options.fields_max,
          .target_max = options.target_max,
          .streams_max = options.streams_max,
          .stream_window = options.stream_window,
          .connection_window = options.connection_window,
          .continuations_max = options.continuations_max,
          .reset_rate = options.reset_rate,
          .control_rate = options.control_rate};
}

Http2Exchange& of(proto::Http2Stream& stream) noexcept {
  return static_cast<Http2Exchange&>(stream);
}

/// An exchange while its handler is a task. Tells the connection when the frame has gone.
class Running {
 public:
  explicit Running(Http2Exchange& exchange) noexcept : exchange_(&exchange) {
    exchange.running = true;
  }
  Running(Running&& other) noexcept
      : exchange_(std::exchange(other.exchange_, nullptr)), ended_(other.ended_) {}
  ~Running() {
    if (exchange_) exchange_->http2->handler_ended(*exchange_, !ended_);
  }
  Http2Exchange& exchange() noexcept { return *exchange_; }
  void end() noexcept { ended_ = true; }

 private:
  Http2Exchange* exchange_;
  bool ended_ = false;
};

Task<> serve(Running running) {
  Http2Exchange& exchange = running.exchange();
  try {
    co_await exchange.handler->start(exchange.request, exchange.response);
  } catch (...) {
    exchange.handler_threw();
  }
  exchange.http2->finish(exchange);
  running.end();
}

}  // namespace

Http2Connection::Http2Connection(Connection& shell)
    : shell_(shell),
      server_(shell.server()),
      session_(*this, limits_of(server_.options)),
      write_watch_(shell.stream(), this, [](void* self) noexcept {
        auto& connection = *static_cast<Http2Connection*>(self);
        ++connection.server_.statistics.timeouts;
        connection.shell_.cancel();
      }) {
  stall_clock_.connection = rest_clock_.connection = this;
  stall_clock_.fire = [](rondo::detail::Timer& timer) noexcept {
    static_cast<Clock&>(timer).connection->look_for_stalls();
  };
  rest_clock_.fire = [](rondo::detail::Timer& timer) noexcept {
    static_cast<Clock&>(timer).connection->refuse_rests();
  };
  idle_due_ = deadline_after(loop().now(), server_.options.head_timeout);
  relieved_.set();
  ++server_.statistics.http2;
}

Http2Connection::~Http2Connection() {
  if (stall_clock_.armed()) loop().disarm(stall_clock_);
  if (rest_clock_.armed()) loop().disarm(rest_clock_);
  over_ = true;
  while (Http2Exchange* exchange = fresh_.first()) release(*exchange);
  while (Http2Exchange* exchange = open_.first()) release(*exchange);
}

Task<> Http2Connection::run(std::string_view preface, Loan loan, ByteView input) {
  co_await with_scope([&](Scope& scope) -> Task<> {
    scope_ = &scope;
    scope.start([this]() -> Task<> { return write(); });
    if (!preface.empty()) take(as_bytes(preface));
    if (!input.empty()) take(input);
    loan = {};
    if (shell_.stopping()) stop();
    wake();  // Our settings.
    co_await read();
    over_ = done_ = true;
    cancel_handlers({"the client has gone"});
    wake();
  });
}

Task<> Http2Connection::read() {
  PeerWatch& watch = shell_.watch();
  while (!over_) {
    if (session_.backlog() > k_backlog_max) {
      relieved_.reset();
      wake();
      co_await relieved_.wait();
      continue;
    }
    auto got = co_await watch.read(patience());
    if (got && !got->empty()) take(got->bytes());
    else if (!got && got.error() == Errc::timed_out) was_quiet();
    else if (got || !(got.error() == Errc::stopping)) co_return;
  }
}

Task<> Http2Connection::write() {
  const Duration patient = server_.options.write_timeout;
  while (true) {
    if (session_.produce(out_, k_out_enough)) {
      auto sent = co_await write_watch_.write(as_bytes(out_), patient);
      out_.clear();
      relieved_.set();
      if (sent) continue;
      over_ = done_ = true;
      cancel_handlers({"the client has gone"});
      shell_.watch().interrupt(Errc::stopping);
    }
    written_all();
    if (done_) co_return;
    wake_.reset();
    co_await wake_.wait();
  }
}

void Http2Connection::written_all() noexcept {
  relieved_.set();
  if (live_ == 0 && out_.capacity() > k_out_kept) out_ = {};
  if (session_.waiting() > 0 && !stall_clock_.armed() && !over_) {
    sent_before_ = session_.body_bytes();
    stall_clock_.arm_after(server_.options.write_timeout);
  }
  if (!over_ && session_.is_over()) {  // The client broke the rules, or has said goodbye.
    over_ = must_linger_ = true;
    shell_.watch().interrupt(Errc::stopping);
  }
}

void Http2Connection::take(ByteView input) {
  const TimePoint now = loop().now();
  if (!session_.feed(input, now)) {
    if (session_.is_flooded()) ++server_.statistics.floods;  // No line: that would be one more.
    over_ = must_linger_ = true;
  }
  while (Http2Exchange* exchange = fresh_.pop_front()) {
    open_.push_back(*exchange);
    if (!over_) start(*exchange);
  }
  if (!session_.in_head()) {
    head_due_ = k_no_deadline;
  } else if (head_due_ == k_no_deadline || head_frame_ != session_.frames()) {
    // Under load every piece of input may end in a head: each is another one.
    head_due_ = deadline_after(now, server_.options.head_timeout);
    head_frame_ = session_.frames();
  }
  if (session_.has_output()) wake();
}

void Http2Connection::start(Http2Exchange& ex) {
  ++server_.statistics.requests;
  ex.begin(ex.head.has_body());
  if (ex.refusal() != 0) {
    ++server_.statistics.refused;
    ex.response.send_error(ex.refusal(), ex.reason());
    return finish(ex);
  }
  ex.handler = server_.route(ex);
  if (!ex.handler) return finish(ex);
  auto task = scope_->start_now(serve, Running(ex));
  // It may have ended inside, and the exchange with it.
  if (ex.running) ex.task.emplace(std::move(task));
}

void Http2Connection::finish(Http2Exchange& ex) {
  if (ex.answer == Exchange::Answer::open) {
    const bool failed = ex.body == Exchange::Body::failed;
    if (failed) ex.response.send_error(status_of(Error(ex.body_error)));
    else ex.send_whole({});
  }
  if (ex.answer == Exchange::Answer::streaming && !ex.was_cut) {
    if (ex.has_length && ex.length_left > 0 && !ex.has_no_body()) {
      log(LogLevel::warning, "http: a handler sent less than its Content-Length");
      ex.cut();
    } else {
      ex.put_trailers();
      ex.supply(ex.untaken(), true);
    }
  }
  if (ex.tunnel) ex.tunnel->shutdown_write();
  ex.discard();
  const bool goes_on = ex.is_open() && !ex.request_ended();
  if (goes_on && !rest_clock_.armed()) rest_clock_.arm_after(server_.options.drain_timeout);
  if (ex.close) stop();
}

void Http2Connection::handler_ended(Http2Exchange& ex, bool cancelled) noexcept {
  ex.running = false;
  ex.task.reset();
  if (cancelled) ex.cut();
  if (!ex.is_open()) release(ex);
}

void Http2Connection::release(Http2Exchange& ex) noexcept {
  ex.discard();
  ex.unlink();
  server_.give_back(ex);
  if (--live_ > 0) return;
  ++server_.statistics.idle;
  idle_due_ = deadline_after(loop().now(), server_.options.keep_alive);
  if (draining_) end(proto::Http2Code::no_error);
}

void Http2Connection::cancel_handlers(CancelReason reason) noexcept {
  for (Http2Exchange* at = open_.first(); at; at = open_.next(*at)) {
    if (at->tunnel) at->tunnel->on_closed(Errc::connection_reset);
    else if (at->task) at->task->cancel(reason);
  }
}

// --- What the session tells -------------------------------------------------------------------

proto::Http2Stream* Http2Connection::begin() {
  // The session counts open streams; handlers may outlive theirs.
  if (over_ || live_ >= server_.options.streams_max) return nullptr;
  Http2Exchange& ex = server_.borrow_http2();
  ex.open(*this);
  open_.push_back(ex);
  if (++live_ == 1) --server_.statistics.idle;
  return &ex;
}

void Http2Connection::on_head(proto::Http2Stream& stream) {
  of(stream).unlink();
  fresh_.push_back(of(stream));
}

void Http2Connection::on_body(proto::Http2Stream& stream, ByteView piece) {
  Http2Exchange& ex = of(stream);
  if (ex.tunnel && ex.running) return ex.tunnel->on_data(piece);
  ex.unused += piece.size();
  ex.received += piece.size();
  const bool is_read = ex.running || ex.answer == Exchange::Answer::open;
  if (!is_read) return ex.discard();
  ex.arrived.append(as_text(piece));
  // A body that is put together is bounded by its own limit.
  if (ex.collecting && ex.received <= ex.body_max) ex.use_up(piece.size());
  ex.stir();
}

void Http2Connection::on_end(proto::Http2Stream& stream) {
  if (of(stream).tunnel) of(stream).tunnel->on_end();
  of(stream).stir();
}

void Http2Connection::on_taken(proto::Http2Stream& stream) {
  if (of(stream).tunnel) of(stream).tunnel->on_taken();
  of(stream).stir();
}

void Http2Connection::on_closed(proto::Http2Stream& stream, proto::Http2Code) {
  Http2Exchange& ex = of(stream);
  ex.stir();
  if (ex.tunnel) ex.tunnel->on_closed(ex.request_ended() ? Errc{0} : Errc::connection_reset);
  if (!ex.running) return release(ex);
  if (ex.tunnel) return;  // Its reader is told, as over a connection of its own.
  if (!ex.answer_ended() && !ex.was_cut && ex.task) ex.task->cancel({"the client has gone"});
}

// --- Time -------------------------------------------------------------------------------------

Duration Http2Connection::patience() const noexcept {
  const TimePoint now = loop().now();
  TimePoint due = deadline_after(now, server_.options.keep_alive);  // Then it is looked at again.
  if (live_ == 0) due = std::min(due, idle_due_);
  return std::min(due, head_due_) - now;
}

void Http2Connection::was_quiet() noexcept {
  const TimePoint now = loop().now();
  if (head_due_ > now && (live_ > 0 || idle_due_ > now)) return;
  ++server_.statistics.timeouts;
  end(proto::Http2Code::no_error);
}

/// A client that takes nothing of any answer is closed, one that takes nothing of one answer loses
/// that one.
void Http2Connection::look_for_stalls() noexcept {
  if (session_.waiting() == 0 || over_) return;
  const bool nothing_left = session_.body_bytes() == sent_before_;
  bool stalled = false;
  for (Http2Exchange* at = open_.first(); at; at = open_.next(*at)) {
    const bool waits = !at->untaken().empty();
    if (waits && at->was_waiting && at->taken() == at->taken_before) {
      stalled = true;
      if (!nothing_left) session_.reset(*at, proto::Http2Code::cancel);
    }
    at->was_waiting = waits;
    at->taken_before = at->taken();
  }
  if (stalled) ++server_.statistics.timeouts;
  if (stalled && nothing_left) return end(proto::Http2Code::enhance_your_calm);
  wake();  // The writer arms the clock again.
}

/// Most clients stop by themselves when they see the answer, and some take a reset right behind it
/// for a failure (curl 7.88): the others are reset after drain_timeout.
void Http2Connection::refuse_rests() noexcept {
  bool any = false;
  for (Http2Exchange* at = open_.first(); at; at = open_.next(*at)) {
    const bool goes_on = !at->running && at->answer_ended() && !at->request_ended();
    if (goes_on && at->rest_seen) session_.refuse_rest(*at);
    at->rest_seen = goes_on;
    any |= !at->running && !at->request_ended();
  }
  wake();
  if (any && !over_) rest_clock_.arm_after(server_.options.drain_timeout);
}

void Http2Connection::Clock::arm_after(Duration time) noexcept {
  deadline = deadline_after(loop().now(), time).time_since_epoch().count();
  loop().arm(*this);
}

void Http2Connection::stop() noexcept {
  if (draining_ || over_) return;
  draining_ = true;
  session_.drain();
  wake();
  if (live_ == 0) end(proto::Http2Code::no_error);
}

void Http2Connection::end(proto::Http2Code code) noexcept {
  if (over_) return;
  over_ = true;
  session_.terminate(code);
  wake();
  shell_.watch().interrupt(Errc::stopping);
}

}  // namespace rondo::http::detail
