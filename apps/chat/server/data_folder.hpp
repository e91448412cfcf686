// SPDX-License-Identifier: Apache-2.0
// DataFolder: the folder a server keeps its data in, locked against a second one.
//
//   auto folder = DataFolder::open("data");      // an Error names the PID of who has it
//
// The lock is the kernel's (flock): it goes with the process, however that ends.
// Thread rule: one thread.
#pragma once

#include <string>

#include "rondo/base/result.hpp"
#include "rondo/base/unique_fd.hpp"

namespace rondo::chat {

class [[nodiscard]] DataFolder {
 public:
  /// Makes the folder when missing, and locks it. Errors: the kernel's; exists, with a
  /// sentence, when another server has it.
  static Result<DataFolder> open(const std::string& path);
  std::string file(const std::string& name) const { return path_ + "/" + name; }

 private:
  DataFolder(std::string path, UniqueFd lock) : path_(std::move(path)), lock_(std::move(lock)) {}
  std::string path_;
  UniqueFd lock_;
};

}  // namespace rondo::chat
