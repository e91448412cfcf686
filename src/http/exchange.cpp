// SPDX-License-Identifier: Apache-2.0
#include "http/exchange.hpp"

#include <algorithm>
#include <exception>

#include "http/connection.hpp"
#include "rondo/base/log.hpp"
#include "rondo/core/detail/file_awaiter.hpp"

namespace rondo::http::detail {

void Exchange::begin(bool has_body) noexcept {
  body = has_body ? Body::unread : Body::ended;
  body_error = Errc{0};
  wants_continue = head.expect_continue();
  answer = Answer::open;
  status = 200;
  has_length = bad_field = failed = false;
  length_left = body_size = 0;
  close = !head.keep_alive() || connection->stopping();
  params.count = 0;
  fields.clear();
  out_trailers.clear();
}

Result<ByteView> Exchange::fail_body(Errc code) noexcept {
  body = Body::failed;
  body_error = code;
  failed = true;
  return Error(code, "read body");
}

bool Exchange::has_no_body() const noexcept {
  return head.method() == Method::head || status == 204 || status == 304;
}

void Exchange::handler_threw() noexcept {
  ++connection->server().statistics.handler_errors;
  std::string line("http: a handler threw");
  try {
    throw;
  } catch (const std::exception& error) {
    line.append(": ").append(error.what());
  } catch (...) {
    line.append(" something that is no std::exception");
  }
  log(LogLevel::error, line);
  failed = true;
  if (answer != Answer::open) return cut();
  fields.clear();
  bad_field = false;
  response.send_error(500);
}

Task<Result<>> Exchange::copy_part(int fd, std::uint64_t offset, std::uint64_t length) {
  Loan block = Loan::of_size(std::min(length, k_file_copied));
  while (length > 0) {
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(length, block.size()));
    const ByteSpan into = block.writable().first(wanted);
    const std::int32_t got = co_await rondo::detail::ReadPart{fd, into, offset};
    if (got < 0) co_return Error::from_errno(-got, "send_file");
    if (got == 0) co_return Error(Errc::truncated, "send_file");
    const auto size = static_cast<std::size_t>(got);
    auto sent = co_await write(ByteView(into).first(size));
    if (!sent) co_return sent;
    offset += size;
    length -= size;
  }
  co_return Result<>();
}

}  // namespace rondo::http::detail
