// SPDX-License-Identifier: Apache-2.0
// Text for people: what several programs print or put into a page.
// Lifetime: values. Thread rule: any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace rondo::cli {

/// `text` so that HTML shows it as it is, also inside a quoted attribute.
std::string escape_html(std::string_view text);

/// "999 B", "1.2 KB", "340 MB": three figures at most, powers of 1,000.
std::string readable_size(std::uint64_t bytes);

}  // namespace rondo::cli
