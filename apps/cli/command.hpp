// SPDX-License-Identifier: Apache-2.0
// A subcommand from its arguments to its exit status: the way in and out that all of them share.
//
//   constexpr cli::Command<ServeOptions> k_serve = {.name = "rondo serve",
//                                                   .environment = "RONDO_SERVE_",
//                                                   .add_options = add_options,
//                                                   .check = check,
//                                                   .main = serve_main,
//                                                   .about = "rondo serve [DIR]: ...\n\n"};
//   int run_serve(const cli::Arguments& arguments) { return k_serve.run(arguments); }
//
// The status is 2 for wrong use, said in a sentence, else what `main` returns. SIGINT and SIGTERM
// are a soft stop of the loop that `main` runs on. Thread rule: the main thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "cli/logging.hpp"
#include "cli/options.hpp"
#include "rondo/core/runtime.hpp"
#include "rondo/core/task.hpp"

namespace rondo::cli {

/// `Settings` is a struct with the defaults of the options.
template <class Settings>
struct Command {
  const char* name;
  const char* environment;  ///< what its variables begin with
  void (*add_options)(Options&, Settings&);
  /// What contradicts itself or cannot be; `rest` is what was no option.
  Result<> (*check)(Settings&, const Arguments& rest);
  Task<int> (*main)(Settings);
  const char* about;  ///< the help in front of the options
  const char* notes;  ///< and behind them
  bool logs = true;   ///< to standard error; false: warnings and errors only

  std::string help() const {
    Settings settings;
    Options options(name, environment);
    add_options(options, settings);
    return std::string(about) + "options\n" + options.help() + "\n" + notes;
  }
  int run(const Arguments& arguments) const {
    Settings settings;
    Options options(name, environment);
    add_options(options, settings);
    auto rest = options.parse(arguments);
    Result<> good = rest ? check(settings, *rest) : Result<>(rest.error());
    if (!good) {
      complain(name, words_of(good.error()) + " (see " + name + " --help)");
      return 2;
    }
    std::optional<Logging> logging;
    if (logs)
      logging.emplace();
    else
      log_warnings_only();
    return rondo::run(main(std::move(settings)));
  }
};

}  // namespace rondo::cli
