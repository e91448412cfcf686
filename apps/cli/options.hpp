// SPDX-License-Identifier: Apache-2.0
// Options of a subcommand: flags beat environment variables, these beat a TOML file.
//
//   cli::Options options("rondo chat", "RONDO_CHAT_");
//   options.text("--listen", "ADDRESS", chat.listen, "where the page is served");
//   options.flag("--console", chat.console, "standard input speaks as Server");
//   options.later("--tls-cert", "TLS comes with a later version");
//   auto rest = options.parse(arguments);       // what is no option; an Error is a usage error
//   auto good = cli::check_address("--listen", chat.listen);
//
// Every option takes the forms `--name value` and `--name=value`; in the file it is `name = ...`,
// in the environment RONDO_CHAT_NAME. Unknown ones are errors everywhere.
// Lifetime: the variables outlive parse(). Thread rule: one thread.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "rondo/base/result.hpp"
#include "rondo/base/time.hpp"

namespace rondo::cli {

using Arguments = std::vector<std::string>;

class Options {
 public:
  Options(std::string command, std::string environment)
      : command_(std::move(command)), environment_(std::move(environment)) {}

  void text(std::string name, std::string value, std::string& into, std::string help);
  void number(std::string name, std::string value, std::uint64_t& into, std::string help);
  /// Without a value on the command line; true or false in the file and the environment.
  void flag(std::string name, bool& into, std::string help);
  /// on or off.
  void on_off(std::string name, bool& into, std::string help);
  /// "500ms", "30s", "2m"; a bare number is seconds.
  void duration(std::string name, Duration& into, std::string help);
  /// A second, short name of an option added before: also("-o", "--output").
  void also(std::string letter, std::string name);
  /// Only `allowed` may be said of it today; `why` tells about the rest.
  void only(std::string name, std::string allowed, std::string why);
  /// Named in the reference, not there yet: a usage error that says so.
  void later(std::string name, std::string why);

  /// Applies file, environment and arguments, in this order; returns what is no option.
  /// Errors: invalid_argument with a sentence.
  Result<Arguments> parse(const Arguments& arguments);
  /// The options as lines of a help text.
  std::string help() const;

 private:
  struct Option {
    std::string name;   ///< with its dashes
    std::string value;  ///< placeholder, "" for flags
    std::string help;
    std::function<Result<>(std::string_view)> set;
    std::string letter = {};  ///< with its dash
  };
  void add(Option option) { options_.push_back(std::move(option)); }
  const Option* find(std::string_view name) const;
  Result<> apply_file(const std::string& path);
  std::string example() const;
  Result<> apply_environment();
  Result<> apply(const Option& option, std::string_view value, std::string_view where);

  std::string command_;
  std::string environment_;
  std::vector<Option> options_;
};

/// An error whose words are `text`, whole.
Error usage(std::string_view text);
/// What a user is told of an error: the words of usage(), else its message.
std::string words_of(const Error& error);

/// Whether an option's value can be listened on: HOST:PORT in numbers, or unix:PATH. A usage error
/// otherwise; nothing is opened.
Result<> check_address(std::string_view option, std::string_view value);
/// Whether RONDO_DRIVER names a driver, when it is set; a usage error otherwise.
Result<> check_driver();

/// `rondo CMD: what failed: why (what to do)` on standard error, fit for a terminal.
void complain(std::string_view command, std::string_view text);

}  // namespace rondo::cli
