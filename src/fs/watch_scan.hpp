// SPDX-License-Identifier: Apache-2.0
// Puts inotify watches on a directory and what is below it, and lists what it finds: on a thread
// of the blocking pool.
//
// A directory is watched before it is listed, so that what comes into it later is an event and
// what was there before is in the list; what came between is both, and Watching drops one.
// Directories are opened below their parent's descriptor and watched by their own: a path could
// mean another directory from one call to the next.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "rondo/base/error.hpp"

namespace rondo::fs {

struct ScanRequest {
  int inotify = -1;
  std::string path;
  std::uint32_t mask = 0;    ///< of inotify_add_watch
  bool recursive = false;
  bool is_root = false;      ///< given by the user: may be a file or a link to something
  bool is_refresh = false;   ///< also what is watched already is wanted, and may be gone
  std::size_t report_max = 0;  ///< found entries to return
};

struct Scan {
  struct Watch {
    int wd = -1;
    std::string path;
  };
  struct Entry {
    int wd = -1;  ///< of its directory
    std::string path;
    std::size_t name_size = 0;  ///< its last so many bytes are the name
    bool is_directory = false;
  };
  std::vector<Watch> watches;
  std::vector<Entry> entries;
  bool is_directory = false;  ///< the path itself is one
  bool has_met_watched = false;  ///< a directory has a watch already, under some path
  bool is_truncated = false;  ///< more than report_max were found
  std::optional<Error> error = {};  ///< what ended it early
  std::uint64_t queued = 0;   ///< bytes the kernel held for inotify when the scan was over
};

Scan scan(const ScanRequest& request);

}  // namespace rondo::fs
