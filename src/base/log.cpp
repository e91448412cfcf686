// SPDX-License-Identifier: Apache-2.0
#include "rondo/base/log.hpp"

#include <atomic>
#include <cstdio>

namespace rondo {
namespace {

void to_standard_error(LogLevel level, std::string_view line) {
  if (level < LogLevel::warning) return;
  std::fprintf(stderr, "rondo: %s%.*s\n", level == LogLevel::error ? "error: " : "",
               static_cast<int>(line.size()), line.data());
}

std::atomic<LogSink> sink_now{&to_standard_error};

}  // namespace

LogSink set_log_sink(LogSink sink) noexcept {
  return sink_now.exchange(sink ? sink : &to_standard_error, std::memory_order_acq_rel);
}

void log(LogLevel level, std::string_view line) noexcept {
  sink_now.load(std::memory_order_acquire)(level, line);
}

}  // namespace rondo
