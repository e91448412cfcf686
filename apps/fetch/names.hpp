// SPDX-License-Identifier: Apache-2.0
// Names of files for URLs, and links between them.
//
//   local_name("https://example.org/a/?x=1", ".html")     "example.org/a/index-5f3b1c02.html"
//   link_between("example.org/a/b.html", "cdn.org/x y.png")   "../../cdn.org/x%20y.png"
//
// A name has only letters, digits and a few signs that every file system takes, no segment that
// begins with a dot, and none over 120 bytes; what had to be changed, or has a query, is told
// apart by eight hex digits. Whatever a URL says, its file lies below the folder.
// Lifetime: values. Thread rule: any thread.
#pragma once

#include <string>
#include <string_view>

namespace rondo::fetch {

/// `url` is absolute, with http or https. `extension` is for names that have none.
std::string local_name(std::string_view url, std::string_view extension);

/// Relative link, percent-encoded, from one file to another, both below the folder.
std::string link_between(std::string_view from, std::string_view to);

}  // namespace rondo::fetch
