// SPDX-License-Identifier: Apache-2.0
// The program: options, data, doors, and the way they end.
//
// Start: options -> lock -> database -> listeners -> "ready on". Stop (SIGTERM): listeners stop,
// sessions end (WebSockets with 1001), what was sent is committed, exit 0.
#include "chat/server/chat.hpp"

#include <sodium.h>

#include <optional>

#include "chat/server/data_folder.hpp"
#include "chat/server/doors.hpp"
#include "chat/server/text.hpp"
#include "cli/command.hpp"
#include "cli/server.hpp"
#include "rondo/base/log.hpp"
#include "rondo/core/scope.hpp"
#include "rondo/http/server.hpp"
#include "rondo/proto/url.hpp"

namespace rondo::chat {

namespace {

constexpr const char* k_command = "rondo chat";

void add_options(cli::Options& options, ChatOptions& chat) {
  options.text("--listen", "ADDRESS", chat.listen, "the page, WebSocket and HTTP (127.0.0.1:8080)");
  options.text("--data", "DIR", chat.data, "where messages are kept (data)");
  options.text("--classic", "ADDRESS|off", chat.classic, "the old protocol (127.0.0.1:5555)");
  options.text("--classic-room", "ROOM", chat.classic_room,
               "the room classic clients are in (lobby)");
  options.text("--lines", "ADDRESS|off", chat.lines, "JSON lines over TCP (127.0.0.1:5556)");
  options.text("--public-url", "URL", chat.public_url, "the address users type, behind a proxy");
  options.text("--tls-cert", "FILE", chat.tls_cert,
               "the page over https: a certificate and those that sign it, PEM; read again at SIGHUP");
  options.text("--tls-key", "FILE", chat.tls_key, "its key, PEM");
  options.text("--node-name", "NAME", chat.node_name, "this server's name in `hello` (n1)");
  options.on_off("--guests", chat.guests, "people may come with a name alone (on)");
  options.number("--send-limit", "N", chat.send_limit, "messages of a user in 10 s; 0: any (20)");
  options.flag("--console", chat.console, "standard input speaks as Server");
  options.only("--irc", "off", "the IRC door comes with a later version; only off is possible");
  options.only("--ircs", "off", "the IRC door comes with a later version; only off is possible");
  options.only("--inspect", "off",
               "the live inspector comes with a later version; only off is possible");
  options.only("--bus", "embedded",
               "several nodes come with a later version; only embedded is possible");
  options.only("--loops", "1", "several loops come with a later version; only 1 is possible");
  options.later("--trusted-proxy", "limits by client address come with a later version");
}

Result<> check_addresses(const ChatOptions& chat) {
  if (chat.listen == "off") return cli::usage("--listen off: the page needs an address");
  if (auto good = cli::check_address("--listen", chat.listen); !good) return good;
  for (const auto& [option, address] : {std::pair{"--classic", &chat.classic},
                                        std::pair{"--lines", &chat.lines}}) {
    if (*address == "off") continue;
    if (auto good = cli::check_address(option, *address); !good) return good;
  }
  return {};
}

Result<> check(ChatOptions& chat, const cli::Arguments& rest) {
  if (!rest.empty())
    return cli::usage(
        rest.front() +
        ": there is no such subcommand; backup, restore and the others come with a later version");
  if (auto good = check_addresses(chat); !good) return good;
  if (!is_room_name(chat.classic_room))
    return cli::usage("--classic-room " + chat.classic_room + ": " + std::string(k_room_name_rule));
  if (auto good = cli::check_tls(chat.tls_cert, chat.tls_key); !good) return good;
  if (!chat.public_url.empty()) {
    auto url = proto::parse_url(chat.public_url);
    if (!url || (url->scheme != "http" && url->scheme != "https")) {
      return cli::usage("--public-url " + chat.public_url + ": an http or https URL is wanted");
    }
  }
  return {};
}

/// A door's listener; nothing for "off". Its errors name the option.
Result<std::optional<tcp::Listener>> listen_for(const char* option, const std::string& address) {
  if (address == "off") return std::optional<tcp::Listener>();
  auto listener = tcp::listen({.address = address});
  if (listener) return std::optional<tcp::Listener>(std::move(*listener));
  std::string text(std::string(option) + " " + address + ": " + describe(listener.error().code()));
  if (listener.error() == Errc::address_in_use) {
    text +=
        std::string(" (stop what listens there, or choose another address with ") + option + ")";
  }
  return cli::usage(text);
}

/// Everything that listens.
struct Doors {
  std::optional<tcp::Listener> web;
  std::optional<tcp::Listener> classic;
  std::optional<tcp::Listener> lines;

