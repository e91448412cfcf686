// SPDX-License-Identifier: Apache-2.0
// OpenOptions as the flags of open(2).
#pragma once

#include <cstdint>

#include "rondo/fs/file.hpp"

namespace rondo::fs {

/// -1 for options that contradict each other.
std::int32_t flags_of(const OpenOptions& options) noexcept;

}  // namespace rondo::fs
