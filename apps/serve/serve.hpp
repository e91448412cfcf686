// SPDX-License-Identifier: Apache-2.0
// `rondo serve`: a folder over HTTP or HTTPS.
//
//   int status = run_serve({"public", "--listen", "127.0.0.1:9000"});
//
// Thread rule: the main thread.
#pragma once

#include <string>

#include "cli/options.hpp"

namespace rondo::serve {

struct ServeOptions {
  std::string folder = ".";
  std::string listen = "127.0.0.1:8000";
  std::string tls_cert;
  std::string tls_key;
  std::string access_log;  ///< a file, or - for standard output; empty: none
  bool no_list = false;
  bool compress = false;
  bool spa = false;
  bool live = false;
  bool hidden = false;
};

/// Parses and runs; returns the exit status.
int run_serve(const cli::Arguments& arguments);
/// The help text of `rondo serve --help`.
std::string serve_help();

}  // namespace rondo::serve
