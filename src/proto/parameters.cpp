// SPDX-License-Identifier: Apache-2.0
#include "proto/parameters.hpp"

#include <algorithm>

#include "base/text.hpp"

namespace rondo::proto {

Parameters::Parameters(std::string_view text) noexcept {
  const std::size_t end = std::min(text.find(';'), text.size());
  value_ = trimmed(text.substr(0, end));
  rest_ = text.substr(end);
}

std::optional<Parameters::Each> Parameters::next() {
  while (true) {
    const std::size_t begin = rest_.find_first_not_of("; \t");
    if (begin == rest_.npos) return std::nullopt;
    rest_.remove_prefix(begin);
    const std::size_t end = std::min(rest_.find_first_of("=;"), rest_.size());
    Each each{.name = trimmed(rest_.substr(0, end)), .value = {}};
    const bool has_value = end < rest_.size() && rest_[end] == '=';
    rest_.remove_prefix(std::min(end + (has_value ? 1 : 0), rest_.size()));
    if (!has_value) {
      if (each.name.empty()) continue;
      return each;
    }
    rest_ = trimmed_front(rest_);
    if (!rest_.starts_with('"')) {
      const std::size_t stop = std::min(rest_.find(';'), rest_.size());
      each.value = trimmed(rest_.substr(0, stop));
      rest_.remove_prefix(stop);
      return each;
    }
    rest_.remove_prefix(1);
    while (!rest_.empty() && rest_.front() != '"') {
      const bool escape = rest_.starts_with("\\\"") || rest_.starts_with("\\\\");
      if (escape) rest_.remove_prefix(1);
      each.value += rest_.front();
      rest_.remove_prefix(1);
    }
    rest_.remove_prefix(std::min(std::min(rest_.find(';'), rest_.size()), rest_.size()));
    return each;
  }
}

}  // namespace rondo::proto
