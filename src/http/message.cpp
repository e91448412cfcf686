// SPDX-License-Identifier: Apache-2.0
#include "rondo/http/message.hpp"

#include "http/connection.hpp"
#include "http/fields.hpp"
#include "rondo/base/log.hpp"
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

const proto::RequestHead& Request::head() const noexcept { return exchange_.head; }

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

std::string_view Request::version() const noexcept {
  if (head().major_version() == 2) return "HTTP/2";
  return head().minor_version() == 0 ? "HTTP/1.0" : "HTTP/1.1";
}

const proto::FieldList& Request::trailers() const noexcept { return exchange_.request_trailers(); }

void Request::set_body_max(std::uint64_t bytes) noexcept { exchange_.set_body_max(bytes); }

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

Task<> Request::disconnected() { return exchange_.disconnected(); }

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

Response& Response::trailer(std::string_view name, std::string_view value) {
  if (!detail::may_be_trailer(name, value)) {
    log(LogLevel::error, "http: a handler set a field that no trailer may be; left out");
    return *this;
  }
  exchange_.out_trailers.append(name).append(": ").append(value).append("\r\n");
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
  exchange_.send_shared(std::move(body));
}

void Response::send_owned(std::string body) {
  if (body.size() <= limits::cork_block.value) return exchange_.send_whole(body);
  exchange_.send_owned(std::move(body));
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

Task<Result<>> Response::write(ByteView piece) { return exchange_.write(piece); }
Task<Result<>> Response::flush() { return exchange_.flush(); }

Task<Result<>> Response::send_file(int descriptor, std::uint64_t offset, std::uint64_t length) {
  RONDO_ASSERT(!started(), "an answer is sent once");
  return exchange_.send_file(descriptor, offset, length);
}

Upgraded Response::switch_protocols(std::string_view protocol) {
  RONDO_ASSERT(!exchange_.head.upgrade().empty(), "the client did not ask for an upgrade");
  return exchange_.upgrade(protocol);
}

void Upgraded::cancel() noexcept { exchange->cancel_upgraded(); }

}  // namespace rondo::http
