// SPDX-License-Identifier: Apache-2.0
// The vfork part of SpawnOp.
//
// Thread rule: any thread; the caller waits until the child has called exec or has failed.
#pragma once

#include <cstdint>

#include "rondo/io/child_ops.hpp"

namespace rondo::io::kernel {

/// A pidfd or a negated errno; fills pid and failed_at. Does not look at `give`.
std::int32_t spawn(SpawnOp& op);

}  // namespace rondo::io::kernel
