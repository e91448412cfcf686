// SPDX-License-Identifier: Apache-2.0
// The page that lists a folder: names, sizes, times; folders first. Names are anybody's text: all
// of it is escaped, and links are percent-encoded.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace rondo::serve {

struct ListedEntry {
  std::string name;
  bool is_folder = false;
  std::uint64_t size = 0;
  std::int64_t modified_ns = 0;  ///< since 1970
};

/// `path` below the folder served: "" or "a/b/". Sorts the entries.
std::string listing_page(std::string_view path, std::vector<ListedEntry> entries);

}  // namespace rondo::serve
