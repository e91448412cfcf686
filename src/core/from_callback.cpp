// SPDX-License-Identifier: Apache-2.0
#include "rondo/core/from_callback.hpp"

namespace rondo::detail {

bool CallbackTasks::drained() const noexcept {
  if (loop_.ending()) {
    for (CallbackTask* task = live_.first(); task; task = live_.next(*task)) {
      request_cancel(*task->chain, "the loop ends");
    }
  }
  return live_.empty();
}

}  // namespace rondo::detail
