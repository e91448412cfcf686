// SPDX-License-Identifier: Apache-2.0
#include "proto/challenge.hpp"

#include <algorithm>
#include <optional>

#include "base/text.hpp"
#include "proto/http1_chars.hpp"
#include "rondo/proto/http1.hpp"

namespace rondo::proto {
namespace {

constexpr std::size_t k_parameters_max = 32;
constexpr std::size_t k_value_max = 4'096;

std::string_view take_token(std::string_view& text) noexcept {
  const auto end = std::ranges::find_if(text, [](char c) { return !in_class(c, k_is_token); });
  const std::string_view token = text.substr(0, static_cast<std::size_t>(end - text.begin()));
  text.remove_prefix(token.size());
  return token;
}

/// A token68 with nothing but a comma or the end behind it; else `a=b` of a parameter begins.
std::optional<std::string_view> take_token68(std::string_view& text) noexcept {
  const auto in_it = [](char c) {
    return in_class(c, k_is_token)
               ? std::string_view("!#$%&'*^`|").find(c) == std::string_view::npos
               : c == '/';
  };
  std::size_t size = 0;
  while (size < text.size() && in_it(text[size])) ++size;
  if (size == 0) return std::nullopt;
  while (size < text.size() && text[size] == '=') ++size;
  const std::string_view rest = trimmed_front(text.substr(size));
  if (!rest.empty() && !rest.starts_with(',')) return std::nullopt;
  const std::string_view found = text.substr(0, size);
  text = rest;
  return found;
}

/// A token or a quoted string (section 5.6.4), unquoted.
std::optional<std::string> take_value(std::string_view& text) {
  if (!text.starts_with('"')) {
    const std::string_view token = take_token(text);
    return token.empty() ? std::nullopt : std::optional(std::string(token));
  }
  std::string value;
  for (std::size_t at = 1; at < text.size(); ++at) {
    if (text[at] == '"') {
      text.remove_prefix(at + 1);
      return value;
    }
    if (text[at] == '\\' && ++at == text.size()) break;
    value += text[at];
  }
  return std::nullopt;
}

/// `="value"`, and the comma or the end behind it.
bool take_parameter(std::string_view& text, std::string_view name, Challenge& into) {
  text = trimmed_front(text.substr(1));
  auto value = take_value(text);
  text = trimmed_front(text);
  const bool good = value && value->size() <= k_value_max && (text.empty() || text[0] == ',') &&
                    into.parameters.size() < k_parameters_max;
  if (good) into.parameters.emplace_back(name, std::move(*value));
  return good;
}

}  // namespace

const std::string* Challenge::find(std::string_view name) const noexcept {
  for (const auto& [own, value] : parameters)
    if (iequals(own, name)) return &value;
  return nullptr;
}

std::string_view Challenge::get(std::string_view name) const noexcept {
  const std::string* value = find(name);
  return value ? std::string_view(*value) : std::string_view();
}

std::vector<Challenge> parse_challenges(std::string_view field, std::size_t max) {
  std::vector<Challenge> found;
  if (!is_field_value(field)) return found;
  bool good = true;
  while (good) {
    const std::size_t begin = field.find_first_not_of(", \t");
    if (begin == field.npos) return found;
    field.remove_prefix(begin);
    const std::string_view name = take_token(field);
    const std::string_view behind = trimmed_front(field);
    if (behind.starts_with('=')) {  // White space around it is bad, and to be taken.
      field = behind;
      good = !name.empty() && !found.empty() && found.back().token68.empty() &&
             take_parameter(field, name, found.back());
      continue;
    }
    good =
        !name.empty() && (field.empty() || field[0] == ' ' || field[0] == '\t' || field[0] == ',');
    if (!good) break;
    if (found.size() == max) return found;
    found.push_back({.scheme = std::string(name), .token68 = {}, .parameters = {}});
    field = behind;
    if (field.empty() || field[0] == ',') continue;
    if (const auto token = take_token68(field)) {
      found.back().token68 = *token;
      continue;
    }
    const std::string_view first = take_token(field);
    field = trimmed_front(field);
    good = !first.empty() && field.starts_with('=') && take_parameter(field, first, found.back());
  }
  if (!found.empty()) found.pop_back();
  return found;
}

}  // namespace rondo::proto
