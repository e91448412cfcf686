// SPDX-License-Identifier: Apache-2.0
// The name under which tests know MemoryPair; it stands in core/memory_stream.hpp.
// Thread rule: the loop's thread.
#pragma once

#include "rondo/core/memory_stream.hpp"

namespace rondo::testing {

using rondo::MemoryPair;
using rondo::MemoryPairOptions;

}  // namespace rondo::testing
