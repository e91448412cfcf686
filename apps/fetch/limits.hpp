// SPDX-License-Identifier: Apache-2.0
// What bounds a run of `rondo fetch`, beside the library's own limits: what servers send decides
// nothing about its memory or time. docs/howto/load-a-page.md tells users.
// Thread rule: constants.
#pragma once

#include "rondo/base/limits.hpp"

namespace rondo::fetch {

inline constexpr Limit k_items_max{"items_max", 20'000, "files", AtLimit::drop,
                                   "files of a run; what more pages name is left out"};
inline constexpr Limit k_frames_max{"frames_max", 4, "frames", AtLimit::drop,
                                    "frames inside of frames"};
inline constexpr Limit k_url_max{"url_max", 8'192, "bytes", AtLimit::drop,
                                 "a URL that a page names; a longer one stays as it is"};

// A page that is not looked into is saved as it came, and its user told.
inline constexpr Limit k_page_parsed_max{"page_parsed_max", 16'777'216, "bytes", AtLimit::report,
                                         "a page or style sheet that is looked into"};
inline constexpr Limit k_page_tree_max{"page_tree_max", 134'217'728, "bytes", AtLimit::report,
                                       "memory of the parser for one page"};
inline constexpr Limit k_page_parse_time{"page_parse_time", 5'000, "ms", AtLimit::report,
                                         "a CPU's time that the parser takes for one page"};
inline constexpr Limit k_page_urls_max{"page_urls_max", 100'000, "URLs", AtLimit::report,
                                       "URLs of one page or style sheet"};
/// All others lie on the disk: so many texts, trees and lists of URLs bound the memory for pages.
inline constexpr Limit k_pages_at_once{"pages_at_once", 4, "pages", AtLimit::wait,
                                       "pages and style sheets held in memory"};

inline constexpr Limit k_robots_max{"robots_max", 512'000, "bytes", AtLimit::drop,
                                    "of a robots.txt (RFC 9309, section 2.5: at least 500 KiB)"};
inline constexpr Limit k_robots_rules_max{"robots_rules_max", 5'000, "rules", AtLimit::drop,
                                          "of one group; further ones are not looked at"};
inline constexpr Limit k_robots_pattern_max{
    "robots_pattern_max", 1'024, "bytes", AtLimit::drop,
    "of a rule: a longer Disallow counts as far as that, a longer Allow not at all"};

}  // namespace rondo::fetch
