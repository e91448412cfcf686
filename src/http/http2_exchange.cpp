// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <charconv>

#include "http/fields.hpp"
#include "http/http2_connection.hpp"
#include "rondo/base/log.hpp"
#include "rondo/core/cancel.hpp"
#include "rondo/core/sleep.hpp"

namespace rondo::http::detail {

void Http2Exchange::open(Http2Connection& at) noexcept {
  http2 = &at;
  connection = &at.shell();
  body_max = connection->server().options.body_max;
  answer = Answer::open;
  received = unused = 0;
  taken_before = 0;
  was_waiting = rest_seen = collecting = running = was_cut = misunderstood = false;
}

void Http2Exchange::clear() noexcept {
  http2 = nullptr;
  connection = nullptr;
  task.reset();
  tunnel.reset();
  owned = {};
  shared = {};
  for (std::string* block : {&arrived, &lent, &out}) {
    block->clear();
    // A block that grew for one large request is not kept for small ones.
    if (block->capacity() > limits::cork_max.value) *block = {};
  }
}

// --- The request's body -----------------------------------------------------------------------

void Http2Exchange::use_up(std::size_t bytes) noexcept {
  // What was lent may have been given back already: by a read_all() that was cancelled.
  bytes = std::min(bytes, unused);
  if (bytes == 0) return;
  unused -= bytes;
  http2->session().consumed(*this, bytes);
  http2->wake();
}

/// Nobody reads what has arrived. The stream's window stays shut, so that no more comes than fits.
void Http2Exchange::discard() noexcept {
  http2->session().discarded(std::exchange(unused, 0));
  http2->wake();
}

/// What makes a body unreadable, apart from its not being there yet.
Result<> Http2Exchange::check_body() noexcept {
  if (body == Body::failed) return Error(body_error, "read body");
  const bool too_large = body != Body::ended &&
                         (head.content_length() > body_max || received > body_max);
  if (too_large) return fail_body(Errc::too_large).error();
  if (!is_open() && !request_ended()) return fail_body(Errc::connection_reset).error();
  return {};
}

bool Http2Exchange::pull(Result<ByteView>& piece) {
  collecting = false;  // A read_all() may have been cancelled: pieces wait for their reader again.
  use_up(lent.size());
  lent.clear();
  // What follows an extended CONNECT is no body.
  if (head.extended_connect()) return piece = ByteView(), true;
  if (auto good = check_body(); !good) return piece = good.error(), true;
  if (!arrived.empty()) {
    std::swap(lent, arrived);
    return piece = rondo::as_bytes(lent), true;
  }
  if (!request_ended()) return false;
  body = Body::ended;
  return piece = ByteView(), true;
}

/// A piece more, the end, or an error that the next pull() says; only a time-out is one here.
Task<Result<>> Http2Exchange::wait_more() {
  const ServerOptions& options = connection->server().options;
  if (wants_continue && answer == Answer::open) {
    http2->session().answer(*this, 100, {}, true);
    http2->wake();
  }
  wants_continue = false;
  moved.reset();
  auto in_time = co_await with_timeout(options.body_timeout, moved.wait());
  if (!in_time) co_return fail_body(Errc::timed_out).error();
  co_return Result<>();
}

Task<Result<ByteView>> Http2Exchange::wait_body(bool yield) {
  if (yield) co_await checkpoint();
  Result<ByteView> piece = ByteView();
  while (!pull(piece)) {
    auto more = co_await wait_more();
    if (!more) co_return more.error();
  }
  co_return piece;
}

bool Http2Exchange::collect(Result<std::string_view>& all) {
  // What follows an extended CONNECT is no body: the tunnel will take it.
  if (head.extended_connect()) return all = std::string_view(), true;
  if (!collecting) {
    // From here on the whole body is wanted: the client may send on as it arrives.
    collecting = true;
    use_up(unused);
    lent.clear();
  }
  if (auto good = check_body(); !good) return all = good.error(), true;
  if (!request_ended()) return false;
  body = Body::ended;
  return all = std::string_view(arrived), true;
}

Task<Result<std::string_view>> Http2Exchange::wait_all(bool yield) {
  if (yield) co_await checkpoint();
  Result<std::string_view> all = std::string_view();
  while (!collect(all)) {
    const std::uint64_t known = std::min<std::uint64_t>(head.content_length(), body_max);
    if (arrived.capacity() < known) arrived.reserve(static_cast<std::size_t>(known));
    auto more = co_await wait_more();
    if (!more) co_return more.error();
  }
  co_return all;
}

/// Who has gone has reset the stream or closed the connection, and that cancels the handler.
Task<> Http2Exchange::disconnected() { co_await sleep_until(k_no_deadline); }

// --- The answer -------------------------------------------------------------------------------

void Http2Exchange::put_head(std::uint64_t length, bool with_length, bool has_body) {
  std::vector<proto::Field>& list = http2->fields();
  list.clear();
  const auto add_line = [&list](std::string_view line) {
    const std::size_t colon = line.find(':');
    const std::string_view name = line.substr(0, colon);
    if (!is_of_http1(name)) list.push_back({name, trimmed(line.substr(colon + 2))});
  };
  const std::string_view date = connection->server().date.get();
  add_line(date.substr(0, date.size() - 2));
  for (std::string_view rest = fields; !rest.empty();) {
    const std::size_t end = rest.find("\r\n");
    add_line(rest.substr(0, end));
    rest.remove_prefix(end + 2);
  }
  char digits[20];
  const auto end = std::to_chars(digits, digits + sizeof digits, length).ptr;
  if (with_length && status != 204) {
    list.push_back({"content-length", {digits, static_cast<std::size_t>(end - digits)}});
  }
  http2->session().answer(*this, status, list, has_body);
  http2->wake();
}

/// To who asked for another protocol 200 says that it is spoken from here on (RFC 8441, section 5):
/// an answer of a handler that knows nothing of it would be taken for that.
bool Http2Exchange::is_misunderstood() noexcept {
  misunderstood = misunderstood || (head.extended_connect() && status / 100 == 2);
  return misunderstood;
}

bool Http2Exchange::begin_whole(std::uint64_t length) {
  RONDO_ASSERT(answer == Answer::open, "an answer is sent once");
  if (bad_field || is_misunderstood()) {
    status = misunderstood ? 501 : 500;
    fields.clear();
    length = 0;
  }
  answer = Answer::whole;
  const bool has_body = length > 0 && !has_no_body();
  // A 304 would have to name the length of the 200 it stands for.
  put_head(length, status != 304, has_body);
  if (has_body) body_size = length;
  return has_body;
}

void Http2Exchange::begin_stream() {
  RONDO_ASSERT(answer == Answer::open, "an answer is sent once");
  if (bad_field || is_misunderstood()) {
    bad_field = true;  // Nothing of the body is sent.
    return send_whole({});
  }
  answer = Answer::streaming;
  put_head(length_left, has_length, !has_no_body());
}

void Http2Exchange::supply(ByteView bytes, bool last) noexcept {
  http2->session().supply(*this, bytes, last);
  http2->wake();
}

void Http2Exchange::send_whole(std::string_view content) {
  if (!begin_whole(content.size())) return;
  out.assign(content);
  supply(rondo::as_bytes(out), true);
}

void Http2Exchange::send_shared(SharedBytes content) {
  if (!begin_whole(content.size())) return;
  shared = std::move(content);
  supply(shared.bytes(), true);
}

void Http2Exchange::send_owned(std::string content) {
  if (!begin_whole(content.size())) return;
  owned = std::move(content);
  supply(rondo::as_bytes(owned), true);
}

/// Puts a small piece behind what was not taken yet, which is the end of `out`.
void Http2Exchange::append(ByteView piece) {
  const std::size_t left = untaken().size();
  if (left == 0) out.clear();
  else if (out.size() - left > limits::cork_block.value) out.erase(0, out.size() - left);
  out.append(as_text(piece));
  supply(rondo::as_bytes(out).last(left + piece.size()), false);
}

Task<> Http2Exchange::wait_taken() {
  while (is_open() && !untaken().empty()) {
    taken_more.reset();
    co_await taken_more.wait();
  }
}

Task<Result<>> Http2Exchange::write(ByteView piece) {
  if (answer == Answer::open) begin_stream();
  RONDO_ASSERT(answer == Answer::streaming || bad_field, "write() after send()");
  if (!is_open() || was_cut) co_return Error(Errc::broken, "write");
  if (has_no_body() || piece.empty() || bad_field) co_return Result<>();
  if (has_length) {
    RONDO_ASSERT(piece.size() <= length_left, "more was written than content_length() said");
    length_left -= piece.size();
  }
  body_size += piece.size();
  if (untaken().size() + piece.size() <= limits::cork_block.value) {
    append(piece);
    co_return Result<>();
  }
  InAnswer in_answer(*this);
  co_await wait_taken();
  supply(piece, false);
  co_await wait_taken();
  if (!is_open()) co_return in_answer.end(Error(Errc::connection_reset, "write"));
  co_return in_answer.end({});
}

Task<Result<>> Http2Exchange::flush() {
  if (answer == Answer::open) begin_stream();
  if (!is_open() || was_cut) co_return Error(Errc::broken, "flush");
  co_await wait_taken();
  if (!is_open()) co_return Error(Errc::connection_reset, "flush");
  co_return Result<>();
}

Task<Result<>> Http2Exchange::send_file(int fd, std::uint64_t offset, std::uint64_t length) {
  response.content_length(length);
  begin_stream();
  if (has_no_body() || bad_field || length == 0) co_return Result<>();
  co_return co_await copy_part(fd, offset, length);
}

Upgraded Http2Exchange::upgrade(std::string_view) {
  RONDO_ASSERT(answer == Answer::open, "switch_protocols() after an answer");
  answer = Answer::upgraded;
  status = 200;
  put_head(0, false, true);
  tunnel = Owned<Http2Tunnel>(new Http2Tunnel(*this, http2->session(), http2->wake_event()));
  unused = 0;  // What has arrived is the tunnel's to give back.
  if (!arrived.empty()) tunnel->on_data(rondo::as_bytes(std::exchange(arrived, {})));
  if (request_ended()) tunnel->on_end();
  return {*tunnel, {}, {}, this};
}

void Http2Exchange::cancel_upgraded() noexcept {
  if (task) task->cancel({"the client takes nothing"});
}

/// In front of the end of the body.
void Http2Exchange::put_trailers() {
  std::vector<proto::Field>& list = http2->fields();
  list.clear();
  for (std::string_view rest = out_trailers; !rest.empty();) {
    const std::size_t end = rest.find("\r\n");
    const std::size_t colon = rest.find(':');
    list.push_back({rest.substr(0, colon), trimmed(rest.substr(colon + 1, end - colon - 1))});
    rest.remove_prefix(end + 2);
  }
  if (!list.empty()) http2->session().set_trailers(*this, list);
}

void Http2Exchange::cut() noexcept {
  was_cut = true;
  supply({}, false);  // What it was to send is going away.
  http2->session().reset(*this, proto::Http2Code::internal_error);
}

}  // namespace rondo::http::detail
