// SPDX-License-Identifier: Apache-2.0
// The values of TaskLocals: nodes that chains, scopes and jobs point to, innermost first.
//
// Invariant: who points to a node lives inside of what set it, or holds a reference (jobs, which
// an abandoned caller leaves behind). Counts are touched on the loop's thread only; a thread that
// runs a job reads.
#pragma once

#include "rondo/base/compiler.hpp"

namespace rondo::detail {

/// One value that is set.
struct LocalNode {
  const void* key = nullptr;         ///< the TaskLocal
  const LocalNode* outer = nullptr;  ///< holds a reference to it
  mutable unsigned refs = 1;
  void (*release)(const LocalNode&) noexcept = nullptr;
};

/// What the function reads that this thread runs for a task.
inline constinit thread_local const LocalNode* t_job_locals = nullptr;

inline const LocalNode* hold_locals(const LocalNode* head) noexcept {
  if (head) ++head->refs;
  return head;
}
/// Gives a reference back and empties the pointer.
void drop_locals(const LocalNode*& head) noexcept;

/// Makes a job's values those of this thread for a block.
class JobLocals {
 public:
  explicit JobLocals(const LocalNode* head) noexcept : before_(t_job_locals) {
    t_job_locals = head;
  }
  JobLocals(const JobLocals&) = delete;
  JobLocals& operator=(const JobLocals&) = delete;
  ~JobLocals() { t_job_locals = before_; }

 private:
  const LocalNode* before_;
};

}  // namespace rondo::detail
