// SPDX-License-Identifier: Apache-2.0
#include "rondo/http/message.hpp"

#include "http/connection.hpp"
#include "rondo/base/log.hpp"
#include "rondo/core/cancel.hpp"
#include "rondo/core/detail/file_awaiter.hpp"
#include "rondo/core/sleep.hpp"
#include "rondo/net/send_file.hpp"
#include "rondo/proto/http1_write.hpp"
#include "rondo/proto/url.hpp"

namespace rondo::http {

using detail::Exchange;

int status_of(const Error& error) noexcept {
  if (error == Errc::timed_out) return 408;
  if (error == Errc::too_large) return 413;
  return 400;
}

// --- Request ----------------------------------------------------------------------------------

const proto::RequestHead& Request::head() const noexcept { return exchange_.parser.head(); }

std::string_view Request::param(std::string_view name) const noexcept {
  const detail::Params& params = exchange_.params;
  for (std::size_t i = 0; i < params.count; ++i) {
    if (params.items[i].name == name) return params.items[i].value;
  }
  return {};
}

std::optional<std::string> Request::query_value(std::string_view name) const {
  return proto::query_value(query(), name);
}

std::string_view Request::peer() const noexcept { return exchange_.connection->peer_address(); }
bool Request::secure() const noexcept { return exchange_.connection->secure(); }

void Request::set_body_max(std::uint64_t bytes) noexcept { exchange_.parser.set_body_max(bytes); }

detail::Prompt<Result<ByteView>> Request::read() noexcept {
  return {&exchange_,
          [](void* self, std::optional<Result<ByteView>>& value) {
            Result<ByteView> piece = ByteView();
            if (!static_cast<Exchange*>(self)->pull(piece)) return false;
            value.emplace(std::move(piece));
            return true;
          },
          [](void* self, bool yield) { return static_cast<Exchange*>(self)->wait_body(yield); }};
}

detail::Prompt<Result<std::string_view>> Request::read_all() noexcept {
  return {&exchange_,
          [](void* self, std::optional<Result<std::string_view>>& value) {
            Result<std::string_view> all = std::string_view();
            if (!static_cast<Exchange*>(self)->collect(all)) return false;
            value.emplace(std::move(all));
            return true;
          },
          [](void* self, bool yield) { return static_cast<Exchange*>(self)->wait_all(yield); }};
}

Task<> Request::disconnected() {
  detail::Connection& connection = *exchange_.connection;
  const std::size_t most = connection.server().options.drain_max;
  while (exchange_.body == Exchange::Body::ended && exchange_.ahead.size() < most) {
    auto got = co_await connection.stream().read();
    if (!got || got->empty()) co_return;
    exchange_.ahead.append(got->text());
  }
  co_await sleep_until(k_no_deadline);
}

// --- Response ---------------------------------------------------------------------------------

Response& Response::status(int code) noexcept {
  RONDO_ASSERT(code >= 200 && code <= 999, "the server sends 1xx by itself");
  RONDO_ASSERT(!started(), "the status was sent already");
  exchange_.status = code;
  return *this;
}

int Response::status() const noexcept { return exchange_.status; }

namespace {

bool is_the_servers(std::string_view name) noexcept {
  for (std::string_view own : {"date", "content-length", "transfer-encoding", "connection"}) {
    if (proto::iequals(name, own)) return true;
  }
  return false;
}

}  // namespace

Response& Response::header(std::string_view name, std::string_view value) {
  RONDO_ASSERT(!started(), "the head was sent already");
  RONDO_ASSERT(!is_the_servers(name), "the server sends this field by itself");
  if (!proto::is_token(name) || !proto::is_field_value(value)) {
    log(LogLevel::error, "http: a handler set an illegal field; answered with 500");
    exchange_.bad_field = true;
    return *this;
  }
  exchange_.fields.append(name).append(": ").append(value).append("\r\n");
  return *this;
}

Response& Response::content_length(std::uint64_t bytes) noexcept {
  exchange_.has_length = true;
  exchange_.length_left = bytes;
  return *this;
}

Response& Response::close() noexcept {
  exchange_.close = true;
  return *this;
}

void Response::send(std::string_view body) { exchange_.send_whole(body); }

void Response::send(SharedBytes body) {
  if (body.size() <= limits::cork_block.value) return exchange_.send_whole(body.text());
  if (exchange_.begin_whole(body.size())) exchange_.shared = std::move(body);
}

void Response::send_owned(std::string body) {
  if (body.size() <= limits::cork_block.value) return exchange_.send_whole(body);
  if (exchange_.begin_whole(body.size())) exchange_.owned = std::move(body);
}

void Response::send_error(int code, std::string_view text) {
  status(code).content_type("text/plain; charset=utf-8");
  exchange_.send_whole(text.empty() ? proto::status_text(code) : text);
}

void Response::redirect(std::string_view location, int code) {
  status(code).header("Location", location).send();
}

std::uint64_t Response::body_size() const noexcept { return exchange_.body_size; }
bool Response::started() const noexcept { return exchange_.answer != Exchange::Answer::open; }

namespace {

/// Cuts the connection when the frame is destroyed in the middle of a write.
class InAnswer {
 public:
  explicit InAnswer(detail::Connection& connection) noexcept : connection_(&connection) {}
  InAnswer(const InAnswer&) = delete;
  ~InAnswer() {
    if (connection_) connection_->cut();
  }
  Result<> end(Result<> how) noexcept {
    connection_ = nullptr;
    return how;
  }

