// SPDX-License-Identifier: Apache-2.0
// Parsing of flags, environment and file.
#include "cli/options.hpp"

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include <toml++/toml.h>

#include "cli/text.hpp"
#include "rondo/net/endpoint.hpp"

namespace rondo::cli {

namespace {

std::string variable_of(std::string_view prefix, std::string_view name) {
  std::string variable(prefix);
  for (const char c : name.substr(2)) {
    variable.push_back(c == '-' ? '_' : static_cast<char>(c >= 'a' && c <= 'z' ? c - 32 : c));
  }
  return variable;
}

std::string text_of(const toml::node& node) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* number = node.as_integer()) return std::to_string(number->get());
  if (const auto* flag = node.as_boolean()) return flag->get() ? "true" : "false";
  return {};
}

}  // namespace

Error usage(std::string_view text) { return Error(Errc::invalid_argument, "usage", text); }

std::string words_of(const Error& error) {
  return error.operation() == std::string_view("usage") ? std::string(error.object())
                                                        : error.message();
}

Result<> check_address(std::string_view option, std::string_view value) {
  if (net::Endpoint::parse(value)) return {};
  const bool is_port = !value.empty() && value.find_first_not_of("0123456789") == value.npos;
  std::string text(option);
  text.append(" ").append(value).append(": not an address: HOST:PORT is wanted, in numbers (");
  text.append("127.0.0.1:").append(is_port ? value : "0 takes a free port").append(")");
  return usage(text);
}

Result<> check_driver() {
  const char* name = std::getenv("RONDO_DRIVER");  // NOLINT: before any thread.
  const std::string_view driver(name ? name : "");
  if (driver.empty() || driver == "uring" || driver == "epoll") return {};
  return usage("RONDO_DRIVER=" + std::string(driver) +
               ": there is no such driver (uring and epoll are; unset it for the best available)");
}

void complain(std::string_view command, std::string_view text) {
  const std::string line = terminal_text(std::string(command) + ": " + std::string(text)) + "\n";
  std::fwrite(line.data(), 1, line.size(), stderr);
}

void Options::text(std::string name, std::string value, std::string& into, std::string help) {
  add({std::move(name), std::move(value), std::move(help),
       [&into](std::string_view given) -> Result<> {
         into.assign(given);
         return {};
       }});
}

void Options::number(std::string name, std::string value, std::uint64_t& into, std::string help) {
  add({std::move(name), std::move(value), std::move(help),
       [&into](std::string_view given) -> Result<> {
         const auto end = std::from_chars(given.data(), given.data() + given.size(), into);
         if (end.ec == std::errc() && end.ptr == given.data() + given.size()) return {};
         return usage("a whole number from 0 on is wanted");
       }});
}

void Options::flag(std::string name, bool& into, std::string help) {
  add({std::move(name), "", std::move(help), [&into](std::string_view given) -> Result<> {
         into = given == "true";
         if (into || given == "false") return {};
         return usage("true or false is wanted");
       }});
}

void Options::on_off(std::string name, bool& into, std::string help) {
  add({std::move(name), "on|off", std::move(help), [&into](std::string_view given) -> Result<> {
         into = given == "on" || given == "true";
         if (into || given == "off" || given == "false") return {};
         return usage("on or off is wanted");
       }});
}

void Options::duration(std::string name, Duration& into, std::string help) {
  add({std::move(name), "TIME", std::move(help), [&into](std::string_view given) -> Result<> {
         std::uint32_t count = 0;
         const auto read = std::from_chars(given.data(), given.data() + given.size(), count);
         const std::string_view unit(read.ptr, given.data() + given.size());
         const bool known = unit.empty() || unit == "ms" || unit == "s" || unit == "m";
         if (read.ec != std::errc() || !known || count == 0)
           return usage("a time is wanted: 500ms, 30s, 2m");
         into = unit == "ms"  ? std::chrono::milliseconds(count)
                : unit == "m" ? Duration(std::chrono::minutes(count))
                              : Duration(std::chrono::seconds(count));
         return {};
       }});
}

void Options::also(std::string letter, std::string name) {
  for (Option& option : options_) {
    if (option.name == name) option.letter = std::move(letter);
  }
}

