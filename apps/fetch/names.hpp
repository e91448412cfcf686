// SPDX-License-Identifier: Apache-2.0
// Names of files for URLs, and links between them.
//
//   local_name("https://example.org/a/?x=1", ".html")     "example.org/a/index-5f3b1c02.html"
//   link_between("example.org/a/b.html", "cdn.org/x y.png")   "../../cdn.org/x%20y.png"
//
// A name has only letters, digits and a few signs that every file system takes, no segment that
// begins with a dot, and none over 120 bytes; what had to be changed, or has a query, is told
// apart by eight hex digits. Whatever a URL says, its file lies below the folder.
// Until a file is whole it has the name part_name(): `#` is a sign that no other name has.
// Lifetime: values. Thread rule: any thread.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>

namespace rondo::fetch {

/// `url` is absolute, with http or https. `extension` is for names that have none.
std::string local_name(std::string_view url, std::string_view extension);

/// What a file is called that is not whole yet. No URL has it for its name.
std::string part_name(std::string_view file);

/// The names of a run: no two URLs have the same, and none is a folder of another's.
class NamePool {
 public:
  /// Keeps a name of a run before for its URL. False when another URL has it, or it cannot stand
  /// beside the others.
  bool reserve(std::string_view name, std::string_view url);
  /// `wanted`, or a name like it when it is taken; "-2" and so on is put into what is in the way.
  std::string take(std::string wanted, std::string_view url);

 private:
  std::map<std::string, std::string, std::less<>> urls_;  ///< of each file
  std::set<std::string, std::less<>> folders_;
  std::map<std::string, std::size_t>
      numbers_;  ///< last put into a name, so that none is tried twice
};

/// Relative link, percent-encoded, from one file to another, both below the folder.
std::string link_between(std::string_view from, std::string_view to);

}  // namespace rondo::fetch
