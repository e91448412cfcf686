// SPDX-License-Identifier: Apache-2.0
// gzip (RFC 1952), whole pieces in memory, by zlib.
//
//   const std::string packed = gzip(text).or_throw();
//   auto text = gunzip(packed, 1'000'000);       // too_large beyond: a bomb is not unpacked
//
// Both take time that grows with the size: more than a few KiB belong into run_cpu.
// Lifetime: values. Thread rule: any thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "rondo/base/result.hpp"

namespace rondo::proto {

/// `text` packed; level 1 (fast) to 9 (small). Errors: no_memory.
Result<std::string> gzip(std::string_view text, int level = 6);

/// What was packed, of one or several members. Errors: bad_message for anything that is no gzip,
/// is cut short or has a wrong checksum; too_large when it is more than `max` bytes.
Result<std::string> gunzip(std::string_view packed, std::size_t max);

}  // namespace rondo::proto