void Options::only(std::string name, std::string allowed, std::string why) {
  auto set = [allowed, why](std::string_view given) -> Result<> {
    if (given == allowed) return {};
    return usage(why);
  };
  add({std::move(name), allowed, "", std::move(set)});
}

void Options::later(std::string name, std::string why) {
  add({std::move(name), "VALUE", "", [why](std::string_view) -> Result<> { return usage(why); }});
}

const Options::Option* Options::find(std::string_view name) const {
  for (const Option& option : options_) {
    if (option.name == name || (option.letter == name && !name.empty())) return &option;
  }
  return nullptr;
}

Result<> Options::apply(const Option& option, std::string_view value, std::string_view where) {
  auto set = option.set(value);
  if (set) return {};
  std::string text(where.empty() ? option.name : std::string(where));
  if (!value.empty()) text.append(" ").append(value);
  return usage(text.append(": ").append(set.error().object()));
}

Result<> Options::apply_file(const std::string& path) {
  const std::string where = "--config " + path + ": ";
  const auto at = [&](const toml::source_region& source) {
    return where + "line " + std::to_string(source.begin.line) + ": ";
  };
  std::ifstream file(path);
  // A folder opens, and fails at the first character.
  if (!file || (file.peek(), file.bad())) return usage(where + std::strerror(errno));
  toml::table table;
  try {
    table = toml::parse(file, path);
  } catch (const toml::parse_error& error) {
    return usage(at(error.source()) + std::string(error.description()));
  }
  for (const auto& [key, node] : table) {
    const std::string name(key.str());
    const Option* option = find("--" + name);
    if (!option || name == "config")
      return usage(at(key.source()) + "there is no option '" + name + "'");
    if (auto set = apply(*option, text_of(node), at(node.source()) + name); !set) return set;
  }
  return {};
}

Result<> Options::apply_environment() {
  for (const Option& option : options_) {
    const std::string variable = variable_of(environment_, option.name);
    const char* value = std::getenv(variable.c_str());  // NOLINT: before any thread.
    if (!value) continue;
    if (auto set = apply(option, value, variable); !set) return set;
  }
  return {};
}

Result<Arguments> Options::parse(const Arguments& arguments) {
  struct Given {
    const Option* option;
    std::string value;
  };
  std::vector<Given> given;
  Arguments rest;
  std::string file;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    const bool is_option = argument.size() > 1 && argument.starts_with('-') && argument != "--";
    if (!is_option) {
      if (argument != "--") rest.push_back(argument);
      continue;
    }
    const auto equals = argument.find('=');
    const std::string name = argument.substr(0, equals);
    const Option* option = find(name);
    if (!option && name != "--config") return usage("there is no option " + name);
    std::string value = equals == std::string::npos ? "" : argument.substr(equals + 1);
    if (equals == std::string::npos) {
      if (option && option->value.empty())
        value = "true";
      else if (++i < arguments.size())
        value = arguments[i];
      else
        return usage(name + " wants a value");
    }
    if (option)
      given.push_back({option, std::move(value)});
    else
      file = std::move(value);
  }
  if (!file.empty()) {
    if (auto read = apply_file(file); !read) return read.error();
  }
  if (auto read = apply_environment(); !read) return read.error();
  for (const Given& one : given) {
    if (auto set = apply(*one.option, one.value, {}); !set) return set.error();
  }
  return rest;
}

std::string Options::help() const {
  std::string text;
  for (const Option& option : options_) {
    if (option.help.empty()) continue;
    std::string line = "  " + option.letter + (option.letter.empty() ? "" : ", ") + option.name +
                       (option.value.empty() ? "" : " " + option.value);
    if (line.size() < 30)
      line.resize(30, ' ');
    else
      line.append("\n").append(30, ' ');
    text += line + option.help + "\n";
  }
  text += "  --config FILE               a TOML file with any of these (" + example() + ")\n";
  return text;
}

/// A line of a file: the first option that takes a text.
std::string Options::example() const {
  for (const Option& option : options_) {
    if (!option.value.empty()) return option.name.substr(2) + " = \"...\"";
  }
  return "name = \"...\"";
}

}  // namespace rondo::cli
