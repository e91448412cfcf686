// SPDX-License-Identifier: Apache-2.0
// Server-sent events (WHATWG HTML, section 9.2): a stream of text events over one answer.
//
//   Task<> watch(http::Request&, http::Response& response) {
//     http::EventStream events(response);
//     while (auto line = co_await lines.receive())
//       if (!co_await events.send({.data = *line})) co_return;     // the client has gone
//   }
//
// The client reconnects by itself and names the last `id` it saw in Last-Event-ID.
// Lifetime: inside the handler. Thread rule: the loop's thread.
#pragma once

#include <string_view>

#include "rondo/base/time.hpp"
#include "rondo/http/message.hpp"

namespace rondo::http {

struct ServerEvent {
  std::string_view data = {};    ///< any lines
  std::string_view event = {};   ///< its type; one line, also the id
  std::string_view id = {};
  Duration retry = {};           ///< what the client waits before it reconnects; zero: not said
};

class EventStream {
 public:
  /// Sets the answer's type and forbids caching; sends nothing yet.
  explicit EventStream(Response& response);

  /// Sends an event. As Response::write, with the same errors; bad_message when `event` or `id`
  /// has a line break or a NUL (nothing is sent). It leaves at the end of the loop's iteration.
  /// One writer.
  Task<Result<>> send(ServerEvent event);
  /// Sends a comment line: keeps proxies from closing a silent stream.
  Task<Result<>> keep_alive();

 private:
  Response& response_;
};

}  // namespace rondo::http
