// SPDX-License-Identifier: Apache-2.0
#include "http/connection.hpp"

#include <algorithm>
#include <exception>
#include <string>
#include <utility>

#include "http/http2_connection.hpp"
#include "rondo/proto/http1_write.hpp"

namespace rondo::http::detail {

namespace {

/// Answers that came together are given to the stream from this size on; it copies up to 4 KiB.
constexpr std::size_t k_out_enough = 2'048;

/// The chain that the awaiting coroutine belongs to.
struct ThisChain {
  struct Awaiter {
    rondo::detail::Chain* chain;
    bool await_ready() const noexcept { return true; }
    void await_suspend(std::coroutine_handle<>) const noexcept {}
    rondo::detail::Chain* await_resume() const noexcept { return chain; }
  };
  Awaiter awaiter(rondo::detail::PromiseBase& parent) && noexcept { return {parent.chain}; }
};

}  // namespace

Connection::Connection(ServerState& server, ByteStream& stream, Peer peer,
                       net::Stream* socket) noexcept
    : server_(server),
      stream_(stream),
      peer_(peer),
      socket_(socket),
      watch_(stream, this, [](void* self) noexcept {
        auto& connection = *static_cast<Connection*>(self);
        ++connection.server_.statistics.timeouts;
        connection.cancel();
      }) {
  stopping_ = loop().stop_requested();
  // Over TLS the version is agreed on before (RFC 9113, section 3.3).
  may_be_http2_ = server.options.http2 && !peer.secure;
  server_.enter(*this);
}

Connection::~Connection() {
  if (ex_) server_.give_back(*ex_);
  server_.leave(*this);
}

Task<> Connection::run() {
  chain_ = co_await ThisChain{};
  const Duration patient = server_.options.write_timeout;
  if (peer_.http2) co_await run_http2();
  while (!over_) {
    if (wants_input()) {
      auto got = co_await watch_.read(patience());
      if (!take(got)) break;
      if (may_be_http2_ && begins_http2()) {
        co_await run_http2();
        break;
      }
    }
    while (next_request()) {
      if (handler_) {
        // Earlier answers do not wait for a handler that may.
        if (!ex_->out.empty()) {
          auto sent = co_await watch_.write(as_bytes(ex_->out), patient);
          ex_->out.clear();
          if (!sent) co_return;
        }
        try {
          co_await handler_->start(ex_->request, ex_->response);
        } catch (...) {
          ex_->handler_threw();
        }
      }
      if (!ended_at_once()) co_await finish();
      if (!wants_write()) continue;
      auto sent = co_await watch_.write(as_bytes(ex_->out), patient);
      ex_->out.clear();
      if (!sent) co_return;
      if (answered_ < server_.options.pipeline_max) continue;
      if (!co_await watch_.write({}, patient)) co_return;
      answered_ = 0;
    }
    if (!ex_->out.empty()) {
      auto sent = co_await watch_.write(as_bytes(ex_->out), patient);
      ex_->out.clear();
      if (!sent) co_return;
    }
    if (!over_) go_idle();
  }
  if (ex_ && !ex_->out.empty()) {
    auto sent = co_await watch_.write(as_bytes(ex_->out), patient);
    if (!sent) co_return;
  }
  if (must_linger_) co_await linger();
  else stream_.shutdown_write();
}

/// True once the whole preface is there. A part of it is held back, which takes no memory; when
/// it turns out to be the beginning of something else the parser is given it first.
bool Connection::begins_http2() {
  Http1Exchange& ex = *ex_;
  const std::string_view rest = proto::k_http2_preface.substr(preface_);
  const std::size_t size = std::min(rest.size(), ex.input.size());
  if (as_text(ex.input).substr(0, size) == rest.substr(0, size)) {
    preface_ += size;
    ex.input = ex.input.subspan(size);
    if (head_due_ == k_no_deadline)
      head_due_ = deadline_after(loop().now(), server_.options.head_timeout);
    return size == rest.size();
  }
  may_be_http2_ = false;
  ByteView held = as_bytes(proto::k_http2_preface.substr(0, preface_));
  if (!held.empty() && ex.parser.next(held) == proto::HttpEvent::error)
    refuse(ex.parser.status(), ex.parser.reason());
  return false;
}

Task<> Connection::run_http2() {
  over_ = true;
  Loan loan;
  ByteView input;
  if (ex_) {
    loan = std::move(ex_->loan);
    input = std::exchange(ex_->input, {});
    server_.give_back(*std::exchange(ex_, nullptr));
  }
  Http2Connection http2(*this);
  http2_ = &http2;
  struct Forget {
    Http2Connection*& pointer;
    ~Forget() { pointer = nullptr; }
  } forget{http2_};
  co_await http2.run(proto::k_http2_preface.substr(0, preface_), std::move(loan), input);
  must_linger_ = http2.must_linger();
}

bool Connection::wants_input() const noexcept { return !ex_ || ex_->input.empty(); }

Duration Connection::patience() const noexcept {
  if (head_due_ != k_no_deadline) return head_due_ - loop().now();
  if (stopping_) return Duration::zero();
  return served_ ? server_.options.keep_alive : server_.options.head_timeout;
}

bool Connection::take(Result<Loan>& got) {
  const bool in_message = ex_ && ex_->parser.in_message();
  if (!got || got->empty()) {
    over_ = true;
    if (!got && got.error() == Errc::timed_out) {
      ++server_.statistics.timeouts;
      if (in_message) refuse(408, "the request took too long");
    }
    return false;
  }
  if (!ex_) ex_ = &server_.borrow(*this);
  ex_->loan = std::move(*got);
  ex_->input = ex_->loan.bytes();
  if (stream_.unsent() == 0) answered_ = 0;
  return true;
}

bool Connection::next_request() {
  if (over_ || ex_->input.empty()) return false;
  switch (ex_->parser.next(ex_->input)) {
    case proto::HttpEvent::head:
      begin_request();
      return true;
    case proto::HttpEvent::need_more:
      return false;
    default:
      refuse(ex_->parser.status(), ex_->parser.reason());
      return false;
  }
}

void Connection::begin_request() {
  Http1Exchange& ex = *ex_;
  served_ = true;
  head_due_ = k_no_deadline;
  ++server_.statistics.requests;
  ++answered_;
  ex.begin();
  // Without a body the message ends here; its head stays as it is until the next begins.
  if (ex.body == Exchange::Body::ended) ex.parser.next(ex.input);
  handler_ = server_.route(ex);
}

void Connection::refuse(int status, std::string_view why) {
  Http1Exchange& ex = *ex_;
  ++server_.statistics.refused;
  over_ = must_linger_ = true;
  ex.fields.clear();
  ex.answer = Exchange::Answer::open;
  ex.body = Exchange::Body::ended;
  ex.bad_field = false;
  ex.close = true;
  ex.status = status;
  ex.fields.append("Content-Type: text/plain; charset=utf-8\r\n");
  ex.put_head(why.size(), true);
  ex.out.append(why);
}

bool Connection::ended_at_once() noexcept {
  Http1Exchange& ex = *ex_;
  if (ex.answer == Exchange::Answer::open) {
    const bool failed = ex.body == Exchange::Body::failed;
    if (failed) ex.response.send_error(status_of(Error(ex.body_error)));
    else ex.send_whole({});
  }
  if (ex.failed) ex.close = true;
  if (ex.close) {
    over_ = true;
    // The client did not ask for the end and may be sending: a reset would eat the answer.
    if (ex.parser.head().keep_alive()) must_linger_ = true;
  }
  return ex.answer == Exchange::Answer::whole && ex.body == Exchange::Body::ended &&
         ex.owned.empty() && ex.shared.empty() && ex.ahead.empty();
}

bool Connection::wants_write() const noexcept {
  return ex_->out.size() >= k_out_enough || answered_ >= server_.options.pipeline_max;
}

Task<> Connection::finish() {
  Http1Exchange& ex = *ex_;
  const Duration patient = server_.options.write_timeout;
  if (ex.answer == Exchange::Answer::upgraded) {
    over_ = must_linger_ = true;
    co_return;
  }
  if (ex.answer == Exchange::Answer::streaming && !cut_) {
    ex.end_stream();
    if (ex.close) over_ = true;
  }
  if ((!ex.owned.empty() || !ex.shared.empty()) && !cut_) {
    auto sent = co_await watch_.write(as_bytes(ex.out), patient);
    ex.out.clear();
    const ByteView body = ex.owned.empty() ? ex.shared.bytes() : as_bytes(ex.owned);
    if (sent) sent = co_await watch_.write(body, patient);
    if (!sent) over_ = true;
    ex.owned = {};
    ex.shared = {};
  }
  if (ex.body == Exchange::Body::unread) {
    if (over_) must_linger_ = true;
    else co_await drain();
  }
  pass_on_ahead();
}

Task<> Connection::drain() {
  Http1Exchange& ex = *ex_;
  std::size_t drained = 0;
  ex.wants_continue = false;  // Answered already: nobody waits for a 100.
  while (ex.body == Exchange::Body::unread && drained <= server_.options.drain_max) {
    auto piece = co_await ex.request.read();
    if (!piece) break;
    drained += piece->size();
  }
  if (ex.body != Exchange::Body::ended) over_ = must_linger_ = true;
}

void Connection::pass_on_ahead() {
  Http1Exchange& ex = *ex_;
  if (ex.ahead.empty()) return;
  Loan all = Loan::of_size(ex.input.size() + ex.ahead.size());
  auto at = std::copy(ex.input.begin(), ex.input.end(), all.writable().begin());
  std::ranges::copy(as_bytes(ex.ahead), at);
  ex.loan = std::move(all);
  ex.input = ex.loan.bytes();
  ex.ahead.clear();
}

void Connection::go_idle() noexcept {
  ex_->loan = {};
  if (!ex_->parser.in_message()) {
    server_.give_back(*std::exchange(ex_, nullptr));
    if (stopping_) over_ = true;
  } else if (head_due_ == k_no_deadline) {
    head_due_ = deadline_after(loop().now(), server_.options.head_timeout);
  }
}

Task<> Connection::linger() {
  stream_.shutdown_write();
  const TimePoint until = deadline_after(loop().now(), server_.options.drain_timeout);
  std::size_t drained = 0;
  while (drained <= server_.options.drain_max) {
    auto got = co_await watch_.read(until - loop().now());
    if (!got || got->empty()) break;
    drained += got->size();
  }
}

void Connection::stop() noexcept {
  stopping_ = true;
  if (http2_) http2_->stop();
  else if (!ex_ && !over_) watch_.interrupt(Errc::stopping);
}

void Connection::cut() noexcept {
  cut_ = over_ = true;
  ex_->out.clear();
}

void Connection::cancel() noexcept {
  if (chain_) rondo::detail::request_cancel(*chain_);
}

std::string_view Connection::peer_address() {
  if (!socket_) return peer_.address;
  if (address_.empty()) {
    if (auto where = socket_->peer()) address_ = where->to_string();
  }
  return address_;
}

}  // namespace rondo::http::detail
