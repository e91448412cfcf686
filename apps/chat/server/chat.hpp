// SPDX-License-Identifier: Apache-2.0
// `rondo chat`: the chat server as a program.
//
//   int status = run_chat({"--listen", "127.0.0.1:9000"});
//
// Thread rule: the main thread.
#pragma once

#include <cstdint>
#include <string>

#include "cli/options.hpp"

namespace rondo::chat {

struct ChatOptions {
  std::string listen = "127.0.0.1:8080";
  std::string data = "data";
  std::string classic = "127.0.0.1:5555";
  std::string classic_room = "lobby";
  std::string lines = "127.0.0.1:5556";
  std::string public_url;
  std::string tls_cert;
  std::string tls_key;
  std::string node_name = "n1";
  std::uint64_t send_limit = 20;
  bool guests = true;
  bool console = false;
};

/// Parses and runs; returns the exit status.
int run_chat(const cli::Arguments& arguments);
/// The help text of `rondo chat --help`.
std::string chat_help();

}  // namespace rondo::chat
