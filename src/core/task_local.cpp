// SPDX-License-Identifier: Apache-2.0
#include "rondo/core/task_local.hpp"

namespace rondo::detail {

const LocalNode* current_locals() noexcept {
  if (t_job_locals) return t_job_locals;
  return t_core && t_core->running ? t_core->running->locals : nullptr;
}

const LocalNode* find_local(const void* key) noexcept {
  const LocalNode* node = current_locals();
  while (node && node->key != key) node = node->outer;
  return node;
}

void drop_locals(const LocalNode*& head) noexcept {
  const LocalNode* node = head;
  head = nullptr;
  // A loop, not a recursion through destructors: values may be nested deeply.
  while (node && --node->refs == 0) {
    const LocalNode* outer = node->outer;
    node->release(*node);
    node = outer;
  }
}

}  // namespace rondo::detail