 private:
  detail::Connection* connection_;
};

}  // namespace

Task<Result<>> Response::write(ByteView piece) {
  Exchange& ex = exchange_;
  if (ex.connection->is_cut()) co_return Error(Errc::broken, "write");
  if (ex.answer == Exchange::Answer::open) ex.begin_stream();
  RONDO_ASSERT(ex.answer == Exchange::Answer::streaming || ex.bad_field,
               "write() after send() or switch_protocols()");
  detail::PeerWatch& watch = ex.connection->watch();
  const Duration patience = ex.connection->server().options.write_timeout;
  const bool silent = ex.has_no_body() || piece.empty() || ex.bad_field;
  if (!silent && ex.chunked) {
    char frame[proto::k_chunk_head_max];
    ex.out.append(proto::write_chunk_head(frame, piece.size()));
  }
  if (!silent && ex.has_length) {
    RONDO_ASSERT(piece.size() <= ex.length_left, "more was written than content_length() said");
    ex.length_left -= piece.size();
  }
  if (!silent) ex.body_size += piece.size();
  const bool small = ex.out.size() + piece.size() + 2 <= limits::cork_block.value;
  if (!silent && small) ex.out.append(as_text(piece)).append(ex.chunked ? "\r\n" : "");
  InAnswer in_answer(*ex.connection);
  if (!ex.out.empty()) {
    auto sent = co_await watch.write(rondo::as_bytes(ex.out), patience);
    ex.out.clear();
    if (!sent) co_return in_answer.end(sent);
  }
  if (silent || small) co_return in_answer.end({});
  auto sent = co_await watch.write(piece, patience);
  if (ex.chunked) ex.out.append("\r\n");
  co_return in_answer.end(sent);
}

Task<Result<>> Response::flush() {
  Exchange& ex = exchange_;
  if (ex.connection->is_cut()) co_return Error(Errc::broken, "flush");
  if (ex.answer == Exchange::Answer::open) ex.begin_stream();
  const Duration patience = ex.connection->server().options.write_timeout;
  if (!ex.out.empty()) {
    auto sent = co_await ex.connection->watch().write(rondo::as_bytes(ex.out), patience);
    ex.out.clear();
    if (!sent) co_return sent;
  }
  co_return co_await ex.connection->watch().write({}, patience);
}

namespace {

/// Up to this much of a file is read and sent with the head: one send, and no pipe for the kernel.
constexpr std::uint64_t k_file_copied = 65'536;
/// A piece of a file that a client must take within the time-out.
constexpr std::uint64_t k_file_piece = 1'048'576;

/// Reads and writes the part; what works with every file and every stream.
Task<Result<>> copy_part(Response& out, int fd, std::uint64_t offset, std::uint64_t length) {
  Loan block = Loan::of_size(std::min(length, k_file_copied));
  while (length > 0) {
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(length, block.size()));
    const ByteSpan into = block.writable().first(wanted);
    const std::int32_t got = co_await rondo::detail::ReadPart{fd, into, offset};
    if (got < 0) co_return Error::from_errno(-got, "send_file");
    if (got == 0) co_return Error(Errc::truncated, "send_file");
    const auto size = static_cast<std::size_t>(got);
    auto sent = co_await out.write(ByteView(into).first(size));
    if (!sent) co_return sent;
    offset += size;
    length -= size;
  }
  co_return Result<>();
}

}  // namespace

Task<Result<>> Response::send_file(int descriptor, std::uint64_t offset, std::uint64_t length) {
  Exchange& ex = exchange_;
  RONDO_ASSERT(!started(), "an answer is sent once");
  content_length(length);
  ex.begin_stream();
  if (ex.has_no_body() || ex.bad_field || length == 0) co_return Result<>();
  net::Stream* socket = ex.connection->socket();
  if (!socket || length <= k_file_copied)
    co_return co_await copy_part(*this, descriptor, offset, length);
  InAnswer in_answer(*ex.connection);
  auto sent = co_await flush();
  const Duration patience = ex.connection->server().options.write_timeout;
  while (sent && ex.length_left > 0) {
    const std::uint64_t piece = std::min(ex.length_left, k_file_piece);
    auto taken =
        co_await with_timeout(patience, net::send_file(*socket, descriptor, offset, piece));
    if (taken && *taken == 0) co_return in_answer.end(Error(Errc::truncated, "send_file"));
    if (!taken) co_return in_answer.end(taken.error());
    offset += *taken;
    ex.length_left -= *taken;
    ex.body_size += *taken;
  }
  co_return in_answer.end(sent);
}

Upgraded Response::switch_protocols(std::string_view protocol) {
  return exchange_.connection->upgrade(protocol);
}

void Upgraded::cancel() noexcept { connection->cancel(); }

}  // namespace rondo::http
