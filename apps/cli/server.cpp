// SPDX-License-Identifier: Apache-2.0
#include "cli/server.hpp"

#include <csignal>
#include <cstdio>
#include <utility>

#include "cli/options.hpp"
#include "rondo/base/log.hpp"
#include "rondo/core/loop.hpp"
#include "rondo/core/offload.hpp"
#include "rondo/process/signal.hpp"

namespace rondo::cli {

Result<> check_tls(std::string_view certificate, std::string_view key) {
  if (certificate.empty() == key.empty()) return {};
  return usage("--tls-cert and --tls-key belong together");
}

Result<std::optional<tls::Context>> server_tls(const std::string& certificate,
                                               const std::string& key) {
  if (certificate.empty()) return std::optional<tls::Context>();
  auto context =
      tls::Context::server({.identities = {{.certificate_file = certificate, .key_file = key}},
                            .alpn = {"h2", "http/1.1"}});
  if (context) return std::optional<tls::Context>(std::move(*context));
  return usage(context.error().message() + " (see --tls-cert and --tls-key)");
}

Task<> reload_at_hang_up(tls::Context context) {
  process::SignalSet hang_ups{SIGHUP};
  while (co_await hang_ups.next()) {
    auto read_again = co_await run_blocking([context]() mutable { return context.reload(); });
    log(read_again ? LogLevel::info : LogLevel::error,
        read_again ? "certificates read again" : read_again.error().message());
  }
}

void say_ready(bool secure, const std::string& address) {
  const std::string line = (secure ? "ready on https://" : "ready on http://") + address + "\n";
  std::fwrite(line.data(), 1, line.size(), stdout);
  std::fflush(stdout);
}

OnStop::OnStop(MoveFn<void()> call) : call_(std::move(call)) {
  run = [](LoopHook& hook) { static_cast<OnStop&>(hook).call_(); };
  loop().add_stop_hook(*this);
}

OnStop::~OnStop() {
  if (linked()) unlink();
}

}  // namespace rondo::cli
