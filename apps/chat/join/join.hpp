// SPDX-License-Identifier: Apache-2.0
// `rondo join`: the chat in a terminal, or for a script.
//
//   int status = run_join({"http://127.0.0.1:8080", "--name", "Ada"});
//
// Thread rule: the main thread.
#pragma once

#include <string>

#include "cli/options.hpp"

namespace rondo::chat {

struct JoinOptions {
  std::string url = "http://127.0.0.1:8080";
  std::string room = "lobby";
  std::string name;
  std::string classic;  ///< HOST:PORT of the old protocol instead of the URL
  std::string ca;       ///< whom to believe over https; empty: whom the system believes
  bool greet = false;   ///< somebody looks: where we are, who is here, what was said last
};

/// Parses and runs; returns the exit status: 0 when everything said was stored.
int run_join(const cli::Arguments& arguments);
/// The help text of `rondo join --help`.
std::string join_help();

}  // namespace rondo::chat
