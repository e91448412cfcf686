// SPDX-License-Identifier: Apache-2.0
// Input: lines from a descriptor on the loop: standard input, a pipe, a terminal, a file.
//
//   process::Input input(0);
//   while (auto line = co_await input.read_line()) {
//     if (!*line) break;                           // end of input
//     say(**line);
//   }
//
// It reads where the descriptor stands and never changes its flags: a terminal shared with other
// programs stays as it is. A descriptor that was closed for reading just ends.
// It refuses to own the descriptor: whoever opened it closes it, after the last await.
// Lifetime: the Input and its descriptor outlive the awaits. Thread rule: the loop's thread.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "rondo/base/limits.hpp"
#include "rondo/base/result.hpp"
#include "rondo/core/task.hpp"

namespace rondo::process {

class Input {
 public:
  explicit Input(int descriptor, std::size_t line_max = limits::line_max.value) noexcept
      : descriptor_(descriptor), line_max_(line_max) {}
  Input(const Input&) = delete;
  Input& operator=(const Input&) = delete;

  /// Reads the next line.
  /// - **Completes** with a line, at the end of input, or on an error.
  /// - **Returns** the line without its end; what follows the last LF is a line too; nullopt at
  ///   the end, again and again. **Errors** too_large (a line over line_max, which is skipped);
  ///   the kernel's. **Cancel** loses nothing that was read.
  /// - **Lifetime** the Input outlives it. **Concurrency** one reader. **Thread** the loop's.
  Task<Result<std::optional<std::string>>> read_line();

 private:
  int descriptor_;
  std::size_t line_max_;
  std::string pending_;      // Read and not yet returned.
  std::size_t scanned_ = 0;  // Bytes of it known to hold no LF.
  bool skipping_ = false;    // Inside a line that was too long.
  bool ended_ = false;
};

}  // namespace rondo::process
