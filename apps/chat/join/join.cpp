// SPDX-License-Identifier: Apache-2.0
// Options, standard input and output of `rondo join`.
#include "chat/join/join.hpp"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "chat/join/classic_client.hpp"
#include "chat/join/client.hpp"
#include "chat/server/text.hpp"
#include "cli/command.hpp"
#include "cli/server.hpp"
#include "rondo/core/scope.hpp"
#include "rondo/net/endpoint.hpp"
#include "rondo/process/pipe.hpp"
#include "rondo/proto/url.hpp"

namespace rondo::chat {

namespace {

constexpr const char* k_command = "rondo join";

void add_options(cli::Options& options, JoinOptions& join) {
  options.text("--room", "ROOM", join.room, "made when it does not exist (lobby)");
  options.text("--name", "NAME", join.name, "how others see you (the name of your account here)");
  options.text("--classic", "HOST:PORT", join.classic, "speak the old protocol instead");
  options.text("--ca", "FILE", join.ca, "whom to believe over https, PEM (the system's)");
}

Result<> check(JoinOptions& join, const cli::Arguments& rest) {
  if (rest.size() > 1) return cli::usage(rest[1] + ": one URL is enough");
  if (!rest.empty()) join.url = rest[0];
  if (join.name.empty()) {
    const char* user = std::getenv("USER");  // NOLINT: before any thread.
    join.name = user && *user ? user : "guest";
  }
  if (!is_room_name(join.room))
    return cli::usage("--room " + join.room + ": " + std::string(k_room_name_rule));
  auto name = clean_name(join.name);
  if (!name) return cli::usage("--name: " + std::string(name.error().object()));
  if (!join.classic.empty() && !net::parse_host_port(join.classic))
    return cli::usage("--classic " + join.classic + ": HOST:PORT is wanted (127.0.0.1:5555)");
  auto url = proto::parse_url(join.url);
  if (!url || (url->scheme != "http" && url->scheme != "https"))
    return cli::usage(join.url + ": http://HOST:PORT or https://HOST:PORT is wanted");
  return {};
}

Client::Output terminal() {
  return {.show =
              [](std::string_view line) {
                const std::string text = std::string(line) + "\n";
                std::fwrite(text.data(), 1, text.size(), stdout);
                std::fflush(stdout);
              },
          .warn = [](std::string_view line) { cli::complain(k_command, line); }};
}

Task<> feed(Client& client, process::Input& input) {
  for (;;) {
    auto line = co_await input.read_line();
    if (!line && line.error() == Errc::too_large) continue;
    if (!line || !*line) break;
    co_await client.say(std::move(**line));
  }
  client.end_input();
}

Task<int> join_main(JoinOptions options) {
  process::Input input(0);
  options.greet = ::isatty(STDOUT_FILENO) == 1;
  const bool classic = !options.classic.empty();
  Client client(options, terminal());
  auto status = co_await with_scope([&](Scope& scope) -> Task<int> {
    const cli::OnStop on_stop([&scope] { scope.cancel({"stop"}); });  // Ctrl+C, SIGTERM.
    if (classic) co_return co_await run_classic_client(std::move(options), terminal(), input);
    scope.start(Named{"input"}, feed, std::ref(client), std::ref(input));
    const int ended = co_await client.run();
    scope.cancel();
    co_return ended;
  });
  if (status) co_return *status;
  co_return client.settled() ? 0 : 1;  // Stopped: by its user, who sees what was not sent.
}

constexpr cli::Command<JoinOptions> k_join = {
    .name = k_command,
    .environment = "RONDO_JOIN_",
    .add_options = add_options,
    .check = check,
    .main = join_main,
    .about =
        "rondo join [URL]: the chat in a terminal; URL: http://127.0.0.1:8080 unless given\n\n"
        "  rondo join --name Ada                        the lobby of http://127.0.0.1:8080\n"
        "  rondo join https://chat.example.org --room build\n"
        "  make 2>&1 | tail -1 | rondo join --name ci   says a line each, ends when all are "
        "stored\n"
        "  rondo join --classic 127.0.0.1:5555 --name Ada\n\n",
    .notes =
        "A line and Enter says it; Ctrl+D leaves when all is stored, Ctrl+C at once. A lost\n"
        "connection is made again, and what was not stored is sent again, once.\n"
        "Environment: RONDO_JOIN_NAME and so on; RONDO_DRIVER=uring|epoll. A flag beats the\n"
        "environment, the environment beats the file.\n"
        "Exit status: 0 what was said is stored, 1 it is not or nobody answers, 2 wrong use.\n",
    .logs = false};

}  // namespace

std::string join_help() { return k_join.help(); }
int run_join(const cli::Arguments& arguments) { return k_join.run(arguments); }

}  // namespace rondo::chat
