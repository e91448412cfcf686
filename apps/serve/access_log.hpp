// SPDX-License-Identifier: Apache-2.0
// AccessLog: a line for each answer, in the common log format, appended to a file or to standard
// output. Lines wait in a bounded queue for one task that writes them; beyond it they are counted,
// and the next line says how many are missing: a slow disk holds nobody up.
// Lifetime: outlives its writer task. Thread rule: the loop's thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <variant>

#include "rondo/core/channel.hpp"
#include "rondo/core/task.hpp"
#include "rondo/fs/file.hpp"
#include "rondo/http/message.hpp"
#include "rondo/process/stream.hpp"

namespace rondo::serve {

class AccessLog {
 public:
  /// Opens `path` for appending; "-" is standard output.
  static Task<Result<std::unique_ptr<AccessLog>>> open(std::string path);
  template <class Target>
  explicit AccessLog(Target target) : target_(std::in_place_type<Target>, std::move(target)) {}

  void note(const http::Request& request, const http::Response& response);
  /// Writes until close() and all that was noted. Errors: of the file; nothing is written then.
  Task<Result<>> run();
  void close() noexcept { lines_.close(); }

 private:
  Task<Result<>> write(std::string_view text);

  std::variant<fs::File, process::PipeStream> target_;
  Channel<std::string> lines_{4'096, OnFull::reject};
  std::uint64_t missed_ = 0;
};

/// One line, without its end; what a client sent stands in quotes, control characters as \xNN.
std::string log_line(const http::Request& request, std::string_view time, int status,
                     std::uint64_t size);

}  // namespace rondo::serve
