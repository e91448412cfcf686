// SPDX-License-Identifier: Apache-2.0
#include "rondo/core/error_group.hpp"

namespace rondo {

ErrorGroup::ErrorGroup(std::vector<std::exception_ptr> errors) : errors_(std::move(errors)) {
  text_ = std::to_string(errors_.size());
  text_.append(errors_.size() == 1 ? " task failed: " : " tasks failed: ");
  const char* between = "";
  for (const std::exception_ptr& error : errors_) {
    text_.append(std::exchange(between, "; "));
    try {
      std::rethrow_exception(error);
    } catch (const std::exception& known) {
      text_.append(known.what());
    } catch (...) {
      text_.append("something that is no std::exception");
    }
  }
}

}  // namespace rondo
