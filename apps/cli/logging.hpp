// SPDX-License-Identifier: Apache-2.0
// Logging of programs: the library's lines and the program's own, to standard error.
//
//   cli::Logging logging;      // for main's whole life
//
// A thread of its own writes, so that a slow terminal never holds a loop up; the queue is bounded
// (1,024 lines) and drops the oldest. Text from users has its control characters taken out.
// Lifetime: ends after the last loop. Thread rule: one for the process.
#pragma once

namespace rondo::cli {

class Logging {
 public:
  Logging();
  Logging(const Logging&) = delete;
  Logging& operator=(const Logging&) = delete;
  ~Logging();
};

/// In the place of Logging, where the terminal is for talking: warnings and errors only, at once.
void log_warnings_only();

}  // namespace rondo::cli
