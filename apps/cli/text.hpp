// SPDX-License-Identifier: Apache-2.0
// Text for people: what several programs print or put into a page.
// Lifetime: values. Thread rule: any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace rondo::cli {

/// Fit for a terminal, as one line: whatever a peer, a page or a file says goes through here before
/// it is printed. Without C0 but tab, without DEL, C1 (ESC and CSI too) and bidirectional
/// controls; a line end becomes a space, a byte that is no UTF-8 a question mark.
std::string terminal_text(std::string_view text);

/// `text` so that HTML shows it as it is, also inside a quoted attribute.
std::string escape_html(std::string_view text);

/// "999 B", "1.2 KB", "340 MB": three figures at most, powers of 1,000.
std::string readable_size(std::uint64_t bytes);

}  // namespace rondo::cli
