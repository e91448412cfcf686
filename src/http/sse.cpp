// SPDX-License-Identifier: Apache-2.0
#include "rondo/http/sse.hpp"

#include <string>

namespace rondo::http {

namespace {

/// One `name: line` for each line of `text`: LF, CRLF and CR end lines alike in this format.
void put_lines(std::string& into, std::string_view name, std::string_view text) {
  while (true) {
    const std::size_t at = text.find_first_of("\r\n");
    into.append(name).append(": ").append(text.substr(0, at)).append("\n");
    if (at == std::string_view::npos) return;
    text.remove_prefix(text.substr(at).starts_with("\r\n") ? at + 2 : at + 1);
  }
}

bool is_one_line(std::string_view text) noexcept {
  return text.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos;
}

}  // namespace

EventStream::EventStream(Response& response) : response_(response) {
  response.content_type("text/event-stream").header("Cache-Control", "no-store");
}

Task<Result<>> EventStream::send(ServerEvent event) {
  if (!is_one_line(event.event) || !is_one_line(event.id)) {
    co_return Error(Errc::bad_message, "EventStream::send");
  }
  std::string text;
  if (!event.id.empty()) put_lines(text, "id", event.id);
  if (!event.event.empty()) put_lines(text, "event", event.event);
  if (event.retry > Duration::zero()) {
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(event.retry).count();
    put_lines(text, "retry", std::to_string(ms));
  }
  put_lines(text, "data", event.data);
  text.append("\n");
  co_return co_await response_.write(std::string_view(text));
}

Task<Result<>> EventStream::keep_alive() {
  co_return co_await response_.write(std::string_view(":\n\n"));
}

}  // namespace rondo::http
