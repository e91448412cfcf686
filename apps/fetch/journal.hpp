// SPDX-License-Identifier: Apache-2.0
// What a run has loaded, in a file of its folder, so that the next one with --resume goes on: for
// each URL its file and what tells one version from another. One JSON object a line, the last one
// of a URL counts; a line that was cut short is skipped.
// Lifetime: as long as the Loader. Thread rule: the loop's thread.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "rondo/core/mutex.hpp"
#include "rondo/core/task.hpp"
#include "rondo/fs/directory.hpp"
#include "rondo/fs/file.hpp"

namespace rondo::fetch {

struct Known {
  std::string file;
  std::string etag;           ///< strong, or empty
  std::string last_modified;  ///< as the server wrote it, or empty
  bool whole = false;         ///< else the part is in part_name(file)
};

class Journal {
 public:
  /// Reads what is there with `resume`, else begins anew. A crash while it is written again leaves
  /// the one before. Errors: those of files. `folder` outlives the call.
  static Task<Result<Journal>> open(const fs::Directory& folder, bool resume);
  Journal(Journal&& other) noexcept
      : file_(std::move(other.file_)), known_(std::move(other.known_)) {}

  const Known* find(const std::string& url) const;
  const std::map<std::string, Known>& all() const noexcept { return known_; }
  /// Any number of tasks may note.
  Task<Result<>> note(const std::string& url, const Known& known);

 private:
  explicit Journal(fs::File file) noexcept : file_(std::move(file)) {}
  fs::File file_;
  Mutex writing_;
  std::map<std::string, Known> known_;
};

}  // namespace rondo::fetch
