// SPDX-License-Identifier: Apache-2.0
// Parameters: a field's value and what follows it, `form-data; name="a"; filename=b`
// (RFC 9110, section 5.6.6). Quoted values are unquoted; of backslashes only `\"` and `\\` are
// escapes, since browsers write file names with plain ones.
// Lifetime: the text outlives it. Thread rule: one thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace rondo::proto {

class Parameters {
 public:
  explicit Parameters(std::string_view text) noexcept;

  /// What stands before the first semicolon.
  std::string_view value() const noexcept { return value_; }

  struct Each {
    std::string_view name;
    std::string value;
  };
  /// The next one; what has no `=` has an empty value. Nothing at the end.
  std::optional<Each> next();

 private:
  std::string_view value_;
  std::string_view rest_;
};

}  // namespace rondo::proto
