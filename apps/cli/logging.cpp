// SPDX-License-Identifier: Apache-2.0
// spdlog behind the library's log sink.
#include "cli/logging.hpp"

#include <spdlog/async.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <csignal>
#include <memory>

#include "cli/options.hpp"
#include "cli/text.hpp"
#include "rondo/base/log.hpp"

namespace rondo::cli {

namespace {

constexpr std::size_t k_lines_max = 1'024;

spdlog::level::level_enum level_of(LogLevel level) {
  switch (level) {
    case LogLevel::debug:
      return spdlog::level::debug;
    case LogLevel::info:
      return spdlog::level::info;
    case LogLevel::warning:
      return spdlog::level::warn;
    case LogLevel::error:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

void sink(LogLevel level, std::string_view line) {
  if (auto logger = spdlog::default_logger()) logger->log(level_of(level), terminal_text(line));
}

}  // namespace

Logging::Logging() {
  // Its thread takes no signals: one delivered there would end the program the default way.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  spdlog::init_thread_pool(k_lines_max, 1);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  auto logger = std::make_shared<spdlog::async_logger>(
      "rondo", std::make_shared<spdlog::sinks::stderr_sink_mt>(), spdlog::thread_pool(),
      spdlog::async_overflow_policy::overrun_oldest);
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e %l %v");
  spdlog::set_default_logger(std::move(logger));
  set_log_sink(sink);
}

void log_warnings_only() {
  set_log_sink([](LogLevel level, std::string_view line) {
    if (level >= LogLevel::warning) complain("rondo", line);
  });
}

Logging::~Logging() {
  set_log_sink(nullptr);
  spdlog::shutdown();
}

}  // namespace rondo::cli
