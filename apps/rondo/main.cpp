// SPDX-License-Identifier: Apache-2.0
// The program `rondo`: finds the subcommand and hands over.
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "chat/join/join.hpp"
#include "chat/server/chat.hpp"
#include "cli/options.hpp"
#include "fetch/fetch.hpp"
#include "serve/serve.hpp"

namespace {

struct Command {
  std::string_view name;
  std::string_view does;
  int (*run)(const rondo::cli::Arguments&);
  std::string (*help)();
};

constexpr Command k_commands[] = {
    {"chat", "the chat server: web page, WebSocket, HTTP, JSON lines, classic",
     rondo::chat::run_chat, rondo::chat::chat_help},
    {"join", "a chat client for the terminal", rondo::chat::run_join, rondo::chat::join_help},
    {"fetch", "pages and all they need, loaded at once, as files to browse",
     rondo::fetch::run_fetch, rondo::fetch::fetch_help},
    {"serve", "a folder over HTTP: ranges, packing, TLS, live reload", rondo::serve::run_serve,
     rondo::serve::serve_help},
};

std::string help() {
  std::string text =
      "rondo: programs on the event loop for C++\n\n"
      "  rondo chat                                   a chat server on http://127.0.0.1:8080\n"
      "  rondo join                                   talk there from this terminal\n"
      "  echo 'deployed' | rondo join --name build    a script that says something\n"
      "  rondo fetch https://example.org/ -o copy     a page with all it needs, as files\n"
      "  rondo serve                                  this folder on http://127.0.0.1:8000\n\n"
      "commands\n";
  for (const Command& command : k_commands) {
    std::string line = "  " + std::string(command.name);
    line.resize(10, ' ');
    text += line + std::string(command.does) + "\n";
  }
  return text +
         "\nrondo COMMAND --help tells the options of each. rondo --version tells the version.\n";
}

int print(const std::string& text) {
  const bool written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
  return written && std::fflush(stdout) == 0 ? 0 : 1;
}

bool asks_help(const rondo::cli::Arguments& arguments) {
  for (const std::string& argument : arguments) {
    if (argument == "--help" || argument == "-h") return true;
  }
  return false;
}

}  // namespace

int main(int count, char** values) {
  const std::vector<std::string> arguments(values + (count > 0 ? 1 : 0), values + count);
  if (arguments.empty() || arguments[0] == "--help" || arguments[0] == "-h" ||
      arguments[0] == "help") {
    const int status = print(help());
    return arguments.empty() ? 2 : status;
  }
  if (arguments[0] == "--version") return print("rondo " RONDO_VERSION "\n");
  const rondo::cli::Arguments rest(arguments.begin() + 1, arguments.end());
  for (const Command& command : k_commands) {
    if (command.name != arguments[0]) continue;
    if (asks_help(rest)) return print(command.help());
    if (auto driver = rondo::cli::check_driver(); !driver) {
      rondo::cli::complain("rondo " + arguments[0], driver.error().object());
      return 2;
    }
    return command.run(rest);
  }
  rondo::cli::complain("rondo", arguments[0] + ": there is no such command (see rondo --help)");
  return 2;
}