  static Result<Doors> open(const ChatOptions& chat) {
    Doors doors;
    auto web = listen_for("--listen", chat.listen);
    if (!web) return web.error();
    auto classic = listen_for("--classic", chat.classic);
    if (!classic) return classic.error();
    auto lines = listen_for("--lines", chat.lines);
    if (!lines) return lines.error();
    doors.web = std::move(*web);
    doors.classic = std::move(*classic);
    doors.lines = std::move(*lines);
    return doors;
  }
};

http::Router make_router(Hub& hub, const HostPolicy& policy) {
  http::Router router;
  router.filter([&policy](http::Request& request, http::Response& response) {
    if (policy.admits_host(request.authority())) return true;
    response.send_error(421,
                        "This host name is not known here. Start the server with --public-url.\n");
    return false;
  });
  router.get("/ws", [&](http::Request& q, http::Response& a) {
    return serve_web_socket(hub, policy, q, a);
  });
  add_api(router, hub);
  add_pages(router);
  return router;
}

void announce(const Doors& doors, const ChatOptions& chat) {
  if (doors.classic) log(LogLevel::info, "classic door on " + doors.classic->local().to_string());
  if (doors.lines) log(LogLevel::info, "lines door on " + doors.lines->local().to_string());
  cli::say_ready(!chat.tls_cert.empty(), doors.web->local().to_string());
}

Task<> serve(Hub& hub, Doors& doors, const ChatOptions& chat, std::optional<tls::Context> tls) {
  const HostPolicy policy(chat.listen, chat.public_url);
  const cli::OnStop on_stop([&hub] { hub.stop(); });  // Those who wait for events end.
  http::Server server(make_router(hub, policy), {.body_max = 65'536 * 4});
  auto classic_room = co_await hub.make_room(chat.classic_room);
  if (!classic_room) co_return;
  co_await with_scope([&](Scope& others) -> Task<> {
    if (chat.console)
      others.start(Named{"console"}, run_console, std::ref(hub), std::ref(**classic_room));
    co_await with_scope([&](Scope& open) -> Task<> {
      if (doors.classic)
        open.start(Named{"classic door"}, run_classic_door, std::ref(hub), std::ref(*doors.classic),
                   std::ref(**classic_room));
      if (doors.lines)
        open.start(Named{"lines door"}, run_lines_door, std::ref(hub), std::ref(*doors.lines));
      if (tls) others.start(Named{"certificates"}, cli::reload_at_hang_up, *tls);
      announce(doors, chat);
      auto ended = tls ? co_await server.run(*doors.web, *tls) : co_await server.run(*doors.web);
      if (!ended) log(LogLevel::error, ended.error().message());
    });
    others.cancel();
  });
}

int fail(const Error& error) {
  cli::complain(k_command, cli::words_of(error));
  return 1;
}

Task<int> chat_main(ChatOptions chat) {
  if (sodium_init() < 0) {
    cli::complain(k_command, "libsodium cannot start: no source of randomness");
    co_return 1;
  }
  auto folder = DataFolder::open(chat.data);
  if (!folder) {
    const Error& why = folder.error();
    cli::complain(k_command, why == Errc::exists ? "--data " + std::string(why.object()) +
                                                       " (stop it, or choose another folder)"
                                                 : why.message() +
                                                       " (a folder that can be written is wanted)");
    co_return 1;
  }
  auto doors = Doors::open(chat);
  if (!doors) co_return fail(doors.error());
  auto tls = cli::server_tls(chat.tls_cert, chat.tls_key);
  if (!tls) co_return fail(tls.error());
  auto opened = co_await EventLog::open(folder->file("chat.db"));
  if (!opened) {
    cli::complain(k_command,
                  "cannot open " + folder->file("chat.db") + ": " + opened.error().message());
    co_return 1;
  }
  EventLog& store = **opened;
  // Outlives the writer, whose last commits still tell it.
  Hub hub(store, {.send_limit = chat.send_limit, .guests = chat.guests, .node = chat.node_name});
  co_await with_scope([&](Scope& writer) -> Task<> {
    writer.start(Named{"writer"}, [](EventLog& at) { return at.run(); }, std::ref(store));
    co_await serve(hub, *doors, chat, std::move(*tls));
    hub.flush_reads();
    store.close();
  });
  co_return 0;
}

constexpr cli::Command<ChatOptions> k_chat = {
    .name = k_command,
    .environment = "RONDO_CHAT_",
    .add_options = add_options,
    .check = check,
    .main = chat_main,
    .about =
        "rondo chat: the chat server\n\n"
        "  rondo chat                                   the page on http://127.0.0.1:8080\n"
        "  rondo chat --data ~/chat --console           and you speak as Server\n"
        "  rondo chat --listen 0.0.0.0:443 --tls-cert site.pem --tls-key site.key "
        "--public-url https://chat.example.org\n"
        "  printf 'hello\\n' | rondo join http://127.0.0.1:8080 --name Ada\n\n",
    .notes =
        "Environment: RONDO_CHAT_LISTEN and so on; RONDO_DRIVER=uring|epoll.\n"
        "A flag beats the environment, the environment beats the file.\n"};

}  // namespace

std::string chat_help() { return k_chat.help(); }
int run_chat(const cli::Arguments& arguments) { return k_chat.run(arguments); }

}  // namespace rondo::chat
