// SPDX-License-Identifier: Apache-2.0
// `rondo fetch`: pages and everything they need, as files one can browse.
//
//   int status = run_fetch({"https://example.org/", "-o", "copy"});
//
// Thread rule: the main thread.
#pragma once

#include <string>

#include "cli/options.hpp"

namespace rondo::fetch {

/// Parses and runs; returns the exit status: 1 when a page given could not be loaded.
int run_fetch(const cli::Arguments& arguments);
/// The help text of `rondo fetch --help`.
std::string fetch_help();

}  // namespace rondo::fetch
