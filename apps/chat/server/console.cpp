// SPDX-License-Identifier: Apache-2.0
// The console: the server's own voice.
#include "chat/server/doors.hpp"
#include "chat/server/random.hpp"
#include "chat/server/text.hpp"
#include "rondo/base/log.hpp"
#include "rondo/process/pipe.hpp"

namespace rondo::chat {

Task<> run_console(Hub& hub, Room& room) {
  process::Input input(0);
  for (;;) {
    auto line = co_await input.read_line();
    if (!line && line.error() == Errc::too_large) continue;
    if (!line || !*line) co_return;
    if (!is_body(**line)) continue;
    hub.send({room.id, {k_server_user, "Server"}, random_hex(16), std::move(**line)},
             [](const Append&, const Result<Appended>& where) {
               if (!where)
                 log(LogLevel::error,
                     "the console's line was not stored: " + where.error().message());
             });
  }
}

}  // namespace rondo::chat
