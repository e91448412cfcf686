// SPDX-License-Identifier: Apache-2.0
// What the programs that serve share: their certificate, the line that says they are ready, and
// what they do when they are asked to stop.
// Thread rule: the loop's thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "rondo/base/move_fn.hpp"
#include "rondo/base/result.hpp"
#include "rondo/core/detail/loop_hook.hpp"
#include "rondo/core/task.hpp"
#include "rondo/tls/context.hpp"

namespace rondo::cli {

/// --tls-cert and --tls-key are given both or not at all; a usage error otherwise.
Result<> check_tls(std::string_view certificate, std::string_view key);
/// What HTTP is served with over TLS; nothing when no certificate is given. Errors name the
/// options.
Result<std::optional<tls::Context>> server_tls(const std::string& certificate,
                                               const std::string& key);
/// At each SIGHUP new certificates for new connections; when they are wrong, that is logged and the
/// old ones stay. Runs until it is cancelled.
Task<> reload_at_hang_up(tls::Context context);

/// "ready on https://127.0.0.1:8000" on standard output, at once.
void say_ready(bool secure, const std::string& address);

/// Calls a function when this loop is asked to stop softly (SIGINT, SIGTERM), once.
class OnStop : private detail::LoopHook {
 public:
  explicit OnStop(MoveFn<void()> call);
  OnStop(const OnStop&) = delete;
  OnStop& operator=(const OnStop&) = delete;
  ~OnStop();

 private:
  MoveFn<void()> call_;
};

}  // namespace rondo::cli
