// SPDX-License-Identifier: Apache-2.0
// Child processes, pipes and terminals for the drivers that have a kernel.
//
// Thread rule: the loop's thread.
#pragma once

#include <cstdint>

#include "rondo/io/child_ops.hpp"

namespace rondo::io::kernel {

/// Does SpawnOp, KillChildOp, MakePipeOp or TerminalOp; -ENOTSUP for any other kind.
std::int32_t run_child_op(Operation& op) noexcept;

/// Takes the child away if it has ended: 0, -EAGAIN while it runs, or a negated errno.
std::int32_t try_reap(WaitChildOp& op) noexcept;

/// After a write that ended with -EPIPE: takes away the SIGPIPE that came with it, if that is
/// blocked. Left pending it would end the process when somebody unblocks it later.
void drop_sigpipe() noexcept;

}  // namespace rondo::io::kernel
