// SPDX-License-Identifier: Apache-2.0
// Log: where the library says what nobody awaits (a driver fallen back, a task never awaited).
//
//   set_log_sink([](LogLevel level, std::string_view line) { spdlog::log(map(level), line); });
//
// The library only formats a line and hands it to one sink; the default writes warnings and
// errors to standard error. It logs events, never per message or per operation.
// Lifetime: the sink is a plain function: it must not depend on objects that go away.
// Thread rule: set it before the first loop runs; the sink is called from any thread.
#pragma once

#include "rondo/base/compiler.hpp"

#include <string_view>

namespace rondo {

enum class LogLevel : unsigned char { debug, info, warning, error };

using LogSink = void (*)(LogLevel level, std::string_view line);

/// Replaces the sink and returns the one before; null restores the default.
LogSink set_log_sink(LogSink sink) noexcept;

void log(LogLevel level, std::string_view line) noexcept;

}  // namespace rondo
